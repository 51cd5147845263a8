/* SPDX-License-Identifier: MIT */
/*
 * The rules of one L1 entry: what a guest may put there, as what it lands in the table, and which references
 * it holds. Pure decisions and reference counts: nothing here writes a table or flushes a translation.
 */
#ifndef SLUICE_PV_L1_H
#define SLUICE_PV_L1_H

#include "guest-abi/include/sluice/errno.h"
#include "mem/frame.h"
#include "pv/pte.h"

#include <stdbool.h>
#include <stdint.h>

/* Once, when the CPU is known and before any entry is judged. */
void l1_rules_init(void);

extern uint64_t l1_forbidden; /* bits that no entry may have on this CPU */

/* A success: of an entry through which the guest can write to a device. */
#define L1_WRITES_DEVICE 2

/* As below, of a present entry with allowed bits whose frame is not the guest's RAM. */
int l1_other_get(uint64_t *entry);

/* The same of an entry that is not stored for certain: 0, L1_WRITES_DEVICE or an error. */
int l1_other_judge(uint64_t *entry);

/* The table at entries is one from now on, and had an L1_WRITES_DEVICE. */
void l1_table_stored(const uint64_t *entries, uint32_t count);

/*
 * Checks *entry, rewrites it to what the hardware may see (user, never global, memory type fixed) and takes
 * the references it will hold. An entry that is not present is any value and holds nothing. Frames that are
 * not the guest's RAM are left to other().
 * 0; what other() says; -EINVAL reserved bits; -EPERM a frame the guest may not map, or not writable; -EBUSY
 * writable, but the frame is a table; -ENOSPC references. RAM is always write-back. With a second, uncached
 * view of a frame the guest could show the hypervisor's cached reads one page table and the hardware's walker
 * another. In line, because a table has 512 of them.
 */
__attribute__((always_inline)) static inline int l1_entry_judge(uint64_t *entry, int (*other)(uint64_t *))
{
    uint64_t value = *entry;

    if ((value & PTE_PRESENT) == 0)
        return 0;
    if ((value & l1_forbidden) != 0)
        return -EINVAL;
    uint64_t mfn = pte_mfn(value);
    if (mfn >= frame_table_count || frame_table[mfn].owner != FRAME_GUEST) {
        *entry = (value & ~PTE_GLOBAL) | PTE_USER;
        return other(entry);
    }
    struct frame *frame = &frame_table[mfn];
    *entry = (value & ~(PTE_GLOBAL | PTE_CACHE)) | PTE_USER;
    return (value & PTE_WRITABLE) != 0 ? frame_get_type(frame, FRAME_TYPE_WRITABLE) : frame_get(frame);
}

/* The same of an entry that is stored next. */
static inline int l1_entry_get(uint64_t *entry)
{
    return l1_entry_judge(entry, l1_other_get);
}

/* Drops what a stored entry held; only after its translation is gone from the TLB. What that is follows from
 * the entry and the owner, which cannot change while it is held. */
static inline void l1_entry_put(uint64_t entry)
{
    if ((entry & PTE_PRESENT) == 0)
        return;
    uint64_t mfn = pte_mfn(entry);
    if (mfn >= frame_table_count || frame_table[mfn].owner != FRAME_GUEST)
        return;
    struct frame *frame = &frame_table[mfn];
    if ((entry & PTE_WRITABLE) != 0)
        frame_put_type(frame);
    else
        frame_put(frame);
}

/* True when old may be cached in the TLB with more rights, or another frame, than replacement gives. */
static inline bool l1_needs_flush(uint64_t old, uint64_t replacement)
{
    /* The TLB holds only what was present, and a walker sets A before it caches. */
    if ((old & PTE_PRESENT) == 0 || (old & PTE_ACCESSED) == 0)
        return false;
    if ((replacement & PTE_PRESENT) == 0)
        return true;
    if (((old ^ replacement) & (PTE_FRAME | PTE_CACHE)) != 0)
        return true;
    /* Clearing A counts as well: the translation would stay cached, and the test above would miss it later.
     */
    return (old & ~replacement & (PTE_WRITABLE | PTE_ACCESSED)) != 0 ||
           (replacement & ~old & PTE_NO_EXECUTE) != 0;
}

#endif

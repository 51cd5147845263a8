/* SPDX-License-Identifier: MIT */
/*
 * The rules of one L1 entry: what a guest may put there, as what it lands in the table, and which references
 * it holds. Pure decisions and reference counts: nothing here writes a table or flushes a translation.
 */
#ifndef SLUICE_PV_L1_H
#define SLUICE_PV_L1_H

#include "pv/pte.h"

#include <stdbool.h>
#include <stdint.h>

/* Once, when the CPU is known and before any entry is judged. */
void l1_rules_init(void);

/*
 * Checks *entry, rewrites it to what the hardware may see (user, never global, memory type fixed) and takes
 * the references it will hold. An entry that is not present is any value and holds nothing.
 * 0; -EINVAL reserved bits; -EPERM a frame the guest may not map, or not writable; -EBUSY writable, but the
 * frame is a table; -ENOSPC references.
 */
int l1_entry_get(uint64_t *entry);

/* Drops what a stored entry held; only after its translation is gone from the TLB. */
void l1_entry_put(uint64_t entry);

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

/* SPDX-License-Identifier: MIT */
/*
 * mmu_update and update_va_mapping: the guest's way to its own page tables, which it can only read.
 * Tables are reached through the directmap alone, never through guest pointers. A new entry's references are
 * taken before the store; the old one's are dropped after its translation has left the TLB.
 */
#include "pv/mmu.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/frame.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/batch.h"
#include "pv/guest.h"
#include "pv/l1.h"
#include "pv/pte.h"
#include "pv/tlb.h"
#include "pv/types.h"
#include "pv/walk.h"

/* The way of an L1 entry is kept free of the others. */
#define OFTEN  __attribute__((always_inline))
#define SELDOM __attribute__((noinline, cold))

#define ENTRY_SIZE   8u
#define COMMAND_MASK 3u

/* Old entries that the TLB may still know. */
#define STALE_MAX 64u
struct stale {
    uint32_t count;
    uint64_t entries[STALE_MAX];
};
static struct stale stale;

static void stale_settle(void)
{
    if (stale.count == 0)
        return;
    tlb_flush_all();
    for (uint32_t i = 0; i < stale.count; i++)
        l1_entry_put(stale.entries[i]);
    stale.count = 0;
}

static void stale_add(uint64_t entry)
{
    stale.entries[stale.count++] = entry;
    if (stale.count == STALE_MAX)
        stale_settle();
}

/* Swaps the entry for value and returns what was there. With preserve_ad the walker's A and D bits survive,
 * at whatever moment it sets them; it never clears one, so two retries are the most. */
static uint64_t exchange_entry(uint64_t *slot, uint64_t *value, bool preserve_ad)
{
    if (!preserve_ad || (*value & PTE_PRESENT) == 0)
        return __atomic_exchange_n(slot, *value, __ATOMIC_SEQ_CST);

    uint64_t wanted = *value;
    uint64_t old = __atomic_load_n(slot, __ATOMIC_RELAXED);
    do {
        *value = wanted;
        if ((old & PTE_PRESENT) != 0)
            *value |= old & (PTE_ACCESSED | PTE_DIRTY);
    } while (!__atomic_compare_exchange_n(slot, &old, *value, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return old;
}

/* stale_settle() is owed before the guest runs again. */
OFTEN static inline int l1_update(uint64_t *slot, uint64_t value, bool preserve_ad)
{
    int error = l1_entry_get(&value);
    if (error != 0)
        return error;
    uint64_t old = exchange_entry(slot, &value, preserve_ad);
    if (l1_needs_flush(old, value))
        stale_add(old);
    else
        l1_entry_put(old);
    return 0;
}

/* ---- mmu_update ---- */

static uint64_t *directmap_entry(uint64_t machine)
{
    return phys_to_virt(machine);
}

/* A frame that is no table may be written by the guest anyway, so this is only a store. */
SELDOM int guest_plain_store(struct frame *frame, uint64_t machine, uint64_t value)
{
    if (frame_get_type(frame, FRAME_TYPE_WRITABLE) != 0)
        return -EINVAL;
    *directmap_entry(machine) = value;
    frame_put_type(frame);
    return 0;
}

static bool is_hypervisor_slot(uint64_t index)
{
    return index >= MAP_FIRST_SLOT && index <= MAP_LAST_SLOT;
}

/* An entry of an L2 to L4. What it led to is let go only when no translation goes through it any more. */
SELDOM static int upper_update(const struct frame *frame, uint64_t machine, uint64_t value, bool preserve_ad)
{
    uint64_t mfn = machine >> FRAME_SHIFT;
    unsigned level = frame->type - FRAME_TYPE_L1 + 1u;

    if (level == 4 && is_hypervisor_slot(machine / ENTRY_SIZE % 512))
        return -EINVAL;
    stale_settle(); /* a request before this one may have held the frame that becomes a table */
    int error = upper_entry_get(mfn, level, &value);
    if (error != 0)
        return error;
    uint64_t old = exchange_entry(directmap_entry(machine), &value, preserve_ad);
    if ((old & PTE_PRESENT) != 0)
        tlb_flush_all();
    upper_entry_put(mfn, level, old);
    walk_forget();
    if (level == 4)
        guest_linear_refresh();
    return 0;
}

OFTEN static inline int update_entry(uint64_t machine, uint64_t value, bool preserve_ad)
{
    struct frame *frame = frame_of(machine >> FRAME_SHIFT);
    if (frame == NULL || frame->owner != FRAME_GUEST || machine % ENTRY_SIZE != 0)
        return -EINVAL;
    if (is_whole(frame, FRAME_TYPE_L1))
        return l1_update(directmap_entry(machine), value, preserve_ad);
    if (frame->type >= FRAME_TYPE_L2 && frame->type <= FRAME_TYPE_L4 && is_whole(frame, frame->type))
        return upper_update(frame, machine, value, preserve_ad);
    return guest_plain_store(frame, machine, value);
}

SELDOM static int update_m2p(uint64_t mfn, uint64_t pfn)
{
    const struct frame *frame = frame_of(mfn);
    if (frame == NULL || frame->owner != FRAME_GUEST)
        return -EINVAL;
    m2p_set(mfn, pfn);
    return 0;
}

OFTEN static inline int do_one(const struct mmu_update *update)
{
    switch (update->ptr & COMMAND_MASK) {
    case MMU_MACHPHYS_UPDATE:
        return update_m2p(update->ptr >> FRAME_SHIFT, update->val);
    case MMU_PT_UPDATE_PRESERVE_AD:
        return update_entry(update->ptr & ~(uint64_t)COMMAND_MASK, update->val, true);
    default: /* NO_TRANSLATE differs only for guests whose tables are translated */
        return update_entry(update->ptr & ~(uint64_t)COMMAND_MASK, update->val, false);
    }
}

OFTEN static inline int one_update(const uint64_t *words)
{
    const struct mmu_update update = {words[0], words[1]};

    return do_one(&update);
}

/* Nearly all calls of a running system have one request: what a batch does, without its book-keeping. */
static long update_alone(uint64_t address, uint64_t done_pointer)
{
    uint64_t words[2];
    int error = get_guest_words2(words, address);

    if (error == 0)
        error = one_update(words);
    if (error == TYPES_PREEMPTED)
        return error;
    stale_settle();
    if (done_pointer != 0 && put_guest_u32(done_pointer, error == 0) != 0 && error == 0)
        error = -EFAULT;
    return error;
}

/* a: array of struct mmu_update, count, uint32_t *done (may be null), domain. */
long do_mmu_update(struct cpu_regs *regs, const struct hypercall_args *args)
{
    if (!batch_domain_known((uint32_t)args->a[3], DOMID_IO))
        return -ESRCH;
    if ((uint32_t)args->a[1] == 1 && !types_owed()) {
        long result = update_alone(args->a[0], args->a[2]);
        if (!types_owed() && result != TYPES_PREEMPTED)
            return result;
        if (result != TYPES_PREEMPTED)
            return types_settle() || result != 0 ? result
                                                 : batch_go_on(regs, args, sizeof(struct mmu_update), 1);
    }
    return batch_run(regs, args, sizeof(struct mmu_update), one_update, stale_settle);
}

/* ---- update_va_mapping ---- */

/* There is one CPU, so every wording of "which CPUs" means this one; a mask must at least be readable. */
static inline int flush_as_asked(uint64_t address, uint64_t flags, bool flushed)
{
    uint64_t type = flags & UVMF_FLUSHTYPE_MASK;
    uint64_t cpus = flags & ~UVMF_FLUSHTYPE_MASK;
    uint64_t mask;

    if (type != UVMF_TLB_FLUSH && type != UVMF_INVLPG)
        return 0;
    if (!flushed && type == UVMF_TLB_FLUSH)
        tlb_flush_all();
    else if (!flushed)
        tlb_flush_page(address);
    if (cpus != UVMF_LOCAL && cpus != UVMF_ALL && copy_from_guest(&mask, cpus, sizeof(mask)) != 0)
        return -EFAULT;
    return 0;
}

/* What l1_update() does, with nothing owed afterwards; *flushed when all of the TLB was. */
static inline int l1_update_now(uint64_t *slot, uint64_t value, bool *flushed)
{
    int error = (value & PTE_PRESENT) != 0 ? l1_entry_get(&value) : 0;
    if (error != 0)
        return error;
    uint64_t old = exchange_entry(slot, &value, false);
    *flushed = l1_needs_flush(old, value);
    if (*flushed)
        tlb_flush_all();
    l1_entry_put(old);
    return 0;
}

int l1_compare_and_update(uint64_t *entry, uint64_t *old, uint64_t value)
{
    int error = l1_entry_get(&value);
    if (error != 0)
        return error;
    if (!__atomic_compare_exchange_n(entry, old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
        l1_entry_put(value);
        return -EAGAIN;
    }
    if (l1_needs_flush(*old, value))
        tlb_flush_all();
    l1_entry_put(*old);
    return 0;
}

/* a: address, new entry, UVMF_* flags. */
long do_update_va_mapping(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint64_t address = args->a[0];

    if (!address_is_canonical(address) || address_is_hypervisor(address))
        return -EINVAL;
    if (types_owed() && !types_settle())
        return hypercall_continue(regs, args);
    uint64_t *slot = walk_to_l1_entry(address);
    if (slot == NULL)
        return -EINVAL;
    bool flushed = false;
    int error = l1_update_now(slot, args->a[1], &flushed);
    int flush_error = flush_as_asked(address, args->a[2], flushed);
    return error != 0 ? error : flush_error;
}

/* SPDX-License-Identifier: MIT */
/*
 * mmu_update and update_va_mapping: the guest's way to its own page tables, which it can only read.
 * Tables are reached through the directmap alone, never through guest pointers. A new entry's references are
 * taken before the store; the old one's are dropped after its translation has left the TLB.
 */
#include "cpu/trap.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/frame.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/guest.h"
#include "pv/l1.h"
#include "pv/pte.h"
#include "pv/tlb.h"

#define ENTRY_SIZE       8u
#define PREEMPT_INTERVAL 32u
#define COMMAND_MASK     3u

/* Bit 31 of count: this is the rest of a call that was preempted, and *done counts the part before. */
#define COUNT_RESUMED 0x80000000u
/* Memory of devices, in the words of Xen's public headers; the same rules as for DOMID_SELF hold here. */
#define DOMID_IO      0x7ff1u

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

static bool has_type(const struct frame *frame, enum frame_type type)
{
    return frame != NULL && frame->owner == FRAME_GUEST && frame->type_references != 0 && frame->type == type;
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
static inline int l1_update(uint64_t *slot, uint64_t value, bool preserve_ad)
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
static int plain_store(struct frame *frame, uint64_t machine, uint64_t value)
{
    if (frame_get_type(frame, FRAME_TYPE_WRITABLE) != 0)
        return -EINVAL;
    *directmap_entry(machine) = value;
    frame_put_type(frame);
    return 0;
}

static int update_entry(uint64_t machine, uint64_t value, bool preserve_ad)
{
    struct frame *frame = frame_of(machine >> FRAME_SHIFT);
    if (frame == NULL || frame->owner != FRAME_GUEST || machine % ENTRY_SIZE != 0)
        return -EINVAL;
    if (has_type(frame, FRAME_TYPE_L1))
        return l1_update(directmap_entry(machine), value, preserve_ad);
    return plain_store(frame, machine, value);
}

static int update_m2p(uint64_t mfn, uint64_t pfn)
{
    const struct frame *frame = frame_of(mfn);
    if (frame == NULL || frame->owner != FRAME_GUEST)
        return -EINVAL;
    m2p_set(mfn, pfn);
    return 0;
}

static int do_one(const struct mmu_update *update)
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

/* At least one request is done at each entry, so that a forced continuation always gets on. */
static bool must_yield(uint32_t done)
{
    if (done == 0)
        return false;
    if (guest.continue_every != 0 && done % guest.continue_every == 0)
        return true;
    return done % PREEMPT_INTERVAL == 0 && cpu_preemption_point();
}

/* Requests are copied in ahead, a few at a time; the guest does not run meanwhile. */
#define WINDOW 16u
struct window {
    uint32_t first, count; /* indices of the requests that are here */
    struct mmu_update updates[WINDOW];
};

/* The request at index, or NULL when it cannot be read. One that can be read is not lost to a later one that
 * cannot: then the window is one request wide. */
static const struct mmu_update *fetch(struct window *window, uint64_t array, uint32_t index, uint32_t count)
{
    if (index - window->first < window->count)
        return &window->updates[index - window->first];

    uint64_t address = array + (uint64_t)index * sizeof(struct mmu_update);
    uint32_t wanted = count - index < WINDOW ? count - index : WINDOW;
    window->first = index;
    window->count = wanted;
    if (copy_from_guest(window->updates, address, wanted * sizeof(struct mmu_update)) == 0)
        return window->updates;
    window->count = 1;
    if (copy_from_guest(window->updates, address, sizeof(struct mmu_update)) == 0)
        return window->updates;
    return NULL;
}

static int do_requests(uint64_t array, uint32_t count, uint32_t *done)
{
    struct window window;
    window.first = window.count = 0;

    for (*done = 0; *done < count; ++*done) {
        if (must_yield(*done))
            return 0;
        const struct mmu_update *update = fetch(&window, array, *done, count);
        if (update == NULL)
            return -EFAULT;
        int error = do_one(update);
        if (error != 0)
            return error;
    }
    return 0;
}

static bool domain_known(uint32_t domain)
{
    uint32_t tables_of = domain >> 16; /* 0: the caller's own; else a domain number plus one */
    uint32_t frames_of = domain & 0xffffu;
    return tables_of == 0 && (frames_of == DOMID_SELF || frames_of == DOMID_IO);
}

/* a: array of struct mmu_update, count, uint32_t *done (may be null), domain. */
long do_mmu_update(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint32_t count = (uint32_t)args->a[1];
    uint64_t done_pointer = args->a[2];
    uint32_t before = 0;
    uint32_t done = 0;

    if (!domain_known((uint32_t)args->a[3]))
        return -ESRCH;
    if ((count & COUNT_RESUMED) != 0) {
        count &= ~COUNT_RESUMED;
        if (done_pointer != 0 && copy_from_guest(&before, done_pointer, sizeof(before)) != 0)
            return -EFAULT;
    }
    int error = do_requests(args->a[0], count, &done);
    stale_settle();
    if (done_pointer != 0 && put_guest_u32(done_pointer, before + done) != 0 && error == 0)
        error = -EFAULT;
    if (error != 0 || done == count)
        return error;

    struct hypercall_args rest = *args;
    rest.a[0] += (uint64_t)done * sizeof(struct mmu_update);
    rest.a[1] = (count - done) | COUNT_RESUMED;
    return hypercall_continue(regs, &rest);
}

/* ---- update_va_mapping ---- */

/* The table one level down, or NULL when the entry leads nowhere the guest built. */
static uint64_t *next_table(const uint64_t *table, uint64_t address, unsigned shift, enum frame_type type)
{
    uint64_t entry = __atomic_load_n(&table[address >> shift & 511], __ATOMIC_RELAXED);
    if ((entry & PTE_PRESENT) == 0 || !has_type(frame_of(pte_mfn(entry)), type))
        return NULL;
    return phys_to_virt(pte_mfn(entry) << FRAME_SHIFT);
}

static uint64_t *walk_to_l1_entry(uint64_t address)
{
    uint64_t *table = phys_to_virt(guest.l4_mfn << FRAME_SHIFT);
    table = next_table(table, address, 39, FRAME_TYPE_L3);
    if (table != NULL)
        table = next_table(table, address, 30, FRAME_TYPE_L2);
    if (table != NULL)
        table = next_table(table, address, 21, FRAME_TYPE_L1);
    return table != NULL ? &table[address >> FRAME_SHIFT & 511] : NULL;
}

/* There is one CPU, so every wording of "which CPUs" means this one; a mask must at least be readable. */
static int flush_as_asked(uint64_t address, uint64_t flags)
{
    uint64_t type = flags & UVMF_FLUSHTYPE_MASK;
    uint64_t cpus = flags & ~UVMF_FLUSHTYPE_MASK;
    uint64_t mask;

    if (type == UVMF_TLB_FLUSH)
        tlb_flush_all();
    else if (type == UVMF_INVLPG)
        tlb_flush_page(address);
    else
        return 0;
    if (cpus != UVMF_LOCAL && cpus != UVMF_ALL && copy_from_guest(&mask, cpus, sizeof(mask)) != 0)
        return -EFAULT;
    return 0;
}

/* a: address, new entry, UVMF_* flags. */
long do_update_va_mapping(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint64_t address = args->a[0];
    (void)regs;

    if (!address_is_canonical(address) || address_is_hypervisor(address))
        return -EINVAL;
    uint64_t *slot = walk_to_l1_entry(address);
    if (slot == NULL)
        return -EINVAL;
    int error = l1_update(slot, args->a[1], false);
    stale_settle();
    int flush_error = flush_as_asked(address, args->a[2]);
    return error != 0 ? error : flush_error;
}

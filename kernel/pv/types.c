/* SPDX-License-Identifier: MIT */
#include "pv/types.h"

#include "cpu/features.h"
#include "cpu/trap.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/string.h"
#include "mem/map.h"
#include "pv/descriptor.h"
#include "pv/guest.h"
#include "pv/hypercall.h"
#include "pv/l1.h"
#include "pv/pte.h"
#include "pv/tlb.h"
#include "pv/withhold.h"

#define ENTRIES 512u

/* Frames that are FRAME_DYING, linked by next; the latest first, so that trees go depth first. */
uint32_t types_first_dying = TYPES_NOBODY;
static bool flush_owed; /* the TLB may still know translations through one of them */

static uint64_t *table_of(uint64_t mfn)
{
    return phys_to_virt(mfn << FRAME_SHIFT);
}

static uint64_t mfn_of(const struct frame *frame)
{
    return (uint64_t)(frame - frame_of(0));
}

static unsigned level_of(enum frame_type type)
{
    return (unsigned)type - FRAME_TYPE_L1 + 1;
}

static bool is_hypervisor_slot(unsigned level, uint32_t index)
{
    return level == 4 && index >= MAP_FIRST_SLOT && index <= MAP_LAST_SLOT;
}

/* ---- entries of L2 to L4 ---- */

#define UPPER_ALLOWED                                                                                        \
    (PTE_PRESENT | PTE_WRITABLE | PTE_USER | PTE_WRITE_THROUGH | PTE_CACHE_DISABLE | PTE_ACCESSED |          \
     PTE_DIRTY | PTE_GLOBAL | PTE_AVAILABLE | PTE_FRAME | PTE_NO_EXECUTE)
/* Tables are walked write-back, and what is ignored or reserved above L1 does not reach the hardware. */
#define UPPER_CLEARED (PTE_WRITE_THROUGH | PTE_CACHE_DISABLE | PTE_GLOBAL)

/*
 * An L4 may show itself to the guest, for reading. Such an entry holds a reference of the frame but none of
 * its type, or the L4 would keep itself alive.
 */
static int recursive_get(struct frame *frame, uint64_t entry)
{
    if ((entry & PTE_WRITABLE) != 0 || (frame->flags & FRAME_LINEAR) != 0)
        return -EINVAL;
    int error = frame_get(frame);
    if (error == 0)
        frame->flags |= FRAME_LINEAR;
    return error;
}

int upper_entry_get(uint64_t mfn, unsigned level, uint64_t *entry)
{
    if ((*entry & PTE_PRESENT) == 0)
        return 0;
    if ((*entry & ~UPPER_ALLOWED) != 0 || (*entry & PTE_FRAME) >> cpu_features.physical_bits != 0)
        return -EINVAL;
    *entry = (*entry & ~UPPER_CLEARED) | PTE_USER;
    if (level == 4 && pte_mfn(*entry) == mfn)
        return recursive_get(frame_of(mfn), *entry);
    return type_get(pte_mfn(*entry), (enum frame_type)(FRAME_TYPE_L1 + level - 2));
}

void upper_entry_put(uint64_t mfn, unsigned level, uint64_t entry)
{
    if ((entry & PTE_PRESENT) == 0)
        return;
    struct frame *frame = frame_of(pte_mfn(entry));
    if (level == 4 && pte_mfn(entry) == mfn) {
        frame->flags &= (uint8_t)~FRAME_LINEAR;
        frame_put(frame);
        return;
    }
    type_put(frame);
}

/* ---- letting go ---- */

static void let_go(struct frame *frame, uint32_t progress)
{
    frame->flags = (uint8_t)((frame->flags & ~FRAME_PARTIAL) | FRAME_DYING);
    frame->progress = (uint16_t)progress;
    frame->next = types_first_dying;
    types_first_dying = (uint32_t)mfn_of(frame);
    flush_owed = true;
}

void type_put(struct frame *frame)
{
    if (frame->type_references > 1)
        frame_put_type(frame);
    else if (frame->type_references == 1)
        let_go(frame, frame->type == FRAME_TYPE_SEGMENT ? 0 : ENTRIES);
}

/* The table below at which it was cut off is given up as well: nobody else would know of it. */
void type_abandon(struct frame *frame)
{
    uint32_t at = frame->progress;
    uint64_t entry = frame->type > FRAME_TYPE_L1 && at < ENTRIES ? table_of(mfn_of(frame))[at] : 0;
    struct frame *below = (entry & PTE_PRESENT) != 0 ? frame_of(pte_mfn(entry)) : NULL;

    let_go(frame, at);
    if (below != NULL && below->type + 1 == frame->type && (below->flags & FRAME_PARTIAL) != 0)
        type_abandon(below);
}

/* Backwards from the last entry that holds anything. */
static void drop_entries(const struct frame *frame, uint64_t mfn)
{
    const uint64_t *table = table_of(mfn);
    unsigned level = level_of((enum frame_type)frame->type);
    uint32_t left = frame->progress;

    if (level == 1) {
#pragma clang loop unroll_count(4)
        while (left-- != 0)
            l1_entry_put(table[left]);
        return;
    }
    while (left-- != 0) {
        if (!is_hypervisor_slot(level, left))
            upper_entry_put(mfn, level, table[left]);
    }
}

static void take_apart(struct frame *frame)
{
    uint64_t mfn = mfn_of(frame);

    drop_entries(frame, mfn);
    if (frame->type == FRAME_TYPE_L4)
        memset(table_of(mfn) + MAP_FIRST_SLOT, 0, (MAP_LAST_SLOT - MAP_FIRST_SLOT + 1) * sizeof(uint64_t));
    frame->flags &= (uint8_t)~FRAME_DYING;
    frame_put_type(frame);
    withhold_restore(mfn);
}

bool types_settle(void)
{
    bool whole = true;

    while (types_first_dying != TYPES_NOBODY && whole) {
        struct frame *frame = frame_of(types_first_dying);
        if (flush_owed)
            tlb_flush_all();
        flush_owed = false;
        types_first_dying = frame->next;
        take_apart(frame);
        whole = types_first_dying == TYPES_NOBODY || !cpu_preemption_point();
    }
    withhold_restore_end();
    return whole;
}

/* ---- validating ---- */

_Static_assert(L1_WRITES_DEVICE != TYPES_PREEMPTED, "both come out of a validation");

/* 0; L1_WRITES_DEVICE: from *at on l1_validate_devices() is to go on; an error. */
__attribute__((always_inline)) static inline int l1_validate(uint64_t *table, uint32_t *at)
{
    for (; *at < ENTRIES; ++*at) {
        uint64_t entry = table[*at];
        int error = l1_entry_judge(&entry, l1_other_judge);
        if (error != 0)
            return error;
        table[*at] = entry;
    }
    return 0;
}

/* What is left of an L1 through which the guest can write to a device. If it is the screen, that is known
 * when the whole of the table has been accepted. */
static int l1_validate_devices(uint64_t *table, uint32_t *at)
{
    int error;

    do {
        (void)l1_entry_judge(&table[*at], l1_other_judge); /* it holds nothing: once more does no harm */
        ++*at;
        error = l1_validate(table, at);
    } while (error == L1_WRITES_DEVICE);
    if (error == 0)
        l1_table_stored(table, ENTRIES);
    return error;
}

/* The entry at which validating stopped is out of the ordinary. */
__attribute__((noinline, cold)) static int validate_rest(struct frame *frame, uint32_t at, int error)
{
    if (error == L1_WRITES_DEVICE)
        error = l1_validate_devices(table_of(mfn_of(frame)), &at);
    if (error != 0)
        let_go(frame, at);
    return error;
}

static int upper_validate(uint64_t mfn, unsigned level, uint32_t *at)
{
    uint64_t *table = table_of(mfn);

    for (; *at < ENTRIES; ++*at) {
        uint64_t entry = table[*at];
        if (is_hypervisor_slot(level, *at))
            continue;
        if (hypercall_was_long) {
            hypercall_was_long = false;
            if (cpu_preemption_point())
                return TYPES_PREEMPTED;
        }
        int error = upper_entry_get(mfn, level, &entry);
        if (error != 0)
            return error;
        table[*at] = entry;
    }
    return 0;
}

/* The frame has its type's reference, which is the caller's when this returns 0. */
static int validate(struct frame *frame, uint64_t mfn)
{
    uint32_t at = (frame->flags & FRAME_PARTIAL) != 0 ? frame->progress : 0;
    unsigned level = level_of((enum frame_type)frame->type);
    int error = level == 1 ? l1_validate(table_of(mfn), &at) : upper_validate(mfn, level, &at);

    if (error == TYPES_PREEMPTED) {
        frame->flags |= FRAME_PARTIAL;
        frame->progress = (uint16_t)at;
        return error;
    }
    hypercall_was_long = true;
    if (error != 0)
        return validate_rest(frame, at, error);
    frame->flags &= (uint8_t)~FRAME_PARTIAL;
    if (level == 4)
        map_fill_guest_l4(table_of(mfn));
    return 0;
}

static int first_use(struct frame *frame, uint64_t mfn, enum frame_type type)
{
    int error = withhold(mfn);
    if (error != 0)
        return error;
    error = frame_get_type(frame, type);
    if (error != 0) {
        withhold_restore(mfn);
        withhold_restore_end();
        return error;
    }
    if (type != FRAME_TYPE_SEGMENT)
        return validate(frame, mfn);
    error = segment_page_check(table_of(mfn));
    if (error != 0)
        let_go(frame, 0);
    return error;
}

int type_get(uint64_t mfn, enum frame_type type)
{
    struct frame *frame = frame_of(mfn);

    if (frame == NULL || frame->owner != FRAME_GUEST)
        return -EPERM;
    if (frame->type_references == 0)
        return first_use(frame, mfn, type);
    if (frame->type != type || (frame->flags & FRAME_DYING) != 0)
        return -EBUSY;
    return (frame->flags & FRAME_PARTIAL) != 0 ? validate(frame, mfn) : frame_get_type(frame, type);
}

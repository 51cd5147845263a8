/* SPDX-License-Identifier: MIT */
/*
 * Page types: what makes a frame of the guest's a page table or a descriptor page, and what undoes it.
 *
 * The first reference of such a type withholds the frame from devices' writes, then validates it: every entry
 * is checked and holds the references it needs, down to the frames that L1 entries map. The last one puts the
 * frame on a list; types_settle() takes it apart, entry by entry, after a flush of the TLB. Both are cut into
 * pieces of one table (512 entries): a validation that was cut off keeps what it has (FRAME_PARTIAL) and goes
 * on where it was when it is asked for again.
 */
#ifndef SLUICE_PV_TYPES_H
#define SLUICE_PV_TYPES_H

#include "mem/frame.h"

#include <stdbool.h>
#include <stdint.h>

/* Not an errno and never shown to a guest: work is pending, call again with the same arguments. */
#define TYPES_PREEMPTED 1

/*
 * A reference of type L1 to L4 or SEGMENT. 0; TYPES_PREEMPTED; -EPERM not the guest's; -EBUSY in use as
 * another type, or writable for devices at more than one BFN; -EINVAL an entry or descriptor that is not
 * allowed; -EIO a device could not be kept from writing; -ENOSPC references; or what an L1 entry's frame
 * gives (pv/l1.h).
 */
int type_get(uint64_t mfn, enum frame_type type);

/* Drops it. What the last one leaves to do waits for types_settle(). */
void type_put(struct frame *frame);

/* Gives up a validation that was cut off (FRAME_PARTIAL): what it has is let go. */
void type_abandon(struct frame *frame);

/* MFN of the first of the frames whose last reference went and that still hold what they refer to. */
extern uint32_t types_first_dying;
#define TYPES_NOBODY UINT32_MAX

static inline bool types_owed(void)
{
    return types_first_dying != TYPES_NOBODY;
}

/* Takes them apart; false when it was preempted and there is more to do. */
bool types_settle(void);

/*
 * One entry of an L2, L3 or L4 (level) in the table mfn: checks and rewrites it, takes its reference. 0;
 * TYPES_PREEMPTED; -EINVAL bits, or a recursive entry that is writable or not the only one; as type_get().
 */
int upper_entry_get(uint64_t mfn, unsigned level, uint64_t *entry);

/* Drops what a stored entry held. Its translations must be gone from the TLB before types_settle() ends. */
void upper_entry_put(uint64_t mfn, unsigned level, uint64_t entry);

/* True for a table of that type, whole: every entry holds its references, and no work is under way. */
static inline bool is_whole(const struct frame *frame, enum frame_type type)
{
    return frame != NULL && frame_kind(frame, FRAME_PARTIAL | FRAME_DYING) == FRAME_KIND(FRAME_GUEST, type);
}

#endif

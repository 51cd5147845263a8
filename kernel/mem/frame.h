/* SPDX-License-Identifier: MIT */
/*
 * The frame table: one record for every machine frame up to the highest RAM frame.
 *
 * A frame has an owner, references, and one exclusive type. The type may change only while nothing
 * refers to it as that type. A bus entry holds a reference of the owner; whether the device may write
 * follows the type (clause S2): W is effective only while the type is none or writable.
 */
#ifndef SLUICE_MEM_FRAME_H
#define SLUICE_MEM_FRAME_H

#include "guest-abi/include/sluice/errno.h"
#include "mem/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_SHIFT 12
#define FRAME_SIZE  4096ull

enum frame_owner {
    FRAME_NOT_RAM = 0, /* hole, MMIO or firmware-reserved: nobody's RAM */
    FRAME_HYPERVISOR,
    FRAME_GUEST,
    FRAME_FREE,     /* usable RAM that nobody has yet */
    FRAME_FIRMWARE, /* ACPI tables, NVS, runtime services: the guest may map it, devices may not */
    FRAME_PARKED,   /* has left the guest, but entries that the guest made still lead its devices there */
    FRAME_SERVICES, /* what boot services held: firmware's devices and processors may still be at work in it
                     */
};

enum frame_type {
    FRAME_TYPE_NONE = 0,
    FRAME_TYPE_WRITABLE,
    FRAME_TYPE_L1,
    FRAME_TYPE_L2,
    FRAME_TYPE_L3,
    FRAME_TYPE_L4,
    FRAME_TYPE_SEGMENT, /* descriptor table */
};

#define FRAME_PINNED    0x1u /* holds a type reference until unpinned */
#define FRAME_SHARED_RW 0x2u /* hypervisor page the guest may map writable (shared_info) */
#define FRAME_SHARED_RO 0x4u /* hypervisor page the guest may map read-only */
#define FRAME_PREMAPPED 0x8u /* the hypervisor's bus entry at BFN = MFN stands */
/* pv/types.c: the type's only reference is that of the work under way, and `progress` entries hold theirs. */
#define FRAME_PARTIAL   0x10u /* a table that is being validated */
#define FRAME_DYING     0x20u /* a table or descriptor page that is being let go */
#define FRAME_LINEAR    0x40u /* an L4 with an entry that leads back to it */
#define FRAME_SPARE     0x80u /* the hypervisor's, kept for what it needs after boot, and not in use */

struct frame {
    uint32_t references;      /* every use: bus entries, page-table entries, types */
    uint32_t type_references; /* uses as the present type */
    uint8_t owner;            /* enum frame_owner */
    uint8_t type;             /* enum frame_type */
    uint8_t flags;            /* FRAME_* */
    uint8_t order;            /* a free extent of 2^(order - 1) frames begins here; 0 = none */
    uint32_t bus_writable;    /* guest-made bus entries with W, effective or withheld */
    union {
        uint64_t bus_bfn;  /* a hint: BFN that one was last asked for at, which may have been refused */
        uint64_t previous; /* in the list of free extents */
    };
    uint32_t next;        /* MFN of the next in a list: free extents, FRAME_DYING, frames on their way out */
    uint16_t progress;    /* entries of a table that is FRAME_PARTIAL or FRAME_DYING */
    uint16_t bus_readers; /* guest-made bus entries without W; one that has reached the most stays there */
};

#define FRAME_READERS_MAX UINT16_MAX
_Static_assert(sizeof(struct frame) == 32, "two a cache line");

/* The table, and how many records it has. In line: a hypercall asks several times an element. */
extern uint64_t frame_table_count;
#ifdef SLUICE_HOST_TEST
extern struct frame *frame_table;
#else
#define frame_table ((struct frame *)MAP_FRAME_TABLE_BASE)
#endif

/* The record of a frame; NULL beyond the table. */
static inline struct frame *frame_of(uint64_t mfn)
{
    return mfn < frame_table_count ? &frame_table[mfn] : NULL;
}

/* One past the highest MFN that has a record. */
uint64_t frame_table_end(void);

/* Bytes the table takes, for the resident-memory report. */
uint64_t frame_table_bytes(void);

#define FRAME_REFERENCES_MAX (1u << 31)

static inline bool frame_type_is_table(uint8_t type)
{
    return type != FRAME_TYPE_NONE && type != FRAME_TYPE_WRITABLE;
}

/* Owner and type in one look, and those of the flags that are named. */
static inline uint32_t frame_kind(const struct frame *frame, uint8_t flags)
{
    uint32_t word;

    __builtin_memcpy(&word, &frame->owner, sizeof(word));
    return word & (0xffffu | (uint32_t)flags << 16);
}
#define FRAME_KIND(owner, type) ((uint32_t)(owner) | (uint32_t)(type) << 8)
_Static_assert(offsetof(struct frame, type) == offsetof(struct frame, owner) + 1 &&
                   offsetof(struct frame, flags) == offsetof(struct frame, owner) + 2,
               "frame_kind()");

/* One reference of the guest's ownership. -EPERM when the frame is not the guest's, -ENOSPC at 2^31
 * references. */
static inline int frame_get(struct frame *frame)
{
    if (frame->owner != FRAME_GUEST)
        return -EPERM;
    if (frame->references >= FRAME_REFERENCES_MAX)
        return -ENOSPC;
    frame->references++;
    return 0;
}

static inline void frame_put(struct frame *frame)
{
    if (frame->references != 0)
        frame->references--;
}

/*
 * A reference that also holds the type: 0; -EBUSY while the frame is used as another type; or as frame_get().
 * What the type promises about the frame's contents, and about devices, is the caller's business.
 */
static inline int frame_get_type(struct frame *frame, enum frame_type type)
{
    if (frame->type != type && frame->type_references != 0)
        return -EBUSY;
    int error = frame_get(frame);
    if (error != 0)
        return error;
    frame->type = (uint8_t)type;
    frame->type_references++; /* never more than references */
    return 0;
}
static inline void frame_put_type(struct frame *frame)
{
    if (frame->type_references == 0)
        return;
    if (--frame->type_references == 0)
        frame->type = FRAME_TYPE_NONE;
    frame_put(frame);
}

/*
 * The reference of one bus entry at bfn. want_write says what the guest asked for; *effective_write
 * tells what the entry may carry (false: withheld). -EPERM when the frame is not the guest's.
 */
static inline int frame_bus_get(uint64_t mfn, uint64_t bfn, bool want_write, bool *effective_write)
{
    struct frame *frame = frame_of(mfn);
    int error = frame ? frame_get(frame) : -EPERM;

    if (error != 0)
        return error;
    *effective_write = want_write && !frame_type_is_table(frame->type);
    if (*effective_write) {
        frame->bus_writable++; /* never more than references */
        frame->bus_bfn = bfn;
    } else if (want_write) {
        if (frame->bus_writable++ == 0)
            frame->bus_bfn = bfn;
    } else if (frame->bus_readers != FRAME_READERS_MAX) {
        frame->bus_readers++;
    }
    return 0;
}

/* The last entry that led to a parked frame is gone: the frame is free (mem/extents.c). */
void frame_unpark(uint64_t mfn);

/* Drops it, after the invalidation has completed. had_write as it was asked for. Nothing for a frame that no
 * entry can hold: one that neither is nor was the guest's. */
static inline void frame_bus_put(uint64_t mfn, bool had_write)
{
    struct frame *frame = frame_of(mfn);

    if (!frame || frame->references == 0)
        return;
    frame->references--;
    if (!had_write)
        frame->bus_readers -= frame->bus_readers != 0 && frame->bus_readers != FRAME_READERS_MAX;
    else if (frame->bus_writable != 0)
        frame->bus_writable--;
    if (frame->owner == FRAME_PARKED && frame->references == 0)
        frame_unpark(mfn);
}

/* The same of `count` frames. */
void frames_bus_put(uint64_t mfn, uint64_t count, bool had_write);

/* Drops what the hypervisor's bus entries of FRAME_PREMAPPED frames held, after the invalidation. */
void frames_premap_put(uint64_t mfn, uint64_t count);

#endif

/* SPDX-License-Identifier: MIT */
/* What the guests that judge IOMMUOP share. */
#ifndef RULE_H
#define RULE_H

#include "kit/bus.h"
#include "kit/guest.h"
#include "kit/iommu.h"

/* The feature must be there: a guest that tests it is run only where it is. */
static inline void need_iommu(void)
{
    EXPECT(bus_init(), "the probe gave %ld: there is no IOMMUOP here", iommu_probe());
}

/* A BFN range that nothing uses. */
static inline uint64_t unused_bfns(uint32_t frames)
{
    uint64_t bfn = bus_reserve(frames);
    if (bfn == NO_BUS)
        report_error("no %u unused BFNs", frames);
    return bfn;
}

/* MFN of a frame of the guest's RAM that nothing uses. */
static inline uint64_t own_mfn(void)
{
    uint64_t pfn = frame_alloc();
    if (pfn == NO_FRAME)
        report_error("the guest has too little memory");
    return pfn_to_mfn(pfn);
}

/* MFN of the level 1 table that maps the guest's own code. */
static inline uint64_t page_table_mfn(void)
{
    struct pte_place place;
    if (!page_table_walk((uint64_t)(uintptr_t)&bus_error, 1, &place))
        report_error("the guest's own page tables cannot be walked");
    return place.table_mfn;
}

/* What a lookup says about bfn: its status; mfn and flags are in *op. */
static inline long looked_up(uint64_t bfn, struct iommu_map_op *op)
{
    *op = (struct iommu_map_op){.bfn = bfn, .status = STATUS_NOT_REACHED};
    long result = iommu_lookup(op);
    EXPECT(result == (op->status ? -EFAULT : 0), "lookup of 0x%lx gave %ld with status %d", bfn, result,
           op->status);
    return op->status;
}

#define EXPECT_MAPPED(at, frame, permissions)                                                                \
    do {                                                                                                     \
        struct iommu_map_op seen_;                                                                           \
        long status_ = looked_up(at, &seen_);                                                                \
        EXPECT(status_ == 0 && seen_.mfn == (frame) && seen_.flags == (uint32_t)(permissions),               \
               "%s:%d: BFN 0x%lx: status %ld, MFN 0x%lx, flags 0x%x; not MFN 0x%lx, flags 0x%x", __FILE__,   \
               __LINE__, (uint64_t)(at), status_, seen_.mfn, seen_.flags, (uint64_t)(frame),                 \
               (uint32_t)(permissions));                                                                     \
    } while (0)

#define EXPECT_ABSENT(at)                                                                                    \
    do {                                                                                                     \
        struct iommu_map_op seen_;                                                                           \
        long status_ = looked_up(at, &seen_);                                                                \
        EXPECT(status_ == -ENOENT, "%s:%d: BFN 0x%lx: status %ld, MFN 0x%lx; it should be absent", __FILE__, \
               __LINE__, (uint64_t)(at), status_, seen_.mfn);                                                \
    } while (0)

/* A small generator with a fixed seed: every run is the same run. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif

/* SPDX-License-Identifier: MIT */
/* The accumulator (struct iommu_flush), as the engine fills it: what must be forgotten, what then lets go. */
#ifndef SLUICE_IOMMU_FLUSH_H
#define SLUICE_IOMMU_FLUSH_H

#include "drivers/iommu/iommu.h"

/* Notes what must be invalidated; neighbours of the latest range, upwards or downwards, extend it. */
static inline void iommu_flush_note(struct iommu_flush *flush, uint64_t bfn, uint64_t frames)
{
    struct iommu_range *range = flush->ranges;

    if (flush->whole_domain)
        return;
    if (flush->range_count != 0) {
        range += flush->range_count - 1;
        if (bfn == range->bfn + range->frames) {
            range->frames += frames;
            return;
        }
        if (bfn >= range->bfn && bfn + frames <= range->bfn + range->frames)
            return;
        if (bfn + frames == range->bfn) {
            range->bfn = bfn;
            range->frames += frames;
            return;
        }
    }
    if (flush->range_count < IOMMU_FLUSH_RANGES)
        flush->ranges[flush->range_count++] = (struct iommu_range){bfn, frames};
    else
        flush->whole_domain = true;
}

/* In the block of so many frames that bfn is in, entries that point at tables have changed. */
static inline void iommu_flush_note_block(struct iommu_flush *flush, uint64_t bfn, uint64_t frames)
{
    flush->tables_changed = true;
    iommu_flush_note(flush, bfn & -frames, frames);
}

/* What an entry stood for is let go by the flush. The accumulator is not full. */
static inline void iommu_flush_park(struct iommu_flush *flush, uint64_t entry, uint64_t frames)
{
    flush->parked[flush->parked_count++] = (struct iommu_frames){entry, frames};
    flush->parked_frames += frames;
}

#endif

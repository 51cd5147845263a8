/* SPDX-License-Identifier: MIT */
/*
 * What the interface of drivers/iommu/iommu.h answers, from a flat array: no tree, no format, no hardware. It
 * knows how many tables a tree needs, and so when a map fails for want of quota.
 */
#ifndef SLUICE_TESTS_IOMMU_FLAT_H
#define SLUICE_TESTS_IOMMU_FLAT_H

#include "drivers/iommu/iommu.h"

#include <stdbool.h>
#include <stdint.h>

#define FLAT_REGIONS 8u
#define FLAT_SPAN    3072u /* BFNs of a region */
#define FLAT_PAGES   (FLAT_REGIONS * FLAT_SPAN)
#define FLAT_TABLES  (FLAT_PAGES / 512)

struct flat {
    struct iommu_mapping pages[FLAT_PAGES]; /* flags 0: nothing */
    uint32_t live[FLAT_TABLES];             /* pages of a leaf table that hold something */
    uint8_t levels, levels_max;
    uint8_t leaf_level; /* highest level whose entries may be leaves */
    uint64_t max_bfn, max_mfn;
    uint32_t quota;   /* tables in all */
    uint64_t removed; /* frames that are no longer mapped, and have been released by the next flush */
};
extern struct flat flat;

/* Regions whose pages are beyond the bus width, too; first BFNs are multiples of 512. */
extern const uint64_t flat_starts[FLAT_REGIONS];
uint64_t flat_bfn(uint32_t page);

/* An empty space, of leaves of 4 KiB and (levels 2 and more) 2 MiB; pages of the reserved range are in it,
 * and stay. */
void flat_begin(uint8_t levels, uint8_t levels_max, uint32_t quota, uint64_t max_mfn,
                struct iommu_range reserved);
/* The page is that of the first BFN. The errors are those of the function of the same name. */
int flat_map(uint32_t page, uint64_t mfn, uint32_t order, uint32_t flags);
int flat_map_run(uint32_t page, uint64_t mfn, uint32_t frames, uint32_t flags, uint64_t *done);
int flat_unmap(uint32_t page, uint32_t order);
int flat_lookup(uint32_t page, struct iommu_mapping *mapping);
/* Tables that the tree counts as, all leaves being of level 1; and that it has when full runs are one leaf.
 */
uint32_t flat_tables_split(void);
uint32_t flat_tables(void);

#endif

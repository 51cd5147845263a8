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

#define FLAT_AREAS_MAX 8u
#define FLAT_PAGES_MAX (6u << 18)

/* BFNs that are played with, in ascending order, all in multiples of 512. */
struct flat_area {
    uint64_t first;
    uint32_t pages;
};

struct flat_page {
    uint32_t mfn, flags; /* flags 0: nothing */
};

struct flat {
    struct flat_page pages[FLAT_PAGES_MAX]; /* those of one area after the other */
    uint32_t page_count;
    uint8_t levels, levels_max;
    uint8_t leaf_level; /* highest level whose entries may be leaves */
    uint64_t max_bfn, max_mfn;
    uint32_t quota;       /* tables in all */
    uint32_t held;        /* pages that hold something */
    uint64_t removed;     /* frames that are no longer mapped, and have been released by the next flush */
    uint64_t removed_sum; /* of flat_sum() of each */
};
extern struct flat flat;

/* An empty space of these areas; pages of the reserved range are in it, and stay. */
void flat_begin(const struct flat_area *areas, uint32_t count, uint8_t levels, uint8_t levels_max,
                uint8_t leaf_level, uint32_t quota, uint64_t max_mfn, struct iommu_range reserved);

uint64_t flat_bfn(uint32_t page);
/* False: the BFN is in no area. */
bool flat_page_of(uint64_t bfn, uint32_t *page);

/* A number for a frame and its flags: sums of them are alike when the same frames are in them. */
uint64_t flat_sum(uint64_t mfn, uint32_t flags);

/* One page of a list. */
struct flat_element {
    uint32_t page, flags;
    uint64_t mfn;
};

/* The page is that of the first BFN. The errors are those of the function of the same name. */
int flat_map(uint32_t page, uint64_t mfn, uint32_t order, uint32_t flags);
int flat_map_run(uint32_t page, uint64_t mfn, uint32_t frames, uint32_t flags, uint64_t *done);
int flat_map_list(const struct flat_element *list, uint32_t count, uint32_t *done);
int flat_unmap(uint32_t page, uint32_t order);
int flat_unmap_run(uint32_t page, uint32_t frames, uint64_t *done);
int flat_unmap_list(const struct flat_element *list, uint32_t count, uint32_t *done);
int flat_lookup(uint32_t page, struct iommu_mapping *mapping);
/* Tables that the tree counts as, all leaves being of level 1; and that it has, of the largest leaves. */
uint32_t flat_tables_split(void);
uint32_t flat_tables(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A flat oracle, and random operations that are held against it under the eyes of the model IOMMU.
 *
 * The oracle is an array: BFN -> entry. After every store of the engine the device sees, for any page, either
 * what stood there at the last flush or what has been put there since; after a flush only the latter. What is
 * released is no longer reachable. The tables in use are exactly those that the live entries need.
 */
#ifndef SLUICE_TESTS_IOMMU_ORACLE_H
#define SLUICE_TESTS_IOMMU_ORACLE_H

#include "drivers/iommu/iommu.h"

#include <stdbool.h>
#include <stdint.h>

#define RW             (IOMMU_READ | IOMMU_WRITE)
#define ORACLE_REGIONS 6u
#define ORACLE_SPAN    1536u /* BFNs of a region: three leaf tables */
#define ORACLE_PAGES   (ORACLE_REGIONS * ORACLE_SPAN)
#define ORACLE_MFNS    64u
#define ORACLE_HISTORY 8u

struct oracle {
    uint64_t now[ORACLE_PAGES];
    uint64_t seen[ORACLE_PAGES][ORACLE_HISTORY]; /* what was right at some time since the last flush */
    uint32_t seen_count[ORACLE_PAGES];
    uint32_t live[ORACLE_PAGES / 512]; /* entries of a leaf table that are not 0 */
    uint32_t references[ORACLE_MFNS];
    uint32_t touched[ORACLE_PAGES];
    uint32_t touched_count;
};
extern struct oracle oracle;
extern struct iommu_context *context;
extern struct iommu_flush flush;
extern uint64_t oracle_random;        /* state of the random numbers */
extern const uint64_t *oracle_starts; /* first BFNs of the regions */
extern uint32_t oracle_regions;       /* only the first so many are used yet */
extern const uint64_t oracle_edges[ORACLE_REGIONS];

void oracle_set_model(uint8_t levels, bool coherent, bool caching_mode, uint32_t units);
/* An empty context that every unit's device is in. */
void oracle_start(uint32_t quota);
/* So many random operations, then everything is unmapped; growing: more and more regions are used. */
void oracle_operate(uint32_t operations, bool growing);
void oracle_random_operations(uint64_t seed, uint32_t operations, uint32_t quota);

/* What sets a group of cases up to run in that vendor's format. */
int oracle_vtd(void **state);
int oracle_amdvi(void **state);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The life of a context: random maps of every order, of runs and of lists, unmaps, lookups and flushes, in 6
 * GiB of bus addresses, against the flat oracle of iommu_both and under the eyes of the model IOMMU. Errors
 * are the oracle's, too: -ENOMEM comes exactly when the tables that are needed are more than the quota.
 */
#ifndef SLUICE_TESTS_RANDOM_LIFE_H
#define SLUICE_TESTS_RANDOM_LIFE_H

#include "drivers/iommu/iommu.h"

struct life {
    uint64_t seed;
    uint32_t operations;
    uint32_t quota;
    bool mortal; /* a unit stops answering at some time: from then on all is -EIO, and nothing is released */
    /* Of the model: see there. */
    enum iommu_vendor vendor;
    uint8_t levels, levels_max, leaf_level;
    bool coherent, caching_mode, early;
    uint32_t units, delay;
    int order_max;
    uint64_t reserved; /* frames that every context has, from LIFE_RESERVED on */
};
#define LIFE_RESERVED 0x300u

/* Tables that leaves stood for, added up over all flushes; and frames given back without one. */
extern uint64_t life_large_leaves, life_given_back;

void life_play(const struct life *life);
/* What the seed makes of everything else, but for the vendor. */
struct life life_of_seed(uint64_t seed, uint32_t operations, enum iommu_vendor vendor);

#endif

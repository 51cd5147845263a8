/* SPDX-License-Identifier: MIT */
/*
 * Random maps and unmaps of 4 KiB, 2 MiB, 1 GiB and of runs, in 2 GiB of bus addresses, against a flat array.
 * After every store each page is as it was before the operation or, where that changes it, as it is to be;
 * after a flush the unit remembers nothing else; the tables are the fewest that can hold what is there, and
 * those that a split would take are free.
 */
#ifndef SLUICE_TESTS_IOMMU_RANDOM_H
#define SLUICE_TESTS_IOMMU_RANDOM_H

#include <stdint.h>

/* The model must be set up; the quota need not suffice. */
void random_orders(uint64_t seed, uint32_t operations, uint32_t quota);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the engine's bench runs on: frames, both vendors' formats behind a vendor's part that does nothing,
 * and counts of what the engine does to memory and tells its unit.
 *
 * The program is built twice. In the one whose instructions are counted, stores are inline as in the product
 * and nothing else is counted. With SLUICE_HOST_TEST each store is a call, and is counted, with the rest.
 */
#ifndef BENCH_HOST_H
#define BENCH_HOST_H

#include "drivers/iommu/iommu.h"

#include <stdbool.h>
#include <stdint.h>

struct bench_counts {
    uint64_t stores;       /* of entries */
    uint64_t line_flushes; /* cache lines written back */
    uint64_t descriptors, waits;
};
extern struct bench_counts bench_counts;

struct bench_machine {
    const char *name;
    enum iommu_vendor vendor;
    bool coherent;
};

/* A context of four levels with one device, and nothing mapped; whatever there was before is gone. */
struct iommu_context *bench_context(const struct bench_machine *machine, uint32_t quota);

void bench_check(bool right, const char *what);

#endif

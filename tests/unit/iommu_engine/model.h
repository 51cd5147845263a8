/* SPDX-License-Identifier: MIT */
/*
 * A model IOMMU: hardware's eyes on what the engine writes, and nothing else.
 *
 * It caches translations (of a superpage all of it, or the one page), intermediate tables and, in caching
 * mode, absence; it forgets only what it is told to, all of it, and only when a wait completes. When it is
 * not coherent it sees only lines that were written back. It stands in for a vendor's folder: either vendor's
 * entry format, by that vendor's rules, and several units if need be. A device walks from the root and with
 * the levels that its unit was last told of.
 */
#ifndef SLUICE_TESTS_IOMMU_MODEL_H
#define SLUICE_TESTS_IOMMU_MODEL_H

#include "drivers/iommu/iommu.h"

#include <stdbool.h>
#include <stdint.h>

#define MODEL_FIRST_MFN 0x100000u
#ifndef MODEL_FRAMES
#define MODEL_FRAMES 4096u
#endif
#define MODEL_UNITS 4u

struct model {
    /* How the machine is: set before model_init(). */
    enum iommu_vendor vendor;   /* whose entry format */
    uint8_t levels, levels_max; /* a tree begins with the first and may grow to the second */
    uint8_t leaf_level;         /* highest level whose entries may be leaves */
    bool coherent;
    bool caching_mode;
    uint32_t units;
    int order_max;
    struct iommu_range reserved;      /* an identity range that every context has; no frames: none */
    struct iommu_range reserved_read; /* ... one that may only be read */

    /* Levers and observations. */
    bool drop_waits;          /* units stop answering */
    bool refuse_roots;        /* ... when they are told of a new root */
    int64_t allocation_limit; /* allocations until one fails; negative: never */
    int64_t frames_out;       /* allocated and not freed */
    uint64_t stores, line_flushes;
    uint64_t posted_pages, posted_domains, posted_hints, waits;
    void (*on_store)(void);
    void (*on_release)(uint64_t mfn, uint32_t flags);
};
extern struct model model;

/* What the vendor's hardware lets a device do through an entry: of IOMMU_READ, IOMMU_WRITE. */
uint32_t model_permissions(uint64_t entry);

/* Levels that a device of that unit walks. */
uint8_t model_device_levels(uint32_t unit);

/* Starts over with empty memory and caches, and runs iommu_init(). */
void model_init(void);

/*
 * What a device of that unit gets at bfn: the entry, as one of level 1, or 0. Uses the unit's caches;
 * remember: and fills them.
 */
uint64_t model_translate(uint32_t unit, const struct iommu_context *context, uint64_t bfn, bool remember);

/* What stands in memory for bfn, whatever the unit's caches have. */
uint64_t model_walk(uint32_t unit, uint64_t bfn);

/* Whether the unit remembers anything of bfn, and what. */
bool model_cached(uint32_t unit, const struct iommu_context *context, uint64_t bfn, uint64_t *entry);

#endif

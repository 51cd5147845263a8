/* SPDX-License-Identifier: MIT */
/*
 * A model IOMMU: hardware's eyes on what the engine writes, and nothing else.
 *
 * It caches translations (of a superpage all of it, or the one page), intermediate tables and, in caching
 * mode, absence; it forgets only what it is told to, all of it, and, as a rule, only when a wait completes.
 * When it is not coherent it sees only lines that were written back. It stands in for a vendor's folder:
 * either vendor's entry format, by that vendor's rules, and several units if need be. A device walks from the
 * root and with the levels that its unit was last told of.
 *
 * After each store it tells which translations the store has changed, those of a whole block when a table
 * comes or goes. On its own it fails a test in which an entry is none or stands at a wrong level, a table is
 * entered before it is complete and written back, or a frame or a table is used for something else before
 * every unit has been made to forget it, by an invalidation that covers it and was waited for.
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
    int64_t drop_after;       /* ... after so many waits; negative: never */
    bool early;               /* units forget when they are told to, not just before they say so */
    uint32_t delay;           /* times that a wait is looked at before it is done: on_delay() */
    bool refuse_roots;        /* ... when they are told of a new root */
    int64_t allocation_limit; /* allocations until one fails; negative: never */
    int64_t frames_out;       /* allocated and not freed */
    uint64_t stores, line_flushes;
    uint64_t posted_pages, posted_domains, posted_hints, waits;
    void (*on_store)(void);
    /* Memory leads elsewhere from bfn on: translations (0: nothing) as of model_translation(). */
    void (*on_change)(uint64_t bfn, uint64_t frames, uint64_t old, uint64_t new);
    void (*on_release)(uint64_t mfn, uint32_t flags);
    void (*on_delay)(uint32_t unit);
    void (*describe)(void); /* says where a test is that fails */
    const char *expected;   /* what model_wrong() is expected to say: counted, not failed */
    uint32_t wrongs;
};
extern struct model model;

/* What the vendor's hardware lets a device do through an entry: of IOMMU_READ, IOMMU_WRITE. */
uint32_t model_permissions(uint64_t entry);

/* What a leaf of level 1 lets a device do: the frame's address and, in bits 0 and 1, the permissions; or 0.
 */
uint64_t model_translation(uint64_t entry);

/* How many leaves, tables and, in caching mode, absences some unit may still use that memory has no more. */
uint32_t model_stale(void);
/* Whether such a leaf translates bfn in that way; 0: whether nothing may be found by such a table or absence.
 */
bool model_is_stale(uint64_t bfn, uint64_t translation);

/* Whether every table of a tree that was stored to, since this was last asked, is now as its unit sees it. */
bool model_is_written_back(void);

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

/* The end of the test, with the words of model.describe(). */
#define model_require(condition)                                                                             \
    ((condition) ? (void)0 : model_fail("not so: " #condition, __FILE__, __LINE__))
void model_fail(const char *what, const char *file, int line);
/* The engine breaks a rule: the end of the test, unless it is expected. */
void model_wrong(const char *what);

#endif

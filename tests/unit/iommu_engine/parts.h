/* SPDX-License-Identifier: MIT */
/* What the parts of the model IOMMU share: entry.c, hardware.c, tree.c and model.c. */
#ifndef SLUICE_TESTS_IOMMU_PARTS_H
#define SLUICE_TESTS_IOMMU_PARTS_H

#include "tests/unit/iommu_engine/model.h"

#define CACHE_SLOTS     1024u
#define STRUCTURE_SLOTS 256u
#define PENDING_MAX     16u

struct cached {
    bool valid;
    uint16_t domain;
    uint8_t level; /* of the leaf, or of the entry that points at a table */
    uint64_t bfn;  /* aligned to what the level covers */
    uint64_t entry;
};

/* An invalidation that was posted and is not known to be done. */
struct pending {
    uint16_t domain;
    bool whole, leaf_only, submitted;
    uint64_t bfn;
    uint32_t order;
};

struct unit {
    struct cached translations[CACHE_SLOTS];
    struct cached structures[STRUCTURE_SLOTS];
    struct pending pending[PENDING_MAX];
    uint32_t pending_count;
    bool dead;
    /* The entry of its one device. */
    uint64_t root_mfn;
    uint8_t levels;
    uint16_t domain;
};
extern struct unit model_units[MODEL_UNITS];

extern uint8_t model_memory[MODEL_FRAMES << 12];  /* what the CPU sees */
extern uint8_t model_written[MODEL_FRAMES << 12]; /* what has been written back */

/* ---- entry.c: entries, as the vendors' hardware reads them ---- */

/* Reserved bits, and whether an entry may stand at that level: a breach fails the test. */
void entry_check(uint64_t entry);
void entry_check_level(uint64_t entry, uint32_t level);
bool entry_is_leaf(uint64_t entry, uint32_t level);
/* Number of the frame that an entry points at, which must be one of a table. */
uint32_t entry_target(uint64_t entry);
/* What an entry at that level means to a walk that got there with those permissions; 0 ends it. */
uint64_t entry_seen(uint64_t entry, uint32_t level, uint32_t *permissions);
/* The leaf of level 1 that a leaf would be split into at bfn. */
uint64_t entry_piece(uint64_t entry, uint64_t bfn, uint32_t level);

static inline uint64_t entry_span(uint32_t level)
{
    return 1ull << 9 * (level - 1);
}

/* ---- hardware.c: what a unit remembers ---- */

void hardware_forget(struct unit *unit);

/* ---- tree.c: what each store means ---- */

void tree_reset(void);
/* A qword of that frame has changed. */
void tree_store(const uint64_t *place, uint64_t old, uint64_t value);
/* A unit walks from that root from now on. */
void tree_told(uint64_t root_mfn, uint8_t levels, uint16_t domain);
/* The unit begins to work on what was posted; it has said that it is done. */
void tree_submitted(uint32_t unit);
void tree_done(uint32_t unit);
void tree_released(uint64_t mfn);

#endif

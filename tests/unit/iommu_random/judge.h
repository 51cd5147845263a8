/* SPDX-License-Identifier: MIT */
/*
 * Every page after every store: what devices are led to is kept in an array, which the model changes as
 * memory changes. Each change must be of a page that the operation is about, from what the flat oracle has to
 * what the operation makes of it; so no page is ever anything else.
 */
#ifndef SLUICE_TESTS_RANDOM_JUDGE_H
#define SLUICE_TESTS_RANDOM_JUDGE_H

#include "tests/unit/iommu_both/flat.h"

#define JUDGE_LIST_MAX 48u

/* What the operation that is going on may change: some pages in a row, or those of a list. */
struct judge_change {
    uint32_t page, frames;
    uint64_t mfn;
    uint32_t flags; /* 0: takes away */
    uint32_t count; /* of the list; 0: none */
    struct flat_element list[JUDGE_LIST_MAX];
};
extern struct judge_change judge_change;
extern uint64_t judge_released; /* frames since judge_begin() */

/* After flat_begin() and model_init(); devices are those of this context. */
void judge_begin(const struct iommu_context *context, uint64_t seed);
/* The operation is over, and the oracle knows what came of it. */
void judge_operation(void);
/* An operation that a unit's death cut short: what it may change is as before or as after. */
void judge_cut_short(void);
/* All is flushed: nothing else is known to any unit. */
void judge_flush(void);
/* A frame is the caller's again, without a flush. */
void judge_given_back(uint32_t page, uint64_t mfn, uint32_t flags);
/* Some unit looks at some pages, and remembers. */
void judge_look(uint32_t near);

#endif

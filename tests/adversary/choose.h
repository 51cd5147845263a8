/* SPDX-License-Identifier: MIT */
/* Choices: what a hostile guest puts into its arguments, valid as a rule and absurd now and then. */
#ifndef SLUICE_ADVERSARY_CHOOSE_H
#define SLUICE_ADVERSARY_CHOOSE_H

#include "tests/adversary/world.h"

#include <stdbool.h>
#include <stdint.h>

#define PRESENT    0x1ull
#define WRITABLE   0x2ull
#define USER       0x4ull
#define ACCESSED   0x20ull
#define DIRTY      0x40ull
#define NO_EXECUTE 0x8000000000000000ull
#define READ_ONLY  (PRESENT | USER | ACCESSED)
#define READ_WRITE (READ_ONLY | WRITABLE | DIRTY)

/* What the sequence believes of the frame of an arena page; it may be wrong. */
struct belief {
    uint8_t level; /* it is or was to be a table of that level; 0: data */
    bool pinned;
    bool left; /* given back to the hypervisor */
};
extern struct belief beliefs[WORLD_ARENA_MAX];

void choose_begin(uint64_t seed);
uint32_t below(uint32_t limit);
bool one_in(uint32_t of);
uint64_t any_word(void);

/* An arena page: any; one of a table of that level, or any if there is none. */
uint32_t any_page(void);
uint32_t page_of_level(uint32_t level);

uint64_t any_mfn(void);
uint64_t any_bfn(void);
uint32_t any_slot(void);            /* of a table: few, so that they meet */
uint64_t any_entry(uint32_t level); /* for a table of that level */
uint64_t any_address(void);         /* that tables of the sequence's own may translate, or none */
uint64_t any_count(uint32_t sensible);

/* The place of an arena page. */
uint64_t home(uint32_t page);

/* Scratch memory for this step; a pointer that is good as a rule. */
void scratch_reset(void);
uint64_t scratch_put(const void *bytes, uint32_t count);
uint64_t any_pointer(uint64_t good);

#endif

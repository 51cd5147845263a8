/* SPDX-License-Identifier: MIT */
/* What the IVRS parser's tests share: tables to begin with, and a parse that checks what comes out. */
#ifndef SLUICE_TESTS_IVRS_TEST_H
#define SLUICE_TESTS_IVRS_TEST_H

#include "drivers/iommu/amdvi/ivrs.h"
#include "tests/host/ivrs_builder.h"

#define TABLE_HEADER 48u

extern struct ivrs ivrs; /* what the last parse gave */

/* Parses a block of exactly `size` bytes, so that the sanitizer sees a read beyond it. */
bool parse_exact(const uint8_t *bytes, size_t size);

/* The same for a table that must be taken for one. */
void parse(const struct ivrs_builder *builder);

bool has_finding(const char *structure, const char *reason, uint32_t offset);

/* A table with one unit, 00:00.2 of segment 0, whose block is open for entries. */
void one_unit(struct ivrs_builder *builder, uint8_t type);

/* Every kind of block and entry; two units, one of them in three blocks. */
void sample(struct ivrs_builder *builder);

/* Tables that are not sound. */
void a_uid_beyond_its_block(void **state);
void memory_that_makes_no_sense(void **state);
void ranges_that_make_no_sense(void **state);
void a_range_ends_with_its_block(void **state);
void unknown_entries(void **state);
void unknown_blocks(void **state);
void a_short_unit_is_remembered(void **state);
void impossible_lengths_stop_the_walk(void **state);
void every_byte_a_bad_length(void **state);
void a_block_cut_within_an_entry(void **state);
void not_a_table(void **state);
void the_header_says_another_length(void **state);
void truncated_at_every_byte(void **state);
void cut_at_every_byte_and_consistent(void **state);
void every_bit_flipped(void **state);
void more_units_and_memory_than_there_is_room_for(void **state);
void more_entries_than_there_is_room_for(void **state);

/* Firmware's own, with $SLUICE_TABLES. */
void real_tables(void **state);

#endif

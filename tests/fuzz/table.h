/* SPDX-License-Identifier: MIT */
/* What the targets of both parsers share: how far a table goes, what findings promise, variants of a table.
 */
#ifndef SLUICE_TESTS_FUZZ_TABLE_H
#define SLUICE_TESTS_FUZZ_TABLE_H

#include "drivers/iommu/finding.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_HEADER_BYTES  48u
#define TABLE_UNKNOWN_BYTES 8u  /* of the structure that table_with_unknown() puts in */
#define TABLE_ZEROES        16u /* that table_with_zeroes() adds */

uint64_t table_get(const uint8_t *bytes, size_t offset, uint32_t size);

/* Where the structures end: the header's word if it can be true, or the bytes. */
size_t table_end(const uint8_t *bytes, size_t size);
/* The header says that there were more bytes than there are. */
bool table_is_cut(const uint8_t *bytes, size_t size);

/* A finding that somebody can read, about bytes that are there. */
void check_findings(const struct findings *findings, size_t size);
/* There is a finding about those bytes, or there were more than are kept. */
bool has_finding(const struct findings *findings, size_t offset);

/* Exactly sized copies, for free(): of a table that ends where its header says, with zeroes at its end; and
 * with a structure of an unknown type before the others. */
uint8_t *table_with_zeroes(const uint8_t *bytes, size_t size);
uint8_t *table_with_unknown(const uint8_t *bytes, size_t size, uint16_t type);

/* Offsets of structures, moved by an unknown structure in front of them. */
static inline bool same_offset(uint32_t one, uint32_t other, uint32_t shift)
{
    return (one < TABLE_HEADER_BYTES ? one : one + shift) == other;
}

/* As they were, but for one that `reason` was added for. */
void check_same_findings(const struct findings *before, const struct findings *after, uint32_t shift,
                         enum finding_reason reason);

#endif

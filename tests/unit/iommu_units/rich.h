/* SPDX-License-Identifier: MIT */
/*
 * A small machine, the table that firmware has for it, in which every kind of structure, scope and entry
 * occurs, and what such a table says, however it was spoiled.
 */
#ifndef SLUICE_TESTS_UNITS_RICH_H
#define SLUICE_TESTS_UNITS_RICH_H

#include "tests/unit/iommu_units/machine.h"

#include <stddef.h>

#define RICH_BYTES_MAX 1024u

struct rich {
    uint8_t bytes[RICH_BYTES_MAX];
    size_t size;
};

/* Makes the machine of that vendor and writes its table. */
void rich_make(enum iommu_vendor vendor, struct rich *rich);

/* Frames at the ends of the table's reserved ranges, as it was before it was spoiled; 0 ends the list. */
uint64_t rich_reserved_frame(uint32_t index);

/* ---- saying.c: reads a table with the product's parser, and makes up its own mind ---- */

/* False: no table at all. */
bool saying_read(const uint8_t *bytes, size_t size);
/* The table has nothing against it that the requester's DMA passes the unit with registers at `base`. */
bool saying_allows_unit(uint16_t segment, uint16_t id, uint64_t base);
/* Some device that the table lets show as the requester. */
bool saying_is_alias(uint16_t segment, uint16_t id);
/* A reserved range of the table holds the frame, for that requester and that access. */
bool saying_reserves(uint16_t segment, uint16_t id, uint64_t mfn, bool write);
/* A reserved range that the table names for the device was not accepted. */
bool saying_lacks_a_range(uint16_t segment, uint16_t id);
/* The table says that a unit's registers are in one of the frames. */
bool saying_has_registers(uint64_t mfn, uint64_t frames);

#endif

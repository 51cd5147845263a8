/* SPDX-License-Identifier: MIT */
/*
 * Bytes of a firmware table, for the parsers. Nothing outside of the table is read, whatever a parser gets
 * wrong. The comments that begin with an @ are for the prover (tests/prove).
 */
#ifndef SLUICE_IOMMU_TABLE_H
#define SLUICE_IOMMU_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_LENGTH 4u /* offset of the length in every ACPI header: ACPI 6.5, 5.2.6 */

struct table {
    const uint8_t *bytes;
    size_t size;
};

/* Little-endian; 0 when not all of the bytes lie within the table. */
/*@ requires \valid_read(table) && \valid_read(table->bytes + (0 .. table->size - 1));
    requires bytes <= 8;
    assigns \nothing; */
static inline uint64_t table_read(const struct table *table, size_t offset, uint32_t bytes)
{
    uint64_t value = 0;

    if (offset > table->size || bytes > table->size - offset)
        return 0;
    /*@ loop invariant 0 <= i <= bytes;
        loop assigns i, value;
        loop variant bytes - i; */
    for (uint32_t i = 0; i < bytes; i++)
        value |= (uint64_t)table->bytes[offset + i] << (8 * i);
    return value;
}

//@ assigns \nothing;
static inline uint8_t table_read8(const struct table *table, size_t offset)
{
    return (uint8_t)table_read(table, offset, 1);
}
static inline uint16_t table_read16(const struct table *table, size_t offset)
{
    return (uint16_t)table_read(table, offset, 2);
}
static inline uint32_t table_read32(const struct table *table, size_t offset)
{
    return (uint32_t)table_read(table, offset, 4);
}
static inline uint64_t table_read64(const struct table *table, size_t offset)
{
    return table_read(table, offset, 8);
}

/* Some firmware fills its tables up. */
static inline bool table_is_zero(const struct table *table, size_t offset, size_t end)
{
    //@ loop variant end - offset;
    while (offset < end && table_read8(table, offset) == 0)
        offset++;
    return offset == end;
}

#endif

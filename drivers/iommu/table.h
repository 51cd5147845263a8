/* SPDX-License-Identifier: MIT */
/* Bytes of a firmware table, for the parsers. The caller has checked that they lie within it. */
#ifndef SLUICE_IOMMU_TABLE_H
#define SLUICE_IOMMU_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_LENGTH 4u /* offset of the length in every ACPI header: ACPI 6.5, 5.2.6 */

static inline uint8_t table_read8(const uint8_t *bytes, size_t offset)
{
    return bytes[offset];
}
static inline uint16_t table_read16(const uint8_t *bytes, size_t offset)
{
    return (uint16_t)(bytes[offset] | (uint32_t)bytes[offset + 1] << 8);
}
static inline uint32_t table_read32(const uint8_t *bytes, size_t offset)
{
    return table_read16(bytes, offset) | (uint32_t)table_read16(bytes, offset + 2) << 16;
}
static inline uint64_t table_read64(const uint8_t *bytes, size_t offset)
{
    return table_read32(bytes, offset) | (uint64_t)table_read32(bytes, offset + 4) << 32;
}

/* Some firmware fills its tables up. */
static inline bool table_is_zero(const uint8_t *bytes, size_t offset, size_t end)
{
    while (offset < end && bytes[offset] == 0)
        offset++;
    return offset == end;
}

#endif

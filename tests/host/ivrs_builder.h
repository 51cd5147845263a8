/* SPDX-License-Identifier: MIT */
/* Builds IVRS tables for tests. Open a block, add device entries to it, open the next one. */
#ifndef SLUICE_TESTS_IVRS_BUILDER_H
#define SLUICE_TESTS_IVRS_BUILDER_H

#include <stdint.h>
#include <string.h>

struct ivrs_builder {
    uint8_t bytes[16384];
    uint32_t size, open; /* open: offset of the block that entries are added to */
};

/* What an IVHD begins with; efr is written in types 11h and 40h only. */
struct ivrs_ivhd {
    uint8_t type, flags;
    uint16_t id, capability, segment, info;
    uint64_t base, efr, efr2;
    uint32_t feature_info;
};

/* `value` in `bytes` bytes, little-endian; zeroes beyond the eighth. */
static inline void ivrs_put(struct ivrs_builder *builder, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        builder->bytes[builder->size++] = (uint8_t)(i < 8 ? value >> (8 * i) : 0);
    builder->bytes[4] = (uint8_t)builder->size;
    builder->bytes[5] = (uint8_t)(builder->size >> 8);
    if (builder->open != 0) {
        builder->bytes[builder->open + 2] = (uint8_t)(builder->size - builder->open);
        builder->bytes[builder->open + 3] = (uint8_t)((builder->size - builder->open) >> 8);
    }
}

static inline void ivrs_begin(struct ivrs_builder *builder, uint32_t ivinfo)
{
    memset(builder, 0, sizeof *builder);
    memcpy(builder->bytes, "IVRS", 4);
    builder->size = 36;
    ivrs_put(builder, ivinfo, 4);
    ivrs_put(builder, 0, 8);
}

static inline void ivrs_open(struct ivrs_builder *builder, uint8_t type, uint8_t flags)
{
    builder->open = builder->size;
    ivrs_put(builder, type, 1);
    ivrs_put(builder, flags, 1);
    ivrs_put(builder, 0, 2);
}

static inline void ivrs_ivhd(struct ivrs_builder *builder, struct ivrs_ivhd ivhd)
{
    ivrs_open(builder, ivhd.type, ivhd.flags);
    ivrs_put(builder, ivhd.id, 2);
    ivrs_put(builder, ivhd.capability, 2);
    ivrs_put(builder, ivhd.base, 8);
    ivrs_put(builder, ivhd.segment, 2);
    ivrs_put(builder, ivhd.info, 2);
    ivrs_put(builder, ivhd.feature_info, 4);
    if (ivhd.type != 0x10) {
        ivrs_put(builder, ivhd.efr, 8);
        ivrs_put(builder, ivhd.efr2, 8);
    }
}

/* Type 20h: all devices; 21h: `first`; 22h: `first` to `last`; 23h: the unit at `first`. */
static inline void ivrs_ivmd(struct ivrs_builder *builder, uint8_t type, uint8_t flags, uint16_t segment,
                             uint16_t first, uint16_t last, uint64_t base, uint64_t size)
{
    ivrs_open(builder, type, flags);
    ivrs_put(builder, first, 2);
    ivrs_put(builder, last, 2);
    ivrs_put(builder, segment, 2);
    ivrs_put(builder, 0, 6);
    ivrs_put(builder, base, 8);
    ivrs_put(builder, size, 8);
}

/* A device entry of four bytes; longer ones begin with the same. */
static inline void ivrs_entry4(struct ivrs_builder *builder, uint8_t kind, uint16_t id, uint8_t settings)
{
    ivrs_put(builder, kind, 1);
    ivrs_put(builder, id, 2);
    ivrs_put(builder, settings, 1);
}

static inline void ivrs_padding(struct ivrs_builder *builder)
{
    ivrs_entry4(builder, 0x00, 0, 0);
}

static inline void ivrs_all(struct ivrs_builder *builder, uint8_t settings)
{
    ivrs_entry4(builder, 0x01, 0, settings);
}

static inline void ivrs_select(struct ivrs_builder *builder, uint16_t id, uint8_t settings)
{
    ivrs_entry4(builder, 0x02, id, settings);
}

static inline void ivrs_range(struct ivrs_builder *builder, uint16_t first, uint16_t last, uint8_t settings)
{
    ivrs_entry4(builder, 0x03, first, settings);
    ivrs_entry4(builder, 0x04, last, 0);
}

static inline void ivrs_alias(struct ivrs_builder *builder, uint16_t id, uint16_t alias, uint8_t settings)
{
    ivrs_entry4(builder, 0x42, id, settings);
    ivrs_put(builder, 0, 1);
    ivrs_put(builder, alias, 2);
    ivrs_put(builder, 0, 1);
}

static inline void ivrs_alias_range(struct ivrs_builder *builder, uint16_t first, uint16_t last,
                                    uint16_t alias, uint8_t settings)
{
    ivrs_alias(builder, first, alias, settings);
    builder->bytes[builder->size - 8] = 0x43;
    ivrs_entry4(builder, 0x04, last, 0);
}

static inline void ivrs_extended(struct ivrs_builder *builder, uint16_t id, uint8_t settings,
                                 uint32_t extended)
{
    ivrs_entry4(builder, 0x46, id, settings);
    ivrs_put(builder, extended, 4);
}

static inline void ivrs_extended_range(struct ivrs_builder *builder, uint16_t first, uint16_t last,
                                       uint8_t settings, uint32_t extended)
{
    ivrs_entry4(builder, 0x47, first, settings);
    ivrs_put(builder, extended, 4);
    ivrs_entry4(builder, 0x04, last, 0);
}

/* kind: 1 IO-APIC, 2 HPET. */
static inline void ivrs_special(struct ivrs_builder *builder, uint8_t kind, uint8_t handle, uint16_t id,
                                uint8_t settings)
{
    ivrs_entry4(builder, 0x48, 0, settings);
    ivrs_put(builder, handle, 1);
    ivrs_put(builder, id, 2);
    ivrs_put(builder, kind, 1);
}

/* An ACPI device; its UID is text (format 2) of at most 255 bytes. */
static inline void ivrs_acpi(struct ivrs_builder *builder, uint16_t id, uint8_t settings, const char *uid)
{
    ivrs_entry4(builder, 0xf0, id, settings);
    for (uint32_t i = 0; i < 8; i++)
        ivrs_put(builder, (uint8_t) "AMDI0020"[i], 1);
    ivrs_put(builder, 0, 8);
    ivrs_put(builder, 2, 1);
    ivrs_put(builder, strlen(uid), 1);
    for (; *uid != '\0'; uid++)
        ivrs_put(builder, (uint8_t)*uid, 1);
}

#endif

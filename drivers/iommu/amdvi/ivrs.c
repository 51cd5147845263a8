/* SPDX-License-Identifier: MIT */
/*
 * AMD I/O Virtualization Technology (IOMMU) Specification 48882, section 5.2. Every length is checked against
 * the end of what encloses it before a byte behind it is read, and every step moves forward.
 */
#include "drivers/iommu/amdvi/ivrs.h"

#include "drivers/iommu/table.h"
#include "lib/string.h"

#define SIGNATURE    0x53525649u /* "IVRS" */
#define HEADER_BYTES 48u         /* ACPI header, IVinfo, reserved: 5.2.1 */
#define HEADER_INFO  36u

#define BLOCK_BYTES      4u
#define IVHD_BASIC_BYTES 24u /* 5.2.2.1 */
#define IVHD_EFR_BYTES   40u
#define IVMD_BYTES       32u /* 5.2.2.3 */

#define ENTRY_BYTES 4u /* of the smallest size class */

/* The block whose device entries are being read. */
struct walk {
    const struct table *table;
    struct ivrs *ivrs;
    uint32_t block;
    struct ivrs_entry start; /* the range that waits for its end */
    bool open;
};

static void find(struct ivrs *ivrs, size_t offset, enum finding_structure structure,
                 enum finding_reason reason)
{
    findings_add(&ivrs->findings, structure, reason, offset);
}

/* ---- device entries ---- */

/* A device entry is left out. */
static void lose(const struct walk *walk, size_t offset, enum finding_reason reason)
{
    find(walk->ivrs, offset, FINDING_ENTRY, reason);
    walk->ivrs->blocks[walk->block].incomplete = true;
}

static void keep_entry(const struct walk *walk, struct ivrs_entry entry)
{
    struct ivrs *ivrs = walk->ivrs;

    if (ivrs->entry_count >= IVRS_ENTRIES_MAX) {
        lose(walk, entry.offset, FINDING_TOO_MANY);
        return;
    }
    ivrs->entries[ivrs->entry_count++] = entry;
    ivrs->blocks[walk->block].entries++;
}

static void keep_special(const struct walk *walk, size_t offset)
{
    struct ivrs *ivrs = walk->ivrs;
    struct ivrs_special special = {.offset = (uint32_t)offset,
                                   .settings = table_read8(walk->table, offset + 3),
                                   .handle = table_read8(walk->table, offset + 4),
                                   .id = table_read16(walk->table, offset + 5),
                                   .kind = table_read8(walk->table, offset + 7),
                                   .block = (uint8_t)walk->block};

    if (special.kind != IVRS_SPECIAL_IOAPIC && special.kind != IVRS_SPECIAL_HPET)
        lose(walk, offset, FINDING_NOT_SPECIAL);
    else if (ivrs->special_count >= IVRS_SPECIALS_MAX)
        lose(walk, offset, FINDING_TOO_MANY);
    else
        ivrs->specials[ivrs->special_count++] = special;
}

static void close_range(struct walk *walk, size_t offset, uint16_t last)
{
    if (!walk->open) {
        lose(walk, offset, FINDING_NO_START);
        return;
    }
    walk->open = false;
    if (last < walk->start.first) {
        lose(walk, walk->start.offset, FINDING_RANGE_INVERTED);
        return;
    }
    walk->start.last = last;
    keep_entry(walk, walk->start);
}

/* An end follows its start at once; only padding may stand between. */
static void drop_open_range(struct walk *walk)
{
    if (walk->open)
        lose(walk, walk->start.offset, FINDING_NO_END);
    walk->open = false;
}

/* One entry that names devices, its length checked by the caller. */
static void take_entry(struct walk *walk, size_t offset)
{
    const struct table *table = walk->table;
    uint16_t id = table_read16(table, offset + 1);
    struct ivrs_entry entry = {.offset = (uint32_t)offset,
                               .kind = table_read8(table, offset),
                               .first = id,
                               .last = id,
                               .settings = table_read8(table, offset + 3)};

    switch (entry.kind) {
    case IVRS_ENTRY_ALL:
        entry.first = 0;
        entry.last = UINT16_MAX;
        break;
    case IVRS_ENTRY_ALIAS:
    case IVRS_ENTRY_ALIAS_START:
        entry.alias = table_read16(table, offset + 5);
        break;
    case IVRS_ENTRY_EXTENDED:
    case IVRS_ENTRY_EXTENDED_START:
        entry.extended = table_read32(table, offset + 4);
        break;
    default:
        break;
    }
    if (entry.kind == IVRS_ENTRY_START || entry.kind == IVRS_ENTRY_ALIAS_START ||
        entry.kind == IVRS_ENTRY_EXTENDED_START) {
        walk->start = entry;
        walk->open = true;
    } else {
        keep_entry(walk, entry);
    }
}

static void parse_entry(struct walk *walk, size_t offset)
{
    uint8_t kind = table_read8(walk->table, offset);

    if (kind == IVRS_ENTRY_PAD4 || kind == IVRS_ENTRY_PAD8) {
        walk->ivrs->blocks[walk->block].padding++;
        return;
    }
    if (kind == IVRS_ENTRY_END) {
        close_range(walk, offset, table_read16(walk->table, offset + 1));
        return;
    }
    drop_open_range(walk);
    switch (kind) {
    case IVRS_ENTRY_ALL:
    case IVRS_ENTRY_SELECT:
    case IVRS_ENTRY_START:
    case IVRS_ENTRY_ALIAS:
    case IVRS_ENTRY_ALIAS_START:
    case IVRS_ENTRY_EXTENDED:
    case IVRS_ENTRY_EXTENDED_START:
    case IVRS_ENTRY_ACPI:
        take_entry(walk, offset);
        break;
    case IVRS_ENTRY_SPECIAL:
        keep_special(walk, offset);
        break;
    default:
        lose(walk, offset, FINDING_UNKNOWN);
    }
}

/* Bytes of the entry at `offset`; 0 when they cannot be told, or do not fit into the `room` that is left. */
//@ ensures \result <= room;
static size_t entry_length(const struct table *table, size_t offset, size_t room)
{
    uint32_t kind = table_read8(table, offset);
    size_t length = (size_t)ENTRY_BYTES << (kind >> 6); /* the two top bits are the size class */

    if (kind > IVRS_ENTRY_ACPI)
        return 0;
    if (kind == IVRS_ENTRY_ACPI) {
        if (room < IVRS_ACPI_UID)
            return 0;
        length = IVRS_ACPI_UID + (size_t)table_read8(table, offset + IVRS_ACPI_UID_LENGTH);
    }
    return length <= room ? length : 0;
}

static void parse_entries(struct walk *walk, size_t offset, size_t end)
{
    //@ loop variant end - offset;
    while (offset < end) {
        size_t length = entry_length(walk->table, offset, end - offset);

        if (length == 0) {
            lose(walk, offset, FINDING_LIST_LENGTH);
            break;
        }
        parse_entry(walk, offset);
        offset += length;
    }
    drop_open_range(walk);
}

/* ---- blocks ---- */

static size_t ivhd_bytes(uint8_t type)
{
    return type == IVRS_IVHD_BASIC ? IVHD_BASIC_BYTES : IVHD_EFR_BYTES;
}

static struct ivrs_block read_block(const struct table *table, size_t offset)
{
    struct ivrs_block block = {.offset = (uint32_t)offset,
                               .type = table_read8(table, offset),
                               .flags = table_read8(table, offset + 1),
                               .id = table_read16(table, offset + 4),
                               .capability = table_read16(table, offset + 6),
                               .base = table_read64(table, offset + 8),
                               .segment = table_read16(table, offset + 16),
                               .info = table_read16(table, offset + 18),
                               .feature_info = table_read32(table, offset + 20)};

    if (block.type != IVRS_IVHD_BASIC) {
        block.features = table_read64(table, offset + 24);
        block.features2 = table_read64(table, offset + 32);
    }
    return block;
}

static void parse_ivhd(const struct table *table, size_t offset, size_t length, struct ivrs *ivrs)
{
    size_t fixed = ivhd_bytes(table_read8(table, offset));
    struct walk walk = {.table = table, .ivrs = ivrs};

    if (length < fixed || ivrs->block_count >= IVRS_BLOCKS_MAX) {
        find(ivrs, offset, FINDING_IVHD, length < fixed ? FINDING_SHORT : FINDING_TOO_MANY);
        ivrs->truncated = true;
        return;
    }
    walk.block = ivrs->block_count;
    ivrs->blocks[ivrs->block_count] = read_block(table, offset);
    ivrs->blocks[ivrs->block_count++].first_entry = (uint16_t)ivrs->entry_count;
    parse_entries(&walk, offset + fixed, offset + length);
}

static struct ivrs_memory read_memory(const struct table *table, size_t offset)
{
    struct ivrs_memory memory = {.offset = (uint32_t)offset,
                                 .type = table_read8(table, offset),
                                 .flags = table_read8(table, offset + 1),
                                 .first = table_read16(table, offset + 4),
                                 .segment = table_read16(table, offset + 8),
                                 .base = table_read64(table, offset + 16),
                                 .size = table_read64(table, offset + 24)};

    memory.last = memory.first;
    if (memory.type == IVRS_IVMD_RANGE)
        memory.last = table_read16(table, offset + 6);
    if (memory.type == IVRS_IVMD_ALL) {
        memory.first = 0;
        memory.last = UINT16_MAX;
    }
    return memory;
}

static void parse_ivmd(const struct table *table, size_t offset, size_t length, struct ivrs *ivrs)
{
    struct ivrs_memory memory;

    if (length < IVMD_BYTES || ivrs->memory_count >= IVRS_MEMORY_MAX) {
        find(ivrs, offset, FINDING_IVMD, length < IVMD_BYTES ? FINDING_SHORT : FINDING_TOO_MANY);
        return;
    }
    memory = read_memory(table, offset);
    if (memory.type == IVRS_IVMD_UNIT || memory.last < memory.first) {
        find(ivrs, offset, FINDING_IVMD,
             memory.type == IVRS_IVMD_UNIT ? FINDING_OF_ONE_UNIT : FINDING_DEVICES_INVERTED);
        return;
    }
    memory.malformed = memory.size == 0 || memory.size - 1 > UINT64_MAX - memory.base;
    if (memory.malformed)
        find(ivrs, offset, FINDING_IVMD, memory.size == 0 ? FINDING_EMPTY : FINDING_BEYOND);
    ivrs->memory[ivrs->memory_count++] = memory;
}

static void parse_block(const struct table *table, size_t offset, size_t length, struct ivrs *ivrs)
{
    switch (table_read8(table, offset)) {
    case IVRS_IVHD_BASIC:
    case IVRS_IVHD_EFR:
    case IVRS_IVHD_ACPI:
        parse_ivhd(table, offset, length, ivrs);
        break;
    case IVRS_IVMD_ALL:
    case IVRS_IVMD_ONE:
    case IVRS_IVMD_RANGE:
    case IVRS_IVMD_UNIT:
        parse_ivmd(table, offset, length, ivrs);
        break;
    default:
        find(ivrs, offset, FINDING_BLOCK, FINDING_UNKNOWN);
    }
}

static void parse_blocks(const struct table *table, size_t end, struct ivrs *ivrs)
{
    size_t offset = HEADER_BYTES;

    //@ loop variant end - offset;
    while (offset < end) {
        size_t room = end - offset;
        size_t length = room >= BLOCK_BYTES ? table_read16(table, offset + 2) : 0;

        if (length < BLOCK_BYTES && table_is_zero(table, offset, end)) {
            find(ivrs, offset, FINDING_TABLE, FINDING_ZEROES);
            return;
        }
        if (length < BLOCK_BYTES || length > room) {
            find(ivrs, offset, room < BLOCK_BYTES ? FINDING_TABLE : FINDING_BLOCK,
                 room < BLOCK_BYTES ? FINDING_CUT : FINDING_LENGTH);
            ivrs->truncated = true;
            return;
        }
        parse_block(table, offset, length, ivrs);
        offset += length;
    }
}

/* ---- which of its blocks describes a unit ---- */

static void supersede(struct ivrs *ivrs, struct ivrs_block *earlier, struct ivrs_block *later)
{
    if (earlier->type == later->type) {
        find(ivrs, later->offset, FINDING_IVHD, FINDING_TYPE_TWICE);
        earlier->incomplete = true;
    }
    /* The one left out may be another unit's, and nobody knows what else that one has. */
    if (earlier->type == later->type || earlier->base != later->base)
        ivrs->truncated = true;
    if (earlier->type >= later->type)
        later->superseded = true;
    else
        earlier->superseded = true;
}

static void choose_blocks(struct ivrs *ivrs)
{
    for (uint32_t i = 1; i < ivrs->block_count; i++)
        for (uint32_t j = 0; j < i; j++) {
            struct ivrs_block *earlier = &ivrs->blocks[j], *later = &ivrs->blocks[i];

            if (!earlier->superseded && !later->superseded && earlier->segment == later->segment &&
                earlier->id == later->id)
                supersede(ivrs, earlier, later);
        }
}

bool ivrs_parse(const void *bytes, size_t size, struct ivrs *ivrs)
{
    const struct table table = {bytes, size};
    size_t length;

    memset(ivrs, 0, offsetof(struct ivrs, blocks)); /* the arrays count as far as their counts say */
    if (size < HEADER_BYTES || table_read32(&table, 0) != SIGNATURE) {
        find(ivrs, 0, FINDING_TABLE, size < HEADER_BYTES ? FINDING_NO_HEADER : FINDING_OTHER_TABLE);
        return false;
    }
    length = table_read32(&table, TABLE_LENGTH);
    if (length < HEADER_BYTES || length > size) {
        find(ivrs, TABLE_LENGTH, FINDING_HEADER, FINDING_OTHER_LENGTH);
        ivrs->truncated = length > size;
        length = size;
    }
    ivrs->info = table_read32(&table, HEADER_INFO);
    parse_blocks(&table, length, ivrs);
    choose_blocks(ivrs);
    return true;
}

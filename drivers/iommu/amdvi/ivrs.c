/* SPDX-License-Identifier: MIT */
/*
 * AMD I/O Virtualization Technology (IOMMU) Specification 48882, section 5.2. Every length is checked against
 * the end of what encloses it before a byte behind it is read, and every step moves forward. Firmware
 * describes a unit by one block of each type it can; which block counts is known only after all were seen,
 * so device entries are read in a second step.
 */
#include "drivers/iommu/amdvi/ivrs.h"

#include "lib/string.h"

#define HEADER_BYTES 48u /* ACPI header, IVinfo, reserved: 5.2.1 */
#define HEADER_INFO  36u

enum block_type {
    IVHD_BASIC = 0x10,
    IVHD_EFR = 0x11,  /* with a copy of the extended feature register */
    IVHD_ACPI = 0x40, /* and with ACPI devices */
    IVMD_ALL = 0x20,
    IVMD_ONE = 0x21,
    IVMD_RANGE = 0x22,
    IVMD_UNIT = 0x23, /* of early revisions: all devices behind one unit */
};

#define BLOCK_BYTES      4u
#define IVHD_BASIC_BYTES 24u /* 5.2.2.1 */
#define IVHD_EFR_BYTES   40u
#define IVMD_BYTES       32u /* 5.2.2.3 */

enum entry_kind {
    ENTRY_PAD4 = 0x00,
    ENTRY_ALL = 0x01,
    ENTRY_SELECT = 0x02,
    ENTRY_START = 0x03,
    ENTRY_END = 0x04,
    ENTRY_PAD8 = 0x40,
    ENTRY_ALIAS = 0x42,
    ENTRY_ALIAS_START = 0x43,
    ENTRY_EXTENDED = 0x46,
    ENTRY_EXTENDED_START = 0x47,
    ENTRY_SPECIAL = 0x48,
    ENTRY_ACPI = 0xf0, /* kinds from here on say their length themselves */
};

#define ENTRY_BYTES           4u  /* of the smallest size class */
#define ENTRY_ACPI_BYTES      22u /* without the UID */
#define ENTRY_ACPI_UID_LENGTH 21u

struct walk {
    const uint8_t *bytes;
    struct ivrs *ivrs;
    /* Of the block whose device entries are being read: */
    struct ivrs_unit *unit;
    struct ivrs_entry start; /* the range that waits for its end */
    bool open;
};

static uint64_t read_le(const struct walk *walk, size_t offset, uint32_t bytes)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < bytes; i++)
        value |= (uint64_t)walk->bytes[offset + i] << (8 * i);
    return value;
}

static void find(struct ivrs *ivrs, size_t offset, const char *structure, const char *reason)
{
    if (ivrs->finding_count < IVRS_FINDINGS_MAX)
        ivrs->findings[ivrs->finding_count++] = (struct ivrs_finding){(uint32_t)offset, structure, reason};
}

/* ---- device entries ---- */

/* A device entry is left out. */
static void lose(const struct walk *walk, size_t offset, const char *reason)
{
    find(walk->ivrs, offset, "device entry", reason);
    walk->unit->incomplete = true;
}

static void keep_entry(const struct walk *walk, struct ivrs_entry entry)
{
    struct ivrs *ivrs = walk->ivrs;

    if (ivrs->entry_count == IVRS_ENTRIES_MAX) {
        lose(walk, entry.offset, "more entries than Sluice keeps");
        return;
    }
    ivrs->entries[ivrs->entry_count++] = entry;
    walk->unit->entries++;
}

static void keep_special(const struct walk *walk, size_t offset)
{
    struct ivrs *ivrs = walk->ivrs;
    struct ivrs_special special = {.settings = (uint8_t)read_le(walk, offset + 3, 1),
                                   .handle = (uint8_t)read_le(walk, offset + 4, 1),
                                   .id = (uint16_t)read_le(walk, offset + 5, 2),
                                   .kind = (uint8_t)read_le(walk, offset + 7, 1),
                                   .unit = (uint16_t)(walk->unit - ivrs->units),
                                   .offset = (uint32_t)offset};

    if (special.kind != IVRS_SPECIAL_IOAPIC && special.kind != IVRS_SPECIAL_HPET) {
        lose(walk, offset, "a special device that is neither IO-APIC nor HPET");
        return;
    }
    if (ivrs->special_count == IVRS_SPECIALS_MAX) {
        lose(walk, offset, "more special devices than Sluice keeps");
        return;
    }
    ivrs->specials[ivrs->special_count++] = special;
}

static void open_range(struct walk *walk, struct ivrs_entry start)
{
    walk->start = start;
    walk->open = true;
}

static void close_range(struct walk *walk, size_t offset, uint16_t last)
{
    if (!walk->open) {
        lose(walk, offset, "a range ends that did not start");
        return;
    }
    walk->open = false;
    if (last < walk->start.first) {
        lose(walk, walk->start.offset, "a range that ends before it starts");
        return;
    }
    walk->start.last = last;
    keep_entry(walk, walk->start);
}

/* An end follows its start at once; only padding may stand between. */
static void drop_open_range(struct walk *walk)
{
    if (walk->open)
        lose(walk, walk->start.offset, "a range without an end");
    walk->open = false;
}

/* One entry, its length checked by the caller. */
static void parse_entry(struct walk *walk, size_t offset)
{
    uint32_t kind = (uint32_t)read_le(walk, offset, 1);
    uint16_t id = (uint16_t)read_le(walk, offset + 1, 2);
    struct ivrs_entry entry = {.first = id,
                               .last = id,
                               .settings = (uint8_t)read_le(walk, offset + 3, 1),
                               .offset = (uint32_t)offset};

    if (kind == ENTRY_PAD4 || kind == ENTRY_PAD8)
        return;
    if (kind == ENTRY_END) {
        close_range(walk, offset, id);
        return;
    }
    drop_open_range(walk);
    switch (kind) {
    case ENTRY_ALL:
        entry.is_default = true;
        entry.first = 0;
        entry.last = UINT16_MAX;
        break;
    case ENTRY_SELECT:
    case ENTRY_START:
        break;
    case ENTRY_ALIAS:
    case ENTRY_ALIAS_START:
        entry.aliased = true;
        entry.alias = (uint16_t)read_le(walk, offset + 5, 2);
        break;
    case ENTRY_EXTENDED:
    case ENTRY_EXTENDED_START:
        entry.extended = (uint32_t)read_le(walk, offset + 4, 4);
        break;
    case ENTRY_ACPI:
        entry.acpi_hid = true;
        break;
    case ENTRY_SPECIAL:
        keep_special(walk, offset);
        return;
    default:
        lose(walk, offset, "of a kind Sluice does not know: skipped");
        return;
    }
    if (kind == ENTRY_START || kind == ENTRY_ALIAS_START || kind == ENTRY_EXTENDED_START)
        open_range(walk, entry);
    else
        keep_entry(walk, entry);
}

/* Bytes of the entry at `offset`; 0 when they cannot be told, or do not fit into the `room` that is left. */
static size_t entry_length(const struct walk *walk, size_t offset, size_t room)
{
    uint32_t kind = (uint32_t)read_le(walk, offset, 1);
    size_t length = (size_t)ENTRY_BYTES << (kind >> 6);

    if (kind > ENTRY_ACPI)
        return 0;
    if (kind == ENTRY_ACPI) {
        if (room < ENTRY_ACPI_BYTES)
            return 0;
        length = ENTRY_ACPI_BYTES + read_le(walk, offset + ENTRY_ACPI_UID_LENGTH, 1);
    }
    return length <= room ? length : 0;
}

static size_t ivhd_bytes(uint32_t type)
{
    return type == IVHD_BASIC ? IVHD_BASIC_BYTES : IVHD_EFR_BYTES;
}

/* The device entries of the block that was chosen for a unit; its lengths were checked when it was. */
static void parse_entries(struct walk *walk, struct ivrs_unit *unit)
{
    size_t offset = unit->offset + ivhd_bytes(unit->type);
    size_t end = unit->offset + read_le(walk, unit->offset + 2, 2);

    walk->unit = unit;
    walk->open = false;
    unit->first_entry = (uint16_t)walk->ivrs->entry_count;
    while (offset < end) {
        size_t length = entry_length(walk, offset, end - offset);

        if (length == 0) {
            lose(walk, offset, "its length is impossible; the rest of the block is lost");
            break;
        }
        parse_entry(walk, offset);
        offset += length;
    }
    drop_open_range(walk);
}

/* ---- blocks ---- */

static struct ivrs_unit *find_unit(struct ivrs *ivrs, uint16_t segment, uint16_t id)
{
    for (uint32_t i = 0; i < ivrs->unit_count; i++)
        if (ivrs->units[i].segment == segment && ivrs->units[i].id == id)
            return &ivrs->units[i];
    return NULL;
}

static struct ivrs_unit read_unit(const struct walk *walk, size_t offset)
{
    struct ivrs_unit unit = {.offset = (uint32_t)offset,
                             .type = (uint8_t)read_le(walk, offset, 1),
                             .flags = (uint8_t)read_le(walk, offset + 1, 1),
                             .id = (uint16_t)read_le(walk, offset + 4, 2),
                             .capability = (uint16_t)read_le(walk, offset + 6, 2),
                             .base = read_le(walk, offset + 8, 8),
                             .segment = (uint16_t)read_le(walk, offset + 16, 2),
                             .info = (uint16_t)read_le(walk, offset + 18, 2),
                             .feature_info = (uint32_t)read_le(walk, offset + 20, 4)};

    if (unit.type != IVHD_BASIC)
        unit.features = read_le(walk, offset + 24, 8);
    return unit;
}

/* Of the blocks that describe one unit, the one of the highest type counts. */
static void parse_ivhd(const struct walk *walk, size_t offset, size_t length)
{
    struct ivrs *ivrs = walk->ivrs;
    struct ivrs_unit unit, *known;

    if (length < ivhd_bytes((uint32_t)read_le(walk, offset, 1))) {
        find(ivrs, offset, "IVHD", "too short");
        ivrs->truncated = true;
        return;
    }
    unit = read_unit(walk, offset);
    known = find_unit(ivrs, unit.segment, unit.id);
    if (known != NULL && known->type == unit.type) {
        find(ivrs, offset, "IVHD", "a second block of its type for one unit: left out");
        known->incomplete = true;
    } else if (known != NULL) {
        if (known->type < unit.type)
            *known = unit;
    } else if (ivrs->unit_count == IVRS_UNITS_MAX) {
        find(ivrs, offset, "IVHD", "more units than Sluice keeps");
        ivrs->truncated = true;
    } else {
        ivrs->units[ivrs->unit_count++] = unit;
    }
}

static struct ivrs_memory read_memory(const struct walk *walk, size_t offset)
{
    struct ivrs_memory memory = {.offset = (uint32_t)offset,
                                 .flags = (uint8_t)read_le(walk, offset + 1, 1),
                                 .first = (uint16_t)read_le(walk, offset + 4, 2),
                                 .segment = (uint16_t)read_le(walk, offset + 8, 2),
                                 .base = read_le(walk, offset + 16, 8),
                                 .size = read_le(walk, offset + 24, 8)};

    memory.last = memory.first;
    switch (read_le(walk, offset, 1)) {
    case IVMD_ALL:
        memory.all = true;
        memory.first = 0;
        memory.last = UINT16_MAX;
        break;
    case IVMD_RANGE:
        memory.last = (uint16_t)read_le(walk, offset + 6, 2);
        break;
    default:
        break;
    }
    return memory;
}

static void parse_ivmd(const struct walk *walk, size_t offset, size_t length)
{
    struct ivrs *ivrs = walk->ivrs;
    struct ivrs_memory memory;

    if (length < IVMD_BYTES || ivrs->memory_count == IVRS_MEMORY_MAX) {
        find(ivrs, offset, "IVMD", length < IVMD_BYTES ? "too short" : "more ranges than Sluice keeps");
        return;
    }
    memory = read_memory(walk, offset);
    if (memory.size == 0 || memory.size - 1 > UINT64_MAX - memory.base)
        find(ivrs, offset, "IVMD", memory.size == 0 ? "of no bytes" : "it ends beyond the last address");
    else if (memory.last < memory.first)
        find(ivrs, offset, "IVMD", "for a range of devices that ends before it starts");
    else
        ivrs->memory[ivrs->memory_count++] = memory;
}

static void parse_block(const struct walk *walk, size_t offset, size_t length)
{
    switch (read_le(walk, offset, 1)) {
    case IVHD_BASIC:
    case IVHD_EFR:
    case IVHD_ACPI:
        parse_ivhd(walk, offset, length);
        break;
    case IVMD_ALL:
    case IVMD_ONE:
    case IVMD_RANGE:
        parse_ivmd(walk, offset, length);
        break;
    case IVMD_UNIT:
        find(walk->ivrs, offset, "IVMD", "for the devices of one unit, which Sluice does not do: skipped");
        break;
    default:
        find(walk->ivrs, offset, "block", "of a type Sluice does not know: skipped");
    }
}

static void parse_blocks(const struct walk *walk, size_t end)
{
    size_t offset = HEADER_BYTES;

    while (end - offset >= BLOCK_BYTES) {
        size_t length = read_le(walk, offset + 2, 2);

        if (length < BLOCK_BYTES || length > end - offset) {
            find(walk->ivrs, offset, "block", "its length is impossible; what follows is lost");
            walk->ivrs->truncated = true;
            return;
        }
        parse_block(walk, offset, length);
        offset += length;
    }
    if (offset != end)
        find(walk->ivrs, offset, "table", "ends within a block");
}

bool ivrs_parse(const void *table, size_t size, struct ivrs *ivrs)
{
    struct walk walk = {.bytes = table, .ivrs = ivrs};
    size_t end = size, length;

    memset(ivrs, 0, sizeof *ivrs);
    if (size < HEADER_BYTES || memcmp(table, "IVRS", 4) != 0) {
        find(ivrs, 0, "table", size < HEADER_BYTES ? "too short for an IVRS header" : "not an IVRS table");
        return false;
    }
    length = read_le(&walk, 4, 4);
    if (length < HEADER_BYTES || length > size) {
        find(ivrs, 4, "header", "its length is not the table's");
        ivrs->truncated = length > size;
    } else {
        end = length;
    }
    ivrs->info = (uint32_t)read_le(&walk, HEADER_INFO, 4);
    parse_blocks(&walk, end);
    for (uint32_t i = 0; i < ivrs->unit_count; i++)
        parse_entries(&walk, &ivrs->units[i]);
    return true;
}

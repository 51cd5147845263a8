/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry: any bytes as an IVRS, and every promise of ivrs.h about what becomes of them. libFuzzer's
 * copy of the input is exactly as large as the input: a byte read behind it is seen.
 */
#include "tests/fuzz/ivrs_same.h"
#include "tests/fuzz/must.h"
#include "tests/fuzz/mutator.h"
#include "tests/fuzz/table.h"

#include <string.h>

#define UNKNOWN_TYPE 0x7fu

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

size_t fuzz_table_offset(void)
{
    return 0;
}

const char *fuzz_table_signature(const uint8_t *input, size_t size)
{
    (void)input;
    (void)size;
    return "IVRS";
}

static bool is_unit(uint32_t type)
{
    return type == IVRS_IVHD_BASIC || type == IVRS_IVHD_EFR || type == IVRS_IVHD_ACPI;
}

static bool is_memory(uint32_t type)
{
    return type >= IVRS_IVMD_ALL && type <= IVRS_IVMD_UNIT;
}

/* ---- what is in the description is in the table ---- */

static bool is_known_kind(uint8_t kind)
{
    static const uint8_t kinds[] = {
        IVRS_ENTRY_ALL,      IVRS_ENTRY_SELECT,      IVRS_ENTRY_START,          IVRS_ENTRY_ALIAS,
        IVRS_ENTRY_EXTENDED, IVRS_ENTRY_ALIAS_START, IVRS_ENTRY_EXTENDED_START, IVRS_ENTRY_ACPI};

    return memchr(kinds, kind, sizeof kinds) != NULL;
}

static void check_entry(const uint8_t *bytes, const struct ivrs_block *block, const struct ivrs_entry *entry)
{
    size_t end = block->offset + (size_t)table_get(bytes, block->offset + 2, 2);

    must(is_known_kind(entry->kind) && entry->kind == bytes[entry->offset]);
    must(entry->offset > block->offset && entry->offset + 4 <= end && entry->first <= entry->last);
    must(entry->kind == IVRS_ENTRY_ALL || entry->first == table_get(bytes, entry->offset + 1, 2));
    must(entry->kind != IVRS_ENTRY_ALL || (entry->first == 0 && entry->last == UINT16_MAX));
    must(!ivrs_is_aliased(entry) || entry->alias == table_get(bytes, entry->offset + 5, 2));
    if (entry->kind == IVRS_ENTRY_ACPI)
        must(entry->offset + IVRS_ACPI_UID + bytes[entry->offset + IVRS_ACPI_UID_LENGTH] <= end);
    if (entry->kind == IVRS_ENTRY_SELECT || entry->kind == IVRS_ENTRY_ALIAS ||
        entry->kind == IVRS_ENTRY_EXTENDED || entry->kind == IVRS_ENTRY_ACPI)
        must(entry->first == entry->last);
}

static void check_block(const uint8_t *bytes, const struct ivrs *ivrs, const struct ivrs_block *block)
{
    must(is_unit(block->type) && block->type == bytes[block->offset]);
    must(block->first_entry + block->entries <= ivrs->entry_count);
    must(block->id == table_get(bytes, block->offset + 4, 2));
    must(block->segment == table_get(bytes, block->offset + 16, 2));
    must(block->base == table_get(bytes, block->offset + 8, 8));
    must(block->features == (block->type == IVRS_IVHD_BASIC ? 0 : table_get(bytes, block->offset + 24, 8)));
    for (uint32_t i = 0; i < block->entries; i++)
        check_entry(bytes, block, &ivrs->entries[block->first_entry + i]);
}

static void check_memory(const struct ivrs_memory *memory)
{
    must(is_memory(memory->type) && memory->type != IVRS_IVMD_UNIT);
    must(memory->size != 0 && memory->base + (memory->size - 1) >= memory->base);
    must(memory->first <= memory->last);
    must(memory->type != IVRS_IVMD_ONE || memory->first == memory->last);
    must(memory->type != IVRS_IVMD_ALL || (memory->first == 0 && memory->last == UINT16_MAX));
}

static void check_description(const uint8_t *bytes, size_t size, const struct ivrs *ivrs)
{
    uint32_t entries = 0;

    must(ivrs->block_count <= IVRS_BLOCKS_MAX && ivrs->entry_count <= IVRS_ENTRIES_MAX);
    must(ivrs->special_count <= IVRS_SPECIALS_MAX && ivrs->memory_count <= IVRS_MEMORY_MAX);
    for (uint32_t i = 0; i < ivrs->block_count; i++) {
        must(ivrs->blocks[i].first_entry == entries);
        check_block(bytes, ivrs, &ivrs->blocks[i]);
        entries += ivrs->blocks[i].entries;
    }
    must(entries == ivrs->entry_count);
    for (uint32_t i = 0; i < ivrs->special_count; i++) {
        const struct ivrs_special *special = &ivrs->specials[i];

        must(special->kind == IVRS_SPECIAL_IOAPIC || special->kind == IVRS_SPECIAL_HPET);
        must(special->offset + 8 <= size && special->block < ivrs->block_count);
        must(special->offset > ivrs->blocks[special->block].offset);
        must(special->id == table_get(bytes, special->offset + 5, 2));
    }
    for (uint32_t i = 0; i < ivrs->memory_count; i++) {
        must(ivrs->memory[i].offset + 32 <= size);
        check_memory(&ivrs->memory[i]);
    }
}

/* Of the blocks of one unit, the first one of the highest type counts; two of that type make doubt. */
static void check_choice(const struct ivrs *ivrs)
{
    for (uint32_t i = 0; i < ivrs->block_count; i++) {
        const struct ivrs_block *one = &ivrs->blocks[i];
        bool better = false, twin = false;

        for (uint32_t j = 0; j < ivrs->block_count; j++) {
            const struct ivrs_block *other = &ivrs->blocks[j];

            if (i == j || other->segment != one->segment || other->id != one->id)
                continue;
            better |= other->type > one->type || (other->type == one->type && j < i);
            twin |= other->type == one->type;
        }
        must(one->superseded == better);
        must(one->superseded || !twin || one->incomplete);
    }
}

/* ---- what is in the table is in the description, or said ---- */

/* How many entries of a block name devices; a block that cannot be read to its end must be incomplete. */
static uint32_t count_names(const uint8_t *bytes, const struct ivrs_block *block)
{
    size_t end = block->offset + (size_t)table_get(bytes, block->offset + 2, 2);
    size_t offset = block->offset + (block->type == IVRS_IVHD_BASIC ? 24 : 40);
    uint32_t names = 0;

    while (offset < end) {
        uint8_t kind = bytes[offset];
        size_t length = (size_t)4 << (kind >> 6);

        if (kind >= 0xf0) {
            must(kind == 0xf0 || block->incomplete);
            length = end - offset > 21 ? 22u + bytes[offset + 21] : SIZE_MAX;
        }
        if (kind > 0xf0 || length > end - offset) {
            must(block->incomplete);
            break;
        }
        names += kind != IVRS_ENTRY_PAD4 && kind != IVRS_ENTRY_PAD8 && kind != IVRS_ENTRY_END;
        offset += length;
    }
    return names;
}

static uint32_t specials_of(const struct ivrs *ivrs, uint32_t block)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < ivrs->special_count; i++)
        count += ivrs->specials[i].block == block;
    return count;
}

static void check_nothing_is_lost(const uint8_t *bytes, size_t size, const struct ivrs *ivrs)
{
    size_t end = table_end(bytes, size), offset = TABLE_HEADER_BYTES;
    uint32_t blocks = 0, memory = 0;

    must(ivrs->truncated || !table_is_cut(bytes, size));
    while (end - offset >= 4) {
        size_t length = (size_t)table_get(bytes, offset + 2, 2);

        if (length < 4 || length > end - offset)
            break;
        if (blocks < ivrs->block_count && ivrs->blocks[blocks].offset == offset) {
            must(ivrs->blocks[blocks].incomplete ||
                 count_names(bytes, &ivrs->blocks[blocks]) ==
                     ivrs->blocks[blocks].entries + specials_of(ivrs, blocks));
            blocks++;
        } else if (memory < ivrs->memory_count && ivrs->memory[memory].offset == offset) {
            memory++;
        } else {
            must(has_finding(&ivrs->findings, offset));
            must(!is_unit(bytes[offset]) || ivrs->truncated);
        }
        offset += length;
    }
    must(blocks == ivrs->block_count && memory == ivrs->memory_count);
    for (bool zero = true; offset < end; offset++) {
        zero &= bytes[offset] == 0;
        must(zero || ivrs->truncated);
    }
}

/* ---- the same table, written otherwise ---- */

static void check_variants(const uint8_t *bytes, size_t size, const struct ivrs *ivrs)
{
    static struct ivrs other;
    size_t end = table_end(bytes, size);
    uint8_t *copy = table_with_unknown(bytes, size, UNKNOWN_TYPE);

    must(ivrs_parse(copy, size + TABLE_UNKNOWN_BYTES, &other));
    check_same_ivrs(ivrs, &other, TABLE_UNKNOWN_BYTES);
    check_same_findings(&ivrs->findings, &other.findings, TABLE_UNKNOWN_BYTES, FINDING_UNKNOWN);
    free(copy);
    if (ivrs->truncated || end != table_get(bytes, 4, 4))
        return;
    copy = table_with_zeroes(bytes, end);
    must(ivrs_parse(copy, end + TABLE_ZEROES, &other));
    check_same_ivrs(ivrs, &other, 0);
    check_same_findings(&ivrs->findings, &other.findings, 0, FINDING_ZEROES);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ivrs ivrs, again;
    bool parsed = ivrs_parse(data, size, &ivrs);

    check_findings(&ivrs.findings, size);
    must(parsed == ivrs_parse(data, size, &again));
    check_same_ivrs(&ivrs, &again, 0);
    must(parsed == (size >= TABLE_HEADER_BYTES && memcmp(data, "IVRS", 4) == 0));
    if (!parsed) {
        must(ivrs.findings.count == 1 && ivrs.block_count == 0 && ivrs.memory_count == 0);
        return 0;
    }
    check_description(data, size, &ivrs);
    check_choice(&ivrs);
    check_nothing_is_lost(data, size, &ivrs);
    check_variants(data, size, &ivrs);
    return 0;
}

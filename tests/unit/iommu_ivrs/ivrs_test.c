/* SPDX-License-Identifier: MIT */
/* The IVRS parser: what it makes of good tables; spoiled.c and real.c have the others. */
#include "tests/unit/iommu_ivrs/ivrs_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct ivrs ivrs;

/* Whatever came in, what comes out is within its own bounds. */
static void check_bounds(size_t size)
{
    uint32_t entries = 0;

    assert_true(ivrs.block_count <= IVRS_BLOCKS_MAX && ivrs.entry_count <= IVRS_ENTRIES_MAX);
    assert_true(ivrs.special_count <= IVRS_SPECIALS_MAX && ivrs.memory_count <= IVRS_MEMORY_MAX);
    assert_true(ivrs.findings.count <= FINDINGS_MAX);
    for (uint32_t i = 0; i < ivrs.block_count; i++) {
        assert_int_equal(ivrs.blocks[i].first_entry, entries);
        entries += ivrs.blocks[i].entries;
        assert_true(ivrs.blocks[i].offset < size);
        for (uint32_t j = 0; j < i && !ivrs.blocks[i].superseded; j++)
            assert_true(ivrs.blocks[j].superseded || ivrs.blocks[i].id != ivrs.blocks[j].id ||
                        ivrs.blocks[i].segment != ivrs.blocks[j].segment);
    }
    assert_int_equal(entries, ivrs.entry_count);
    for (uint32_t i = 0; i < ivrs.entry_count; i++)
        assert_true(ivrs.entries[i].first <= ivrs.entries[i].last && ivrs.entries[i].offset < size);
    for (uint32_t i = 0; i < ivrs.special_count; i++)
        assert_true(ivrs.specials[i].block < ivrs.block_count && ivrs.specials[i].offset < size);
    for (uint32_t i = 0; i < ivrs.memory_count; i++) {
        const struct ivrs_memory *memory = &ivrs.memory[i];

        assert_true(memory->first <= memory->last);
        assert_int_equal(memory->malformed,
                         memory->size == 0 || memory->base + (memory->size - 1) < memory->base);
    }
}

bool parse_exact(const uint8_t *bytes, size_t size)
{
    uint8_t *block = malloc(size != 0 ? size : 1);
    bool parsed;

    assert_non_null(block);
    memcpy(block, bytes, size);
    memset(&ivrs, 0xa5, sizeof ivrs);
    parsed = ivrs_parse(block, size, &ivrs);
    free(block);
    check_bounds(size);
    return parsed;
}

void parse(const struct ivrs_builder *builder)
{
    assert_true(parse_exact(builder->bytes, builder->size));
}

bool has_finding(const char *structure, const char *reason, uint32_t offset)
{
    for (uint32_t i = 0; i < ivrs.findings.count; i++) {
        const struct finding *finding = &ivrs.findings.list[i];

        if (strcmp(finding_structure_text(finding), structure) == 0 &&
            strstr(finding_reason_text(finding), reason) != NULL && finding->offset == offset)
            return true;
    }
    return false;
}

void one_unit(struct ivrs_builder *builder, uint8_t type)
{
    ivrs_begin(builder, 0x203043);
    ivrs_ivhd(builder, (struct ivrs_ivhd){.type = type, .id = 2, .capability = 0x40, .base = 0xfd200000});
}

void sample(struct ivrs_builder *builder)
{
    ivrs_begin(builder, 0x203043);
    ivrs_ivhd(builder, (struct ivrs_ivhd){.type = 0x10, .flags = 0xb0, .id = 2, .base = 0xfd200000});
    ivrs_range(builder, 3, 0xfffe, 0);
    ivrs_special(builder, 2, 0, 0xa0, 0);
    ivrs_ivhd(builder, (struct ivrs_ivhd){.type = 0x11, .id = 2, .base = 0xfd200000, .efr = 1});
    ivrs_range(builder, 3, 0xfffe, 0);
    ivrs_ivmd(builder, 0x20, 7, 0, 0, 0, 0x1000, 0x1000);
    ivrs_ivmd(builder, 0x21, 7, 0, 0x60, 0, 0x7d900000, 0x100000);
    ivrs_ivhd(builder, (struct ivrs_ivhd){.type = 0x40, .id = 2, .base = 0xfd200000, .efr = 2});
    ivrs_all(builder, 1);
    ivrs_select(builder, 8, 2);
    ivrs_range(builder, 0x10, 0x1f, 3);
    ivrs_padding(builder);
    ivrs_alias(builder, 0x20, 0x21, 4);
    ivrs_alias_range(builder, 0xff00, 0xffff, 0xa5, 5);
    ivrs_extended(builder, 0x30, 6, 0x80000000);
    ivrs_extended_range(builder, 0x38, 0x3f, 7, 0x40000000);
    ivrs_special(builder, 1, 0x21, 0xa0, 0xd7);
    ivrs_acpi(builder, 0xa5, 0x40, "\\_SB.FUR0");
    ivrs_ivhd(builder, (struct ivrs_ivhd){.type = 0x10, .id = 0x4002, .segment = 1, .base = 0xb7b00000});
    ivrs_range(builder, 0x4003, 0xfffe, 0);
    ivrs_special(builder, 1, 0x22, 0xa1, 0);
    ivrs_ivmd(builder, 0x22, 8, 1, 0, 0xfff, 0x9618e000, 0x1000);
}

/* The entry that a block of nothing else gives. */
static const struct ivrs_entry *only_entry(const struct ivrs_builder *builder)
{
    parse(builder);
    assert_int_equal(ivrs.findings.count, 0);
    assert_int_equal(ivrs.entry_count, 1);
    assert_false(ivrs.blocks[0].incomplete);
    return &ivrs.entries[0];
}

static void a_good_table(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    sample(&builder);
    parse(&builder);
    assert_int_equal(ivrs.findings.count, 0);
    assert_false(ivrs.truncated);
    assert_int_equal(ivrs.info, 0x203043);
    assert_int_equal(ivrs.block_count, 4);
    assert_true(ivrs.blocks[0].superseded && ivrs.blocks[1].superseded);
    assert_false(ivrs.blocks[2].superseded || ivrs.blocks[3].superseded);
    assert_int_equal(ivrs.blocks[2].type, 0x40);
    assert_int_equal(ivrs.blocks[2].first_entry, 2);
    assert_int_equal(ivrs.blocks[2].entries, 8);
    assert_int_equal(ivrs.blocks[2].padding, 1);
    assert_int_equal(ivrs.blocks[3].type, 0x10);
    assert_int_equal(ivrs.blocks[3].segment, 1);
    assert_int_equal(ivrs.blocks[3].base, 0xb7b00000);
    assert_int_equal(ivrs.blocks[3].entries, 1);
    assert_int_equal(ivrs.entries[10].first, 0x4003);
    assert_int_equal(ivrs.special_count, 3);
    assert_int_equal(ivrs.specials[0].block, 0);
    assert_int_equal(ivrs.specials[1].block, 2);
    assert_int_equal(ivrs.specials[2].block, 3);
    assert_int_equal(ivrs.specials[2].id, 0xa1);
    assert_int_equal(ivrs.memory_count, 3);
}

static void the_fields_of_a_unit(void **state)
{
    static const uint8_t types[] = {0x10, 0x11, 0x40};
    struct ivrs_builder builder;

    (void)state;
    for (size_t i = 0; i < sizeof types; i++) {
        ivrs_begin(&builder, 0);
        ivrs_ivhd(&builder, (struct ivrs_ivhd){.type = types[i],
                                               .flags = 0xb1,
                                               .id = 0x4002,
                                               .capability = 0x64,
                                               .segment = 0x1234,
                                               .info = 0x0305,
                                               .base = 0x12345678fd200000,
                                               .efr = 0x246577efa2254afa,
                                               .efr2 = 0x10,
                                               .feature_info = 0x80048f6e});
        parse(&builder);
        assert_int_equal(ivrs.findings.count, 0);
        assert_int_equal(ivrs.block_count, 1);
        assert_int_equal(ivrs.blocks[0].offset, TABLE_HEADER);
        assert_int_equal(ivrs.blocks[0].type, types[i]);
        assert_int_equal(ivrs.blocks[0].flags, 0xb1);
        assert_int_equal(ivrs.blocks[0].id, 0x4002);
        assert_int_equal(ivrs.blocks[0].capability, 0x64);
        assert_int_equal(ivrs.blocks[0].segment, 0x1234);
        assert_int_equal(ivrs.blocks[0].info, 0x0305);
        assert_int_equal(ivrs.blocks[0].feature_info, 0x80048f6e);
        assert_true(ivrs.blocks[0].base == 0x12345678fd200000);
        assert_true(ivrs.blocks[0].features == (types[i] == 0x10 ? 0 : 0x246577efa2254afa));
        assert_true(ivrs.blocks[0].features2 == (types[i] == 0x10 ? 0 : 0x10));
        assert_int_equal(ivrs.blocks[0].entries, 0);
    }
}

static void entries_for_single_devices(void **state)
{
    struct ivrs_builder builder;
    const struct ivrs_entry *entry;

    (void)state;
    one_unit(&builder, 0x10);
    ivrs_select(&builder, 0x1234, 0xd7);
    entry = only_entry(&builder);
    assert_int_equal(entry->first, 0x1234);
    assert_int_equal(entry->last, 0x1234);
    assert_int_equal(entry->settings, 0xd7);
    assert_int_equal(entry->offset, TABLE_HEADER + 24);
    assert_int_equal(entry->kind, IVRS_ENTRY_SELECT);

    one_unit(&builder, 0x11);
    ivrs_alias(&builder, 0x1234, 0x5678, 0x41);
    entry = only_entry(&builder);
    assert_int_equal(entry->last, 0x1234);
    assert_true(ivrs_is_aliased(entry));
    assert_int_equal(entry->alias, 0x5678);
    assert_int_equal(entry->settings, 0x41);
    assert_int_equal(entry->offset, TABLE_HEADER + 40);

    one_unit(&builder, 0x10);
    ivrs_extended(&builder, 0x1234, 0x42, 0x89abcdef);
    entry = only_entry(&builder);
    assert_int_equal(entry->last, 0x1234);
    assert_int_equal(entry->extended, 0x89abcdef);
    assert_int_equal(entry->settings, 0x42);
    assert_false(ivrs_is_aliased(entry));
}

static void entries_for_many_devices(void **state)
{
    struct ivrs_builder builder;
    const struct ivrs_entry *entry;

    (void)state;
    one_unit(&builder, 0x10);
    ivrs_all(&builder, 0xd7);
    entry = only_entry(&builder);
    assert_int_equal(entry->kind, IVRS_ENTRY_ALL);
    assert_int_equal(entry->first, 0);
    assert_int_equal(entry->last, 0xffff);
    assert_int_equal(entry->settings, 0xd7);

    one_unit(&builder, 0x10);
    ivrs_range(&builder, 3, 0xfffe, 0x43);
    entry = only_entry(&builder);
    assert_int_equal(entry->first, 3);
    assert_int_equal(entry->last, 0xfffe);
    assert_int_equal(entry->settings, 0x43);
    assert_int_equal(entry->kind, IVRS_ENTRY_START);

    one_unit(&builder, 0x10);
    ivrs_alias_range(&builder, 0xff00, 0xffff, 0xa5, 0x44);
    entry = only_entry(&builder);
    assert_int_equal(entry->first, 0xff00);
    assert_int_equal(entry->last, 0xffff);
    assert_true(ivrs_is_aliased(entry));
    assert_int_equal(entry->alias, 0xa5);

    one_unit(&builder, 0x10);
    ivrs_extended_range(&builder, 0x38, 0x3f, 0x45, 0x80000000);
    entry = only_entry(&builder);
    assert_int_equal(entry->last, 0x3f);
    assert_int_equal(entry->extended, 0x80000000);

    /* One device is a range too, and padding may stand within it. */
    one_unit(&builder, 0x10);
    ivrs_entry4(&builder, 0x03, 8, 0);
    ivrs_padding(&builder);
    ivrs_put(&builder, 0x40, 8);
    ivrs_entry4(&builder, 0x04, 8, 0);
    entry = only_entry(&builder);
    assert_int_equal(entry->first, 8);
    assert_int_equal(entry->last, 8);
}

static void acpi_devices(void **state)
{
    struct ivrs_builder builder;
    const struct ivrs_entry *entry;

    (void)state;
    one_unit(&builder, 0x40);
    ivrs_acpi(&builder, 0xa5, 0x40, "\\_SB.FUR0");
    entry = only_entry(&builder);
    assert_int_equal(entry->kind, IVRS_ENTRY_ACPI);
    assert_int_equal(entry->first, 0xa5);
    assert_int_equal(entry->last, 0xa5);
    assert_int_equal(entry->settings, 0x40);

    /* What follows is found behind the UID, also behind one of no bytes. */
    ivrs_acpi(&builder, 0xa6, 0, "");
    ivrs_select(&builder, 9, 0);
    parse(&builder);
    assert_int_equal(ivrs.findings.count, 0);
    assert_int_equal(ivrs.entry_count, 3);
    assert_int_equal(ivrs.entries[2].first, 9);
}

static void special_devices(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    one_unit(&builder, 0x10);
    ivrs_special(&builder, 1, 0x21, 0x1234, 0xd7);
    ivrs_special(&builder, 2, 0, 0xa0, 0);
    ivrs_special(&builder, 3, 0, 0xa0, 0);
    parse(&builder);
    assert_int_equal(ivrs.entry_count, 0);
    assert_int_equal(ivrs.special_count, 2);
    assert_int_equal(ivrs.specials[0].kind, IVRS_SPECIAL_IOAPIC);
    assert_int_equal(ivrs.specials[0].handle, 0x21);
    assert_int_equal(ivrs.specials[0].id, 0x1234);
    assert_int_equal(ivrs.specials[0].settings, 0xd7);
    assert_int_equal(ivrs.specials[0].block, 0);
    assert_int_equal(ivrs.specials[0].offset, TABLE_HEADER + 24);
    assert_int_equal(ivrs.specials[1].kind, IVRS_SPECIAL_HPET);
    assert_int_equal(ivrs.findings.count, 1);
    assert_true(has_finding("device entry", "neither IO-APIC nor HPET", TABLE_HEADER + 40));
}

/* In whatever order the blocks come. */
static void the_highest_type_counts(void **state)
{
    static const uint8_t orders[][3] = {{0x10, 0x11, 0x40}, {0x40, 0x11, 0x10}, {0x11, 0x40, 0x10}};
    struct ivrs_builder builder;

    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        ivrs_begin(&builder, 0);
        for (size_t j = 0; j < 3; j++) {
            ivrs_ivhd(&builder, (struct ivrs_ivhd){.type = orders[i][j], .id = 2, .efr = orders[i][j]});
            ivrs_select(&builder, orders[i][j], 0);
        }
        parse(&builder);
        assert_int_equal(ivrs.block_count, 3);
        for (uint32_t j = 0; j < 3; j++) {
            assert_int_equal(ivrs.blocks[j].type, orders[i][j]);
            assert_int_equal(ivrs.blocks[j].superseded, orders[i][j] != 0x40);
            assert_int_equal(ivrs.blocks[j].entries, 1);
            assert_int_equal(ivrs.entries[ivrs.blocks[j].first_entry].first, orders[i][j]);
        }
        assert_int_equal(ivrs.findings.count, 0);
    }
}

/* The same requester id in two segments is two units, and each has its own highest type. */
static void two_units(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    ivrs_begin(&builder, 0);
    ivrs_ivhd(&builder, (struct ivrs_ivhd){.type = 0x10, .id = 2, .base = 0x1000});
    ivrs_select(&builder, 1, 0);
    ivrs_ivhd(&builder, (struct ivrs_ivhd){.type = 0x10, .id = 2, .segment = 1, .base = 0x2000});
    ivrs_select(&builder, 2, 0);
    ivrs_select(&builder, 3, 0);
    ivrs_ivhd(&builder, (struct ivrs_ivhd){.type = 0x11, .id = 2, .base = 0x1000});
    ivrs_select(&builder, 4, 0);
    parse(&builder);
    assert_int_equal(ivrs.findings.count, 0);
    assert_int_equal(ivrs.block_count, 3);
    assert_true(ivrs.blocks[0].superseded);
    assert_false(ivrs.blocks[1].superseded || ivrs.blocks[2].superseded);
    assert_int_equal(ivrs.blocks[1].first_entry, 1);
    assert_int_equal(ivrs.blocks[1].entries, 2);
    assert_int_equal(ivrs.entries[3].first, 4);
}

/* The first stands; what the second names is not known to be behind the unit, and the unit remembers. */
static void one_block_of_a_type_for_a_unit(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    one_unit(&builder, 0x11);
    ivrs_select(&builder, 1, 0);
    ivrs_ivhd(&builder, (struct ivrs_ivhd){.type = 0x11, .id = 2, .base = 0xbad00000});
    ivrs_select(&builder, 2, 0);
    parse(&builder);
    assert_false(ivrs.blocks[0].superseded);
    assert_true(ivrs.blocks[1].superseded);
    assert_true(ivrs.blocks[0].incomplete);
    assert_true(has_finding("IVHD", "second block", builder.open));
}

static void memory_blocks(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    ivrs_begin(&builder, 0);
    ivrs_ivmd(&builder, 0x20, 0x07, 0, 0x11, 0x22, 0x1000, 0x2000);
    ivrs_ivmd(&builder, 0x21, 0x08, 1, 0x60, 0x22, 0x7d900123, 0x45); /* not whole pages */
    ivrs_ivmd(&builder, 0x22, 0x03, 2, 0x60, 0x67, 0xfffffffffffff000, 0x1000);
    parse(&builder);
    assert_int_equal(ivrs.findings.count, 0);
    assert_int_equal(ivrs.memory_count, 3);
    assert_int_equal(ivrs.memory[0].type, IVRS_IVMD_ALL);
    assert_int_equal(ivrs.memory[0].first, 0);
    assert_int_equal(ivrs.memory[0].last, 0xffff);
    assert_int_equal(ivrs.memory[0].flags, IVRS_MEMORY_UNITY | IVRS_MEMORY_READ | IVRS_MEMORY_WRITE);
    assert_int_equal(ivrs.memory[0].offset, TABLE_HEADER);
    assert_int_equal(ivrs.memory[1].type, IVRS_IVMD_ONE);
    assert_int_equal(ivrs.memory[1].first, 0x60);
    assert_int_equal(ivrs.memory[1].last, 0x60);
    assert_int_equal(ivrs.memory[1].segment, 1);
    assert_int_equal(ivrs.memory[1].flags, IVRS_MEMORY_EXCLUSION);
    assert_int_equal(ivrs.memory[1].base, 0x7d900123);
    assert_int_equal(ivrs.memory[1].size, 0x45);
    assert_int_equal(ivrs.memory[2].last, 0x67);
    assert_true(ivrs.memory[2].base == 0xfffffffffffff000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_table),
        cmocka_unit_test(the_fields_of_a_unit),
        cmocka_unit_test(entries_for_single_devices),
        cmocka_unit_test(entries_for_many_devices),
        cmocka_unit_test(acpi_devices),
        cmocka_unit_test(a_uid_beyond_its_block),
        cmocka_unit_test(special_devices),
        cmocka_unit_test(the_highest_type_counts),
        cmocka_unit_test(two_units),
        cmocka_unit_test(one_block_of_a_type_for_a_unit),
        cmocka_unit_test(memory_blocks),
        cmocka_unit_test(memory_that_makes_no_sense),
        cmocka_unit_test(ranges_that_make_no_sense),
        cmocka_unit_test(a_range_ends_with_its_block),
        cmocka_unit_test(unknown_entries),
        cmocka_unit_test(unknown_blocks),
        cmocka_unit_test(a_short_unit_is_remembered),
        cmocka_unit_test(impossible_lengths_stop_the_walk),
        cmocka_unit_test(every_byte_a_bad_length),
        cmocka_unit_test(a_block_cut_within_an_entry),
        cmocka_unit_test(not_a_table),
        cmocka_unit_test(the_header_says_another_length),
        cmocka_unit_test(truncated_at_every_byte),
        cmocka_unit_test(cut_at_every_byte_and_consistent),
        cmocka_unit_test(every_bit_flipped),
        cmocka_unit_test(more_units_and_memory_than_there_is_room_for),
        cmocka_unit_test(more_entries_than_there_is_room_for),
        cmocka_unit_test(real_tables),
    };

    return cmocka_run_group_tests_name("iommu_ivrs", tests, NULL, NULL);
}

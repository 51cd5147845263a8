/* SPDX-License-Identifier: MIT */
/* The IVRS parser and tables that are not sound: what is lost, what stands, and what is said about it. */
#include "tests/unit/iommu_ivrs/ivrs_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* A UID that reaches beyond the block, and an entry too short to have one. */
void a_uid_beyond_its_block(void **state)
{
    struct ivrs_builder builder;
    uint32_t at;

    (void)state;
    one_unit(&builder, 0x40);
    ivrs_select(&builder, 9, 0);
    at = builder.size;
    ivrs_acpi(&builder, 0xa5, 0x40, "\\_SB.FUR0");
    for (uint32_t length = 10; length < 256; length++) {
        builder.bytes[at + 21] = (uint8_t)length;
        parse(&builder);
        assert_int_equal(ivrs.entry_count, 1);
        assert_true(ivrs.blocks[0].incomplete);
        assert_true(has_finding("device entry", "length is impossible", at));
    }
    one_unit(&builder, 0x40);
    at = builder.size;
    ivrs_entry4(&builder, 0xf0, 0xa5, 0x40);
    parse(&builder);
    assert_int_equal(ivrs.entry_count, 0);
    assert_true(has_finding("device entry", "length is impossible", at));
}

void memory_that_makes_no_sense(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    ivrs_begin(&builder, 0);
    ivrs_ivmd(&builder, 0x21, 7, 0, 1, 0, 0x1000, 0);
    ivrs_ivmd(&builder, 0x21, 7, 0, 1, 0, 0xfffffffffffff000, 0x1001);
    ivrs_ivmd(&builder, 0x21, 7, 0, 1, 0, 1, UINT64_MAX); /* ends at the last address: sound */
    ivrs_ivmd(&builder, 0x22, 7, 0, 2, 1, 0x1000, 0x1000);
    ivrs_ivmd(&builder, 0x23, 7, 0, 2, 0x40, 0x1000, 0x1000);
    ivrs_open(&builder, 0x21, 7);
    ivrs_put(&builder, 0, 27);
    ivrs_ivmd(&builder, 0x21, 7, 0, 5, 0, 0x1000, 0x1000);
    parse(&builder);
    assert_int_equal(ivrs.memory_count, 4);
    assert_true(ivrs.memory[0].malformed && ivrs.memory[1].malformed);
    assert_false(ivrs.memory[2].malformed || ivrs.memory[3].malformed);
    assert_int_equal(ivrs.memory[3].first, 5);
    assert_int_equal(ivrs.findings.count, 5);
    assert_true(has_finding("IVMD", "no bytes", TABLE_HEADER));
    assert_true(has_finding("IVMD", "beyond the last address", TABLE_HEADER + 32));
    assert_true(has_finding("IVMD", "ends before it starts", TABLE_HEADER + 3 * 32));
    assert_true(has_finding("IVMD", "devices of one unit", TABLE_HEADER + 4 * 32));
    assert_true(has_finding("IVMD", "too short", TABLE_HEADER + 5 * 32));
    assert_false(ivrs.truncated);
}

void ranges_that_make_no_sense(void **state)
{
    struct ivrs_builder builder;
    uint32_t at = TABLE_HEADER + 24;

    (void)state;
    one_unit(&builder, 0x10);
    ivrs_entry4(&builder, 0x04, 5, 0);
    ivrs_entry4(&builder, 0x03, 6, 0);
    ivrs_select(&builder, 7, 0);
    ivrs_entry4(&builder, 0x04, 8, 0);
    ivrs_range(&builder, 10, 9, 0);
    ivrs_select(&builder, 11, 0);
    ivrs_entry4(&builder, 0x03, 12, 0);
    ivrs_range(&builder, 13, 14, 0);
    ivrs_entry4(&builder, 0x03, 15, 0);
    parse(&builder);
    assert_true(has_finding("device entry", "did not start", at));
    assert_true(has_finding("device entry", "without an end", at + 4));
    assert_true(has_finding("device entry", "did not start", at + 12));
    assert_true(has_finding("device entry", "ends before it starts", at + 16));
    assert_true(has_finding("device entry", "without an end", at + 28));
    assert_true(has_finding("device entry", "without an end", at + 40));
    assert_int_equal(ivrs.findings.count, 6);
    assert_true(ivrs.blocks[0].incomplete);
    assert_int_equal(ivrs.entry_count, 3);
    assert_int_equal(ivrs.entries[0].first, 7);
    assert_int_equal(ivrs.entries[1].first, 11);
    assert_int_equal(ivrs.entries[2].first, 13);
    assert_int_equal(ivrs.entries[2].last, 14);
}

/* A range does not go on in the next unit's block. */
void a_range_ends_with_its_block(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    one_unit(&builder, 0x10);
    ivrs_entry4(&builder, 0x03, 8, 0);
    ivrs_ivhd(&builder, (struct ivrs_ivhd){.type = 0x10, .id = 0x4002});
    ivrs_entry4(&builder, 0x04, 16, 0);
    parse(&builder);
    assert_int_equal(ivrs.entry_count, 0);
    assert_true(has_finding("device entry", "without an end", TABLE_HEADER + 24));
    assert_true(has_finding("device entry", "did not start", builder.open + 24));
    assert_true(ivrs.blocks[0].incomplete && ivrs.blocks[1].incomplete);
}

/* The two top bits of a kind say how long it is; from F1h on nothing does. */
void unknown_entries(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    for (uint32_t kind = 0; kind < 256; kind++) {
        static const uint8_t known[] = {0, 1, 2, 3, 4, 0x40, 0x42, 0x43, 0x46, 0x47, 0x48, 0xf0};

        if (memchr(known, (int)kind, sizeof known) != NULL)
            continue;
        one_unit(&builder, 0x40);
        ivrs_select(&builder, 1, 0);
        ivrs_put(&builder, kind, 1);
        for (uint32_t i = 1; i < 4u << (kind >> 6); i++)
            ivrs_put(&builder, 2, 1); /* read as an entry, a select */
        ivrs_select(&builder, 9, 0);
        parse(&builder);
        assert_int_equal(ivrs.findings.count, 1);
        assert_true(ivrs.blocks[0].incomplete);
        assert_true(has_finding("device entry", kind < 0xf0 ? "does not know" : "rest of the list is lost",
                                TABLE_HEADER + 44));
        assert_int_equal(ivrs.entry_count, kind < 0xf0 ? 2 : 1);
        assert_int_equal(ivrs.entries[ivrs.entry_count - 1].first, kind < 0xf0 ? 9 : 1);
    }
}

void unknown_blocks(void **state)
{
    static const uint8_t types[] = {0x00, 0x0f, 0x12, 0x24, 0x41, 0x51, 0x83, 0xff};
    struct ivrs_builder builder;

    (void)state;
    for (size_t i = 0; i < sizeof types; i++) {
        one_unit(&builder, 0x10);
        ivrs_ivhd(&builder, (struct ivrs_ivhd){.type = types[i], .id = 2, .base = 0xbad00000});
        ivrs_ivmd(&builder, 0x21, 7, 0, 5, 0, 0x1000, 0x1000);
        parse(&builder);
        assert_int_equal(ivrs.block_count, 1);
        assert_int_equal(ivrs.blocks[0].type, 0x10);
        assert_int_equal(ivrs.memory_count, 1);
        assert_int_equal(ivrs.findings.count, 1);
        assert_true(has_finding("block", "does not know", TABLE_HEADER + 24));
        assert_false(ivrs.truncated);
    }
}

/* A unit that cannot be read may own any device: what follows must know that. */
void a_short_unit_is_remembered(void **state)
{
    static const uint8_t types[] = {0x10, 0x11, 0x40};
    struct ivrs_builder builder;

    (void)state;
    for (size_t i = 0; i < sizeof types; i++)
        for (uint32_t length = 4; length < (types[i] == 0x10 ? 24 : 40); length++) {
            ivrs_begin(&builder, 0);
            ivrs_open(&builder, types[i], 0);
            for (uint32_t filled = 4; filled < length; filled++)
                ivrs_put(&builder, 0, 1);
            assert_true(parse_exact(builder.bytes, builder.size));
            assert_int_equal(ivrs.block_count, 0);
            ivrs_ivhd(&builder, (struct ivrs_ivhd){.type = 0x10, .id = 2});
            parse(&builder);
            assert_int_equal(ivrs.block_count, 1);
            assert_int_equal(ivrs.findings.count, 1);
            assert_true(has_finding("IVHD", "too short", TABLE_HEADER));
            assert_true(ivrs.truncated);
        }
}

void impossible_lengths_stop_the_walk(void **state)
{
    static const uint16_t lengths[] = {0, 1, 3, 0xffff};
    struct ivrs_builder builder;

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        sample(&builder);
        builder.bytes[TABLE_HEADER + 2] = (uint8_t)lengths[i];
        builder.bytes[TABLE_HEADER + 3] = (uint8_t)(lengths[i] >> 8);
        parse(&builder);
        assert_int_equal(ivrs.block_count, 0);
        assert_true(ivrs.truncated);
        assert_true(has_finding("block", "what follows is lost", TABLE_HEADER));
    }
}

/* Wherever a length may stand, and everywhere else too. */
void every_byte_a_bad_length(void **state)
{
    static const uint8_t values[] = {0, 1, 3, 255};
    struct ivrs_builder builder;

    (void)state;
    sample(&builder);
    for (uint32_t at = 4; at < builder.size; at++)
        for (size_t i = 0; i < sizeof values; i++) {
            uint8_t before = builder.bytes[at];

            builder.bytes[at] = values[i];
            parse(&builder);
            builder.bytes[at] = before;
        }
}

/* An entry cut by the end of its block costs only that. */
void a_block_cut_within_an_entry(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    for (uint32_t bytes = 1; bytes < 8; bytes++) {
        one_unit(&builder, 0x10);
        ivrs_select(&builder, 9, 0);
        ivrs_put(&builder, 0x42, bytes);
        ivrs_ivhd(&builder, (struct ivrs_ivhd){.type = 0x10, .id = 0x4002});
        ivrs_select(&builder, 10, 0);
        parse(&builder);
        assert_int_equal(ivrs.block_count, 2);
        assert_int_equal(ivrs.entry_count, 2);
        assert_true(ivrs.blocks[0].incomplete);
        assert_false(ivrs.blocks[1].incomplete);
        assert_false(ivrs.truncated);
        assert_true(has_finding("device entry", "rest of the list is lost", TABLE_HEADER + 28));
    }
}

void not_a_table(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    sample(&builder);
    assert_false(parse_exact(builder.bytes, 47));
    assert_true(has_finding("table", "too short", 0));
    assert_false(parse_exact(builder.bytes, 0));
    builder.bytes[0] = 'X';
    assert_false(parse_exact(builder.bytes, builder.size));
    assert_true(has_finding("table", "another table", 0));
}

void the_header_says_another_length(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    one_unit(&builder, 0x10);
    builder.bytes[4]++;
    parse(&builder);
    assert_int_equal(ivrs.block_count, 1);
    assert_true(has_finding("header", "not the table's", 4));
    assert_true(ivrs.truncated); /* bytes are missing, and a unit may be among them */
    builder.bytes[4] = 47;
    parse(&builder);
    assert_int_equal(ivrs.block_count, 1);
    assert_true(has_finding("header", "not the table's", 4));
    /* What the header leaves out does not count. */
    builder.bytes[4] = TABLE_HEADER;
    parse(&builder);
    assert_int_equal(ivrs.block_count, 0);
    assert_int_equal(ivrs.findings.count, 0);
    builder.bytes[4] = TABLE_HEADER + 3;
    parse(&builder);
    assert_true(has_finding("table", "ends within a structure", TABLE_HEADER));
}

void truncated_at_every_byte(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    sample(&builder);
    for (size_t size = 0; size < builder.size; size++) {
        assert_int_equal(parse_exact(builder.bytes, size), size >= TABLE_HEADER);
        assert_true(size < TABLE_HEADER || ivrs.truncated);
    }
}

/* As above, but with a header and a last block that agree to the cut. */
void cut_at_every_byte_and_consistent(void **state)
{
    struct ivrs_builder whole, cut;

    (void)state;
    sample(&whole);
    for (uint32_t size = TABLE_HEADER; size < whole.size; size++) {
        uint32_t at = TABLE_HEADER, next = TABLE_HEADER;

        cut = whole;
        cut.bytes[4] = (uint8_t)size;
        cut.bytes[5] = (uint8_t)(size >> 8);
        while (next < size) {
            at = next;
            next += whole.bytes[at + 2] + 256u * whole.bytes[at + 3];
        }
        if (size - at >= 4) {
            cut.bytes[at + 2] = (uint8_t)(size - at);
            cut.bytes[at + 3] = (uint8_t)((size - at) >> 8);
        }
        assert_true(parse_exact(cut.bytes, size));
    }
}

void every_bit_flipped(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    sample(&builder);
    for (size_t bit = 0; bit < (size_t)builder.size * 8; bit++) {
        builder.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        parse_exact(builder.bytes, builder.size);
        builder.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

void more_units_and_memory_than_there_is_room_for(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    ivrs_begin(&builder, 0);
    for (uint32_t i = 0; i < IVRS_BLOCKS_MAX + 3; i++)
        ivrs_ivhd(&builder, (struct ivrs_ivhd){.type = 0x10, .id = (uint16_t)(i << 8)});
    for (uint32_t i = 0; i < IVRS_MEMORY_MAX + 3; i++)
        ivrs_ivmd(&builder, 0x21, 7, 0, 1, 0, 0x1000, 0x1000);
    parse(&builder);
    assert_int_equal(ivrs.block_count, IVRS_BLOCKS_MAX);
    assert_int_equal(ivrs.memory_count, IVRS_MEMORY_MAX);
    assert_int_equal(ivrs.findings.count, 6);
    assert_true(ivrs.truncated);
}

void more_entries_than_there_is_room_for(void **state)
{
    struct ivrs_builder builder;

    (void)state;
    one_unit(&builder, 0x10);
    for (uint32_t i = 0; i < IVRS_ENTRIES_MAX + 3; i++)
        ivrs_select(&builder, (uint16_t)i, 0);
    for (uint32_t i = 0; i < IVRS_SPECIALS_MAX + 40; i++)
        ivrs_special(&builder, 1, 0, 0, 0);
    ivrs_ivhd(&builder, (struct ivrs_ivhd){.type = 0x10, .id = 0x4002});
    parse(&builder);
    assert_int_equal(ivrs.entry_count, IVRS_ENTRIES_MAX);
    assert_int_equal(ivrs.special_count, IVRS_SPECIALS_MAX);
    assert_int_equal(ivrs.findings.count, 43);
    assert_true(ivrs.blocks[0].incomplete);
    assert_false(ivrs.blocks[1].incomplete);
}

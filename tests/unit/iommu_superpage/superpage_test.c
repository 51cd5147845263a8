/* SPDX-License-Identifier: MIT */
/* Leaves of 2 MiB and 1 GiB: where they come from, how they are split, what they cost. */
#include "drivers/iommu/driver.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/unit/iommu_engine/model.h"
#include "tests/unit/iommu_engine/oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BLOCK 512u
#define GIB   (BLOCK * BLOCK)

static uint64_t released;

static void count_release(uint64_t mfn, uint32_t flags)
{
    (void)mfn, (void)flags;
    released++;
}

static void start(uint32_t quota)
{
    oracle_start(quota);
    released = 0;
    model.on_release = count_release;
}

/* Level of the entry that translates bfn. */
static uint32_t level_at(uint64_t bfn)
{
    uint32_t level;

    return page_table_lookup(&context->table, bfn, &level) != 0 ? level : 0;
}

static void map(uint64_t bfn, uint64_t mfn, uint32_t order, uint32_t flags)
{
    assert_int_equal(iommu_map(context, bfn, mfn, order, flags, &flush), 0);
}

static void flush_now(void)
{
    assert_int_equal(iommu_flush(&flush), 0);
}

static void expect(uint64_t bfn, uint64_t mfn, uint32_t flags)
{
    struct iommu_mapping mapping;
    uint64_t entry = model_walk(0, bfn);

    assert_int_equal(iommu_lookup(context, bfn, &mapping), 0);
    assert_int_equal(mapping.mfn, mfn);
    assert_int_equal(mapping.flags, flags);
    assert_int_equal(entry >> 12 & 0xffffffffffull, mfn);
    assert_int_equal(model_permissions(entry), flags & RW);
}

/* ---- coming together ---- */

/* In any order; the store that completes the run is followed by the one that puts the leaf in its place. */
static void single_maps_make_a_leaf(void **state)
{
    uint64_t stores;

    (void)state;
    oracle_set_model(4, false, false, 2);
    start(100);
    for (uint64_t i = 0; i < BLOCK; i++) {
        assert_int_equal(level_at(BLOCK), i != 0 ? 1 : 0);
        stores = model.stores;
        map(BLOCK + i * 37 % BLOCK, 5 * BLOCK + i * 37 % BLOCK, 0, RW);
    }
    assert_int_equal(model.stores - stores, 2);
    assert_int_equal(level_at(BLOCK), 2);
    flush_now();
    assert_int_equal(iommu_tables_used(context), 3);
    assert_int_equal(released, 0);
    for (uint64_t i = 0; i < BLOCK; i++)
        expect(BLOCK + i, 5 * BLOCK + i, RW);
}

/* It is known whether all entries continue each other, whatever stood there before. */
static void the_last_wrong_page_makes_a_leaf(void **state)
{
    (void)state;
    oracle_set_model(3, true, false, 1);
    for (uint64_t wrong = 0; wrong < BLOCK; wrong += 73) {
        start(100);
        map(wrong, 9, 0, RW);
        for (uint64_t i = 0; i < BLOCK; i++)
            if (i != wrong)
                map(i, BLOCK + i, 0, RW);
        assert_int_equal(level_at(0), 1);
        map(wrong, BLOCK + wrong, 0, IOMMU_READ);
        assert_int_equal(level_at(0), 1);
        map(wrong, BLOCK + wrong, 0, RW);
        assert_int_equal(level_at(0), 2);
        flush_now();
        assert_int_equal(released, 2);
    }
}

static void what_is_not_a_run_stays_apart(void **state)
{
    (void)state;
    oracle_set_model(3, true, false, 1);
    start(100);
    for (uint64_t i = 0; i < BLOCK; i++) {
        map(i, i + 1, 0, RW);                         /* not aligned */
        map(2 * BLOCK + i, (i + 1) % BLOCK, 0, RW);   /* turned */
        map(4 * BLOCK + i, i, 0, i == 300 ? 1u : RW); /* one of other permissions */
        map(6 * BLOCK + i, i + (i > 300), 0, RW);     /* a frame left out */
        map(8 * BLOCK + i, BLOCK - 1 - i, 0, RW);     /* backwards */
    }
    for (uint64_t block = 0; block < 10; block += 2)
        assert_int_equal(level_at(block * BLOCK), 1);
}

/* 512 leaves of 2 MiB make one of 1 GiB. */
static void blocks_make_a_larger_leaf(void **state)
{
    uint64_t done;

    (void)state;
    oracle_set_model(4, true, true, 1);
    start(600);
    for (uint64_t i = 0; i < BLOCK; i++) {
        uint64_t block = GIB + i * 75 % BLOCK * BLOCK;

        assert_int_equal(iommu_map_run(context, block, GIB + block, BLOCK, RW, &flush, &done), 0);
    }
    assert_int_equal(level_at(GIB), 3);
    flush_now();
    assert_int_equal(iommu_tables_used(context), 2);
    assert_int_equal(context->table.reserve, 513);
    expect(GIB + 12345, 2 * GIB + 12345, RW);
}

static void an_order_is_one_store(void **state)
{
    uint64_t stores;

    (void)state;
    oracle_set_model(4, true, false, 1);
    for (uint32_t level = 2; level <= 3; level++) {
        uint32_t order = 9 * (level - 1);

        start(1200);
        map(7ull << order, 3ull << order, order, RW);
        assert_int_equal(level_at(7ull << order), level);
        stores = model.stores;
        map(6ull << order, 5ull << order, order, RW);
        map(6ull << order, 4ull << order, order, RW | IOMMU_PREMAP); /* another in its place */
        assert_int_equal(model.stores - stores, 2);
        expect((7ull << order) + 5, (3ull << order) + 5, RW);
        expect((7ull << order) - 1, (5ull << order) - 1, RW | IOMMU_PREMAP);
        flush_now();
        assert_int_equal(released, 1u << order);
        stores = model.stores;
        assert_int_equal(iommu_unmap(context, 6ull << order, order, &flush), 0);
        assert_int_equal(model.stores - stores, 1);
        assert_int_equal(iommu_unmap(context, 7ull << order, order, &flush), 0);
        flush_now();
        assert_int_equal(released, 3u << order);
        assert_int_equal(iommu_tables_used(context), 1);
        assert_int_equal(context->table.reserve, 0);
    }
}

/* Page by page what was there is replaced; what comes out is the leaf. */
static void an_order_onto_pages_is_a_leaf(void **state)
{
    (void)state;
    oracle_set_model(3, false, false, 1);
    start(600);
    map(BLOCK + 7, 1, 0, RW);
    map(BLOCK + 300, 2, 0, IOMMU_READ);
    map(BLOCK, 3 * BLOCK, 9, RW);
    assert_int_equal(level_at(BLOCK), 2);
    map(GIB + 7 * BLOCK + 1, 1, 0, RW);
    map(GIB + 9 * BLOCK, BLOCK, 9, RW);
    map(GIB, GIB, 18, RW);
    assert_int_equal(level_at(GIB), 3);
    flush_now();
    assert_int_equal(released, 2 + 1 + BLOCK);
    assert_int_equal(iommu_tables_used(context), 2);
}

static void only_leaves_that_the_units_have(void **state)
{
    (void)state;
    oracle_set_model(4, true, false, 1);
    for (model.leaf_level = 1; model.leaf_level <= 3; model.leaf_level++) {
        start(600);
        map(GIB, GIB, 18, RW);
        assert_int_equal(level_at(GIB), model.leaf_level);
        expect(2 * GIB - 1, 2 * GIB - 1, RW);
    }
}

/* ---- coming apart ---- */

static uint32_t before_split, splits;

/* A page that nobody asked to change, on the way. */
static void watch_the_neighbour(void)
{
    uint32_t level = level_at(BLOCK + 9);

    splits += level != before_split;
    before_split = level;
    expect(BLOCK + 9, 3 * BLOCK + 9, RW);
}

/* The table is complete before one store makes it of use, and the unit forgets all of the block. */
static void check_split(int (*change)(void), uint64_t at, uint64_t mfn, uint32_t flags)
{
    uint64_t stores;

    start(100);
    map(BLOCK, 3 * BLOCK, 9, RW);
    flush_now();
    for (uint64_t i = 0; i < BLOCK; i++)
        model_translate(0, context, BLOCK + i, true);
    stores = model.stores;
    before_split = 2;
    splits = 0;
    model.on_store = watch_the_neighbour;
    assert_int_equal(change(), 0);
    model.on_store = NULL;
    assert_int_equal(model.stores - stores, BLOCK + 1 + 1);
    assert_int_equal(splits, 1);
    assert_int_equal(level_at(BLOCK), 1);
    flush_now();
    assert_int_equal(released, 1);
    for (uint64_t i = 0; i < BLOCK; i++) {
        uint64_t entry = model_translate(0, context, BLOCK + i, true);

        if (BLOCK + i != at)
            assert_int_equal(entry >> 12 & 0xffffffffffull, 3 * BLOCK + i);
        else
            assert_int_equal(entry == 0 ? 0 : entry >> 12 & 0xffffffffffull, mfn);
        assert_int_equal(model_permissions(entry), BLOCK + i == at ? flags : RW);
    }
}

static int unmap_one_page(void)
{
    return iommu_unmap(context, BLOCK + 100, 0, &flush);
}
static int replace_one_page(void)
{
    return iommu_map(context, BLOCK + 200, 77, 0, RW, &flush);
}
static int narrow_one_page(void)
{
    return iommu_map(context, BLOCK + 511, 3 * BLOCK + 511, 0, IOMMU_READ, &flush);
}

static void a_change_of_one_page_splits_a_leaf(void **state)
{
    (void)state;
    for (uint32_t coherent = 0; coherent < 2; coherent++) {
        oracle_set_model(3, coherent != 0, false, 1);
        check_split(unmap_one_page, BLOCK + 100, 0, 0);
        check_split(replace_one_page, BLOCK + 200, 77, RW);
        check_split(narrow_one_page, BLOCK + 511, 3 * BLOCK + 511, IOMMU_READ);
    }
}

static void a_page_of_a_gib_splits_twice(void **state)
{
    uint64_t stores;

    (void)state;
    oracle_set_model(4, true, false, 1);
    start(600);
    map(GIB, 0, 18, RW);
    flush_now();
    stores = model.stores;
    assert_int_equal(iommu_unmap(context, GIB + 5 * BLOCK + 1, 0, &flush), 0);
    assert_int_equal(model.stores - stores, 2 * (BLOCK + 1) + 1);
    assert_int_equal(level_at(GIB), 2);
    assert_int_equal(level_at(GIB + 5 * BLOCK), 1);
    stores = model.stores;
    assert_int_equal(iommu_unmap(context, GIB + 6 * BLOCK, 9, &flush), 0);
    assert_int_equal(model.stores - stores, 1);
    map(GIB + 6 * BLOCK, 6 * BLOCK, 9, RW);
    map(GIB + 5 * BLOCK + 1, 5 * BLOCK + 1, 0, RW);
    assert_int_equal(level_at(GIB), 3);
    flush_now();
    assert_int_equal(released, 1 + BLOCK);
    assert_int_equal(iommu_tables_used(context), 2);
}

/* ---- quota ---- */

/* No map takes what a split may need, and so an unmap never lacks a page. */
static void the_quota_is_as_if_all_were_small(void **state)
{
    uint64_t blocks = 0;

    (void)state;
    oracle_set_model(4, true, false, 1);
    start(20); /* beside the root: two upper tables, and 18 that leaf tables would be */
    while (iommu_map(context, 2 * blocks * BLOCK, 2 * blocks * BLOCK, 9, RW, &flush) == 0)
        blocks++;
    assert_int_equal(blocks, 18);
    assert_int_equal(iommu_tables_used(context), 3);
    assert_int_equal(iommu_map(context, BLOCK, 1, 0, RW, &flush), -ENOMEM);
    assert_int_equal(iommu_map(context, 1ull << 27, 1, 0, RW, &flush), -ENOMEM);
    assert_int_equal(iommu_map(context, GIB, 0, 18, RW, &flush), -ENOMEM);
    model.allocation_limit = 0;
    for (uint64_t i = 0; i < blocks; i++)
        assert_int_equal(iommu_unmap(context, 2 * i * BLOCK + i, 0, &flush), 0);
    flush_now();
    assert_int_equal(iommu_tables_used(context), 21);
    assert_int_equal(released, 18);
    for (uint64_t i = 0; i < blocks; i++) /* pages come free by the merges, but only for splits */
        map(2 * i * BLOCK + i, 2 * i * BLOCK + i, 0, RW);
    assert_int_equal(iommu_map(context, BLOCK, 1, 0, RW, &flush), -ENOMEM);
    assert_int_equal(iommu_tables_used(context), 3);
}

/* The units are told in time when pages that only wait for a flush would be missed. */
static void a_merge_flushes_when_pages_are_short(void **state)
{
    (void)state;
    oracle_set_model(3, true, false, 1);
    start(2);
    for (uint64_t i = 0; i < BLOCK; i++)
        map(i, i, 0, RW);
    assert_int_equal(level_at(0), 2);
    assert_true(context->table.quota - context->table.used >= context->table.reserve);
    assert_int_equal(model.waits, 1);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(iommu_unmap(context, i, 0, &flush), 0);
        map(i, i, 0, RW);
    }
    flush_now();
    assert_int_equal(released, 20);
}

static void a_dead_unit_in_a_merge_is_the_end(void **state)
{
    (void)state;
    oracle_set_model(3, true, false, 1);
    start(2);
    for (uint64_t i = 0; i + 1 < BLOCK; i++)
        map(i, i, 0, RW);
    model.drop_waits = true;
    map(511, 511, 0, RW);
    assert_int_equal(iommu_unmap(context, 3, 0, &flush), -EIO);
    assert_int_equal(iommu_unmap(context, 0, 9, &flush), -EIO);
    assert_int_equal(iommu_map(context, 0, BLOCK, 9, RW, &flush), -EIO);
    assert_int_equal(iommu_flush(&flush), -EIO);
    assert_int_equal(released, 0);
}

/* A machine of 64 GiB: below the device windows, and above them. */
static void the_boot_time_map_of_64_gib(void **state)
{
    static const struct iommu_range ram[] = {{0, 0xa0}, {0x100, 0x7ff00 - 37}, {0x100000, 0xf80000}};
    uint64_t frames = 0, done;

    (void)state;
    oracle_set_model(4, true, false, 1);
    start(0x1000000 / BLOCK + 256);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(
            iommu_map_run(context, ram[i].bfn, ram[i].bfn, ram[i].frames, RW | IOMMU_PREMAP, &flush, &done),
            0);
        frames += done;
    }
    flush_now();
    assert_true(frames >= 0xfff000);
    assert_int_equal(iommu_tables_used(context), 6); /* the root, two, and three where RAM ends */
    assert_int_equal(iommu_tables_peak(context), iommu_tables_used(context));
    expect(0x107ffff - GIB * 3, 0x107ffff - GIB * 3, RW | IOMMU_PREMAP);
    assert_int_equal(iommu_unmap(context, 0x800001, 0, &flush), 0);
    flush_now();
    assert_int_equal(iommu_tables_used(context), 6 + 2);
}

/* ---- reserved ranges ---- */

static void reserved_ranges_are_of_the_largest_leaves(void **state)
{
    uint64_t stores;

    (void)state;
    oracle_set_model(4, true, false, 1);
    model.reserved = (struct iommu_range){GIB, GIB + BLOCK};
    start(10);
    assert_int_equal(level_at(GIB), 3);
    assert_int_equal(level_at(2 * GIB), 2);
    expect(2 * GIB + 3, 2 * GIB + 3, RW | IOMMU_LOCKED);
    stores = model.stores;
    assert_int_equal(iommu_map(context, GIB + 5, 1, 0, RW, &flush), -EACCES);
    assert_int_equal(iommu_map(context, GIB + BLOCK, 0, 9, RW, &flush), -EACCES);
    assert_int_equal(iommu_map(context, GIB, 0, 18, RW, &flush), -EACCES);
    assert_int_equal(iommu_unmap(context, GIB + 5, 0, &flush), -EACCES);
    assert_int_equal(iommu_unmap(context, 2 * GIB, 9, &flush), -EACCES);
    assert_int_equal(iommu_unmap(context, GIB, 18, &flush), -EACCES);
    assert_int_equal(model.stores, stores);
    model.reserved = (struct iommu_range){0};
}

/* Where two overlap, the devices of each need both permissions; the rest of a leaf keeps its own. */
static void overlapping_ranges_split_a_leaf(void **state)
{
    (void)state;
    oracle_set_model(4, true, false, 1);
    model.reserved_read = (struct iommu_range){GIB, GIB};
    model.reserved = (struct iommu_range){GIB + 2 * BLOCK, 2 * BLOCK + 5};
    for (uint32_t turn = 0; turn < 2; turn++) {
        start(0);
        expect(GIB + 2 * BLOCK - 1, GIB + 2 * BLOCK - 1, IOMMU_READ | IOMMU_LOCKED);
        expect(GIB + 2 * BLOCK, GIB + 2 * BLOCK, RW | IOMMU_LOCKED);
        expect(GIB + 4 * BLOCK + 4, GIB + 4 * BLOCK + 4, RW | IOMMU_LOCKED);
        expect(GIB + 4 * BLOCK + 5, GIB + 4 * BLOCK + 5, IOMMU_READ | IOMMU_LOCKED);
        assert_int_equal(level_at(GIB), 2);
        assert_int_equal(level_at(GIB + 2 * BLOCK), 2);
        assert_int_equal(level_at(GIB + 4 * BLOCK), 1);
        assert_int_equal(iommu_tables_used(context), 4);
    }
    model.reserved = model.reserved_read = (struct iommu_range){0};
}

/* The other way round, over the whole: everything may be written in the end, and is one leaf again. */
static void a_wider_range_makes_one_leaf_again(void **state)
{
    (void)state;
    oracle_set_model(4, true, false, 1);
    model.reserved_read = (struct iommu_range){GIB + 2 * BLOCK, 2 * BLOCK + 5};
    model.reserved = (struct iommu_range){GIB, GIB};
    start(0);
    assert_int_equal(level_at(GIB), 3);
    expect(GIB + 4 * BLOCK + 4, GIB + 4 * BLOCK + 4, RW | IOMMU_LOCKED);
    assert_int_equal(iommu_tables_used(context), 2);
    model.reserved = model.reserved_read = (struct iommu_range){0};
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_maps_make_a_leaf),
        cmocka_unit_test(the_last_wrong_page_makes_a_leaf),
        cmocka_unit_test(what_is_not_a_run_stays_apart),
        cmocka_unit_test(blocks_make_a_larger_leaf),
        cmocka_unit_test(an_order_is_one_store),
        cmocka_unit_test(an_order_onto_pages_is_a_leaf),
        cmocka_unit_test(only_leaves_that_the_units_have),
        cmocka_unit_test(a_change_of_one_page_splits_a_leaf),
        cmocka_unit_test(a_page_of_a_gib_splits_twice),
        cmocka_unit_test(the_quota_is_as_if_all_were_small),
        cmocka_unit_test(a_merge_flushes_when_pages_are_short),
        cmocka_unit_test(a_dead_unit_in_a_merge_is_the_end),
        cmocka_unit_test(the_boot_time_map_of_64_gib),
        cmocka_unit_test(reserved_ranges_are_of_the_largest_leaves),
        cmocka_unit_test(overlapping_ranges_split_a_leaf),
        cmocka_unit_test(a_wider_range_makes_one_leaf_again),
    };

    return cmocka_run_group_tests_name("iommu_superpage_vtd", tests, oracle_vtd, NULL) +
           cmocka_run_group_tests_name("iommu_superpage_amdvi", tests, oracle_amdvi, NULL);
}

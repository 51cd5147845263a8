/* SPDX-License-Identifier: MIT */
/*
 * The engine and the accumulator against a flat oracle, under the eyes of the model IOMMU.
 *
 * The oracle is an array: BFN -> entry. After every store of the engine the device sees, for any page, either
 * what stood there at the last flush or what has been put there since; after a flush only the latter. What is
 * released is no longer reachable. The tables in use are exactly those that the live entries need.
 */
#include "drivers/iommu/driver.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/unit/iommu_engine/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RW      (IOMMU_READ | IOMMU_WRITE)
#define REGIONS 6u
#define SPAN    1536u /* BFNs of a region: three leaf tables */
#define PAGES   (REGIONS * SPAN)
#define MFNS    64u
#define HISTORY 8u

static struct oracle {
    uint64_t now[PAGES];
    uint64_t seen[PAGES][HISTORY]; /* what was right at some time since the last flush */
    uint32_t seen_count[PAGES];
    uint32_t references[MFNS];
    uint32_t touched[PAGES];
    uint32_t touched_count;
} oracle;
static struct iommu_context *context;
static struct iommu_flush flush;
static uint64_t random_state;
static uint32_t current_page; /* the page an operation is about */
static uint64_t current_new;
static bool in_operation;
static const uint64_t *starts; /* of the regions */
static uint32_t regions_open;  /* only the first so many are used yet */

/* Regions that share no table, share upper tables, and straddle every kind of boundary. */
static const uint64_t starts_below_2_27[REGIONS] = {0,        0x40000 - 512, 0x40000 + 4096,
                                                    0x100000, 0x3fff800,     0x7fff800};
/* What a tree of 1, 2, ... levels reaches last and first not; the end of all bus addresses. */
static const uint64_t starts_at_edges[REGIONS] = {
    0, (1ull << 18) - 512, (1ull << 27) - 512, (1ull << 36) - 512, (1ull << 45) - 512, (1ull << 52) - SPAN};

static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 11) % limit);
}

static uint64_t bfn_of(uint32_t page)
{
    return starts[page / SPAN] + page % SPAN;
}

static const struct page_format *format(void)
{
    return model.vendor == IOMMU_VENDOR_VTD ? vtd_driver.format : amdvi_driver.format;
}

static uint64_t entry_of(uint32_t mfn, uint32_t flags)
{
    uint64_t entry = (uint64_t)(mfn + 1) << 12 | format()->leaf_bits[flags];

    assert_int_equal(model_permissions(entry), flags & RW);
    return entry;
}

/* What hardware makes of an entry: nothing, when it permits nothing. */
static uint64_t visible(uint64_t entry)
{
    return model_permissions(entry) != 0 ? entry : 0;
}

/* ---- judging ---- */

static bool is_plausible(uint32_t page, uint64_t entry)
{
    if (entry == visible(oracle.now[page]))
        return true;
    for (uint32_t i = 0; i < oracle.seen_count[page]; i++)
        if (entry == visible(oracle.seen[page][i]))
            return true;
    return in_operation && page == current_page && entry == visible(current_new);
}

static void judge_page(uint32_t page, bool remember)
{
    for (uint32_t unit = 0; unit < model.units; unit++)
        assert_true(is_plausible(page, model_translate(unit, context, bfn_of(page), remember)));
}

static void look_after_store(void)
{
    judge_page(random_below(PAGES), false);
    judge_page(current_page, random_below(4) == 0);
    judge_page(random_below(PAGES), true);
}

/* By the time anything is released, no unit may hold a translation that is no longer right. */
static void look_at_release(uint64_t mfn, uint32_t flags)
{
    (void)flags;
    for (uint32_t i = 0; i < oracle.touched_count; i++) {
        uint32_t page = oracle.touched[i];

        for (uint32_t unit = 0; unit < model.units; unit++) {
            uint64_t entry;

            if (model_cached(unit, context, bfn_of(page), &entry))
                assert_int_equal(entry, visible(oracle.now[page]));
        }
    }
    assert_true(oracle.references[mfn - 1] > 0);
    oracle.references[mfn - 1]--;
}

/* A tree never loses levels: the root, and whatever has a live entry below it, at the levels it has by now.
 */
static uint32_t tables_needed(void)
{
    uint32_t tables = 1;

    for (uint32_t level = 1; level < context->table.levels; level++) {
        uint64_t last = UINT64_MAX;

        for (uint32_t page = 0; page < PAGES; page++) {
            uint64_t table = bfn_of(page) >> (9 * level);

            if (oracle.now[page] != 0 && table != last) {
                tables++;
                last = table;
            }
        }
    }
    return tables;
}

/* ---- operations ---- */

/* Entries change one by one; the model may look after each store. */
static void set_oracle(uint32_t page, uint64_t entry)
{
    if (oracle.now[page] == entry)
        return;
    if (oracle.seen_count[page] == 0)
        oracle.touched[oracle.touched_count++] = page;
    if (oracle.seen_count[page] < HISTORY)
        oracle.seen[page][oracle.seen_count[page]++] = oracle.now[page];
    oracle.now[page] = entry;
}

static void flush_now(void)
{
    assert_int_equal(iommu_flush(&flush), 0);
    /* An early flush inside an operation releases too, hence the oracle's history ends only here. */
    for (uint32_t i = 0; i < oracle.touched_count; i++)
        oracle.seen_count[oracle.touched[i]] = 0;
    for (uint32_t i = 0; i < oracle.touched_count; i++)
        judge_page(oracle.touched[i], true);
    oracle.touched_count = 0;
    for (uint32_t i = 0; i < 8; i++)
        judge_page(random_below(PAGES), true);
}

static bool history_is_full(uint32_t page)
{
    return oracle.seen_count[page] == HISTORY || oracle.touched_count == PAGES;
}

static void map_page(uint32_t page)
{
    static const uint32_t flag_choices[] = {IOMMU_READ, RW, IOMMU_WRITE, IOMMU_READ | IOMMU_WITHHELD,
                                            RW | IOMMU_PREMAP};
    uint32_t mfn = random_below(MFNS), flags = flag_choices[random_below(5)];
    uint8_t levels;
    uint64_t stores;
    int error;

    if (history_is_full(page) || iommu_flush_full(&flush))
        flush_now();
    current_page = page;
    current_new = entry_of(mfn, flags);
    in_operation = true;
    oracle.references[mfn]++;
    levels = context->table.levels;
    stores = model.stores;
    error = iommu_map(context, bfn_of(page), mfn + 1, 0, flags, &flush);
    in_operation = false;
    if (error == 0) {
        set_oracle(page, current_new);
        return;
    }
    assert_int_equal(error, -ENOMEM);
    oracle.references[mfn]--;
    assert_true(model.stores == stores || context->table.levels != levels);
    flush_now();
    assert_true(tables_needed() + model.levels_max > iommu_tables_quota(context));
}

static void unmap_page(uint32_t page)
{
    if (history_is_full(page) || iommu_flush_full(&flush))
        flush_now();
    current_page = page;
    current_new = 0;
    in_operation = true;
    assert_int_equal(iommu_unmap(context, bfn_of(page), 0, &flush), 0);
    in_operation = false;
    set_oracle(page, 0);
}

static void check_lookup(uint32_t page)
{
    struct iommu_mapping mapping = {0};
    int error = iommu_lookup(context, bfn_of(page), &mapping);

    if (oracle.now[page] == 0) {
        assert_int_equal(error, -ENOENT);
        return;
    }
    assert_int_equal(error, 0);
    assert_int_equal(entry_of((uint32_t)mapping.mfn - 1, mapping.flags), oracle.now[page]);
}

static void check_everything(void)
{
    flush_now();
    assert_int_equal(iommu_tables_used(context), tables_needed());
    for (uint32_t page = 0; page < PAGES; page++) {
        judge_page(page, true);
        check_lookup(page);
    }
}

static void start(uint32_t quota)
{
    memset(&oracle, 0, sizeof oracle);
    starts = starts_below_2_27;
    regions_open = REGIONS;
    model_init();
    assert_int_equal(iommu_context_create(&context, quota), 0);
    for (uint16_t unit = 0; unit < model.units; unit++)
        assert_int_equal(iommu_attach(context, unit, 0), 0);
    iommu_flush_begin(&flush, context);
}

/* First a few pages of each table, so that tables come and go all the time; then everything. */
static uint32_t pick_page(bool sparse)
{
    return sparse ? random_below(regions_open * 3) * 512 + random_below(3)
                  : random_below(regions_open * SPAN);
}

static void operate(uint32_t operations, bool growing)
{
    model.on_store = look_after_store;
    model.on_release = look_at_release;
    for (uint32_t i = 0; i < operations; i++) {
        bool sparse = i < operations / 2;
        uint32_t page = pick_page(sparse), run = random_below(4) == 0 && !sparse ? random_below(48) : 1;
        bool unmap = random_below(100) < 45 + (i / 4096 % 2) * 10; /* waves of filling and emptying */

        for (; run > 0; run--, page = page + 1 < regions_open * SPAN ? page + 1 : 0) {
            if (unmap)
                unmap_page(page);
            else
                map_page(page);
        }
        if (random_below(sparse ? 3 : 8) == 0)
            flush_now();
        if (growing && regions_open < REGIONS && random_below(operations) < 2 * REGIONS)
            regions_open++;
        if (i % 20000 == 0)
            check_everything();
    }
    check_everything();
    for (uint32_t page = 0; page < PAGES; page++)
        unmap_page(page);
    flush_now();
    assert_int_equal(iommu_tables_used(context), 1);
    for (uint32_t mfn = 0; mfn < MFNS; mfn++)
        assert_int_equal(oracle.references[mfn], 0);
}

static void random_operations(uint64_t seed, uint32_t operations, uint32_t quota)
{
    random_state = seed;
    start(quota);
    operate(operations, false);
}

static void set_model(uint8_t levels, bool coherent, bool caching_mode, uint32_t units)
{
    model.levels = model.levels_max = levels;
    model.coherent = coherent;
    model.caching_mode = caching_mode;
    model.units = units;
    model.order_max = 18;
}

static void random_three_levels(void **state)
{
    (void)state;
    set_model(3, true, false, 1);
    random_operations(1, 30000, 100);
}

static void random_four_levels_not_coherent(void **state)
{
    (void)state;
    set_model(4, false, false, 1);
    random_operations(2, 30000, 100);
}

static void random_caching_mode(void **state)
{
    (void)state;
    set_model(3, false, true, 1);
    random_operations(3, 20000, 100);
}

static void random_with_a_small_quota(void **state)
{
    (void)state;
    set_model(4, true, false, 1);
    random_operations(4, 20000, 14);
}

static void random_on_two_units(void **state)
{
    (void)state;
    set_model(4, false, false, 2);
    random_operations(5, 15000, 100);
}

static void random_without_page_selective_invalidation(void **state)
{
    (void)state;
    set_model(3, true, false, 1);
    model.order_max = -1;
    random_operations(6, 10000, 100);
}

/* ---- trees that grow ---- */

/* Many short lives, since a tree grows only once: from every first level, by one level or by several. */
static void random_growth(uint64_t seed, uint32_t quota)
{
    random_state = seed;
    for (uint8_t first = 1; first <= 4; first++)
        for (uint32_t life = 0; life < 6; life++) {
            model.levels = first;
            start(quota);
            starts = starts_at_edges;
            regions_open = 1 + life % 3;
            operate(1500, true);
        }
}

static void random_growth_to_six_levels(void **state)
{
    (void)state;
    set_model(6, true, false, 1);
    random_growth(7, 100);
}

static void random_growth_with_absence_remembered(void **state)
{
    (void)state;
    set_model(6, true, true, 1);
    random_growth(8, 100);
}

static void random_growth_on_two_units(void **state)
{
    (void)state;
    set_model(6, true, false, 2);
    random_growth(9, 100);
}

static void random_growth_with_small_quotas(void **state)
{
    (void)state;
    set_model(6, true, false, 1);
    for (uint32_t quota = 0; quota < 12; quota += 3)
        random_growth(10 + quota, quota);
}

/* Every level of growth at its edge: what was mapped stays, and the last and the first page are reached. */
static void growth_at_every_edge(void **state)
{
    (void)state;
    for (uint8_t first = 1; first <= 6; first++) {
        set_model(6, true, false, 2);
        model.levels = first;
        start(100);
        for (uint8_t levels = first; levels <= 6; levels++) {
            uint64_t last = levels < 6 ? (1ull << 9 * levels) - 1 : (1ull << 52) - 1;

            assert_int_equal(iommu_map(context, last, levels, 0, RW, &flush), 0);
            assert_int_equal(context->table.levels, levels);
            if (levels == 6)
                break;
            assert_int_equal(iommu_map(context, last + 1, 100u + levels, 0, RW, &flush), 0);
            assert_int_equal(iommu_flush(&flush), 0);
            assert_int_equal(context->table.levels, levels + 1);
            for (uint8_t old = first; old <= levels; old++)
                for (uint32_t unit = 0; unit < 2; unit++) {
                    uint64_t edge = 1ull << 9 * old;

                    assert_int_equal(model_device_levels(unit), levels + 1);
                    assert_int_equal(model_translate(unit, context, edge - 1, true) >> 12 & 0xff, old);
                    assert_int_equal(model_translate(unit, context, edge, true) >> 12 & 0xff, 100 + old);
                }
        }
        assert_int_equal(iommu_map(context, 1ull << 52, 1, 0, RW, &flush), -EINVAL);
    }
}

/* Refused before anything is changed: a map that is wrong is no reason for a tree to grow. */
static void a_refused_map_grows_nothing(void **state)
{
    uint64_t stores;

    (void)state;
    set_model(6, true, false, 1);
    model.levels = 2;
    start(100);
    assert_int_equal(iommu_map(context, 5, 1, 0, RW, &flush), 0);
    stores = model.stores;
    assert_int_equal(iommu_map(context, 0xfee00, 1, 0, RW, &flush), -EACCES);
    assert_int_equal(iommu_map(context, 0xfee00, 2, 1, RW, &flush), -EACCES);
    assert_int_equal(iommu_map(context, 1ull << 40, 1, 1, RW, &flush), -EINVAL);
    assert_int_equal(iommu_map(context, (1ull << 40) + 1, 2, 1, RW, &flush), -EINVAL);
    assert_int_equal(iommu_map(context, 1ull << 40, 1ull << 28, 0, RW, &flush), -EINVAL);
    assert_int_equal(iommu_unmap(context, 1ull << 40, 9, &flush), 0);
    assert_int_equal(model.stores, stores);
    assert_int_equal(context->table.levels, 2);
}

static void growth_without_quota_changes_nothing(void **state)
{
    struct iommu_mapping mapping;

    (void)state;
    set_model(6, true, false, 1);
    model.levels = 1;
    for (uint32_t quota = 0; quota < 12; quota++) {
        int error;

        start(quota);
        assert_int_equal(iommu_map(context, 7, 70, 0, RW, &flush), 0);
        error = iommu_map(context, (1ull << 52) - 1, 1, 0, RW, &flush);
        assert_int_equal(error, quota < 5 + 5 ? -ENOMEM : 0);
        assert_int_equal(iommu_flush(&flush), 0);
        assert_int_equal(model_device_levels(0), context->table.levels);
        assert_int_equal(model_translate(0, context, 7, true) >> 12 & 0xff, 70);
        assert_int_equal(iommu_lookup(context, 7, &mapping), 0);
        assert_int_equal(iommu_lookup(context, (1ull << 52) - 1, &mapping), error != 0 ? -ENOENT : 0);
    }
}

/* The unit died with the old root: its devices see what they saw, and nothing more is written. */
static void a_root_that_is_refused_kills_the_context(void **state)
{
    uint64_t stores;

    (void)state;
    set_model(6, true, false, 2);
    model.levels = 3;
    start(100);
    assert_int_equal(iommu_map(context, 7, 70, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    model.refuse_roots = true;
    assert_int_equal(iommu_map(context, 1ull << 27, 1, 0, RW, &flush), -EIO);
    stores = model.stores;
    model.refuse_roots = false;
    assert_int_equal(iommu_map(context, 1ull << 27, 1, 0, RW, &flush), -EIO);
    assert_int_equal(iommu_map(context, 1ull << 40, 1, 0, RW, &flush), -EIO);
    assert_int_equal(iommu_map(context, 1ull << 40, 0, 4, RW, &flush), -EIO);
    assert_int_equal(iommu_unmap(context, 7, 0, &flush), -EIO);
    assert_int_equal(iommu_flush(&flush), -EIO);
    assert_int_equal(model.stores, stores);
    assert_int_equal(model_device_levels(0), 3);
    assert_int_equal(model_translate(0, context, 7, true) >> 12 & 0xff, 70);
}

/* ---- orders, runs, limits ---- */

static void release_counts(uint64_t mfn, uint32_t flags)
{
    (void)mfn;
    (void)flags;
    oracle.references[0]++;
}

static void orders_are_split(void **state)
{
    struct iommu_mapping mapping;

    (void)state;
    set_model(3, false, false, 1);
    start(100);
    model.on_release = release_counts;
    assert_int_equal(iommu_map(context, 0x400, 0x200, 9, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    for (uint32_t i = 0; i < 512; i++) {
        assert_int_equal(iommu_lookup(context, 0x400 + i, &mapping), 0);
        assert_int_equal(mapping.mfn, 0x200 + i);
    }
    assert_int_equal(iommu_map(context, 0x401, 0x200, 1, RW, &flush), -EINVAL);
    assert_int_equal(iommu_map(context, 0x400, 0x201, 1, RW, &flush), -EINVAL);
    assert_int_equal(iommu_map(context, 0, 0, 19, RW, &flush), -EINVAL);
    assert_int_equal(iommu_map(context, 0, 1ull << 28, 0, RW, &flush), -EINVAL); /* 40-bit machine */
    assert_int_equal(iommu_map(context, 1ull << 27, 1, 0, RW, &flush), -EINVAL);
    assert_int_equal(iommu_unmap(context, 1ull << 27, 0, &flush), -EINVAL);
    assert_int_equal(iommu_lookup(context, 1ull << 27, &mapping), -EINVAL);
    assert_int_equal(iommu_unmap(context, UINT64_MAX, 0, &flush), -EINVAL);
    assert_int_equal(iommu_map(context, (1ull << 27) - 1, (1ull << 28) - 1, 0, RW, &flush), 0);
    assert_int_equal(iommu_unmap(context, 0x400, 9, &flush), 0);
    assert_int_equal(iommu_unmap(context, (1ull << 27) - 1, 0, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(oracle.references[0], 513);
    assert_int_equal(iommu_tables_used(context), 1);
}

/* The unit may walk a table that was taken out until the flush is done: nobody gets it before. */
static void tables_come_free_at_the_flush(void **state)
{
    (void)state;
    set_model(3, true, false, 1);
    start(100);
    assert_int_equal(iommu_map(context, 0x5000, 7, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(iommu_unmap(context, 0x5000, 0, &flush), 0);
    assert_int_equal(iommu_tables_used(context), 3);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(iommu_tables_used(context), 1);
}

/* More than the quota holds: refused before anything is changed. */
static void an_order_that_does_not_fit_changes_nothing(void **state)
{
    struct iommu_mapping mapping;

    (void)state;
    set_model(3, true, false, 1);
    for (uint32_t quota = 0; quota < 12; quota++) {
        int error;

        start(quota);
        error = iommu_map(context, 0x40000 - 4096, 0x1000, 12, RW, &flush);
        assert_int_equal(error, quota < 1 + 8 ? -ENOMEM : 0);
        assert_int_equal(iommu_flush(&flush), 0);
        if (error != 0) {
            assert_int_equal(iommu_tables_used(context), 1);
            assert_int_equal(iommu_lookup(context, 0x40000 - 4096, &mapping), -ENOENT);
        }
    }
}

static void a_run_maps_what_single_elements_map(void **state)
{
    struct iommu_mapping mapping;
    uint64_t done;

    (void)state;
    set_model(4, false, true, 1);
    start(100);
    model.on_release = release_counts;
    assert_int_equal(iommu_map(context, 1000, 7, 0, RW, &flush), 0);
    assert_int_equal(iommu_map_run(context, 100, 5100, 2000, RW | IOMMU_PREMAP, &flush, &done), 0);
    assert_int_equal(done, 2000);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(oracle.references[0], 1);
    for (uint32_t i = 0; i < 2000; i++) {
        assert_int_equal(iommu_lookup(context, 100 + i, &mapping), 0);
        assert_int_equal(mapping.mfn, 5100 + i);
        assert_int_equal(mapping.flags, RW | IOMMU_PREMAP);
        assert_int_equal(model_translate(0, context, 100 + i, true) >> 12 & 0xffffffffff, 5100 + i);
    }
    assert_int_equal(iommu_map_run(context, 0xfed00, 0, 0x200, RW, &flush, &done), -EACCES);
    assert_int_equal(iommu_map_run(context, 0, 0, UINT64_MAX, RW, &flush, &done), -EINVAL);
    assert_int_equal(iommu_map_run(context, 0, 0, 0, RW, &flush, &done), 0);
}

/* The quota is used up by tables that only wait for their flush: the map goes through. */
static void parked_tables_are_not_a_lack_of_quota(void **state)
{
    (void)state;
    set_model(3, true, false, 1);
    start(2); /* the root, and one branch of two tables */
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(iommu_map(context, i << 18, 1, 0, RW, &flush), 0);
        assert_int_equal(iommu_unmap(context, i << 18, 0, &flush), 0);
    }
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(iommu_tables_used(context), 1);
    assert_int_equal(iommu_tables_peak(context), 3);
}

/* A caller that never asks whether the accumulator is full must not run over its end. */
static void a_full_accumulator_flushes_by_itself(void **state)
{
    (void)state;
    set_model(3, true, false, 1);
    start(100);
    model.on_release = release_counts;
    for (uint64_t i = 0; i < 3 * IOMMU_FLUSH_PARKED; i++)
        assert_int_equal(iommu_map(context, 5, 1 + i % 2, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(oracle.references[0], 3 * IOMMU_FLUSH_PARKED - 1);
}

/* ---- failures ---- */

static void a_dropped_wait_kills_the_context(void **state)
{
    uint32_t tables;

    (void)state;
    set_model(3, true, false, 2);
    start(100);
    model.on_release = release_counts;
    assert_int_equal(iommu_map(context, 5, 1, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    tables = iommu_tables_used(context);
    model.drop_waits = true;
    assert_int_equal(iommu_unmap(context, 5, 0, &flush), 0);
    assert_int_equal(iommu_flush(&flush), -EIO);
    model.drop_waits = false;
    assert_int_equal(iommu_flush(&flush), -EIO);
    assert_int_equal(iommu_map(context, 6, 1, 0, RW, &flush), -EIO);
    assert_int_equal(iommu_unmap(context, 6, 0, &flush), -EIO);
    assert_int_equal(oracle.references[0], 0);
    assert_int_equal(iommu_tables_used(context), tables);
}

static void failing_allocations_leave_nothing(void **state)
{
    int error = -ENOMEM;

    (void)state;
    set_model(3, true, false, 1);
    for (int64_t limit = 0; error != 0; limit++) {
        model_init();
        model.allocation_limit = limit;
        error = iommu_context_create(&context, 10);
        if (error != 0) {
            assert_int_equal(error, -ENOMEM);
            assert_int_equal(model.frames_out, 0);
        }
    }
    model_init();
    assert_int_equal(iommu_context_create(&context, UINT32_MAX), -ENOMEM);
    assert_int_equal(model.frames_out, 0);
}

static void domain_ids_run_out_in_an_error(void **state)
{
    int error = 0;
    uint32_t created = 0;

    (void)state;
    set_model(3, true, false, 1);
    model_init();
    while ((error = iommu_context_create(&context, 2)) == 0)
        created++;
    assert_int_equal(error, -ENOMEM);
    assert_int_equal(created, 15); /* 16 domains, id 0 is not used */
}

static void only_units_that_have_the_context_are_flushed(void **state)
{
    (void)state;
    set_model(3, true, false, 3);
    memset(&oracle, 0, sizeof oracle);
    model_init();
    assert_int_equal(iommu_context_create(&context, 10), 0);
    iommu_flush_begin(&flush, context);
    assert_int_equal(iommu_attach(context, 0, 0), 0);
    assert_int_equal(iommu_attach(context, 2, 0), 0);
    assert_int_equal(iommu_attach(context, 3, 0), -ENODEV);
    assert_int_equal(iommu_map(context, 5, 1, 0, RW, &flush), 0);
    assert_int_equal(iommu_unmap(context, 5, 0, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(model.waits, 2);
    assert_int_equal(model.posted_pages, 2);
}

/* ---- costs ---- */

/* Floors: N stores for N entries, a line flush for 8 of them, no store but the entry's for a replacement. */
static void stores_and_lines_are_at_their_floor(void **state)
{
    uint64_t stores, lines;

    (void)state;
    set_model(3, false, false, 1);
    start(100);
    assert_int_equal(iommu_map(context, 0x1000, 1, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    stores = model.stores;
    lines = model.line_flushes;
    for (uint64_t i = 0; i < 256; i++)
        assert_int_equal(iommu_map(context, 0x1004 + i, i, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(model.stores - stores, 256);
    assert_int_equal(model.line_flushes - lines, 33);
    stores = model.stores;
    assert_int_equal(iommu_map(context, 0x1004, 9, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(model.stores - stores, 1);
}

static int vtd(void **state)
{
    (void)state;
    model.vendor = IOMMU_VENDOR_VTD;
    return 0;
}

static int amdvi(void **state)
{
    (void)state;
    model.vendor = IOMMU_VENDOR_AMDVI;
    return 0;
}

#define BOTH(test)                                                                                           \
    {#test " (VT-d)", test, vtd, NULL, NULL},                                                                \
    {                                                                                                        \
#test " (AMD-Vi)", test, amdvi, NULL, NULL                                                           \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(random_three_levels),
        BOTH(random_four_levels_not_coherent),
        BOTH(random_caching_mode),
        BOTH(random_with_a_small_quota),
        BOTH(random_on_two_units),
        BOTH(random_without_page_selective_invalidation),
        BOTH(random_growth_to_six_levels),
        BOTH(random_growth_with_absence_remembered),
        BOTH(random_growth_on_two_units),
        BOTH(random_growth_with_small_quotas),
        BOTH(growth_at_every_edge),
        BOTH(a_refused_map_grows_nothing),
        BOTH(growth_without_quota_changes_nothing),
        BOTH(a_root_that_is_refused_kills_the_context),
        BOTH(orders_are_split),
        BOTH(tables_come_free_at_the_flush),
        BOTH(an_order_that_does_not_fit_changes_nothing),
        BOTH(a_run_maps_what_single_elements_map),
        BOTH(parked_tables_are_not_a_lack_of_quota),
        BOTH(a_full_accumulator_flushes_by_itself),
        BOTH(a_dropped_wait_kills_the_context),
        BOTH(failing_allocations_leave_nothing),
        BOTH(domain_ids_run_out_in_an_error),
        BOTH(only_units_that_have_the_context_are_flushed),
        BOTH(stores_and_lines_are_at_their_floor),
    };

    return cmocka_run_group_tests_name("iommu_engine", tests, NULL, NULL);
}

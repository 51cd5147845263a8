/* SPDX-License-Identifier: MIT */
/*
 * What the model IOMMU sees and judges, shown by breaking the rules by hand: entries are written here that
 * the engine would not write, or invalidations left out that it would post.
 */
#include "tests/unit/iommu_engine/model.h"

#include "drivers/iommu/driver.h"
#include "drivers/iommu/host.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/unit/iommu_engine/oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define RELEASED "a frame is released that a unit may still reach"
#define WRITTEN  "a table is written that a unit may still walk"
#define ENTERED  "a table is entered that a unit may still walk elsewhere"
#define UNSEEN   "a table is entered before it is written back"

static uint64_t changed_frames, changes, releases;

static void count_change(uint64_t bfn, uint64_t frames, uint64_t old, uint64_t new)
{
    (void)bfn, (void)old, (void)new;
    changes++;
    changed_frames += frames;
}

static void count_release(uint64_t mfn, uint32_t flags)
{
    (void)mfn, (void)flags;
    releases++;
}

static const struct iommu_driver *driver(void)
{
    return model.vendor == IOMMU_VENDOR_VTD ? &vtd_driver : &amdvi_driver;
}

/* BFN 5 leads to MFN 7, and the units' devices have been there. */
static void start(bool coherent, uint32_t units)
{
    oracle_set_model(3, coherent, false, units);
    oracle_start(600);
    changed_frames = changes = releases = 0;
    model.on_change = count_change;
    model.on_release = count_release;
    assert_int_equal(iommu_map(context, 5, 7, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    for (uint32_t unit = 0; unit < units; unit++)
        model_translate(unit, context, 5, true);
}

/* The entry of that level for bfn. */
static uint64_t *entry_at(uint64_t bfn, uint32_t level)
{
    uint64_t table = page_table_root(&context->table);

    for (uint32_t at = context->table.levels;; at--) {
        uint64_t *entry = (uint64_t *)host_frame_address(table) + (bfn >> 9 * (at - 1)) % 512;

        if (at == level)
            return entry;
        table = model_translation(*entry) >> 12;
    }
}

static void store(uint64_t *entry, uint64_t value)
{
    host_store64(entry, value);
    host_cache_flush(entry, sizeof *entry);
}

static void submit(uint32_t unit, uint16_t domain, uint64_t bfn, uint32_t order, bool hint)
{
    const struct iommu_plan plan = {
        .domain = domain, .leaf_only = hint, .order_max = order, .count = 1, .blocks = {{bfn, order}}};

    driver()->invalidate(unit, &plan);
}

static void invalidate(uint32_t unit, uint64_t bfn, uint32_t order, bool hint)
{
    submit(unit, context->domain, bfn, order, hint);
    assert_int_equal(driver()->wait(unit), 0);
}

static void expect_wrong(const char *what)
{
    assert_int_equal(model.wrongs, 1);
    assert_string_equal(model.expected, what);
    model.wrongs = 0;
}

/* Which must be wrong by now, or must not. */
static void release(bool wrong)
{
    const struct iommu_frames seven = {.entry = 7 << 12, .count = 1};

    model.expected = RELEASED;
    host_frames_release(&seven, 1, UINT64_MAX << 12, RW);
    assert_int_equal(model.wrongs, wrong);
    model.wrongs = 0;
}

static uint64_t reached(uint32_t unit, uint64_t bfn)
{
    return model_translation(model_translate(unit, context, bfn, true)) >> 12;
}

/* ---- frames ---- */

static void a_frame_is_released_before_its_wait(void **state)
{
    (void)state;
    start(true, 1);
    store(entry_at(5, 1), 0);
    release(true);
    assert_int_equal(reached(0, 5), 7); /* the unit remembers */
    submit(0, context->domain, 5, 0, true);
    release(true);
    assert_int_equal(driver()->wait(0), 0);
    release(false);
    assert_int_equal(reached(0, 5), 0);
    assert_int_equal(model_stale(), 0);
}

/* It need not have been there: it may have been. */
static void a_device_that_never_looked_counts_as_well(void **state)
{
    (void)state;
    start(true, 1);
    model.order_max = 18;
    assert_int_equal(iommu_map(context, 9, 7, 0, RW, &flush), 0);
    store(entry_at(9, 1), 0);
    release(true);
}

static void an_invalidation_of_something_else_is_none(void **state)
{
    (void)state;
    start(true, 2);
    store(entry_at(5, 1), 0);
    invalidate(0, 4, 0, true);
    invalidate(0, 6, 1, true);
    submit(0, (uint16_t)(context->domain + 1), 5, 0, true);
    assert_int_equal(driver()->wait(0), 0);
    release(true);
    assert_int_equal(reached(0, 5), 7);
    invalidate(0, 4, 1, true);
    assert_int_equal(reached(0, 5), 0);
    assert_int_equal(reached(1, 5), 7); /* the other unit has not been told */
    release(true);
    invalidate(1, 0, 18, true);
    release(false);
}

/* What was submitted before the store says nothing about it. */
static void an_invalidation_that_came_before_is_none(void **state)
{
    (void)state;
    start(true, 1);
    submit(0, context->domain, 5, 0, true);
    store(entry_at(5, 1), 0);
    assert_int_equal(driver()->wait(0), 0);
    release(true);
    invalidate(0, 5, 0, true);
    release(false);
}

static void a_line_that_was_not_written_back_is_found_again(void **state)
{
    (void)state;
    start(false, 1);
    host_store64(entry_at(5, 1), 0);
    invalidate(0, 5, 0, true);
    assert_int_equal(reached(0, 5), 7);
    release(true);
    host_cache_flush(entry_at(5, 1), 8);
    release(true);
    invalidate(0, 5, 0, true);
    assert_int_equal(reached(0, 5), 0);
    release(false);
}

static void narrowing_is_taking_away(void **state)
{
    uint64_t entry;

    (void)state;
    start(true, 1);
    entry = *entry_at(5, 1);
    assert_int_equal(iommu_map(context, 5, 7, 0, IOMMU_READ, &flush), 0);
    assert_int_not_equal(*entry_at(5, 1), entry);
    release(true);
    assert_int_equal(iommu_flush(&flush), 0);
    release(false);
}

/* ---- tables ---- */

static void a_table_is_used_before_its_wait(void **state)
{
    uint64_t *slot, leaf;

    (void)state;
    for (uint32_t coherent = 0; coherent < 2; coherent++) {
        start(coherent != 0, 1);
        slot = entry_at(5, 1);
        leaf = *slot;
        store(slot, 0);
        store(entry_at(5, 2), 0);
        model.expected = WRITTEN;
        store(slot, leaf);
        expect_wrong(WRITTEN);
        invalidate(0, 5, 0, true); /* the hint says that no table went */
        store(slot + 1, leaf);
        expect_wrong(WRITTEN);
        assert_int_equal(reached(0, 6), 7); /* by the table that is remembered */
        invalidate(0, 6, 0, false);
        store(slot + 1, 0);
        store(slot, 0);
        assert_int_equal(model.wrongs, 0);
        assert_int_equal(reached(0, 6), 0);
    }
}

static void a_table_is_entered_elsewhere_before_its_wait(void **state)
{
    uint64_t *above, entry;

    (void)state;
    start(true, 2);
    store(entry_at(5, 1), 0);
    above = entry_at(5, 2);
    entry = *above;
    store(above, 0);
    invalidate(0, 5, 0, false);
    model.expected = ENTERED;
    store(above + 1, entry);
    expect_wrong(ENTERED);
    store(above + 1, 0);
    invalidate(0, 512, 0, false);
    invalidate(1, 0, 10, false);
    store(above + 1, entry);
    assert_int_equal(model.wrongs, 0);
}

static void a_table_is_entered_before_it_is_written_back(void **state)
{
    uint64_t table, *entries, above;

    (void)state;
    start(false, 1);
    table = host_frames_alloc(1);
    entries = host_frame_address(table);
    above = *entry_at(5, 2) ^ (model_translation(*entry_at(5, 2)) ^ table << 12);
    above = (above & ~3ull) | (*entry_at(5, 2) & 3);
    host_cache_flush(entries, 4096);
    host_store64(&entries[511], *entry_at(5, 1));
    model.expected = UNSEEN;
    host_store64(entry_at(512, 2), above);
    expect_wrong(UNSEEN);
    assert_int_equal(changes, 2); /* the first map, and what was in the table */
}

/* ---- what a store changes ---- */

/* Coming together and coming apart change nothing; what was asked for is all that changes. */
static void a_store_changes_what_it_changes(void **state)
{
    (void)state;
    start(true, 1);
    assert_int_equal(changes, 1);
    for (uint64_t i = 0; i < 512; i++)
        assert_int_equal(iommu_map(context, 512 + i, 1024 + i, 0, RW, &flush), 0);
    assert_int_equal(changes, 1 + 512);
    assert_int_equal(changed_frames, 1 + 512);
    assert_int_equal(iommu_unmap(context, 512 + 77, 0, &flush), 0);
    assert_int_equal(changed_frames, 1 + 512 + 1);
    assert_int_equal(iommu_map(context, 512 + 77, 1024 + 77, 0, RW, &flush), 0);
    assert_int_equal(iommu_unmap(context, 512, 9, &flush), 0);
    assert_int_equal(changed_frames, 1 + 512 + 1 + 1 + 512);
    assert_int_equal(changes, 1 + 512 + 1 + 1 + 1); /* of one leaf */
}

/* All that hangs below an entry goes with it. */
static void a_table_takes_its_pages_with_it(void **state)
{
    (void)state;
    start(true, 1);
    assert_int_equal(iommu_map(context, 1600, 9, 0, RW, &flush), 0);
    assert_int_equal(iommu_map(context, 1024, 2048, 9, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    changed_frames = 0;
    store(entry_at(5, 3), 0);
    assert_int_equal(changed_frames, 1 + 1 + 512);
    release(true);
    assert_true(model_is_stale(1024 + 3, (2048ull + 3) << 12 | RW));
    assert_false(model_is_stale(1024 + 3, (2048ull + 4) << 12 | RW));
    invalidate(0, 0, 10, true);
    assert_true(model_is_stale(1600, 9ull << 12 | RW));
    invalidate(0, 0, 18, true);
    assert_int_equal(model_stale(), 3); /* three tables */
    invalidate(0, 0, 18, false);
    assert_int_equal(model_stale(), 0);
}

/* A leaf that was split is remembered whole, until all of it is named. */
static void a_split_leaf_is_owed_whole(void **state)
{
    (void)state;
    start(true, 1);
    assert_int_equal(iommu_map(context, 1024, 2048, 9, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(iommu_unmap(context, 1024 + 9, 0, &flush), 0);
    assert_true(model_is_stale(1024 + 9, (2048ull + 9) << 12 | RW));
    invalidate(0, 1024 + 9, 0, false);
    assert_true(model_is_stale(1024 + 9, (2048ull + 9) << 12 | RW));
    invalidate(0, 1024, 9, true);
    assert_int_equal(model_stale(), 0);
}

static void absence_is_owed_in_caching_mode(void **state)
{
    (void)state;
    start(true, 1);
    model.caching_mode = true;
    assert_int_equal(reached(0, 700), 0);
    assert_int_equal(iommu_map(context, 700, 9, 0, RW, &flush), 0);
    assert_int_equal(model_stale(), 1);
    invalidate(0, 700, 0, true); /* at any level it may have been remembered */
    assert_int_equal(model_stale(), 1);
    invalidate(0, 700, 0, false);
    assert_int_equal(model_stale(), 0);
}

/* ---- waits ---- */

static uint32_t looks, stale_looks;

static void look_meanwhile(uint32_t unit)
{
    looks++;
    stale_looks += reached(unit, 5) == 7;
    assert_int_equal(releases, 0);
}

/* Until the wait is done the unit may use what it had: it has a copy that nothing in memory speaks of. */
static void a_delayed_wait_leaves_time_to_look(void **state)
{
    (void)state;
    for (uint32_t early = 0; early < 2; early++) {
        start(true, 2);
        model.delay = 3;
        model.early = early != 0;
        model.on_delay = look_meanwhile;
        looks = stale_looks = 0;
        assert_int_equal(iommu_unmap(context, 5, 0, &flush), 0);
        assert_int_equal(iommu_flush(&flush), 0);
        assert_int_equal(looks, 6);
        assert_int_equal(stale_looks, early != 0 ? 0 : 6);
        assert_int_equal(releases, 1);
        assert_int_equal(reached(0, 5) + reached(1, 5), 0);
    }
}

static void expect_dead(uint32_t tables)
{
    const struct iommu_element element = {.bfn = 9, .mfn = 9, .flags = RW};
    struct iommu_mapping mapping;
    uint64_t stores = model.stores, done;
    uint32_t count;

    assert_int_equal(iommu_map(context, 6, 8, 0, RW, &flush), -EIO);
    assert_int_equal(iommu_map(context, 512, 512, 9, RW, &flush), -EIO);
    assert_int_equal(iommu_map_run(context, 600, 3, 40, RW, &flush, &done), -EIO);
    assert_int_equal(done, 0);
    assert_int_equal(iommu_map_list(context, &element, 1, &flush, &count), -EIO);
    assert_int_equal(count, 0);
    assert_int_equal(iommu_unmap_list(context, &element, 1, &flush, &count), -EIO);
    assert_int_equal(count, 0);
    assert_int_equal(iommu_unmap_page(context, 1030, &mapping, &flush), -EIO);
    assert_int_equal(mapping.flags, 0);
    assert_int_equal(iommu_unmap(context, 6, 0, &flush), -EIO);
    assert_int_equal(iommu_unmap(context, 1024, 9, &flush), -EIO);
    assert_int_equal(iommu_unmap_run(context, 1024, 40, &flush, &done), -EIO);
    assert_int_equal(done, 0);
    assert_int_equal(iommu_flush(&flush), -EIO);
    assert_int_equal(iommu_attach(context, 0, 0), -EIO);
    assert_int_equal(iommu_lookup(context, 1030, &mapping), 0);
    assert_int_equal(iommu_lookup(context, 5, &mapping), -ENOENT);
    assert_int_equal(model.stores, stores);
    assert_int_equal(releases, 0);
    assert_int_equal(iommu_tables_used(context), tables);
}

/* Whichever unit does not answer: nothing is given away, neither frames nor tables, now or later. */
static void a_dropped_wait_is_for_ever(void **state)
{
    uint32_t tables;

    (void)state;
    for (int64_t answered = 0; answered < 2; answered++) {
        start(true, 2);
        assert_int_equal(iommu_map(context, 1024, 2048, 9, RW, &flush), 0);
        assert_int_equal(iommu_flush(&flush), 0);
        tables = iommu_tables_used(context);
        model.drop_after = answered;
        assert_int_equal(iommu_unmap(context, 5, 0, &flush), 0);
        assert_int_equal(iommu_flush(&flush), -EIO);
        assert_true(model_is_stale(5, 7ull << 12 | RW));
        assert_int_equal(reached(1, 5), 7); /* waits are in the order of the units */
        model.drop_waits = false;
        expect_dead(tables);
        release(true);
    }
}

/* The quick way of a single page: it is given back when the unit has said so, and otherwise never. */
static void a_page_is_given_back_by_its_wait_only(void **state)
{
    struct iommu_mapping gone;

    (void)state;
    for (uint32_t dropped = 0; dropped < 2; dropped++) {
        start(true, 1);
        assert_int_equal(iommu_map(context, 6, 8, 0, RW, &flush), 0);
        assert_int_equal(iommu_flush(&flush), 0);
        model.drop_waits = dropped != 0;
        assert_int_equal(iommu_unmap_page(context, 5, &gone, &flush), 0);
        assert_int_equal(gone.flags, dropped != 0 ? 0 : RW);
        assert_int_equal(model_stale(), dropped);
        assert_int_equal(iommu_flush(&flush), dropped != 0 ? -EIO : 0);
        assert_int_equal(releases, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_released_before_its_wait),
        cmocka_unit_test(a_device_that_never_looked_counts_as_well),
        cmocka_unit_test(an_invalidation_of_something_else_is_none),
        cmocka_unit_test(an_invalidation_that_came_before_is_none),
        cmocka_unit_test(a_line_that_was_not_written_back_is_found_again),
        cmocka_unit_test(narrowing_is_taking_away),
        cmocka_unit_test(a_table_is_used_before_its_wait),
        cmocka_unit_test(a_table_is_entered_elsewhere_before_its_wait),
        cmocka_unit_test(a_table_is_entered_before_it_is_written_back),
        cmocka_unit_test(a_store_changes_what_it_changes),
        cmocka_unit_test(a_table_takes_its_pages_with_it),
        cmocka_unit_test(a_split_leaf_is_owed_whole),
        cmocka_unit_test(absence_is_owed_in_caching_mode),
        cmocka_unit_test(a_delayed_wait_leaves_time_to_look),
        cmocka_unit_test(a_dropped_wait_is_for_ever),
        cmocka_unit_test(a_page_is_given_back_by_its_wait_only),
    };

    return cmocka_run_group_tests_name("iommu_model_vtd", tests, oracle_vtd, NULL) +
           cmocka_run_group_tests_name("iommu_model_amdvi", tests, oracle_amdvi, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The engine and the accumulator: random operations, orders, runs, limits, failures and costs. */
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

static void random_three_levels(void **state)
{
    (void)state;
    oracle_set_model(3, true, false, 1);
    oracle_random_operations(1, 30000, 100);
}

static void random_four_levels_not_coherent(void **state)
{
    (void)state;
    oracle_set_model(4, false, false, 1);
    oracle_random_operations(2, 30000, 100);
}

static void random_caching_mode(void **state)
{
    (void)state;
    oracle_set_model(3, false, true, 1);
    oracle_random_operations(3, 20000, 100);
}

static void random_with_a_small_quota(void **state)
{
    (void)state;
    oracle_set_model(4, true, false, 1);
    oracle_random_operations(4, 20000, 14);
}

static void random_on_two_units(void **state)
{
    (void)state;
    oracle_set_model(4, false, false, 2);
    oracle_random_operations(5, 15000, 100);
}

static void random_without_page_selective_invalidation(void **state)
{
    (void)state;
    oracle_set_model(3, true, false, 1);
    model.order_max = -1;
    oracle_random_operations(6, 10000, 100);
}

/* ---- orders, runs, limits ---- */

static void release_counts(uint64_t mfn, uint32_t flags)
{
    (void)mfn;
    (void)flags;
    oracle.references[0]++;
}

static void an_order_maps_all_its_frames(void **state)
{
    struct iommu_mapping mapping;

    (void)state;
    oracle_set_model(3, false, false, 1);
    oracle_start(100);
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
    oracle_set_model(3, true, false, 1);
    oracle_start(100);
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
    oracle_set_model(3, true, false, 1);
    for (uint32_t quota = 0; quota < 12; quota++) {
        int error;

        oracle_start(quota);
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
    oracle_set_model(4, false, true, 1);
    oracle_start(100);
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
    oracle_set_model(3, true, false, 1);
    oracle_start(2); /* the root, and one branch of two tables */
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
    oracle_set_model(3, true, false, 1);
    oracle_start(100);
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
    oracle_set_model(3, true, false, 2);
    oracle_start(100);
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
    oracle_set_model(3, true, false, 1);
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
    oracle_set_model(3, true, false, 1);
    model_init();
    while ((error = iommu_context_create(&context, 2)) == 0)
        created++;
    assert_int_equal(error, -ENOMEM);
    assert_int_equal(created, 15); /* 16 domains, id 0 is not used */
}

static void only_units_that_have_the_context_are_flushed(void **state)
{
    (void)state;
    oracle_set_model(3, true, false, 3);
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
    oracle_set_model(3, false, false, 1);
    oracle_start(100);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_three_levels),
        cmocka_unit_test(random_four_levels_not_coherent),
        cmocka_unit_test(random_caching_mode),
        cmocka_unit_test(random_with_a_small_quota),
        cmocka_unit_test(random_on_two_units),
        cmocka_unit_test(random_without_page_selective_invalidation),
        cmocka_unit_test(an_order_maps_all_its_frames),
        cmocka_unit_test(tables_come_free_at_the_flush),
        cmocka_unit_test(an_order_that_does_not_fit_changes_nothing),
        cmocka_unit_test(a_run_maps_what_single_elements_map),
        cmocka_unit_test(parked_tables_are_not_a_lack_of_quota),
        cmocka_unit_test(a_full_accumulator_flushes_by_itself),
        cmocka_unit_test(a_dropped_wait_kills_the_context),
        cmocka_unit_test(failing_allocations_leave_nothing),
        cmocka_unit_test(domain_ids_run_out_in_an_error),
        cmocka_unit_test(only_units_that_have_the_context_are_flushed),
        cmocka_unit_test(stores_and_lines_are_at_their_floor),
    };

    return cmocka_run_group_tests_name("iommu_engine_vtd", tests, oracle_vtd, NULL) +
           cmocka_run_group_tests_name("iommu_engine_amdvi", tests, oracle_amdvi, NULL);
}

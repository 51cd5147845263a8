/* SPDX-License-Identifier: MIT */
/* Trees that grow while devices walk them: never a wrong translation, whatever fails. */
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

/* Many short lives, since a tree grows only once: from every first level, by one level or by several. */
static void random_growth(uint64_t seed, uint32_t quota)
{
    oracle_random = seed;
    for (uint8_t first = 1; first <= 4; first++)
        for (uint32_t life = 0; life < 3; life++) {
            model.levels = first;
            oracle_start(quota);
            oracle_starts = oracle_edges;
            oracle_regions = 1 + life;
            oracle_operate(1500, true);
        }
}

static void random_growth_to_six_levels(void **state)
{
    (void)state;
    oracle_set_model(6, true, false, 1);
    random_growth(7, 100);
}

static void random_growth_with_absence_remembered(void **state)
{
    (void)state;
    oracle_set_model(6, true, true, 1);
    random_growth(8, 100);
}

static void random_growth_on_two_units(void **state)
{
    (void)state;
    oracle_set_model(6, true, false, 2);
    random_growth(9, 100);
}

static void random_growth_with_small_quotas(void **state)
{
    (void)state;
    oracle_set_model(6, true, false, 1);
    for (uint32_t quota = 0; quota < 12; quota += 5)
        random_growth(10 + quota, quota);
}

/* Every level of growth at its edge: what was mapped stays, and the last and the first page are reached. */
static void growth_at_every_edge(void **state)
{
    (void)state;
    for (uint8_t first = 1; first <= 6; first++) {
        oracle_set_model(6, true, false, 2);
        model.levels = first;
        oracle_start(100);
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
    oracle_set_model(6, true, false, 1);
    model.levels = 2;
    oracle_start(100);
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
    oracle_set_model(6, true, false, 1);
    model.levels = 1;
    for (uint32_t quota = 0; quota < 12; quota++) {
        int error;

        oracle_start(quota);
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
    oracle_set_model(6, true, false, 2);
    model.levels = 3;
    oracle_start(100);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_growth_to_six_levels),
        cmocka_unit_test(random_growth_with_absence_remembered),
        cmocka_unit_test(random_growth_on_two_units),
        cmocka_unit_test(random_growth_with_small_quotas),
        cmocka_unit_test(growth_at_every_edge),
        cmocka_unit_test(a_refused_map_grows_nothing),
        cmocka_unit_test(growth_without_quota_changes_nothing),
        cmocka_unit_test(a_root_that_is_refused_kills_the_context),
    };

    return cmocka_run_group_tests_name("iommu_growth_vtd", tests, oracle_vtd, NULL) +
           cmocka_run_group_tests_name("iommu_growth_amdvi", tests, oracle_amdvi, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Random operations on machines of every kind. Without arguments these are the cases of the unit group; with
 * `FORMAT COUNT [SEED]`, so many operations in lives of LIFE each, on machines that the seeds make up: SEED,
 * SEED + 1 and so on.
 */
#include "tests/unit/iommu_random/life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIFE     20000u
#define FEW      1500u /* operations of a case */
#define MORTALS  40u
#define ENOUGH   3200u /* tables for all that can be mapped */
#define COHERENT true

static enum iommu_vendor vendor;

static struct life usual(uint64_t seed)
{
    return (struct life){.seed = seed,
                         .operations = FEW,
                         .quota = ENOUGH,
                         .vendor = vendor,
                         .levels = 4,
                         .levels_max = 4,
                         .leaf_level = 3,
                         .coherent = COHERENT,
                         .units = 1,
                         .order_max = 38};
}

static void a_coherent_unit(void **state)
{
    struct life life = usual(1);

    (void)state;
    life_large_leaves = life_given_back = 0;
    life_play(&life);
    assert_true(life_large_leaves > FEW);
    assert_true(life_given_back > 0);
}

static void a_unit_that_sees_only_lines_written_back(void **state)
{
    struct life life = usual(2);

    (void)state;
    life.coherent = !COHERENT;
    life.levels = life.levels_max = 3;
    life_play(&life);
}

static void units_that_remember_absence(void **state)
{
    struct life life = usual(3);

    (void)state;
    life.coherent = !COHERENT;
    life.caching_mode = true;
    life.units = 2;
    life.early = true;
    life_play(&life);
}

/* All allocations of tables fail, at some time. */
static void a_quota_that_does_not_suffice(void **state)
{
    struct life life = usual(4);

    (void)state;
    for (life.quota = 3; life.quota < 2000; life.quota = life.quota * 4 + 1, life.seed += 100)
        life_play(&life);
}

static void units_that_cannot_do_much(void **state)
{
    struct life life = usual(5);

    (void)state;
    life.operations = FEW / 3;
    for (life.leaf_level = 1; life.leaf_level <= 2; life.leaf_level++, life.seed += 100) {
        life.order_max = life.leaf_level == 1 ? -1 : 9;
        life_play(&life);
    }
}

/* Only AMD-Vi has such trees, but the engine does not know that. */
static void a_tree_that_grows(void **state)
{
    struct life life = usual(6);

    (void)state;
    life.operations = FEW / 3;
    life.levels_max = 6;
    for (life.levels = 1; life.levels <= 4; life.levels++, life.seed += 100)
        life_play(&life);
}

static void a_range_that_is_reserved(void **state)
{
    struct life life = usual(7);

    (void)state;
    life.reserved = 0x20;
    life_play(&life);
}

/* Devices go on while units take their time. */
static void waits_that_take_long(void **state)
{
    struct life life = usual(8);

    (void)state;
    life.units = 3;
    life.delay = 4;
    life.coherent = !COHERENT;
    life_play(&life);
}

static void a_unit_that_stops_answering(void **state)
{
    struct life life = usual(9);

    (void)state;
    life.mortal = true;
    life.operations = 200;
    for (uint32_t i = 0; i < MORTALS; i++, life.seed += 100) {
        life.quota = i % 2 == 0 ? ENOUGH : 30;
        life.coherent = i % 4 < 2;
        life.units = 1 + i / 4 % 2;
        life.delay = i % 3;
        life_play(&life);
    }
}

static void many_machines(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 108; seed++) {
        struct life life = life_of_seed(seed, FEW / 6, vendor);

        life_play(&life);
    }
}

/* ---- as many as one likes ---- */

static uint64_t long_count, long_seed;

static void so_many_operations(void **state)
{
    (void)state;
    for (uint64_t done = 0; done < long_count; done += LIFE, long_seed++) {
        uint64_t left = long_count - done;
        struct life life = life_of_seed(long_seed, left < LIFE ? (uint32_t)left : LIFE, vendor);

        life_play(&life);
    }
}

static int on_vtd(void **state)
{
    (void)state;
    vendor = IOMMU_VENDOR_VTD;
    return 0;
}

static int on_amdvi(void **state)
{
    (void)state;
    vendor = IOMMU_VENDOR_AMDVI;
    return 0;
}

static int run_long(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(so_many_operations)};
    bool amdvi = strcmp(arguments[1], "amdvi") == 0;

    if (count > 4 || count < 3 || (!amdvi && strcmp(arguments[1], "vtd") != 0)) {
        fprintf(stderr, "usage: %s vtd|amdvi COUNT [SEED]\n", arguments[0]);
        return 2;
    }
    long_count = strtoull(arguments[2], NULL, 0);
    long_seed = count == 4 ? strtoull(arguments[3], NULL, 0) : 1;
    return cmocka_run_group_tests_name("iommu_random_long", tests, amdvi ? on_amdvi : on_vtd, NULL);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_coherent_unit),
        cmocka_unit_test(a_unit_that_sees_only_lines_written_back),
        cmocka_unit_test(units_that_remember_absence),
        cmocka_unit_test(a_quota_that_does_not_suffice),
        cmocka_unit_test(units_that_cannot_do_much),
        cmocka_unit_test(a_tree_that_grows),
        cmocka_unit_test(a_range_that_is_reserved),
        cmocka_unit_test(waits_that_take_long),
        cmocka_unit_test(a_unit_that_stops_answering),
        cmocka_unit_test(many_machines),
    };

    if (count > 1)
        return run_long(count, arguments);
    return cmocka_run_group_tests_name("iommu_random_vtd", tests, on_vtd, NULL) +
           cmocka_run_group_tests_name("iommu_random_amdvi", tests, on_amdvi, NULL);
}

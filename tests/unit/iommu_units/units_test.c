/* SPDX-License-Identifier: MIT */
/* Many units in several segments, against model units: which unit serves whom, and which is flushed. */
#include "tests/unit/iommu_units/units_test.h"

#include "drivers/iommu/driver.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint32_t counts[] = {1, 2, 3, 8, 33, 64};
#define COUNTS (sizeof counts / sizeof *counts)

const struct machine_function *own_function(uint32_t unit)
{
    return machine_function_at(machine.units[unit].segment, OWN(unit / plan.segments));
}

void attach_all(struct iommu_context *context)
{
    for (uint32_t i = 0; i < machine.function_count; i++) {
        const struct machine_function *function = &machine.functions[i];

        if (!function->is_unit)
            assert_int_equal(iommu_attach(context, function->segment, function->id), 0);
    }
}

void attach_unit(struct iommu_context *context, uint32_t unit)
{
    uint16_t segment = machine.units[unit].segment;
    uint32_t k = unit / plan.segments;

    assert_int_equal(iommu_attach(context, segment, OWN(k)), 0);
    assert_int_equal(iommu_attach(context, segment, BEHIND(k)), 0);
}

/* ---- who is served by whom ---- */

static void expect_all_on_and_blocked(void)
{
    assert_int_equal(iommu_unit_count(), plan.units);
    for (uint32_t i = 0; i < machine.unit_count; i++)
        assert_true(machine_is_on(&machine.units[i]));
    for (uint32_t i = 0; i < machine.function_count; i++)
        assert_true(is_blocked(&machine.functions[i], BFN));
}

static void expect_own_unit_only(const struct machine_function *function)
{
    assert_true(arrives(function, BFN, MFN));
    assert_false(passes_elsewhere(function, BFN));
}

static void every_device_passes_its_own_unit_only(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    for (uint32_t i = 0; i < COUNTS; i++)
        for (uint32_t segments = 1; segments <= MACHINE_SEGMENTS && segments <= counts[i]; segments++) {
            plan_begin(vendor, counts[i], segments);
            plan_start();
            expect_all_on_and_blocked();
            attach_all(context_with(BFN, MFN));
            for (uint32_t f = 0; f < machine.function_count; f++)
                if (!machine.functions[f].is_unit)
                    expect_own_unit_only(&machine.functions[f]);
        }
}

static void the_same_id_in_two_segments_is_two_devices(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    {
        struct iommu_context *one, *other;

        plan_begin(vendor, 8, 4);
        plan_start();
        one = context_with(BFN, MFN);
        other = context_with(BFN, MFN + 1);
        assert_int_equal(iommu_attach(one, 0, OWN(1)), 0);
        for (uint16_t segment = 1; segment < 4; segment++)
            assert_true(is_blocked(machine_function_at(segment, OWN(1)), BFN));
        assert_int_equal(iommu_attach(other, 2, OWN(1)), 0);
        assert_true(arrives(machine_function_at(0, OWN(1)), BFN, MFN));
        assert_true(arrives(machine_function_at(2, OWN(1)), BFN, MFN + 1));
        assert_true(is_blocked(machine_function_at(1, OWN(1)), BFN));
        assert_true(is_blocked(machine_function_at(3, OWN(1)), BFN));
        assert_int_equal(iommu_attach(one, 4, OWN(1)), -ENODEV);
    }
}

/* ---- who is flushed ---- */

static struct unit_done before[MACHINE_UNITS_MAX];

static void remember_what_was_done(void)
{
    for (uint32_t i = 0; i < machine.unit_count; i++)
        before[i] = machine.units[i].done;
}

/* One invalidation and one wait on each unit of the set, if anything is owed, and nothing on any other. */
static void expect_flushed(uint64_t set, uint32_t owed)
{
    for (uint32_t i = 0; i < machine.unit_count; i++) {
        struct unit_done expected = before[i];

        if ((set >> i & 1) != 0) {
            expected.pages += owed;
            expected.waits += owed;
        }
        assert_memory_equal(&machine.units[i].done, &expected, sizeof expected);
    }
    remember_what_was_done();
}

static void expect_on_set(uint64_t set, uint64_t mfn)
{
    for (uint32_t i = 0; i < machine.unit_count; i++) {
        if (mfn != 0 && (set >> i & 1) != 0)
            assert_true(arrives(own_function(i), BFN, mfn));
        else
            assert_true(is_blocked(own_function(i), BFN));
    }
}

static void map_replace_and_unmap(uint64_t set)
{
    struct iommu_context *context;

    assert_int_equal(iommu_context_create(&context, 100), 0);
    for (uint32_t i = 0; i < machine.unit_count; i++)
        if ((set >> i & 1) != 0)
            attach_unit(context, i);
    remember_what_was_done();
    iommu_flush_begin(&flush, context);
    assert_int_equal(iommu_map(context, BFN, MFN, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    expect_flushed(set, 0);
    expect_on_set(set, MFN);
    assert_int_equal(iommu_map(context, BFN, MFN + 1, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    expect_flushed(set, 1);
    expect_on_set(set, MFN + 1);
    assert_int_equal(iommu_unmap(context, BFN, 0, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    expect_flushed(set, 1);
    expect_on_set(set, 0);
    assert_int_equal(iommu_flush(&flush), 0);
    expect_flushed(set, 0);
}

static void a_flush_is_for_the_units_of_the_context(void **state)
{
    static const uint64_t sets[] = {
        0, 1, 2, 0x8000000000000000, 0x8000000000000001, 0x5555, 0xaaaaaaaaaaaaaaaa, UINT64_MAX};

    (void)state;
    ON_BOTH(vendor)
    for (uint32_t i = 0; i < COUNTS; i++)
        for (uint32_t set = 0; set < sizeof sets / sizeof *sets; set++) {
            plan_begin(vendor, counts[i], counts[i] < 3 ? 1 : 3);
            plan_start();
            map_replace_and_unmap(sets[set] & (UINT64_MAX >> (64 - counts[i])));
        }
}

/* Each context is flushed for itself, whatever other contexts its units have. */
static void contexts_on_common_units_are_apart(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    {
        struct iommu_context *one, *other;

        plan_begin(vendor, 3, 1);
        plan_start();
        one = context_with(BFN, MFN);
        other = context_with(BFN, MFN + 1);
        assert_int_equal(iommu_attach(one, 0, OWN(0)), 0);
        assert_int_equal(iommu_attach(one, 0, OWN(1)), 0);
        assert_int_equal(iommu_attach(other, 0, BEHIND(1)), 0);
        assert_int_equal(iommu_attach(other, 0, OWN(2)), 0);
        remember_what_was_done();
        map_now(other, BFN, MFN + 2);
        expect_flushed(6, 1);
        assert_true(arrives(own_function(0), BFN, MFN));
        assert_true(arrives(own_function(1), BFN, MFN));
        assert_true(arrives(machine_function_at(0, BEHIND(1)), BFN, MFN + 2));
        assert_true(arrives(own_function(2), BFN, MFN + 2));
    }
}

/* ---- reserved ranges ---- */

static bool has_range(const struct machine_function *function, uint32_t range)
{
    return function == own_function(range);
}

static void expect_ranges_of(const struct machine_function *function)
{
    for (uint32_t range = 0; range < plan.reserved; range++) {
        uint64_t first = RESERVED_MFN(range), last = first + RESERVED_FRAMES - 1;

        if (has_range(function, range)) {
            assert_true(arrives(function, first, first) && arrives(function, last, last));
            assert_false(passes_elsewhere(function, first));
        } else {
            assert_true(is_blocked(function, first) && is_blocked(function, last));
        }
        assert_true(is_blocked(function, first - 1) && is_blocked(function, last + 1));
    }
}

static void reserved_ranges_belong_to_a_device_of_one_segment(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    for (uint32_t segments = 1; segments <= 4; segments++) {
        plan_begin(vendor, 20, segments);
        plan.reserved = 20;
        plan_start();
        for (uint32_t f = 0; f < machine.function_count; f++)
            expect_ranges_of(&machine.functions[f]);
    }
}

/* Entries have no room for such an address: what is cut off it would lead elsewhere. */
static void ranges_beyond_the_machine_are_refused(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    for (uint32_t bit = MACHINE_BITS - 12; bit < 52; bit++) {
        uint64_t bfn = 1ull << bit | MACHINE_FIRST_MFN;

        plan_begin(vendor, 2, 1);
        plan.extra[plan.extra_count++] = (struct iommu_range){bfn, 1};
        plan_start();
        assert_int_equal(captured_count("refused"), 1);
        assert_true(is_blocked(own_function(0), bfn));
        assert_int_equal(iommu_attach(context_with(BFN, MFN), 0, OWN(0)), -EPERM); /* it would not work */
    }
}

/* As many as there is room for, one of them of 1 GiB, one entry: it is stored once for each tree that has it.
 */
static void many_ranges_cost_their_entries(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    {
        uint64_t frames = 1;
        uint32_t ranges = vendor == IOMMU_VENDOR_VTD ? 63 : 62, tables;

        plan_begin(vendor, 3, 1);
        plan.extra[plan.extra_count++] = (struct iommu_range){0x40000, 0x40000};
        while (plan.extra_count < ranges) {
            plan.extra[plan.extra_count] = (struct iommu_range){0x90000 + 0x400ull * plan.extra_count, 3};
            plan.extra_count++;
            frames += 3;
        }
        tables = 2 + 2 * ranges; /* at most: two for each range, a root and what is above it */
        plan_start();
        assert_in_range(machine.stores, frames, frames + tables + 32);
        machine.stores = 0;
        (void)context_with(BFN, MFN);
        assert_in_range(machine.stores, frames, frames + tables + 32);
        for (uint32_t i = 0; i < ranges; i++) {
            uint64_t last = plan.extra[i].bfn + plan.extra[i].frames - 1;

            assert_true(arrives(own_function(0), plan.extra[i].bfn, plan.extra[i].bfn));
            assert_true(arrives(own_function(0), last, last));
            assert_true(is_blocked(own_function(1), last));
        }
    }
}

/* What devices can put on the bus: a number that makes no sense counts as none. */
static void the_bus_has_a_width(void **state)
{
    static const struct {
        uint8_t byte;
        uint32_t bits;
    } widths[] = {{38, 39}, {31, 32}, {45, 46}, {63, 64}, {30, 64}, {0, 64}, {64, 64}, {255, 64}};
    uint8_t table[48] = {0};
    struct iommu_setup setup = {.vendor = IOMMU_VENDOR_VTD, .table = table, .table_size = sizeof table};
    (void)state;

    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        table[36] = widths[i].byte;
        assert_int_equal(iommu_dma_bits(&setup), widths[i].bits);
    }
    table[36] = 38;
    setup.table_size = 36;
    assert_int_equal(iommu_dma_bits(&setup), 64);
    setup.table_size = sizeof table;
    setup.vendor = IOMMU_VENDOR_AMDVI;
    assert_int_equal(iommu_dma_bits(&setup), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_device_passes_its_own_unit_only),
        cmocka_unit_test(the_same_id_in_two_segments_is_two_devices),
        cmocka_unit_test(a_flush_is_for_the_units_of_the_context),
        cmocka_unit_test(contexts_on_common_units_are_apart),
        cmocka_unit_test(reserved_ranges_belong_to_a_device_of_one_segment),
        cmocka_unit_test(ranges_beyond_the_machine_are_refused),
        cmocka_unit_test(many_ranges_cost_their_entries),
        cmocka_unit_test(the_common_levels_count),
        cmocka_unit_test(firmware_only_narrows_bus_addresses),
        cmocka_unit_test(firmware_narrows_machine_addresses),
        cmocka_unit_test(no_width_in_common_is_refused),
        cmocka_unit_test(the_smallest_width_counts),
        cmocka_unit_test(the_bus_has_a_width),
        cmocka_unit_test(the_fewest_domains_count),
        cmocka_unit_test(the_largest_leaves_in_common_count),
        cmocka_unit_test(one_that_caches_absence),
        cmocka_unit_test(one_that_is_not_coherent),
        cmocka_unit_test(each_by_what_it_can_invalidate),
        cmocka_unit_test(one_without_a_queue),
        cmocka_unit_test(an_unusable_unit_costs_its_own_devices),
        cmocka_unit_test(the_unusable_unit_has_the_rest),
        cmocka_unit_test(a_unit_that_dies_takes_nobody_with_it),
        cmocka_unit_test(one_unit_more_than_there_is_room_for),
        cmocka_unit_test(registers_of_every_unit_are_out_of_bounds),
        cmocka_unit_test(the_interrupt_window_is_always_listed),
        cmocka_unit_test(a_unit_that_does_not_come_on),
        cmocka_unit_test(each_allocation_of_bringing_up),
        cmocka_unit_test(each_allocation_of_a_context),
        cmocka_unit_test(failed_contexts_are_not_counted),
        cmocka_unit_test(each_allocation_of_an_attachment),
        cmocka_unit_test(each_allocation_of_an_interrupt),
        cmocka_unit_test(everything_else_takes_nothing),
    };

    return cmocka_run_group_tests_name("iommu_units", tests, NULL, NULL);
}

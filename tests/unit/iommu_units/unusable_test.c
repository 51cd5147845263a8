/* SPDX-License-Identifier: MIT */
/* Units that cannot be used, or not any more: what it costs, and whom. */
#include "tests/unit/iommu_units/units_test.h"

#include "guest-abi/include/sluice/errno.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define UNITS              6u
#define HYPERTRANSPORT_BFN 0xfd00000u

enum reason { SILENT, BASE_ZERO, SAME_REGISTERS, IN_HYPERVISOR, BEYOND_THE_BUS, REASONS };

static void spoil(uint32_t unit, enum reason reason)
{
    static const char *const sentences[] = {"nothing answers", "impossible", "the same registers",
                                            "the hypervisor's", "impossible"};

    switch (reason) {
    case BASE_ZERO:
        plan.base[unit] = 0;
        break;
    case SAME_REGISTERS:
        plan.base[unit] = plan.base[0];
        break;
    case IN_HYPERVISOR:
        plan.base[unit] = (MACHINE_FIRST_MFN + 0x1000) << 12;
        break;
    case BEYOND_THE_BUS:
        plan.base[unit] = 1ull << MACHINE_BITS;
        break;
    default:
        machine.units[unit].silent = true;
    }
    plan.reserved = UNITS;
    plan_start();
    assert_int_equal(captured_count(sentences[reason]), 1);
}

/* Its devices are nobody's, not those of whoever has the rest; all others are served. */
static void expect_lost(uint32_t unit)
{
    struct iommu_context *context = context_with(BFN, MFN);

    assert_int_equal(iommu_unit_count(), UNITS - 1);
    assert_false(machine_is_on(&machine.units[unit]));
    assert_false(iommu_interrupts_remapped());
    for (uint32_t f = 0; f < machine.function_count; f++) {
        const struct machine_function *function = &machine.functions[f];
        bool lost = function->unit == unit;

        if (function->is_unit)
            continue;
        assert_int_equal(iommu_attach(context, function->segment, function->id), lost ? -ENODEV : 0);
        if (lost)
            assert_true(is_blocked(function, BFN));
        else
            assert_true(arrives(function, BFN, MFN) && !passes_elsewhere(function, BFN));
    }
    assert_true(is_blocked(own_function(unit), RESERVED_MFN(unit)));
}

void an_unusable_unit_costs_its_own_devices(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    for (enum reason reason = SILENT; reason < REASONS; reason++)
        for (uint32_t segments = 1; segments <= 2; segments++) {
            plan_begin(vendor, UNITS, segments);
            spoil(2, reason);
            expect_lost(2);
        }
}

void the_unusable_unit_has_the_rest(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    for (enum reason reason = SILENT; reason < REASONS; reason++) {
        plan_begin(vendor, UNITS, 2);
        assert_int_equal(plan.rest[1], UNITS - 1);
        spoil(UNITS - 1, reason);
        expect_lost(UNITS - 1);
    }
}

static void expect_masters(uint32_t dead)
{
    for (uint32_t f = 0; f < machine.function_count; f++) {
        const struct machine_function *function = &machine.functions[f];

        if (!function->is_unit)
            assert_int_equal(machine_is_master(function), function->unit != dead);
    }
}

static void let_unit_die(uint32_t dying)
{
    struct iommu_context *context = context_with(BFN, MFN), *other = context_with(BFN, MFN + 1);

    for (uint32_t i = 0; i < UNITS; i++)
        if (i != dying)
            attach_unit(i == 0 ? context : other, i);
    attach_unit(context, dying);
    for (uint32_t f = 0; f < machine.function_count; f++)
        if (machine.functions[f].unit == dying && !machine.functions[f].is_unit)
            assert_int_equal(iommu_attach(context, machine.functions[f].segment, machine.functions[f].id), 0);
    machine.units[dying].drop_waits = true;
    iommu_flush_begin(&flush, context);
    assert_int_equal(iommu_unmap(context, BFN, 0, &flush), 0);
    assert_int_equal(iommu_flush(&flush), -EIO);
    assert_int_equal(machine.released, 0);
    assert_true(is_blocked(own_function(0), BFN)); /* the healthy unit of the context was flushed, too */
    assert_int_equal(captured_count("counts as dead"), 1);
    expect_masters(dying);
    assert_int_equal(iommu_map(context, BFN, MFN, 0, RW, &flush), -EIO);
    assert_int_equal(iommu_unmap(context, BFN, 0, &flush), -EIO);
    assert_int_equal(iommu_attach(context, machine.units[0].segment, BEHIND_LAST(0)), -EIO);
    map_now(other, BFN, MFN + 2);
    for (uint32_t i = 1; i < UNITS; i++)
        assert_true(i == dying || arrives(own_function(i), BFN, MFN + 2));
    assert_int_equal(iommu_attach(other, machine.units[dying].segment, OWN(dying / plan.segments)), -EIO);
    map_now(other, BFN, MFN + 3);
    for (uint32_t i = 0; i < UNITS; i++)
        assert_int_equal(iommu_unit_dead(i), i == dying);
    assert_false(iommu_interrupts_remapped());
}

void a_unit_that_dies_takes_nobody_with_it(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    for (uint32_t dying = 1; dying < UNITS; dying += 2)
        for (uint32_t segments = 1; segments <= 2; segments++) {
            plan_begin(vendor, UNITS, segments);
            plan_start();
            let_unit_die(dying);
        }
}

/*
 * VT-d's parser keeps 64 units: what the last one has is not known, so nobody gets what is not named one by
 * one. An IVRS is kept
 * whole: only that unit's devices are lost.
 */
void one_unit_more_than_there_is_room_for(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    {
        uint32_t last = MACHINE_UNITS_MAX - 1;
        struct iommu_context *context;
        const struct machine_function *rest;

        plan_begin(vendor, MACHINE_UNITS_MAX, 1);
        plan.rest[0] = 0;
        plan_start();
        context = context_with(BFN, MFN);
        assert_int_equal(iommu_unit_count(), MACHINE_UNITS_MAX - 1);
        assert_false(machine_is_on(&machine.units[last]));
        assert_int_equal(iommu_attach(context, 0, OWN(last)), -ENODEV);
        assert_true(is_blocked(own_function(last), BFN));
        rest = machine_function_at(0, REST);
        assert_int_equal(iommu_attach(context, 0, REST), vendor == IOMMU_VENDOR_VTD ? -ENODEV : 0);
        assert_int_equal(is_blocked(rest, BFN), vendor == IOMMU_VENDOR_VTD);
        for (uint32_t i = 0; i < last; i++) {
            assert_int_equal(iommu_attach(context, 0, OWN(i)), 0);
            assert_true(arrives(own_function(i), BFN, MFN));
        }
        assert_false(iommu_interrupts_remapped());
    }
}

/* The pages around the unit's first register, and what else AMD-Vi's devices must not be let to. */
static void expect_out_of_bounds(enum iommu_vendor vendor, uint32_t unit, uint32_t block_types)
{
    plan_begin(vendor, 64, 2);
    plan.block_types = block_types;
    plan.extra[plan.extra_count++] = (struct iommu_range){(MACHINE_BASE(unit) >> 12) - 1, 3};
    if (vendor == IOMMU_VENDOR_AMDVI)
        plan.extra[plan.extra_count++] = (struct iommu_range){HYPERTRANSPORT_BFN, 1};
    machine.units[1].silent = true;
    plan_start();
    assert_int_equal(iommu_unit_count(), 63);
    assert_int_equal(captured_count("holds registers"), plan.extra_count);
    for (uint32_t i = 0; i < plan.extra_count; i++)
        for (uint64_t frame = 0; frame < plan.extra[i].frames; frame++)
            assert_true(is_blocked(own_function(0), plan.extra[i].bfn + frame));
}

/* However many units there are, usable or not, and however many blocks tell of each. */
void registers_of_every_unit_are_out_of_bounds(void **state)
{
    (void)state;
    for (uint32_t unit = 0; unit < 64; unit++)
        expect_out_of_bounds(IOMMU_VENDOR_VTD, unit, 1);
    for (uint32_t block_types = 1; block_types <= 3; block_types++)
        for (uint32_t unit = 0; unit < 64; unit += 21)
            expect_out_of_bounds(IOMMU_VENDOR_AMDVI, unit, block_types);
}

/* The interrupt window has its place in the list, however many ranges firmware wants. */
void the_interrupt_window_is_always_listed(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    {
        plan_begin(vendor, 64, 2);
        plan.reserved = 64;
        plan_start();
        assert_int_equal(iommu_reserved_count(), 64);
        assert_int_equal(iommu_reserved_at(63).kind, IOMMU_KIND_MSI);
        assert_true(captured_count("there are more than Sluice keeps") > 0);
    }
}

/* It costs its devices; only when no unit comes on there is nothing to start a guest with. */
void a_unit_that_does_not_come_on(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    for (uint32_t unit = 0; unit < UNITS; unit += 5) {
        struct iommu_context *context;

        plan_begin(vendor, UNITS, 2);
        assert_int_equal(plan_init(), 0);
        machine.units[unit].drop_waits = true;
        assert_int_equal(iommu_enable(), 0);
        context = context_with(BFN, MFN);
        assert_false(iommu_interrupts_remapped());
        for (uint32_t i = 0; i < UNITS; i++) {
            uint16_t segment = machine.units[i].segment, id = OWN(i / plan.segments);

            assert_int_equal(iommu_unit_dead(i), i == unit);
            assert_int_equal(iommu_covers(segment, id), i != unit);
            assert_int_equal(iommu_attach(context, segment, id), i == unit ? -EIO : 0);
            assert_true(i == unit || arrives(own_function(i), BFN, MFN));
        }
        for (uint32_t i = 0; i < UNITS; i++)
            machine.units[i].drop_waits = true;
        assert_int_equal(plan_init(), 0);
        assert_int_equal(iommu_enable(), -EIO);
    }
}

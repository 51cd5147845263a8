/* SPDX-License-Identifier: MIT */
/* Memory is short: each allocation of each call fails in turn, alone, and nothing is worse than before. */
#include "tests/unit/iommu_units/units_test.h"

#include "guest-abi/include/sluice/errno.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define UNITS    3u
#define RESERVED 2u
#define QUOTA    1200u /* tables for all that use_all() maps */

static void begin(enum iommu_vendor vendor)
{
    plan_begin(vendor, UNITS, 1);
    plan.reserved = RESERVED;
    plan.block_types = 1;
}

/* ---- bringing up ---- */

/* Nothing is on, nothing is there to be used. */
static void expect_nothing(void)
{
    struct iommu_context *context;
    uint32_t index;

    assert_int_equal(iommu_enable(), -EIO);
    assert_int_equal(iommu_unit_count(), 0);
    assert_int_equal(iommu_context_create(&context, 10), -ENODEV);
    assert_int_equal(iommu_detach(0, OWN(0)), -ENODEV);
    assert_int_equal(iommu_interrupt_allocate(0, OWN(0), &index), -ENODEV);
    assert_false(iommu_covers(0, OWN(0)));
    assert_false(iommu_interrupts_remapped());
    for (uint32_t i = 0; i < machine.unit_count; i++)
        assert_false(machine_is_on(&machine.units[i]));
}

/* Every unit is on and serves its devices, whatever they had before. */
static void expect_everything(void)
{
    struct iommu_context *context = context_with(BFN, MFN);

    attach_all(context);
    for (uint32_t f = 0; f < machine.function_count; f++)
        if (!machine.functions[f].is_unit)
            assert_true(arrives(&machine.functions[f], BFN, MFN));
    for (uint32_t i = 0; i < RESERVED; i++)
        assert_true(arrives(own_function(i), RESERVED_MFN(i), RESERVED_MFN(i)));
}

/* Devices that reach their reserved ranges; each other one is blocked. */
static uint32_t served(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < RESERVED; i++) {
        bool reaches = arrives(own_function(i), RESERVED_MFN(i), RESERVED_MFN(i));

        assert_int_not_equal(reaches, is_blocked(own_function(i), RESERVED_MFN(i)));
        count += reaches;
    }
    return count;
}

/*
 * Of what a unit needs: the call fails, and so the start. Of what only a device needs that firmware reserves
 * memory for: that one is blocked, in a sentence, until it is attached.
 */
void each_allocation_of_bringing_up(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    {
        uint32_t refused = 0, blocked = 0;
        int64_t allocation = 0;

        for (;; allocation++) {
            begin(vendor);
            machine.failing_allocation = allocation;
            if (plan_init() == -ENOMEM) {
                refused++;
                machine.failing_allocation = -1;
                expect_nothing();
                machine_restart();
                plan_start();
                assert_int_equal(served(), RESERVED);
                continue;
            }
            assert_int_equal(iommu_enable(), 0);
            if (machine.failing_allocation >= 0)
                break;
            blocked++;
            assert_int_equal(captured_count("it stays blocked"), 1);
            assert_int_equal(captured_count("(-12)"), 1);
            assert_int_equal(served(), RESERVED - 1);
            expect_everything();
        }
        assert_int_equal(served(), RESERVED);
        assert_int_equal(refused, 3 * UNITS);
        /* A context is two allocations; of VT-d, the bus's entries, which the devices share, are one. */
        assert_int_equal(blocked, 2 * RESERVED + (vendor == IOMMU_VENDOR_VTD ? RESERVED : 0));
        assert_int_equal(allocation, refused + blocked);
    }
}

/* ---- one call ---- */

static struct iommu_context *first, *made;
static uint32_t interrupt;

static int create(void)
{
    return iommu_context_create(&made, 50);
}

/* Of a bus that nobody is attached on yet. */
static int attach(void)
{
    return iommu_attach(first, 0, BEHIND(1));
}

static int allocate_interrupt(void)
{
    return iommu_interrupt_allocate(0, BEHIND(1), &interrupt);
}

static int use_all(void)
{
    struct iommu_mapping mapping;
    uint64_t done;
    int error = 0;

    iommu_flush_begin(&flush, first);
    for (uint32_t order = 0; order <= 18; order++) {
        uint64_t bfn = 0x4000000ull + ((uint64_t)order << 20);

        error |= iommu_map(first, bfn, MACHINE_GUEST_MFN, order, RW, &flush);
        error |= iommu_unmap(first, bfn, order / 2, &flush);
    }
    error |= iommu_map_run(first, 0x3000005, MACHINE_GUEST_MFN, 1200, RW, &flush, &done);
    error |= iommu_unmap_run(first, 0x3000007, 1100, &flush, &done);
    error |= iommu_flush(&flush);
    assert_int_equal(iommu_lookup(first, 0x3000006, &mapping), 0);
    for (uint32_t order = 0; order <= 18; order++)
        error |= iommu_unmap(first, 0x4000000ull + ((uint64_t)order << 20), order, &flush);
    error |= iommu_unmap(first, 0x3000000, 11, &flush);
    return error | iommu_flush(&flush) | iommu_detach(0, OWN(0)) | iommu_attach(first, 0, OWN(0));
}

/* As it was: who is attached passes, everybody else does not, and no frame is gone. */
static void expect_as_before(int64_t frames)
{
    assert_int_equal(machine.frames_out, frames);
    assert_true(arrives(own_function(0), BFN, MFN));
    assert_true(is_blocked(own_function(1), BFN));
    assert_true(is_blocked(machine_function_at(0, BEHIND(1)), BFN));
    for (uint32_t i = 1; i < RESERVED; i++)
        assert_true(arrives(own_function(i), RESERVED_MFN(i), RESERVED_MFN(i)));
    assert_int_equal(iommu_interrupt_free(0, BEHIND(1), 0), -ENOENT);
}

/* Fails each allocation of the call, then lets it through; how many there were. */
static uint32_t fail_each(enum iommu_vendor vendor, int (*call)(void))
{
    for (uint32_t allocation = 0;; allocation++) {
        int64_t frames;
        uint32_t tables;
        int error;

        begin(vendor);
        plan_start();
        assert_int_equal(iommu_context_create(&first, QUOTA), 0);
        map_now(first, BFN, MFN);
        assert_int_equal(iommu_attach(first, 0, OWN(0)), 0);
        frames = machine.frames_out;
        tables = iommu_tables_used(first);
        machine.failing_allocation = allocation;
        error = call();
        assert_int_equal(iommu_tables_used(first), tables);
        if (machine.failing_allocation >= 0) {
            assert_int_equal(error, 0);
            machine.failing_allocation = -1;
            return allocation;
        }
        assert_int_equal(error, -ENOMEM);
        expect_as_before(frames);
        assert_int_equal(call(), 0);
    }
}

void each_allocation_of_a_context(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    {
        assert_int_equal(fail_each(vendor, create), 2);
        map_now(made, BFN, MFN + 1);
        assert_int_equal(iommu_attach(made, 0, BEHIND(1)), 0);
        assert_true(arrives(machine_function_at(0, BEHIND(1)), BFN, MFN + 1));
    }
}

/* A context that failed costs none of the few that there can be. */
void failed_contexts_are_not_counted(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    {
        uint32_t count[2] = {0};

        for (uint32_t failing = 0; failing < 2; failing++) {
            begin(vendor);
            plan_start();
            for (uint32_t i = 0; i < 100 && failing != 0; i++) {
                machine.failing_allocation = i % 2;
                assert_int_equal(create(), -ENOMEM);
            }
            machine.failing_allocation = -1;
            while (create() == 0)
                count[failing]++;
        }
        assert_true(count[0] > 20);
        assert_int_equal(count[0], count[1]);
    }
}

void each_allocation_of_an_attachment(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    {
        assert_int_equal(fail_each(vendor, attach), vendor == IOMMU_VENDOR_VTD ? 1 : 0);
        assert_true(arrives(machine_function_at(0, BEHIND(1)), BFN, MFN));
    }
}

void each_allocation_of_an_interrupt(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    {
        const struct iommu_interrupt to = {.vector = 0x40};

        assert_int_equal(fail_each(vendor, allocate_interrupt), vendor == IOMMU_VENDOR_VTD ? 0 : 1);
        assert_int_equal(iommu_interrupt_set(0, BEHIND(1), interrupt, &to, NULL), 0);
        assert_int_equal(iommu_interrupt_free(0, BEHIND(1), interrupt), 0);
    }
}

/* Maps and unmaps live on what was set aside; so do flushes, detaching, and what was attached before. */
void everything_else_takes_nothing(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    assert_int_equal(fail_each(vendor, use_all), 0);
}

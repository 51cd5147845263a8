/* SPDX-License-Identifier: MIT */
/* Units that are not alike: a context uses what all of them can do, and each is told in its own way. */
#include "tests/unit/iommu_units/units_test.h"

#include "drivers/iommu/amdvi/regs.h"
#include "drivers/iommu/vtd/regs.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define UNITS 5u
#define ODD   3u /* the one that differs */

static void set_widths(uint32_t unit, uint32_t sagaw, uint32_t bits)
{
    uint64_t *cap = &machine.units[unit].cap;

    *cap = (*cap & ~(0x1full << 8 | 0x3full << 16)) | (uint64_t)sagaw << 8 | (uint64_t)(bits - 1) << 16;
}

static void set_levels(uint32_t unit, uint32_t hats)
{
    machine.units[unit].features = AMDVI_FEATURE_INV_ALL | (uint64_t)hats << 10;
    machine_restart();
}

/* A context of them all, at both ends of the width that they have in common. */
static void expect_width(uint32_t bits)
{
    struct iommu_context *context;
    uint64_t last = (1ull << (bits - 12)) - 1;

    plan_start();
    context = context_with(BFN, MFN);
    attach_all(context);
    map_now(context, last, MFN + 1);
    assert_int_equal(iommu_max_bfn(context), last);
    assert_int_equal(iommu_map(context, last + 1, MFN, 0, RW, &flush), -EINVAL);
    for (uint32_t i = 0; i < UNITS; i++) {
        assert_true(arrives(own_function(i), BFN, MFN));
        assert_true(arrives(own_function(i), last, MFN + 1));
    }
}

void the_common_levels_count(void **state)
{
    (void)state;
    plan_begin(IOMMU_VENDOR_VTD, UNITS, 2);
    set_widths(ODD, 2, 48); /* three levels and no more; the width is then theirs */
    expect_width(39);
    plan_begin(IOMMU_VENDOR_VTD, UNITS, 2);
    set_widths(0, 4, 48);
    set_widths(ODD, 0xc, 57); /* four or five */
    expect_width(48);
    plan_begin(IOMMU_VENDOR_VTD, UNITS, 2);
    for (uint32_t i = 0; i < UNITS; i++)
        set_widths(i, i == ODD ? 0x8 : 0xe, 57);
    expect_width(57);
    for (uint32_t hats = 0; hats < 3; hats++) {
        plan_begin(IOMMU_VENDOR_AMDVI, UNITS, 2);
        set_levels(ODD, hats);
        expect_width(hats < 2 ? 48 + 9 * hats : 64);
    }
}

#define IVINFO(physical, virtual) ((physical) << 8 | (virtual) << 15)

void firmware_only_narrows_bus_addresses(void **state)
{
    static const struct {
        uint32_t said, hats, bits; /* VASize, the unit's levels less four, and what comes of it */
        const char *words;
    } cases[] = {
        {0, 0, 48, NULL},
        {48, 0, 48, NULL},
        {64, 2, 64, NULL},
        {48, 2, 48, "48 bits of bus address, the units translate 64: the fewer count"},
        {39, 0, 39, "the fewer count"},
        {64, 0, 48, "64 bits of bus address, the units translate 48: the units are"},
        {31, 0, 48, "the units are believed"},
        {127, 2, 64, "the units are believed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        plan_begin(IOMMU_VENDOR_AMDVI, UNITS, 2);
        set_levels(ODD, cases[i].hats);
        plan.ivinfo = IVINFO(48u, cases[i].said);
        captured_clear();
        expect_width(cases[i].bits);
        assert_int_equal(captured_count("bits of bus address"), cases[i].words != NULL);
        if (cases[i].words != NULL)
            assert_int_equal(captured_count(cases[i].words), 1);
    }
}

/* No entry leads to where firmware says that the units do not reach. */
void firmware_narrows_machine_addresses(void **state)
{
    static const struct {
        uint32_t ivinfo, bits;
    } cases[] = {{0, MACHINE_BITS},
                 {IVINFO(36u, 64u), 36},
                 {IVINFO(36u, 0u), 36},
                 {IVINFO(48u, 38u), 38},
                 {IVINFO(52u, 64u), MACHINE_BITS},
                 {IVINFO(31u, 31u), MACHINE_BITS},
                 {IVINFO(127u, 127u), MACHINE_BITS}};
    struct iommu_context *context;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t last = (1ull << (cases[i].bits - 12)) - 1;

        plan_begin(IOMMU_VENDOR_AMDVI, UNITS, 2);
        plan.ivinfo = cases[i].ivinfo;
        plan_start();
        context = context_with(BFN, last);
        assert_int_equal(iommu_map(context, BFN + 1, last + 1, 0, RW, &flush), -EINVAL);
    }
}

void no_width_in_common_is_refused(void **state)
{
    (void)state;
    plan_begin(IOMMU_VENDOR_VTD, UNITS, 2);
    set_widths(0, 4, 48);
    set_widths(ODD, 2, 39);
    assert_int_equal(plan_init(), -ENODEV);
    assert_int_equal(captured_count("no address width in common"), 1);
    assert_int_not_equal(iommu_enable(), 0);
    for (uint32_t i = 0; i < UNITS; i++)
        assert_false(machine_is_on(&machine.units[i]));
}

void the_smallest_width_counts(void **state)
{
    (void)state;
    plan_begin(IOMMU_VENDOR_VTD, UNITS, 2);
    set_widths(ODD, 6, 42); /* four levels of which it uses a part */
    expect_width(42);
    plan_begin(IOMMU_VENDOR_VTD, UNITS, 2);
    set_widths(1, 6, 34);
    expect_width(34);
}

/* The unit fails a context whose domain it does not have. VT-d: AMD-Vi's units all have 65536. */
void the_fewest_domains_count(void **state)
{
    struct iommu_context *context;
    uint32_t made = 0;

    (void)state;
    plan_begin(IOMMU_VENDOR_VTD, UNITS, 2);
    machine.units[ODD].cap &= ~7ull; /* 16 */
    plan_start();
    while (iommu_context_create(&context, 4) == 0) {
        attach_unit(context, ODD);
        map_now(context, BFN, MFN + made);
        assert_true(arrives(own_function(ODD), BFN, MFN + made++));
    }
    assert_in_range(made, 10, 15);
}

/* VT-d: AMD-Vi's units all have leaves of 1 GiB. */
void the_largest_leaves_in_common_count(void **state)
{
    static const struct {
        uint64_t missing, entries; /* of 1 GiB */
    } units[] = {{0, 1}, {VTD_CAP_SLLPS_1G, 512}, {VTD_CAP_SLLPS_2M | VTD_CAP_SLLPS_1G, 512 * 512}};

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        struct iommu_context *context;
        uint64_t stores;

        plan_begin(IOMMU_VENDOR_VTD, UNITS, 2);
        machine.units[ODD].cap &= ~units[i].missing;
        plan_start();
        assert_int_equal(iommu_context_create(&context, 600), 0);
        attach_unit(context, 1);
        iommu_flush_begin(&flush, context);
        stores = machine.stores;
        assert_int_equal(iommu_map(context, 0x80000, 0x40000, 18, RW, &flush), 0);
        assert_in_range(machine.stores - stores, units[i].entries, units[i].entries + 516);
        assert_int_equal(iommu_flush(&flush), 0);
        assert_true(arrives(own_function(1), 0x80000 + 513, 0x40000 + 513));
    }
}

static void let_one_cache_absence(enum iommu_vendor vendor)
{
    plan_begin(vendor, UNITS, 2);
    if (vendor == IOMMU_VENDOR_VTD)
        machine.units[ODD].cap |= VTD_CAP_CM;
    else
        machine.units[ODD].caches_absence = true;
}

/* A map is told to the unit that remembers that nothing was there. */
void one_that_caches_absence(void **state)
{
    (void)state;
    ON_BOTH(vendor)
    {
        struct iommu_context *context;

        let_one_cache_absence(vendor);
        plan_start();
        for (uint32_t f = 0; f < machine.function_count; f++)
            assert_true(is_blocked(&machine.functions[f], BFN)); /* and this is remembered */
        assert_int_equal(iommu_context_create(&context, 100), 0);
        attach_all(context);
        for (uint32_t i = 0; i < UNITS; i++)
            assert_true(is_blocked(own_function(i), BFN));
        map_now(context, BFN, MFN);
        for (uint32_t i = 0; i < UNITS; i++)
            assert_true(arrives(own_function(i), BFN, MFN));
    }
}

/* One that does not see the CPU's caches sees all that it needs, tables and queue. VT-d: AMD-Vi's do see. */
void one_that_is_not_coherent(void **state)
{
    (void)state;
    for (uint32_t odd = 0; odd < UNITS; odd++) {
        struct iommu_context *context;

        plan_begin(IOMMU_VENDOR_VTD, UNITS, 2);
        plan.reserved = UNITS;
        machine.units[odd].ecap &= ~VTD_ECAP_C;
        machine.has_written = true;
        plan_start();
        for (uint32_t i = 0; i < UNITS; i++)
            assert_true(arrives(own_function(i), RESERVED_MFN(i), RESERVED_MFN(i)));
        context = context_with(BFN, MFN);
        attach_all(context);
        for (uint32_t i = 0; i < UNITS; i++)
            assert_true(arrives(own_function(i), BFN, MFN));
        map_now(context, BFN, MFN + 1);
        map_now(context, 0x7654321, MFN + 2);
        for (uint32_t i = 0; i < UNITS; i++)
            assert_true(arrives(own_function(i), BFN, MFN + 1) &&
                        arrives(own_function(i), 0x7654321, MFN + 2));
        assert_int_equal(iommu_unmap(context, 0x7654321, 0, &flush), 0);
        assert_int_equal(iommu_flush(&flush), 0);
        for (uint32_t i = 0; i < UNITS; i++)
            assert_true(is_blocked(own_function(i), 0x7654321));
    }
}

/* The same flush of 2^9 pages: by the pages, by the whole domain where they cannot be named. */
void each_by_what_it_can_invalidate(void **state)
{
    struct iommu_context *context;
    struct unit_done before[4];

    (void)state;
    plan_begin(IOMMU_VENDOR_VTD, 4, 1);
    machine.units[1].cap &= ~(VTD_CAP_PSI | 0x3full << 48);
    machine.units[2].cap = (machine.units[2].cap & ~(0x3full << 48)) | 8ull << 48;
    machine.units[3].cap = (machine.units[3].cap & ~(0x3full << 48)) | 9ull << 48;
    plan_start();
    context = context_with(BFN, MFN);
    attach_all(context);
    assert_int_equal(iommu_map(context, 0x2000, MACHINE_GUEST_MFN, 9, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(arrives(own_function(i), 0x21ff, MACHINE_GUEST_MFN + 0x1ff));
        before[i] = machine.units[i].done;
    }
    assert_int_equal(iommu_unmap(context, 0x2000, 9, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    for (uint32_t i = 0; i < 4; i++) {
        bool by_pages = i == 0 || i == 3;

        assert_true(is_blocked(own_function(i), 0x21ff));
        assert_int_equal(machine.units[i].done.pages - before[i].pages, by_pages);
        assert_int_equal(machine.units[i].done.domain - before[i].domain, !by_pages);
        assert_int_equal(machine.units[i].done.waits - before[i].waits, 1);
    }
    assert_int_equal(machine.units[0].done.widest, 9);
}

/* It is told by its registers, the others by their queues. VT-d: an AMD-Vi unit always has its commands. */
void one_without_a_queue(void **state)
{
    struct iommu_context *context;

    (void)state;
    plan_begin(IOMMU_VENDOR_VTD, UNITS, 2);
    machine.units[ODD].ecap &= ~(VTD_ECAP_QI | VTD_ECAP_IR);
    plan_start();
    assert_false(iommu_interrupts_remapped());
    context = context_with(BFN, MFN);
    attach_all(context);
    for (uint32_t i = 0; i < UNITS; i++)
        assert_true(arrives(own_function(i), BFN, MFN));
    map_now(context, BFN, MFN + 1);
    for (uint32_t i = 0; i < UNITS; i++)
        assert_true(arrives(own_function(i), BFN, MFN + 1));
    assert_int_equal(machine.units[ODD].done.waits, 0);
    assert_int_equal(machine.units[ODD].done.pages, 1);
}

/* SPDX-License-Identifier: MIT */
/*
 * Protection on the whole way from firmware's table to a device's DMA, when the table is spoiled: whatever it
 * says, either nothing is started, or every unit that is driven is on, and no device reaches what is not
 * its own on any of them.
 */
#include "drivers/iommu/amdvi/amdvi.h"
#include "drivers/iommu/driver.h"
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/host/log_capture.h"
#include "tests/unit/iommu_units/rich.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RW  (IOMMU_READ | IOMMU_WRITE)
#define MFN 0x70007ull /* below 4 GiB: no width that firmware may give is less */

static struct rich rich;
static struct iommu_flush flush;
static uint32_t refused, started, attached; /* how often */
static uint64_t bfn;                        /* that the guest maps */
static bool is_cut; /* the table says too little, and that it does; what it says is true of the machine */

/* The table that is being tried; its place in the sweep. */
static uint8_t *table;
static size_t table_size, place;

/* ---- units as Sluice drives them ---- */

static uint16_t segment_of(uint32_t unit)
{
    return machine.vendor == IOMMU_VENDOR_VTD ? vtd_unit_at(unit)->segment : amdvi_unit_at(unit)->segment;
}

static struct unit *unit_of(uint32_t unit)
{
    for (uint32_t i = 0; i < machine.unit_count; i++)
        if (machine.units[i].base >> 12 == iommu_unit_registers(unit).bfn)
            return &machine.units[i];
    fail_msg("a unit that is not there");
    return NULL;
}

static bool passes(uint32_t unit, uint16_t id, uint64_t at, bool write)
{
    uint64_t mfn;

    return machine_dma(unit_of(unit), id, at, write, &mfn);
}

/* ---- what must hold when translation is on ---- */

static void expect_all_on(void)
{
    assert_int_not_equal(iommu_unit_count(), 0);
    for (uint32_t unit = 0; unit < iommu_unit_count(); unit++) {
        assert_true(machine_is_on(unit_of(unit)));
        assert_false(iommu_unit_dead(unit));
    }
}

static bool is_forbidden(uint64_t mfn, uint64_t frames)
{
    return (mfn < MACHINE_FIRST_MFN + MACHINE_FRAMES && mfn + frames > MACHINE_FIRST_MFN) ||
           (mfn < 0xfef00 && mfn + frames > 0xfee00) || saying_has_registers(mfn, frames);
}

static void expect_harmless_ranges(void)
{
    for (uint32_t i = 0; i < iommu_reserved_count(); i++) {
        struct iommu_reserved range = iommu_reserved_at(i);

        if (range.kind == IOMMU_KIND_IDENTITY)
            assert_false(is_forbidden(range.bfn, range.frames));
    }
}

/* Before anything is attached: reserved memory, in its place, for those for whom it is reserved. */
static void expect_reserved_only(uint32_t unit, uint16_t id, uint64_t at)
{
    for (uint32_t write = 0; write < 2; write++) {
        uint64_t mfn;

        if (!machine_dma(unit_of(unit), id, at, write != 0, &mfn))
            continue;
        assert_int_equal(mfn, at);
        assert_false(is_forbidden(mfn, 1));
        assert_true(saying_reserves(segment_of(unit), id, mfn, write != 0));
    }
}

static void expect_requester_confined(uint32_t unit, uint16_t id)
{
    static const uint64_t frames[] = {0,
                                      1,
                                      MACHINE_FIRST_MFN,
                                      MACHINE_FIRST_MFN + 600,
                                      0xfee00,
                                      0xfeeff,
                                      MACHINE_GUEST_MFN,
                                      0x1234,
                                      MFN,
                                      0xfd00000,
                                      0x7ffff};

    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++)
        expect_reserved_only(unit, id, frames[i]);
    for (uint32_t i = 0; i < machine.unit_count; i++)
        expect_reserved_only(unit, id, machine.units[i].base >> 12);
    for (uint32_t i = 0; rich_reserved_frame(i) != 0; i++)
        expect_reserved_only(unit, id, rich_reserved_frame(i));
    for (uint32_t i = 0; i < iommu_reserved_count(); i++) {
        struct iommu_reserved range = iommu_reserved_at(i);

        expect_reserved_only(unit, id, range.bfn);
        expect_reserved_only(unit, id, range.bfn + range.frames);
        expect_reserved_only(unit, id, range.bfn - 1);
    }
}

static void expect_everybody_confined(void)
{
    for (uint32_t unit = 0; unit < iommu_unit_count(); unit++) {
        for (uint32_t f = 0; f < machine.function_count; f++) {
            expect_requester_confined(unit, machine.functions[f].id);
            expect_requester_confined(unit, machine.functions[f].shows);
        }
        expect_requester_confined(unit, 0xffff);
    }
}

/* ---- a guest's context ---- */

/* A page, and one behind it, that no reserved range holds: they have 4 GiB in all. */
static uint64_t free_bfn(void)
{
    for (uint32_t i = 0; i < iommu_reserved_count(); i++) {
        struct iommu_reserved range = iommu_reserved_at(i);

        if (range.bfn <= 0x1235 && range.bfn + range.frames > 0x1234)
            return 0x2345678;
    }
    return 0x1234;
}

/* On how many units the function reaches the guest's frame; those must be what the table says. */
static uint32_t units_that_let_pass(const struct machine_function *function)
{
    uint32_t count = 0;

    for (uint32_t unit = 0; unit < iommu_unit_count(); unit++) {
        uint64_t mfn;

        if (segment_of(unit) != function->segment ||
            !machine_dma(unit_of(unit), function->id, bfn, true, &mfn))
            continue;
        assert_int_equal(mfn, MFN);
        assert_true(saying_allows_unit(function->segment, function->id, unit_of(unit)->base) ||
                    saying_is_alias(function->segment, function->id));
        assert_true(!is_cut || function->is_unit || unit_of(unit) == &machine.units[function->unit]);
        count++;
    }
    return count;
}

/* An alias is a requester wherever devices show as it. */
static void expect_attached_only(const bool *is_attached)
{
    for (uint32_t f = 0; f < machine.function_count; f++) {
        const struct machine_function *function = &machine.functions[f];
        uint32_t units = units_that_let_pass(function);

        if (saying_is_alias(function->segment, function->id))
            assert_true(units >= is_attached[f]);
        else
            assert_int_equal(units, is_attached[f]);
    }
}

static void expect_hypervisor_out_of_reach(void)
{
    for (uint32_t unit = 0; unit < iommu_unit_count(); unit++)
        for (uint32_t f = 0; f < machine.function_count; f++) {
            assert_false(passes(unit, machine.functions[f].id, MACHINE_FIRST_MFN, false));
            assert_false(passes(unit, machine.functions[f].id, 0xfee00, true));
            assert_false(passes(unit, machine.functions[f].id, bfn + 1, true));
        }
}

static void try_a_guest(void)
{
    static bool is_attached[MACHINE_FUNCTIONS];
    struct iommu_context *context;

    assert_int_equal(iommu_context_create(&context, 20), 0);
    for (uint32_t f = 0; f < machine.function_count; f++) {
        uint16_t segment = machine.functions[f].segment, id = machine.functions[f].id;
        int error = iommu_attach(context, segment, id);

        assert_true(error == 0 || error == -ENODEV || error == -EPERM);
        assert_int_equal(error == -EPERM, saying_lacks_a_range(segment, id));
        is_attached[f] = error == 0;
        attached += error == 0;
    }
    bfn = free_bfn();
    iommu_flush_begin(&flush, context);
    assert_int_equal(iommu_map(context, bfn, MFN, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    expect_attached_only(is_attached);
    expect_hypervisor_out_of_reach();
    assert_int_equal(iommu_unmap(context, bfn, 0, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    for (uint32_t f = 0; f < machine.function_count; f++)
        assert_int_equal(units_that_let_pass(&machine.functions[f]), 0);
}

/* ---- one spoiled table ---- */

static void expect_untouched(void)
{
    assert_int_not_equal(iommu_enable(), 0);
    for (uint32_t i = 0; i < machine.unit_count; i++)
        assert_false(machine_is_on(&machine.units[i]));
    refused++;
}

static void start(void)
{
    const struct iommu_setup setup = {.vendor = machine.vendor,
                                      .table = table,
                                      .table_size = table_size,
                                      .physical_bits = MACHINE_BITS,
                                      .fault_address = 0xfee01000ull,
                                      .fault_data = 0x41};

    captured_clear();
    machine_restart();
    if (iommu_init(&setup) != 0) {
        expect_untouched();
        return;
    }
    assert_true(saying_read(table, table_size));
    assert_int_equal(iommu_enable(), 0);
    expect_all_on();
    expect_harmless_ranges();
    expect_everybody_confined();
    try_a_guest();
    started++;
}

/* Of exactly that size, so that the sanitizer sees a read beyond it, and with a sum of 0, as ACPI has it. */
static void start_copy(const uint8_t *bytes, size_t size)
{
    uint8_t sum = 0;

    table = malloc(size);
    table_size = size;
    assert_non_null(table);
    memcpy(table, bytes, size);
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
    if (size > 9)
        table[9] = (uint8_t)(table[9] - sum);
    start();
    free(table);
    table = NULL;
}

/* A case that failed left its table behind. */
static int tell_where(void **state)
{
    (void)state;
    if (table == NULL)
        return 0;
    print_message("at %zu (a byte or a bit) of a table of %zu bytes\n", place, table_size);
    captured_dump();
    free(table);
    table = NULL;
    return 0;
}

static void begin(enum iommu_vendor vendor)
{
    refused = started = attached = 0;
    is_cut = false;
    rich_make(vendor, &rich);
}

static void set_length(uint8_t *bytes, size_t length)
{
    bytes[4] = (uint8_t)length;
    bytes[5] = (uint8_t)(length >> 8);
}

/* A good table serves everybody; a spoiled one is refused at times, and serves at times. */
static void a_good_table(enum iommu_vendor vendor)
{
    uint32_t served = 0;

    begin(vendor);
    for (uint32_t f = 0; f < machine.function_count; f++)
        served += !machine.functions[f].is_unit &&
                  machine.units[machine.functions[f].unit].segment == machine.functions[f].segment;
    start_copy(rich.bytes, rich.size);
    assert_int_equal(started, 1);
    assert_in_range(attached, served, served + 2);
    assert_int_equal(iommu_unit_count(), machine.unit_count);
}

static void cut_everywhere(enum iommu_vendor vendor)
{
    begin(vendor);
    for (size_t size = 1; size <= rich.size; size++) {
        static uint8_t bytes[RICH_BYTES_MAX];

        place = size;
        is_cut = true;
        start_copy(rich.bytes, size);
        is_cut = false;
        memcpy(bytes, rich.bytes, size);
        if (size >= 6)
            set_length(bytes, size);
        start_copy(bytes, size);
    }
    assert_true(refused > 40 && started > 200 && attached > 1000);
}

static void set_every_byte(enum iommu_vendor vendor)
{
    static const uint8_t values[] = {0, 1, 3, 0xff};

    begin(vendor);
    for (size_t at = 0; at < rich.size; at++)
        for (size_t i = 0; i < sizeof values; i++) {
            uint8_t old = rich.bytes[at];

            place = at;
            rich.bytes[at] = values[i];
            start_copy(rich.bytes, rich.size);
            rich.bytes[at] = old;
        }
    assert_true(refused > 4 && started > 1000 && attached > 5000);
}

static void flip_every_bit(enum iommu_vendor vendor)
{
    begin(vendor);
    for (size_t bit = 0; bit < rich.size * 8; bit++) {
        place = bit;
        rich.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        start_copy(rich.bytes, rich.size);
        rich.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(refused > 4 && started > 2000 && attached > 10000);
}

static void a_good_dmar_serves_everybody(void **state)
{
    (void)state;
    a_good_table(IOMMU_VENDOR_VTD);
}

static void a_good_ivrs_serves_everybody(void **state)
{
    (void)state;
    a_good_table(IOMMU_VENDOR_AMDVI);
}

static void a_dmar_cut_at_every_byte(void **state)
{
    (void)state;
    cut_everywhere(IOMMU_VENDOR_VTD);
}

static void an_ivrs_cut_at_every_byte(void **state)
{
    (void)state;
    cut_everywhere(IOMMU_VENDOR_AMDVI);
}

static void a_dmar_with_every_byte_a_bad_length(void **state)
{
    (void)state;
    set_every_byte(IOMMU_VENDOR_VTD);
}

static void an_ivrs_with_every_byte_a_bad_length(void **state)
{
    (void)state;
    set_every_byte(IOMMU_VENDOR_AMDVI);
}

static void a_dmar_with_every_bit_flipped(void **state)
{
    (void)state;
    flip_every_bit(IOMMU_VENDOR_VTD);
}

static void an_ivrs_with_every_bit_flipped(void **state)
{
    (void)state;
    flip_every_bit(IOMMU_VENDOR_AMDVI);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_good_dmar_serves_everybody, tell_where),
        cmocka_unit_test_teardown(a_good_ivrs_serves_everybody, tell_where),
        cmocka_unit_test_teardown(a_dmar_cut_at_every_byte, tell_where),
        cmocka_unit_test_teardown(an_ivrs_cut_at_every_byte, tell_where),
        cmocka_unit_test_teardown(a_dmar_with_every_byte_a_bad_length, tell_where),
        cmocka_unit_test_teardown(an_ivrs_with_every_byte_a_bad_length, tell_where),
        cmocka_unit_test_teardown(a_dmar_with_every_bit_flipped, tell_where),
        cmocka_unit_test_teardown(an_ivrs_with_every_bit_flipped, tell_where),
    };

    return cmocka_run_group_tests_name("iommu_spoiled", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Bringing units up: refusals in words, no gap, reserved ranges, and firmware that left the unit on. */
#include "drivers/iommu/host.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/driver/machine.h"
#include "tests/driver/vendor.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void no_address_width_is_refused(void **state)
{
    (void)state;
    machine_start(MACHINE_NO_WIDTH);
    assert_int_equal(machine_init(), -ENODEV);
    assert_int_equal(captured_count(vendor_words(WORDS_NO_WIDTH)), 1);
}

/* A table that calls the hypervisor's memory a unit must not make it write there. */
static void registers_over_the_hypervisor_are_refused(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    host_record.hypervisor_first = 0x300;
    host_record.hypervisor_frames = 1;
    vendor_table_begin();
    vendor_table_unit(0x300000, true);
    assert_int_equal(machine_init(), -ENODEV);
    assert_int_equal(captured_count("its register address is the hypervisor's"), 1);
}

static void nothing_at_the_address_is_refused(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    vendor_table_begin();
    vendor_table_unit(0xfec80000, true);
    assert_int_equal(machine_init(), -ENODEV);
    assert_int_equal(captured_count("nothing answers at its register address"), 1);
}

/* A bad entry costs what it names: its device is blocked, the good unit serves the rest. */
static void a_bad_unit_costs_its_own_devices(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    vendor_table_begin();
    vendor_table_unit(0, false);
    vendor_table_device(6 << 3);
    vendor_table_unit(vendor_base, true);
    machine_up();
    assert_int_equal(captured_count("its register address is impossible"), 1);
    assert_int_equal(iommu_attach(machine.context, 0, 6 << 3), -ENODEV);
    assert_int_equal(iommu_attach(machine.context, 0, 7 << 3), 0);
    assert_int_equal(iommu_attach(machine.context, 1, EDU_ID), -ENODEV);
}

/* Explicit scopes as QEMU's own table has them, a bridge among them. */
static void scopes_decide_who_is_covered(void **state)
{
    (void)state;
    machine_start(MACHINE_BRIDGE);
    vendor_table_begin();
    vendor_table_unit(vendor_base, false);
    vendor_table_device(EDU_ID);
    vendor_table_bridge(BRIDGE_ID, 1);
    machine_up();
    assert_int_equal(iommu_attach(machine.context, 0, BRIDGE_ALIAS), 0);
    assert_int_equal(iommu_attach(machine.context, 0, BRIDGE_ID), 0);
    assert_int_equal(iommu_attach(machine.context, 0, 0x0200), -ENODEV);
    assert_int_equal(iommu_attach(machine.context, 0, 6 << 3), -ENODEV);
}

static void the_order_of_switching_on(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    assert_int_equal(machine_init(), 0);
    assert_int_equal(host_record.commands, 0);
    assert_int_equal(iommu_enable(), 0);
    assert_true(vendor_invalidated_all_once());
    assert_int_equal(iommu_counters.waits, 1);
    assert_true(vendor_is_on());
    /* Queue and tables first, and translation last: after that no command switches it off. */
    assert_true(host_record.commands_last_on);
    assert_int_equal(host_record.commands_off, host_record.commands - 1);
    assert_int_equal(iommu_unit_registers(0).bfn, vendor_base >> 12);
}

/* How many reserved ranges of a kind there are; the latest of them in *range. */
static uint32_t reserved_of_kind(enum iommu_reserved_kind kind, struct iommu_reserved *range)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < iommu_reserved_count(); i++)
        if (iommu_reserved_at(i).kind == kind) {
            *range = iommu_reserved_at(i);
            count++;
        }
    return count;
}

/* The device reaches its reserved range from the first moment on, and nothing else. */
static void reserved_ranges_are_there_before_the_guest(void **state)
{
    struct iommu_reserved reserved;
    uint64_t range, other;

    (void)state;
    machine_start(MACHINE_PLAIN);
    range = data_frame();
    data_frame();
    other = data_frame();
    vendor_table_reserved(range << 12, ((range + 2) << 12) - 1, EDU_ID);
    assert_int_equal(machine_init(), 0);
    assert_int_equal(iommu_enable(), 0);
    assert_true(edu_reaches(range << 12, range));
    assert_true(edu_reaches((range + 1) << 12, range + 1));
    assert_false(edu_reaches(other << 12, other));

    /* Moved to the guest's context: still there, and nobody can change it. */
    assert_int_equal(iommu_context_create(&machine.context, 16), 0);
    assert_int_equal(iommu_attach(machine.context, 0, EDU_ID), 0);
    iommu_flush_begin(&machine.flush, machine.context);
    assert_true(edu_reaches(range << 12, range));
    assert_int_equal(iommu_unmap(machine.context, range, 0, &machine.flush), -EACCES);
    assert_int_equal(iommu_map(machine.context, range + 1, other, 0, RW, &machine.flush), -EACCES);
    assert_int_equal(iommu_unmap(machine.context, range & ~1ull, 1, &machine.flush), -EACCES);
    assert_true(edu_reaches((range + 1) << 12, range + 1));
    assert_int_equal(reserved_of_kind(IOMMU_KIND_MSI, &reserved), 1);
    assert_int_equal(reserved_of_kind(IOMMU_KIND_IDENTITY, &reserved), 1);
    assert_int_equal(reserved.bfn, range);
    assert_int_equal(reserved.frames, 2);
}

static void a_reserved_range_over_the_hypervisor_is_refused(void **state)
{
    struct iommu_reserved reserved;

    (void)state;
    machine_start(MACHINE_PLAIN);
    host_record.hypervisor_first = 0x300;
    host_record.hypervisor_frames = 1;
    vendor_table_reserved(0x2ff000, 0x301fff, EDU_ID);
    assert_int_equal(machine_init(), 0);
    assert_int_equal(iommu_enable(), 0);
    assert_int_equal(captured_count("it holds memory or registers of the hypervisor"), 1);
    assert_false(edu_reaches(0x2ff000, 0x2ff));
    assert_int_equal(reserved_of_kind(IOMMU_KIND_IDENTITY, &reserved), 0);
}

static void the_msi_window_cannot_be_mapped(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    assert_int_equal(iommu_map(machine.context, 0xfee00, 0x100, 0, RW, &machine.flush), -EACCES);
    assert_int_equal(iommu_map(machine.context, 0xfeeff, 0x100, 0, RW, &machine.flush), -EACCES);
    assert_int_equal(iommu_unmap(machine.context, 0xfee00, 0, &machine.flush), 0);
    assert_int_equal(iommu_map(machine.context, 0xfef00, 0x100, 0, RW, &machine.flush), 0);
}

static void a_running_unit_is_taken_over(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_PLAIN);
    vendor_firmware_leaves_it_on();
    frame = data_frame();
    assert_true(edu_reaches(frame << 12, frame));
    machine_up();
    assert_int_equal(captured_count("firmware left unit 0 on"), 1);
    assert_int_equal(host_record.commands_off, 0);
    assert_true(vendor_is_on());
    assert_false(edu_reaches(frame << 12, frame));
    map_now(0x10, frame, RW);
    assert_true(edu_reaches(0x10000, frame));
    unmap_now(0x10);
    assert_false(edu_reaches(0x10000, frame));
}

static bool saw_half_an_entry;

/* With hardware's eyes: an entry that is present has all of the rest. */
static void look_at_context_entry(void)
{
    if (vendor_entry_is_half(EDU_ID))
        saw_half_an_entry = true;
}

static void the_present_bit_comes_last(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    saw_half_an_entry = false;
    host_record.on_store = look_at_context_entry;
    machine_up();
    assert_false(saw_half_an_entry);
    assert_int_equal(iommu_context_create(&machine.context, 8), 0);
    assert_int_equal(iommu_attach(machine.context, 0, EDU_ID), 0);
    vendor_isolate(EDU_ID);
    assert_false(saw_half_an_entry);
}

/* Every allocation fails in turn: an error and no crash; after the last one everything works. */
static void failing_allocations(void **state)
{
    int64_t limit = 0;
    int error;

    (void)state;
    machine_start(MACHINE_PLAIN);
    vendor_table_reserved(0x300000, 0x301fff, EDU_ID);
    do {
        host_record.allocation_limit = limit++;
        error = machine_init();
        if (error == 0)
            error = iommu_context_create(&machine.context, 4);
        if (error == 0)
            error = iommu_attach(machine.context, 0, EDU_ID);
        assert_true(error == 0 || error == -ENOMEM);
    } while (error != 0);
    assert_in_range(limit, 4, 20);
    assert_int_equal(iommu_enable(), 0);
    iommu_flush_begin(&machine.flush, machine.context);
    host_record.allocation_limit = 0;
    map_now(0x1000, 0x700, RW);
    assert_true(edu_reaches(0x1000000, 0x700));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(no_address_width_is_refused, machine_stop),
        cmocka_unit_test_teardown(registers_over_the_hypervisor_are_refused, machine_stop),
        cmocka_unit_test_teardown(nothing_at_the_address_is_refused, machine_stop),
        cmocka_unit_test_teardown(a_bad_unit_costs_its_own_devices, machine_stop),
        cmocka_unit_test_teardown(scopes_decide_who_is_covered, machine_stop),
        cmocka_unit_test_teardown(the_order_of_switching_on, machine_stop),
        cmocka_unit_test_teardown(reserved_ranges_are_there_before_the_guest, machine_stop),
        cmocka_unit_test_teardown(a_reserved_range_over_the_hypervisor_is_refused, machine_stop),
        cmocka_unit_test_teardown(the_msi_window_cannot_be_mapped, machine_stop),
        cmocka_unit_test_teardown(a_running_unit_is_taken_over, machine_stop),
        cmocka_unit_test_teardown(the_present_bit_comes_last, machine_stop),
        cmocka_unit_test_teardown(failing_allocations, machine_stop),
    };

    return cmocka_run_group_tests_name("bringup", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Faults: every one told in words, none lost without a word, and no device able to flood the log. */
#include "guest-abi/include/sluice/errno.h"
#include "tests/driver/machine.h"
#include "tests/driver/oracle.h"
#include "tests/driver/qtest.h"
#include "tests/driver/vendor.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* edu stores where it may not; what that leaves in the unit is there, and nobody has looked yet. */
static void edu_faults(uint64_t bfn)
{
    edu_store(bfn << 12, 4);
    vendor_log_blocked(EDU_ID, true, bfn);
}

static void bridged_edu_faults(uint64_t bfn)
{
    bridged_edu_store(bfn << 12, 4);
    vendor_log_blocked(BRIDGE_ALIAS, true, bfn);
}

static void faults_are_told_in_words(void **state)
{
    (void)state;
    machine_start(MACHINE_BRIDGE);
    machine_up();
    expect_blocked(WRITE_TO, 0x123, 0x123, "not present in the bus map");
    expect_blocked(READ_FROM, 0x124, 0x124, "not present in the bus map");
    map_now(0x125, 0x200, IOMMU_READ);
    expect_blocked(WRITE_TO, 0x125, 0x200, "mapped read-only");
    map_now(0x126, 0x200, IOMMU_WRITE);
    expect_blocked(READ_FROM, 0x126, 0x200, "mapped write-only");
    expect_blocked(WRITE_TO, iommu_max_bfn(machine.context) + 1, 0, vendor_words(WORDS_BEYOND_WIDTH));
    bridged_edu_store(0x777000, 4);
    expect_told(vendor_bridged_id, WRITE_TO, 0x777, vendor_words(WORDS_BUS_UNKNOWN));
    assert_int_equal(iommu_counters.faults, 6);
}

static void an_unattached_device_of_a_known_bus(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    assert_int_equal(machine_init(), 0);
    assert_int_equal(iommu_enable(), 0);
    assert_int_equal(iommu_context_create(&machine.context, 8), 0);
    assert_int_equal(iommu_attach(machine.context, 0, 0x30), 0);
    expect_blocked(WRITE_TO, 1, 1, vendor_words(WORDS_NOT_ATTACHED));
}

/* More faults than the unit has room for: said once. The next fault must be told again. */
static void overflow_is_told_and_survived(void **state)
{
    (void)state;
    machine_start(MACHINE_BRIDGE);
    machine_up();
    vendor_lose_faults(EDU_ID, 0x123);
    iommu_fault_interrupt();
    assert_int_equal(captured_count("device 00:04.0 write to BFN 0x123"), 1);
    assert_int_equal(captured_count(vendor_words(WORDS_FAULTS_LOST)), 1);
    assert_false(vendor_fault_was_lost());
    assert_false(vendor_fault_is_pending());
    a_second_goes_by();
    expect_blocked(WRITE_TO, 0x124, 0x124, "not present in the bus map");
}

static void the_fault_event_is_armed(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    assert_true(vendor_fault_event_is(FAULT_ADDRESS, FAULT_DATA));
}

static void the_log_has_a_limit(void **state)
{
    uint32_t lines;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    a_second_goes_by();
    for (uint32_t i = 0; i < 100; i++) {
        edu_faults(0x123);
        iommu_fault_interrupt();
    }
    lines = captured_count("write to BFN 0x123");
    assert_in_range(lines, 1, 50);
    assert_int_equal(iommu_counters.faults, 100);
    assert_int_equal(iommu_counters.faults_suppressed, 100 - lines);
    a_second_goes_by();
    edu_faults(0x123);
    iommu_fault_interrupt();
    assert_int_equal(captured_count("write to BFN 0x123"), lines + 1);
}

/* A device that does nothing but fault loses its bus mastering, and its faults are recorded no more. */
static void a_storm_ends(void **state)
{
    uint64_t faults;
    uint32_t i = 0;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    for (; i < 2000 && captured_count("its DMA is switched off") == 0; i++) {
        edu_faults(0x123);
        iommu_fault_interrupt();
    }
    assert_in_range(i, 100, 1999);
    assert_false(is_bus_master(EDU_ID));
    faults = iommu_counters.faults;
    qtest_pci_write(EDU_ID, 4, 2, 6); /* even if something gives it back */
    edu_faults(0x123);
    iommu_fault_interrupt();
    assert_int_equal(iommu_counters.faults, faults);
}

/* A storm from behind a bridge: the device cannot be named by its requester id, so the bridge is stopped. */
static void a_storm_behind_a_bridge_ends(void **state)
{
    (void)state;
    machine_start(MACHINE_BRIDGE);
    machine_up();
    for (uint32_t i = 0; i < 2000 && captured_count("its DMA is switched off") == 0; i++) {
        bridged_edu_faults(0x123);
        iommu_fault_interrupt();
    }
    assert_int_equal(captured_count("device 01:00.0 does nothing but fault: its DMA is switched off"), 1);
    assert_false(is_bus_master(BRIDGE_ID));
    assert_true(is_bus_master(EDU_ID));
}

/* A fault that came while the handler was looking elsewhere raised no interrupt: the tick finds it. */
static void the_tick_finds_what_raised_no_interrupt(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    edu_faults(0x123);
    iommu_fault_tick();
    assert_int_equal(iommu_counters.faults, 1);
}

/* A fault that firmware left behind is cleared, not told: it would keep the event from being sent. */
static void old_faults_are_cleared(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    edu_faults(0x123);
    assert_true(vendor_fault_is_pending());
    assert_int_equal(machine_init(), 0);
    assert_int_equal(iommu_enable(), 0);
    assert_false(vendor_fault_is_pending());
    iommu_fault_interrupt();
    assert_int_equal(iommu_counters.faults, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(faults_are_told_in_words, machine_stop),
        cmocka_unit_test_teardown(an_unattached_device_of_a_known_bus, machine_stop),
        cmocka_unit_test_teardown(overflow_is_told_and_survived, machine_stop),
        cmocka_unit_test_teardown(the_fault_event_is_armed, machine_stop),
        cmocka_unit_test_teardown(the_log_has_a_limit, machine_stop),
        cmocka_unit_test_teardown(a_storm_ends, machine_stop),
        cmocka_unit_test_teardown(a_storm_behind_a_bridge_ends, machine_stop),
        cmocka_unit_test_teardown(the_tick_finds_what_raised_no_interrupt, machine_stop),
        cmocka_unit_test_teardown(old_faults_are_cleared, machine_stop),
    };

    return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}

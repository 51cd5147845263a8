/* SPDX-License-Identifier: MIT */
/* Faults: every one told in words, none lost without a word, and no device able to flood the log. */
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/driver/machine.h"
#include "tests/driver/qtest.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define RW (IOMMU_READ | IOMMU_WRITE)

static void expect_line(const char *text)
{
    iommu_fault_interrupt();
    if (captured_count(text) != 1)
        captured_dump();
    assert_int_equal(captured_count(text), 1);
}

static void faults_are_told_in_words(void **state)
{
    (void)state;
    machine_start_with_bridge("");
    machine_up();
    edu_store(0x123000, 4);
    expect_line("device 00:04.0 write to BFN 0x123: not present in the bus map (reason 0x05)");
    edu_fetch(0x124000, 4);
    expect_line("device 00:04.0 read from BFN 0x124: not present in the bus map (reason 0x06)");
    map_now(0x125, 0x200, IOMMU_READ);
    edu_store(0x125000, 4);
    expect_line("device 00:04.0 write to BFN 0x125: mapped read-only");
    map_now(0x126, 0x200, IOMMU_WRITE);
    edu_fetch(0x126000, 4);
    expect_line("device 00:04.0 read from BFN 0x126: mapped write-only");
    edu_store(1ull << 39, 4);
    expect_line("device 00:04.0 write to BFN 0x8000000: beyond the bus width (reason 0x04)");
    bridged_edu_store(0x777000, 4);
    expect_line("device 01:00.0 write to BFN 0x777: no device of its bus may do DMA (reason 0x01)");
    assert_int_equal(iommu_counters.faults, 6);
}

static void an_unattached_device_of_a_known_bus(void **state)
{
    (void)state;
    machine_start("");
    assert_int_equal(machine_init(), 0);
    assert_int_equal(iommu_enable(), 0);
    assert_int_equal(iommu_context_create(&machine.context, 8), 0);
    assert_int_equal(iommu_attach(machine.context, 0, 0x30), 0);
    edu_store(0x1000, 4);
    expect_line("device 00:04.0 write to BFN 0x1: the device may not do DMA (reason 0x02)");
}

/* The unit has one record: a second device's fault overflows it. The next fault must be told again. */
static void overflow_is_told_and_survived(void **state)
{
    (void)state;
    machine_start_with_bridge("");
    machine_up();
    edu_store(0x123000, 4);
    bridged_edu_store(0x777000, 4);
    expect_line("device 00:04.0 write to BFN 0x123");
    assert_int_equal(captured_count("more faults than fault records"), 1);
    assert_int_equal(qtest_read32(VTD_BASE + VTD_FSTS) & (VTD_FSTS_PFO | VTD_FSTS_PPF), 0);
    edu_store(0x124000, 4);
    expect_line("device 00:04.0 write to BFN 0x124");
}

static void the_fault_event_is_armed(void **state)
{
    (void)state;
    machine_start("");
    machine_up();
    assert_int_equal(qtest_read32(VTD_BASE + VTD_FECTL) & VTD_FECTL_MASK, 0);
    assert_int_equal(qtest_read32(VTD_BASE + VTD_FEDATA), 0xf1);
    assert_int_equal(qtest_read32(VTD_BASE + VTD_FEADDR), 0xfee00000);
}

static void the_log_has_a_limit(void **state)
{
    uint32_t lines;

    (void)state;
    machine_start("");
    machine_up();
    for (uint32_t i = 0; i < 100; i++) {
        edu_store(0x123000, 4);
        iommu_fault_interrupt();
    }
    lines = captured_count("write to BFN 0x123");
    assert_in_range(lines, 1, 50);
    assert_int_equal(iommu_counters.faults, 100);
    assert_int_equal(iommu_counters.faults_suppressed, 100 - lines);
    for (uint32_t i = 0; i < 10; i++)
        iommu_fault_tick();
    edu_store(0x123000, 4);
    iommu_fault_interrupt();
    assert_int_equal(captured_count("write to BFN 0x123"), lines + 1);
}

/* A device that does nothing but fault loses its bus mastering, and its faults are recorded no more. */
static void a_storm_ends(void **state)
{
    uint64_t faults;
    uint32_t i = 0;

    (void)state;
    machine_start("");
    machine_up();
    for (; i < 2000 && captured_count("its DMA is switched off") == 0; i++) {
        edu_store(0x123000, 4);
        iommu_fault_interrupt();
    }
    assert_in_range(i, 100, 1999);
    assert_int_equal(qtest_pci_read(EDU_ID, 4, 2) & 4, 0);
    faults = iommu_counters.faults;
    qtest_pci_write(EDU_ID, 4, 2, 6); /* even if something gives it back */
    edu_store(0x123000, 4);
    iommu_fault_interrupt();
    assert_int_equal(iommu_counters.faults, faults);
}

/* A storm from behind a bridge: the device cannot be named by its requester id, so the bridge is stopped. */
static void a_storm_behind_a_bridge_ends(void **state)
{
    (void)state;
    machine_start_with_bridge("");
    machine_up();
    for (uint32_t i = 0; i < 2000 && captured_count("its DMA is switched off") == 0; i++) {
        bridged_edu_store(0x123000, 4);
        iommu_fault_interrupt();
    }
    assert_int_equal(captured_count("device 01:00.0 does nothing but fault: its DMA is switched off"), 1);
    assert_int_equal(qtest_pci_read(BRIDGE_ID, 4, 2) & 4, 0);
    assert_int_equal(qtest_pci_read(EDU_ID, 4, 2) & 4, 4);
}

/* A fault that came while the handler was looking elsewhere raised no interrupt: the tick finds it. */
static void the_tick_finds_what_raised_no_interrupt(void **state)
{
    (void)state;
    machine_start("");
    machine_up();
    edu_store(0x123000, 4);
    iommu_fault_tick();
    assert_int_equal(iommu_counters.faults, 1);
}

/* A fault that firmware left behind is cleared, not told: it would keep the event from being sent. */
static void old_faults_are_cleared(void **state)
{
    (void)state;
    machine_start("");
    machine_up();
    edu_store(0x123000, 4);
    assert_int_not_equal(qtest_read32(VTD_BASE + VTD_FSTS) & VTD_FSTS_PPF, 0);
    assert_int_equal(machine_init(), 0);
    assert_int_equal(iommu_enable(), 0);
    assert_int_equal(qtest_read32(VTD_BASE + VTD_FSTS) & VTD_FSTS_PPF, 0);
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

    return cmocka_run_group_tests_name("vtd_fault", tests, NULL, NULL);
}

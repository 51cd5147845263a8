/* SPDX-License-Identifier: MIT */
/*
 * What only VT-d has: invalidation through registers (an AMD-Vi unit always has its command buffer), the
 * reason codes of its fault records, and units that cannot remap interrupts.
 */
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/driver/machine.h"
#include "tests/driver/oracle.h"
#include "tests/driver/qtest.h"
#include "tests/driver/vendor.h"
#include "tests/driver/vendor_vtd.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* A unit without a queue is driven by its registers. */
static void registers_do_without_a_queue(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_PLAIN);
    vtd_hide_queue = true;
    machine_up();
    frame = data_frame();
    for (uint32_t i = 0; i < 3; i++)
        map_now(0x1000 + i, frame, RW);
    assert_true(edu_reaches(0x1001000, frame));
    for (uint32_t i = 0; i < 3; i++)
        unmap_now(0x1000 + i);
    assert_false(edu_reaches(0x1001000, frame));
    assert_int_equal(host_record.released, 3);
    assert_int_equal(iommu_counters.waits, 0);
}

/* Registers that do not answer are waited for with a bound, too. */
static void registers_that_do_not_answer(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    vtd_hide_queue = true;
    machine_up();
    map_now(0x1000, 0x700, RW);
    /* With the queue on, the unit leaves register commands undone for ever. */
    qtest_write32(vendor_base + VTD_GCMD, VTD_GLOBAL_TE | VTD_GLOBAL_QIE);
    assert_int_equal(iommu_unmap(machine.context, 0x1000, 0, &machine.flush), 0);
    assert_int_equal(iommu_flush(&machine.flush), -EIO);
    assert_true(iommu_unit_dead(0));
    assert_int_equal(host_record.released, 0);
    assert_false(is_bus_master(EDU_ID));
}

/* Hardware's reason stands behind the words. */
static void faults_name_their_reason(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    edu_store(0x123000, 4);
    expect_told(EDU_ID, WRITE_TO, 0x123, "not present in the bus map (reason 0x05)");
    edu_fetch(0x124000, 4);
    expect_told(EDU_ID, READ_FROM, 0x124, "not present in the bus map (reason 0x06)");
}

/* Firmware's remapping goes over to our table without a moment in which interrupts pass unchecked. */
static void remapping_is_taken_over_as_it_runs(void **state)
{
    uint32_t index;

    (void)state;
    machine_start(MACHINE_PLAIN);
    vendor_firmware_leaves_it_on();
    machine_up();
    assert_int_equal(vtd_remapping_stops, 0);
    assert_true(vendor_is_on());
    assert_true(iommu_interrupts_remapped());
    assert_int_equal(iommu_interrupt_allocate(0, EDU_ID, &index), 0);
}

/* APIC ids of another width cannot be taken over: then there is a pause, and it is told of. */
static void remapping_in_another_mode_pauses(void **state)
{
    uint64_t table;

    (void)state;
    machine_start(MACHINE_PLAIN);
    vendor_firmware_leaves_it_on();
    table = qtest_read64(vendor_base + VTD_IRTA);
    qtest_write64(vendor_base + VTD_IRTA, table | VTD_IRTA_EIME);
    if ((qtest_read64(vendor_base + VTD_IRTA) & VTD_IRTA_EIME) == 0)
        skip();
    machine_up();
    assert_int_equal(vtd_remapping_stops, 1);
    assert_int_equal(captured_count("remapped interrupts in another mode"), 1);
    assert_true(vendor_is_on());
}

/* A unit that cannot remap is told of, gives no entries, and does not count as one that can. */
static void a_unit_without_remapping_says_so(void **state)
{
    struct iommu_message message;
    uint32_t index;

    (void)state;
    machine_start(MACHINE_PLAIN);
    vtd_hide_remapping = true;
    machine_up();
    assert_int_equal(captured_count("does not remap interrupts: it has no interrupt remapping"), 1);
    assert_false(iommu_interrupts_remapped());
    assert_int_equal(iommu_interrupt_allocate(0, EDU_ID, &index), -ENODEV);
    assert_int_equal(iommu_interrupt_set(0, EDU_ID, 0, NULL, &message), -ENODEV);
    assert_int_equal(qtest_read32(vendor_base + VTD_GSTS) & VTD_GLOBAL_IRE, 0);
}

/* Remapping needs the queue. */
static void a_unit_without_a_queue_cannot_remap(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    vtd_hide_queue = true;
    machine_up();
    assert_int_equal(captured_count("does not remap interrupts: it has no invalidation queue"), 1);
    assert_false(iommu_interrupts_remapped());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(registers_do_without_a_queue, machine_stop),
        cmocka_unit_test_teardown(registers_that_do_not_answer, machine_stop),
        cmocka_unit_test_teardown(faults_name_their_reason, machine_stop),
        cmocka_unit_test_teardown(remapping_is_taken_over_as_it_runs, machine_stop),
        cmocka_unit_test_teardown(remapping_in_another_mode_pauses, machine_stop),
        cmocka_unit_test_teardown(a_unit_without_remapping_says_so, machine_stop),
        cmocka_unit_test_teardown(a_unit_without_a_queue_cannot_remap, machine_stop),
    };

    return cmocka_run_group_tests_name("vtd_only", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * What only VT-d has: invalidation through registers (an AMD-Vi unit always has its command buffer), and the
 * reason codes of its fault records.
 */
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/driver/machine.h"
#include "tests/driver/oracle.h"
#include "tests/driver/qtest.h"
#include "tests/driver/vendor.h"
#include "tests/driver/vendor_vtd.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(registers_do_without_a_queue, machine_stop),
        cmocka_unit_test_teardown(registers_that_do_not_answer, machine_stop),
        cmocka_unit_test_teardown(faults_name_their_reason, machine_stop),
    };

    return cmocka_run_group_tests_name("vtd_only", tests, NULL, NULL);
}

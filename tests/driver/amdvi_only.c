/* SPDX-License-Identifier: MIT */
/*
 * What only AMD-Vi has, or shows under QEMU: a device table in which denying must be written, an event log in
 * memory, units with and without INVALIDATE_IOMMU_ALL, the exclusion range and the HyperTransport window.
 * QEMU never writes the log, so its events are put there (amdvi_gaps.h).
 */
#include "drivers/iommu/amdvi/amdvi.h"
#include "drivers/iommu/host.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/driver/amdvi_gaps.h"
#include "tests/driver/machine.h"
#include "tests/driver/oracle.h"
#include "tests/driver/qtest.h"
#include "tests/driver/vendor.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define EVENT(code, id) ((uint64_t)(code) << 60 | (id))

static uint64_t read_register(uint32_t offset)
{
    return qtest_read64(AMDVI_BASE + offset);
}

/* An entry that is zero passes everything, so each of the 65536 that an id can select must deny. */
static void every_entry_denies_from_the_start(void **state)
{
    /* V, TV, mode 0, neither IR nor IW; IV, IntCtl 0. */
    const struct amdvi_device denied = {.dma = {3, 0}, .interrupts = {1, 0}};
    const struct amdvi_device *devices;
    uint64_t table;

    (void)state;
    machine_start(MACHINE_PLAIN);
    assert_int_equal(machine_init(), 0);
    assert_int_equal(iommu_enable(), 0);
    table = read_register(AMDVI_DEVICE_TABLE_BASE);
    assert_int_equal(((table & 0x1ff) + 1) * 4096 / sizeof *devices, 65536);
    devices = host_frame_address((table & 0x000ffffffffff000ull) >> 12);
    for (uint32_t id = 0; id < 65536; id++)
        assert_memory_equal(&devices[id], &denied, sizeof denied);
}

static void firmwares_exclusion_range_ends(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    qtest_write64(AMDVI_BASE + AMDVI_EXCLUSION_LIMIT, 0xffff000);
    qtest_write64(AMDVI_BASE + AMDVI_EXCLUSION_BASE, 3); /* from 0 on, for every device */
    machine_up();
    assert_int_equal(read_register(AMDVI_EXCLUSION_BASE), 0);
    assert_int_equal(read_register(AMDVI_EXCLUSION_LIMIT), 0);
}

/* The last 12 GiB below 1 TiB are HyperTransport's: DMA there is no memory access. */
static void the_hypertransport_window_cannot_be_mapped(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    assert_int_equal(iommu_map(machine.context, 0xfd00000, 0x100, 0, RW, &machine.flush), -EACCES);
    assert_int_equal(iommu_map(machine.context, 0xfffffff, 0x100, 0, RW, &machine.flush), -EACCES);
    assert_int_equal(iommu_map(machine.context, 0xfcfffff, 0x100, 0, RW, &machine.flush), 0);
    assert_int_equal(iommu_map(machine.context, 0x10000000, 0x100, 0, RW, &machine.flush), 0);
}

/* Such a unit is told of every id and every domain, one by one. */
static void a_unit_without_invalidate_all(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_PLAIN);
    amdvi_gaps.features_off |= AMDVI_FEATURE_INV_ALL;
    vendor_firmware_leaves_it_on();
    frame = data_frame();
    assert_true(edu_reaches(frame << 12, frame));
    machine_up();
    assert_int_equal(iommu_counters.iotlb_global, 0);
    assert_true(iommu_counters.iotlb_domain >= 65536);
    assert_true(iommu_counters.context_device >= 65536);
    assert_false(edu_reaches(frame << 12, frame));
    map_now(0x10, frame, RW);
    assert_true(edu_reaches(0x10000, frame));
}

/* ---- the event log ---- */

static void every_event_code_has_words(void **state)
{
    static const char *const lines[] = {
        [0x1] = "device 00:04.0 write to BFN 0x123: an illegal device table entry (reason 0x01)",
        [0x2] = "device 00:04.0 write to BFN 0x123: not present in the bus map (reason 0x02)",
        [0x3] = "device 00:04.0 write to BFN 0x123: the unit could not read the device table (reason 0x03)",
        [0x4] = "device 00:04.0 write to BFN 0x123: the unit could not read a page table (reason 0x04)",
        [0x5] = "unit 0: an illegal command",
        [0x6] = "unit 0: the unit could not read the command buffer",
        [0x7] = "unit 0: a device did not answer the invalidation of its own translation cache",
        [0x8] = "device 00:04.0 write to BFN 0x123: an invalid request of a device (reason 0x08)",
        [0x9] = "device 00:04.0 write to BFN 0x123: an invalid request for a page (reason 0x09)",
        [0xa] = "unit 0: an event counter came to zero",
        [0xb] = "unit 0: a fault in the log of a guest",
        [0xc] = "unit 0: the unit failed on a virtual unit's tables",
        [0xd] = "unit 0: an access that the reverse map does not allow",
        [0xe] = "unit 0: the unit could not read the reverse map",
        [0xf] = "unit 0: an event that Sluice does not know",
    };

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    a_second_goes_by();
    for (uint8_t code = 1; code < sizeof lines / sizeof *lines; code++) {
        assert_true(amdvi_log_event(EVENT(code, EDU_ID) | AMDVI_EVENT_WRITE, 0x123456));
        iommu_fault_interrupt();
        if (captured_count(lines[code]) != 1)
            captured_dump();
        assert_int_equal(captured_count(lines[code]), 1);
    }
    assert_int_equal(iommu_counters.faults, 15);
}

static void a_blocked_interrupt_is_told_as_one(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    a_second_goes_by();
    amdvi_log_event(EVENT(AMDVI_EVENT_PAGE_FAULT, EDU_ID) | AMDVI_EVENT_INTERRUPT | AMDVI_EVENT_WRITE,
                    0xfee00000);
    iommu_fault_interrupt();
    assert_int_equal(captured_count("device 00:04.0 interrupt"), 1);
}

static void the_log_wraps_and_is_left_empty(void **state)
{
    const struct ring_record *records;
    uint64_t logged = 0;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    records = amdvi_unit_at(0)->events.records;
    for (uint32_t round = 0; round < 12; round++) {
        for (uint32_t i = 0; i < 77; i++, logged++)
            assert_true(amdvi_log_event(EVENT(AMDVI_EVENT_PAGE_FAULT, 0x30 + i % 50), logged << 12));
        iommu_fault_interrupt();
        assert_int_equal(iommu_counters.faults, logged);
        assert_int_equal(read_register(AMDVI_EVENT_HEAD), read_register(AMDVI_EVENT_TAIL));
        assert_int_equal(read_register(AMDVI_EVENT_HEAD), logged % AMDVI_RING_RECORDS * 16);
    }
    for (uint32_t i = 0; i < AMDVI_RING_RECORDS; i++)
        assert_int_equal(records[i].low | records[i].high, 0);
}

/* QEMU's status bits do not clear when one is written. The log is read on, and nothing waits for ever. */
static void an_overflow_that_does_not_clear(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    a_second_goes_by();
    amdvi_gaps.overflow_sticks = true;
    while (amdvi_gaps.events_lost == 0)
        amdvi_log_event(EVENT(0xa, 0), 0);
    for (uint32_t i = 1; i < 4; i++) {
        uint64_t before = iommu_counters.faults;

        iommu_fault_interrupt();
        assert_int_equal(iommu_counters.faults - before, i == 1 ? AMDVI_RING_RECORDS - 1 : 1);
        assert_true(amdvi_log_event(EVENT(0xa, 0), 0));
    }
    assert_in_range(captured_count(vendor_words(WORDS_FAULTS_LOST)), 1, 4);
    map_now(1, 0x400, RW); /* and the unit serves */
    assert_false(iommu_unit_dead(0));
}

/* The tail may be seen before the record that it has passed: it is taken when it is there. */
static void an_event_that_comes_late(void **state)
{
    struct ring_record *records;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    a_second_goes_by();
    records = amdvi_unit_at(0)->events.records;
    qtest_write64(AMDVI_BASE + AMDVI_EVENT_TAIL, 16);
    iommu_fault_interrupt();
    assert_int_equal(iommu_counters.faults, 0);
    records[0].high = 0x123000;
    records[0].low = EVENT(AMDVI_EVENT_PAGE_FAULT, EDU_ID) | AMDVI_EVENT_WRITE;
    iommu_fault_tick();
    assert_int_equal(captured_count("device 00:04.0 write to BFN 0x123: not present in the bus map"), 1);
}

/* A complaint that nobody has read yet must not be taken for a later one. */
static void an_old_complaint_is_not_the_new_one(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    a_second_goes_by();
    map_now(0x1000, 0x700, RW);
    for (uint32_t i = 0; i < 3; i++) {
        vendor_post_refused();
        unmap_now(0x1000);
        map_now(0x1000, 0x700, RW);
    }
    assert_int_equal(captured_count(vendor_words(WORDS_REFUSED)), 3);
    assert_int_equal(captured_count(vendor_words(WORDS_REFUSED_EXACTLY)), 3);
    iommu_fault_interrupt();
    assert_int_equal(captured_count("unit 0: an illegal command"), 3);
}

/* Without its event the refused command is the one at the head. */
static void a_refusal_that_the_log_has_no_room_for(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    frame = data_frame();
    map_now(0x1000, frame, RW);
    assert_true(edu_reaches(0x1000000, frame));
    while (amdvi_gaps.events_lost == 0)
        amdvi_log_event(EVENT(0xa, 0), 0);
    vendor_post_refused();
    unmap_now(0x1000);
    assert_false(edu_reaches(0x1000000, frame));
    assert_int_equal(captured_count(vendor_words(WORDS_REFUSED_EXACTLY)), 1);
}

/*
 * A device without entries sends what it likes: nothing of it arrives. To APIC 0:
 * QEMU's amd-iommu blocks any other address before it looks at the device's entry.
 */
static void a_message_without_an_entry_is_blocked(void **state)
{
    uint32_t index;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    edu_send((struct iommu_message){.address = 0xfee00000, .data = 0x41});
    assert_int_equal(iommu_interrupt_allocate(0, EDU_ID, &index), 0);
    edu_send((struct iommu_message){.address = 0xfee00000, .data = 0x41});
    expect_interrupts(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_entry_denies_from_the_start, machine_stop),
        cmocka_unit_test_teardown(firmwares_exclusion_range_ends, machine_stop),
        cmocka_unit_test_teardown(the_hypertransport_window_cannot_be_mapped, machine_stop),
        cmocka_unit_test_teardown(a_unit_without_invalidate_all, machine_stop),
        cmocka_unit_test_teardown(every_event_code_has_words, machine_stop),
        cmocka_unit_test_teardown(a_blocked_interrupt_is_told_as_one, machine_stop),
        cmocka_unit_test_teardown(the_log_wraps_and_is_left_empty, machine_stop),
        cmocka_unit_test_teardown(an_overflow_that_does_not_clear, machine_stop),
        cmocka_unit_test_teardown(an_event_that_comes_late, machine_stop),
        cmocka_unit_test_teardown(an_old_complaint_is_not_the_new_one, machine_stop),
        cmocka_unit_test_teardown(a_refusal_that_the_log_has_no_room_for, machine_stop),
        cmocka_unit_test_teardown(a_message_without_an_entry_is_blocked, machine_stop),
    };

    return cmocka_run_group_tests_name("amdvi_only", tests, NULL, NULL);
}

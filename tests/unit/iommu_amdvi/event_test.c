/* SPDX-License-Identifier: MIT */
/* The event log: every code in words, a log that wraps, overflows or comes late, and a device that storms. */
#include "drivers/iommu/amdvi/amdvi.h"
#include "tests/host/log_capture.h"
#include "tests/unit/iommu_amdvi/amdvi_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

void every_event_has_words(void **state)
{
    static const char *const words[16] = {
        [0x1] = "an illegal device table entry",
        [0x2] = "the device may not do DMA",
        [0x3] = "could not read the device table",
        [0x4] = "could not read a page table",
        [0x5] = "an illegal command",
        [0x6] = "could not read the command buffer",
        [0x7] = "did not answer the invalidation",
        [0x8] = "an invalid request of a device",
        [0x9] = "an invalid request for a page",
        [0xa] = "an event counter",
        [0xb] = "in the log of a guest",
        [0xc] = "a virtual unit's tables",
        [0xd] = "the reverse map does not allow",
        [0xe] = "could not read the reverse map",
        [0xf] = "does not know",
    };

    (void)state;
    assert_int_equal(test_bring_up(), 0);
    for (uint32_t code = 1; code < 16; code++) {
        captured_clear();
        model_event(0, AMDVI_OPCODE(code) | DEVICE(2), 0x12345678000);
        iommu_fault_interrupt();
        assert_int_equal(captured_count(words[code]), 1);
        assert_int_equal(captured_count("iommu: "), 1);
        if (code == 1 || code == 2 || code == 3 || code == 4 || code == 8)
            assert_int_equal(captured_count("device 00:02.0"), 1);
    }
    assert_int_equal(iommu_counters.faults, 15);
    assert_int_equal(model_units[0].event_head, model_units[0].event_tail);
}

static void expect_page_fault(uint64_t flags, uint64_t bfn, const char *access, const char *reason)
{
    captured_clear();
    model_event(0, AMDVI_OPCODE(AMDVI_EVENT_PAGE_FAULT) | DEVICE(1) | flags, bfn << 12 | 0x123);
    iommu_fault_interrupt();
    assert_int_equal(captured_count("device 00:01.0"), 1);
    assert_int_equal(captured_count(access), 1);
    assert_int_equal(captured_count(reason), 1);
}

void page_faults_are_decoded(void **state)
{
    uint64_t present = AMDVI_EVENT_PRESENT | AMDVI_EVENT_PERMISSION;

    (void)state;
    test_with_device(5);
    assert_int_equal(iommu_map(context, 6, 1, 0, IOMMU_READ, &flush), 0);
    assert_int_equal(iommu_map(context, 7, 1, 0, IOMMU_WRITE, &flush), 0);
    assert_int_equal(iommu_map(context, 8, 1, 0, IOMMU_READ | IOMMU_WITHHELD, &flush), 0);
    expect_page_fault(0, 0x1234567, "read from BFN 0x1234567", "not present in the bus map");
    expect_page_fault(AMDVI_EVENT_WRITE, 0x1234567, "write to BFN 0x1234567", "not present in the bus map");
    expect_page_fault(AMDVI_EVENT_WRITE | present, 6, "write to BFN 0x6", "mapped read-only");
    expect_page_fault(present, 7, "read from BFN 0x7", "mapped write-only");
    expect_page_fault(AMDVI_EVENT_WRITE | present, 8, "write to BFN 0x8", "writing is withheld");
    expect_page_fault(AMDVI_EVENT_PRESENT | AMDVI_EVENT_RESERVED, 5, "read from BFN 0x5", "reserved bits");
    expect_page_fault(AMDVI_EVENT_INTERRUPT, 0xfee00, "interrupt 0x", "no entry of the interrupt table");
    /* The bus map allows it: as hardware says. */
    expect_page_fault(0, 5, "read from BFN 0x5", ": not present (");
    expect_page_fault(present, 5, "read from BFN 0x5", "no read permission");
    expect_page_fault(present | AMDVI_EVENT_WRITE, 5, "write to BFN 0x5", "no write permission");
    amdvi_driver.isolate(0, DEVICE(1));
    expect_page_fault(0, 5, "read from BFN 0x5", "the device may not do DMA");
}

void the_log_wraps(void **state)
{
    uint64_t mfn;

    (void)state;
    assert_int_equal(test_bring_up(), 0);
    for (uint32_t i = 0; i < 800; i++) {
        assert_false(model_dma(0, DEVICE(1 + i % 2), i, true, &mfn));
        if (i % 100 == 99)
            iommu_fault_interrupt();
    }
    assert_int_equal(iommu_counters.faults, 800);
    assert_int_equal(model_units[0].lost_events, 0);
    assert_int_equal(captured_count("write to BFN"), 32);
    assert_int_equal(model_units[0].status & AMDVI_STATUS_EVENT_INT, 0);
}

void an_overflow_restarts_the_log(void **state)
{
    uint64_t mfn;

    (void)state;
    assert_int_equal(test_bring_up(), 0);
    for (uint32_t round = 1; round < 4; round++) {
        for (uint32_t i = 0; i < 300; i++)
            assert_false(model_dma(0, DEVICE(round), i, true, &mfn));
        assert_int_equal(model_units[0].status & AMDVI_STATUS_OVERFLOW, AMDVI_STATUS_OVERFLOW);
        iommu_fault_interrupt();
        assert_int_equal(iommu_counters.faults, round * 255 + round - 1);
        assert_int_equal(captured_count("more faults than fault records"), round);
        assert_int_equal(model_units[0].starts, 1 + round);
        assert_int_equal(model_units[0].status & AMDVI_STATUS_OVERFLOW, 0);
        assert_false(model_dma(0, DEVICE(4), 1, true, &mfn));
        iommu_fault_interrupt();
        assert_int_equal(iommu_counters.faults, round * 256);
    }
}

static void bring_the_event(void)
{
    if (model_machine.pauses == 20)
        model_late_events(0);
}

void a_late_event_is_waited_for_and_taken_later(void **state)
{
    uint64_t mfn;

    (void)state;
    assert_int_equal(test_bring_up(), 0);
    model_units[0].late = true;
    assert_false(model_dma(0, DEVICE(1), 1, true, &mfn));
    model_machine.pauses = 0;
    iommu_fault_interrupt();
    assert_in_range(model_machine.pauses, 1, 1000);
    assert_int_equal(iommu_counters.faults, 0);
    model_late_events(0);
    iommu_fault_interrupt();
    assert_int_equal(iommu_counters.faults, 1);
    model_units[0].late = true;
    assert_false(model_dma(0, DEVICE(1), 2, true, &mfn));
    model_machine.pauses = 0;
    model_machine.on_pause = bring_the_event;
    iommu_fault_interrupt();
    assert_int_equal(iommu_counters.faults, 2);
    /* The slots that were read are empty: after a turn of the ring nothing old is taken for new. */
    for (uint32_t i = 0; i < 2 * AMDVI_RING_RECORDS; i++) {
        assert_false(model_dma(0, DEVICE(2), i, true, &mfn));
        iommu_fault_interrupt();
    }
    model_machine.on_pause = NULL;
    model_units[0].late = true;
    assert_false(model_dma(0, DEVICE(1), 3, true, &mfn));
    iommu_fault_interrupt();
    assert_int_equal(iommu_counters.faults, 2 + 2 * AMDVI_RING_RECORDS);
}

void a_storm_cuts_the_device_off(void **state)
{
    uint64_t mfn;

    (void)state;
    test_with_device(5);
    for (uint32_t i = 0; i < 2000; i++) {
        assert_false(model_dma(0, DEVICE(1), 0x5000 + i, true, &mfn));
        if (i % 100 == 99)
            iommu_fault_interrupt();
    }
    assert_int_equal(captured_count("does nothing but fault"), 1);
    assert_false(model_is_master(DEVICE(1)));
    assert_true(model_is_master(DEVICE(2)));
    assert_int_equal(iommu_counters.faults, 1000);
    assert_false(model_dma(0, DEVICE(1), 5, false, &mfn));
    iommu_fault_interrupt();
    assert_int_equal(iommu_counters.faults, 1000); /* no event either */
    assert_false(iommu_unit_dead(0));
}

/* More devices have faulted than are counted one by one: the one that goes on is found all the same. */
void a_storm_among_many_is_seen(void **state)
{
    (void)state;
    test_with_device(5);
    for (uint32_t source = 0x100; source < 0x100 + 40; source++) {
        model_event(0, AMDVI_OPCODE(AMDVI_EVENT_PAGE_FAULT) | source, 0x5000);
        iommu_fault_interrupt();
    }
    for (uint32_t i = 0; i < 1000; i++) {
        model_event(0, AMDVI_OPCODE(AMDVI_EVENT_PAGE_FAULT) | DEVICE(1), 0x5000);
        iommu_fault_interrupt();
    }
    assert_int_equal(captured_count("device 00:01.0 does nothing but fault"), 1);
    assert_int_equal(captured_count("does nothing but fault"), 1);
    assert_false(model_is_master(DEVICE(1)));
    assert_true(iommu_is_isolated(DEVICE(1)));
}

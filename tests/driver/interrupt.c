/* SPDX-License-Identifier: MIT */
/*
 * Interrupt remapping: edu sends its MSI, and the judge is what QEMU's local APIC was given, from its trace.
 * The trace is whole when QEMU has ended, so a case first acts and then judges all of it.
 */
#include "guest-abi/include/sluice/errno.h"
#include "tests/driver/machine.h"
#include "tests/driver/oracle.h"
#include "tests/driver/qtest.h"
#include "tests/driver/vendor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define IOAPIC        0xfec00000ull
#define IOAPIC_WINDOW 0x10u
#define PIN           5u

static const struct iommu_interrupt first = {.vector = 0x41, .destination = 5};
static const struct iommu_interrupt second = {.vector = 0x52, .destination = 3};

static uint32_t entry_for(uint16_t id)
{
    uint32_t index = UINT32_MAX;

    assert_int_equal(iommu_interrupt_allocate(0, id, &index), 0);
    assert_in_range(index, 0, vendor_interrupts - 1);
    return index;
}

/* Sets the entry; the unit must have been told, and have answered. */
static struct iommu_message set(uint16_t id, uint32_t index, const struct iommu_interrupt *interrupt)
{
    uint64_t invalidations = iommu_counters.interrupt_entry, waits = iommu_counters.waits;
    struct iommu_message message = {0};

    assert_int_equal(iommu_interrupt_set(0, id, index, interrupt, &message), 0);
    assert_int_equal(iommu_counters.interrupt_entry, invalidations + 1);
    assert_int_equal(iommu_counters.waits, waits + 1);
    assert_true(vendor_wait_is_done());
    return message;
}

static void the_entry_decides_what_arrives(void **state)
{
    uint32_t index;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    assert_true(iommu_interrupts_remapped());
    entry_for(EDU_ID);
    index = entry_for(EDU_ID);
    edu_send(set(EDU_ID, index, &first));
    expect_interrupts(&first, 1);
}

/* The same with entries of the shortest format, two of them side by side. */
static void short_entries_decide_as_well(void **state)
{
    const struct iommu_interrupt expected[] = {first, second, second};
    struct iommu_message one, other;
    uint32_t index;

    (void)state;
    machine_start(MACHINE_SHORT_ENTRIES);
    machine_up();
    index = entry_for(EDU_ID);
    one = set(EDU_ID, index, &first);
    other = set(EDU_ID, entry_for(EDU_ID), &second);
    edu_send(one);
    edu_send(other);
    set(EDU_ID, index, NULL);
    edu_send(one);
    edu_send(other);
    expect_interrupts(expected, 3);
}

static void a_replaced_entry_counts_at_once(void **state)
{
    const struct iommu_interrupt expected[] = {first, second};
    struct iommu_message message;
    uint32_t index;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    index = entry_for(EDU_ID);
    message = set(EDU_ID, index, &first);
    edu_send(message);
    set(EDU_ID, index, &second);
    edu_send(message);
    expect_interrupts(expected, 2);
}

/* Another requester's entry is of no use, whoever has entries of its own. */
static void the_wrong_source_is_blocked(void **state)
{
    struct iommu_message message;
    uint32_t other, own;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    other = entry_for(BRIDGE_ALIAS);
    message = set(BRIDGE_ALIAS, other, &first);
    edu_send(message);
    own = entry_for(EDU_ID);
    edu_send(message);
    assert_int_equal(iommu_interrupt_set(0, EDU_ID, other == own ? own + 1 : other, &first, NULL), -ENOENT);
    expect_interrupts(NULL, 0);
}

static void what_is_not_set_is_blocked(void **state)
{
    struct iommu_message message, beyond;
    uint32_t index, unset;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    unset = entry_for(EDU_ID);
    index = entry_for(EDU_ID);
    message = set(EDU_ID, index, &first);

    assert_int_equal(iommu_interrupt_set(0, EDU_ID, unset, NULL, &beyond), 0);
    edu_send(beyond); /* not set */
    beyond.data += vendor_interrupts;
    edu_send(beyond); /* beyond the table */
    set(EDU_ID, index, NULL);
    edu_send(message); /* blocked again */
    set(EDU_ID, index, &first);
    assert_int_equal(iommu_interrupt_free(0, EDU_ID, index), 0);
    edu_send(message); /* freed */
    assert_int_equal(iommu_interrupt_set(0, EDU_ID, index, &first, NULL), -ENOENT);
    assert_int_equal(iommu_interrupt_free(0, EDU_ID, index), -ENOENT);
    expect_interrupts(NULL, 0);
}

static void nonsense_is_refused(void **state)
{
    struct iommu_interrupt bad = first;
    uint32_t index;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    index = entry_for(EDU_ID);
    bad.vector = 0x0f;
    assert_int_equal(iommu_interrupt_set(0, EDU_ID, index, &bad, NULL), -EINVAL);
    bad = first;
    bad.destination = 0xff; /* every APIC */
    assert_int_equal(iommu_interrupt_set(0, EDU_ID, index, &bad, NULL), -EINVAL);
    bad.destination = 0x105;
    assert_int_equal(iommu_interrupt_set(0, EDU_ID, index, &bad, NULL), -EINVAL);
    assert_int_equal(iommu_interrupt_set(0, EDU_ID, UINT32_MAX, &first, NULL), -ENOENT);
    assert_int_equal(iommu_interrupt_allocate(1, EDU_ID, &index), -ENODEV);
    expect_interrupts(NULL, 0);
}

static void a_full_table_says_so(void **state)
{
    uint32_t index;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    for (uint32_t i = 0; i < vendor_interrupts; i++)
        entry_for(EDU_ID);
    assert_int_equal(iommu_interrupt_allocate(0, EDU_ID, &index), -ENOSPC);
    assert_int_equal(iommu_interrupt_free(0, EDU_ID, 77), 0);
    assert_int_equal(entry_for(EDU_ID), 77);
}

/* A unit that does not answer gives no entries, and takes none back. */
static void a_dead_unit_gives_nothing(void **state)
{
    uint32_t index, other;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    index = entry_for(EDU_ID);
    vendor_stop_answering();
    assert_int_equal(iommu_interrupt_set(0, EDU_ID, index, &first, NULL), -EIO);
    assert_true(iommu_unit_dead(0));
    assert_int_equal(iommu_interrupt_free(0, EDU_ID, index), -EIO);
    assert_int_equal(iommu_interrupt_allocate(0, EDU_ID, &other), -EIO);
    assert_false(iommu_interrupts_remapped());
}

static void program_pin(uint32_t pin, uint64_t entry)
{
    qtest_write32(IOAPIC, 0x10 + 2 * pin + 1);
    qtest_write32(IOAPIC + IOAPIC_WINDOW, (uint32_t)(entry >> 32));
    qtest_write32(IOAPIC, 0x10 + 2 * pin);
    qtest_write32(IOAPIC + IOAPIC_WINDOW, (uint32_t)entry);
}

static void an_ioapic_has_entries_as_a_device_has(void **state)
{
    uint16_t segment = 1, id = 0;
    struct iommu_message message;

    (void)state;
    if (qtest_version() >= vendor_ioapic_bypasses_from)
        skip();
    machine_start(MACHINE_PLAIN);
    vendor_table_ioapic();
    machine_up();
    assert_int_equal(iommu_interrupt_source(IOMMU_SOURCE_IOAPIC, 0, &segment, &id), 0);
    assert_int_equal(segment, 0);
    assert_int_equal(id, vendor_ioapic_id);
    assert_int_equal(iommu_interrupt_source(IOMMU_SOURCE_IOAPIC, 1, &segment, &id), -ENOENT);
    assert_int_equal(iommu_interrupt_source(IOMMU_SOURCE_HPET, 0, &segment, &id), -ENOENT);
    entry_for(id);
    message = set(id, entry_for(id), &first);
    program_pin(PIN, vendor_pin_entry(message, first));
    qtest_pulse_pin(PIN);
    expect_interrupts(&first, 1);
}

/* An HPET is found by its number, under the id that firmware names, and has entries of its own. */
static void an_hpet_is_a_source(void **state)
{
    const uint16_t hpet = 0xf8;
    uint16_t segment = 1, id = 0;

    (void)state;
    machine_start(MACHINE_PLAIN);
    vendor_table_hpet(hpet);
    machine_up();
    assert_int_equal(iommu_interrupt_source(IOMMU_SOURCE_HPET, 0, &segment, &id), 0);
    assert_int_equal(segment, 0);
    assert_int_equal(id, hpet);
    assert_int_equal(iommu_interrupt_source(IOMMU_SOURCE_HPET, 1, &segment, &id), -ENOENT);
    assert_int_equal(iommu_interrupt_source(IOMMU_SOURCE_IOAPIC, 0, &segment, &id), -ENOENT);
    set(hpet, entry_for(hpet), &first);
}

/* What was counted is what QEMU saw. */
static void invalidations_are_counted(void **state)
{
    struct vendor_count counts[VENDOR_COUNTS_MAX];
    uint32_t count, index;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    index = entry_for(EDU_ID);
    set(EDU_ID, index, &first);
    assert_int_equal(iommu_interrupt_free(0, EDU_ID, index), 0);
    qtest_stop();
    count = vendor_counts(counts);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(qtest_trace_count(counts[i].event), counts[i].count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_entry_decides_what_arrives, machine_stop),
        cmocka_unit_test_teardown(short_entries_decide_as_well, machine_stop),
        cmocka_unit_test_teardown(a_replaced_entry_counts_at_once, machine_stop),
        cmocka_unit_test_teardown(the_wrong_source_is_blocked, machine_stop),
        cmocka_unit_test_teardown(what_is_not_set_is_blocked, machine_stop),
        cmocka_unit_test_teardown(nonsense_is_refused, machine_stop),
        cmocka_unit_test_teardown(a_full_table_says_so, machine_stop),
        cmocka_unit_test_teardown(a_dead_unit_gives_nothing, machine_stop),
        cmocka_unit_test_teardown(an_ioapic_has_entries_as_a_device_has, machine_stop),
        cmocka_unit_test_teardown(an_hpet_is_a_source, machine_stop),
        cmocka_unit_test_teardown(invalidations_are_counted, machine_stop),
    };

    return cmocka_run_group_tests_name("interrupt", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Invalidation: enough of it, no more than needed, in the right order, and what happens when it fails. */
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

static void map_many(uint64_t bfn, uint32_t count, uint64_t mfn)
{
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(iommu_map(machine.context, bfn + i, mfn, 0, RW, &machine.flush), 0);
    assert_int_equal(iommu_flush(&machine.flush), 0);
}

static void unmap_many(uint64_t bfn, uint32_t count, uint32_t stride)
{
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(iommu_unmap(machine.context, bfn + (uint64_t)i * stride, 0, &machine.flush), 0);
    assert_int_equal(iommu_flush(&machine.flush), 0);
}

static struct iommu_counters since(struct iommu_counters before)
{
    return (struct iommu_counters){.flushes = iommu_counters.flushes - before.flushes,
                                   .iotlb_page = iommu_counters.iotlb_page - before.iotlb_page,
                                   .iotlb_domain = iommu_counters.iotlb_domain - before.iotlb_domain,
                                   .waits = iommu_counters.waits - before.waits};
}

/* Ends QEMU and compares every count of the product's with what QEMU saw. */
static void compare_with_trace(void)
{
    struct vendor_count counts[VENDOR_COUNTS_MAX];
    uint32_t count = vendor_counts(counts);

    qtest_stop();
    for (uint32_t i = 0; i < count; i++)
        if (qtest_trace_count(counts[i].event) != counts[i].count)
            fail_msg("%s: the product counted %llu, QEMU %u", counts[i].event,
                     (unsigned long long)counts[i].count, qtest_trace_count(counts[i].event));
}

/* 256 consecutive BFNs, wherever they start: one IOTLB descriptor and one wait. */
static void a_consecutive_range_is_one_descriptor(void **state)
{
    static const uint64_t starts[] = {0x1000, 0x1001, 0x10ff, 0x1080, 0x3ff80, 0x3ffff};

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    for (uint32_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        struct iommu_counters before = iommu_counters, done;

        map_many(starts[i], 256, 0x123);
        unmap_many(starts[i], 256, 1);
        done = since(before);
        assert_int_equal(done.flushes, 1);
        assert_int_equal(done.iotlb_page + done.iotlb_domain, 1);
        assert_int_equal(done.waits, 1);
    }
    compare_with_trace();
}

/* Nothing was there and the unit does not remember absence: nothing to post. Else 1 + 1. */
static void mapping_onto_nothing_posts_nothing(void **state)
{
    struct iommu_counters before, done;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    before = iommu_counters;
    map_many(0x1001, 256, 0x123);
    done = since(before);
    assert_int_equal(done.iotlb_page + done.iotlb_domain + done.waits + done.flushes, 0);
    compare_with_trace();
}

static void mapping_where_absence_is_remembered_posts_once(void **state)
{
    struct iommu_counters before, done;

    (void)state;
    machine_start(MACHINE_REMEMBERS_ABSENCE);
    machine_up();
    before = iommu_counters;
    map_many(0x1001, 256, 0x123);
    done = since(before);
    assert_int_equal(done.iotlb_page + done.iotlb_domain, 1);
    assert_int_equal(done.waits, 1);
    compare_with_trace();
}

static void identical_replacement_owes_nothing(void **state)
{
    struct iommu_counters before;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    map_now(4, 0x123, RW);
    before = iommu_counters;
    map_now(4, 0x123, RW);
    assert_int_equal(since(before).waits, 0);
    assert_int_equal(host_record.released, 1); /* the reference that the older entry held */
    map_now(4, 0x123, IOMMU_READ);
    assert_int_equal(since(before).waits, 1);
}

/* A few ranges go page by page, many as one whole domain; always one wait. */
static void scattered_ranges_have_a_bound(void **state)
{
    struct iommu_counters before, done;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    map_many(0x2000, 256, 0x123);
    before = iommu_counters;
    unmap_many(0x2000, IOMMU_FLUSH_RANGES, 3);
    done = since(before);
    assert_int_equal(done.iotlb_page, IOMMU_FLUSH_RANGES);
    assert_int_equal(done.waits, 1);
    before = iommu_counters;
    unmap_many(0x2040, IOMMU_FLUSH_RANGES + 1, 3);
    done = since(before);
    assert_int_equal(done.iotlb_page, 0);
    assert_int_equal(done.iotlb_domain, 1);
    assert_int_equal(done.waits, 1);
    compare_with_trace();
}

/*
 * Every page of an odd range is in the IOTLB; after the flush none of them must be. What the
 * descriptor names is looked at as well: QEMU's AMD-Vi model drops more than it is told to.
 */
static void the_address_mask_covers_the_whole_range(void **state)
{
    static const struct {
        uint64_t bfn;
        uint32_t count;
    } ranges[] = {{0x1000, 1}, {0x1001, 2}, {0x1003, 3}, {0x1007, 2}, {0x1000, 8}, {0x1001, 8}, {0x100f, 2}};
    struct vendor_invalidation latest;
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    frame = data_frame();
    map_now(0x1100, frame, RW); /* keeps the table */
    for (uint32_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        map_many(ranges[i].bfn, ranges[i].count, frame);
        for (uint32_t page = 0; page < ranges[i].count; page++)
            assert_true(edu_reaches((ranges[i].bfn + page) << 12, frame));
        unmap_many(ranges[i].bfn, ranges[i].count, 1);
        latest = vendor_last_invalidation();
        assert_true(latest.bfn <= ranges[i].bfn &&
                    latest.bfn + latest.frames >= ranges[i].bfn + ranges[i].count);
        for (uint32_t page = 0; page < ranges[i].count; page++)
            assert_false(edu_reaches((ranges[i].bfn + page) << 12, frame));
    }
}

/* The unit may keep what it knows of the tables that are no leaves: only while all tables stay. */
static void the_hint_is_set_only_while_tables_stay(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    map_many(0x5000, 2, 0x123);
    unmap_now(0x5000);
    assert_true(vendor_last_invalidation().tables_stay);
    unmap_now(0x5001);
    assert_false(vendor_last_invalidation().tables_stay);
    assert_int_equal(iommu_tables_used(machine.context), 1);
}

/* A unit may remember that there was no table: a table that came is a change, too. */
static void the_hint_is_not_set_where_absence_was_remembered(void **state)
{
    uint64_t done;

    (void)state;
    machine_start(MACHINE_REMEMBERS_ABSENCE);
    machine_up();
    map_now(0x5000, 0x123, RW);
    assert_false(vendor_last_invalidation().tables_stay);
    unmap_now(0x5000);
    assert_int_equal(iommu_map_run(machine.context, 0x5000, 0x123, 2, RW, &machine.flush, &done), 0);
    assert_int_equal(iommu_flush(&machine.flush), 0);
    assert_false(vendor_last_invalidation().tables_stay);
}

/* QEMU's AMD-Vi model keeps no device entries: only its trace can tell that the invalidation was posted. */
static void moving_a_device_invalidates_its_entry(void **state)
{
    struct iommu_context *second;
    uint64_t before;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    assert_int_equal(iommu_context_create(&second, 16), 0);
    before = iommu_counters.context_device;
    assert_int_equal(iommu_attach(second, 0, EDU_ID), 0);
    assert_int_equal(iommu_counters.context_device - before, 1);
    vendor_isolate(EDU_ID);
    assert_int_equal(iommu_counters.context_device - before, 2);
    compare_with_trace();
}

static void a_detached_device_is_forgotten(void **state)
{
    struct iommu_counters before;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    before = iommu_counters;
    assert_int_equal(iommu_detach(0, EDU_ID), 0);
    assert_int_equal(iommu_counters.context_device - before.context_device, 1);
    assert_int_equal(iommu_counters.iotlb_domain - before.iotlb_domain, 1);
    assert_true(vendor_wait_is_done());
    before = iommu_counters;
    assert_int_equal(iommu_detach(0, EDU_ID), 0); /* is in no context any more: nothing to forget */
    assert_int_equal(iommu_detach(0, EDU_ID + 8), 0);
    assert_int_equal(iommu_counters.waits, before.waits);
    compare_with_trace();
}

/* A device that was made to be quiet stays so: no fault of it is told again. */
static void an_isolated_device_stays_isolated(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    frame = data_frame();
    vendor_isolate(EDU_ID);
    assert_int_equal(iommu_detach(0, EDU_ID), 0);
    assert_false(edu_reaches(frame << 12, frame));
    expect_no_fault();
}

static void who_cannot_be_detached(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    vendor_table_begin();
    vendor_table_unit(vendor_base, false);
    vendor_table_device(EDU_ID);
    machine_up();
    assert_true(iommu_covers(0, EDU_ID));
    assert_false(iommu_covers(0, EDU_ID + 8));
    assert_int_equal(iommu_detach(0, EDU_ID + 8), -ENODEV);
    vendor_stop_answering();
    assert_int_equal(iommu_detach(0, EDU_ID), -EIO);
    assert_true(iommu_unit_dead(0));
    assert_int_equal(iommu_detach(0, EDU_ID), -EIO);
}

/* What an entry referred to is released after the wait, never before. */
static void frames_are_released_after_the_wait(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    map_many(0x1000, 3, 0x123);
    unmap_now(0x1000);
    unmap_now(0x1001);
    map_now(0x1002, 0x124, IOMMU_READ);
    assert_int_equal(host_record.released, 3);
    assert_int_equal(host_record.released_early, 0);
    assert_int_equal(host_record.last_released_mfn, 0x123);
    assert_int_equal(host_record.last_released_flags, RW);
}

static void the_queue_wraps(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    frame = data_frame();
    for (uint32_t i = 0; i < 300; i++) {
        map_now(0x1000 + i % 3, frame, RW);
        if (i % 29 == 0)
            assert_true(edu_reaches((0x1000ull + i % 3) << 12, frame));
        unmap_now(0x1000 + i % 3);
        if (i % 29 == 0)
            assert_false(edu_reaches((0x1000ull + i % 3) << 12, frame));
    }
    assert_int_equal(host_record.released, 300);
    compare_with_trace();
}

/* A descriptor the unit refuses stops its queue: it is replaced, and nothing stays cached. */
static void a_refused_descriptor_is_got_over(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    frame = data_frame();
    for (uint32_t i = 0; i < 3; i++) {
        map_now(0x1000, frame, RW);
        assert_true(edu_reaches(0x1000000, frame));
        vendor_post_refused();
        unmap_now(0x1000);
        assert_false(edu_reaches(0x1000000, frame));
    }
    assert_int_equal(captured_count(vendor_words(WORDS_REFUSED_EXACTLY)), 3);
    assert_int_equal(host_record.released, 3);
    assert_false(iommu_unit_dead(0));
}

static bool spoiled;

/* Spoils the first invalidation that is written, before the unit can read it. */
static void spoil_invalidation(void)
{
    if (!spoiled)
        spoiled = vendor_spoil_invalidation();
}

/* The refused descriptor was the invalidation itself: what it stood for is done all the same. */
static void a_refused_invalidation_is_made_up_for(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    frame = data_frame();
    map_now(0x1000, frame, RW);
    assert_true(edu_reaches(0x1000000, frame));
    spoiled = false;
    host_record.on_store = spoil_invalidation;
    unmap_now(0x1000);
    assert_true(spoiled);
    assert_false(edu_reaches(0x1000000, frame));
    assert_int_equal(captured_count(vendor_words(WORDS_REFUSED)), 1);
}

/* Whatever is posted is refused: recovery has a bound, and ends in a dead unit, not in success. */
static void refusals_without_end_are_a_dead_unit(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    vendor_spoil_waits();
    map_now(0x1000, 0x123, RW);
    assert_int_equal(iommu_unmap(machine.context, 0x1000, 0, &machine.flush), 0);
    assert_int_equal(iommu_flush(&machine.flush), -EIO);
    assert_true(iommu_unit_dead(0));
    assert_in_range(captured_count(vendor_words(WORDS_REFUSED)), 1, 10);
    assert_int_equal(host_record.released, 0);
}

/* A unit that stops answering: no success, no release, its devices' DMA cut off, and an error from then on.
 */
static void a_dead_unit_releases_nothing(void **state)
{
    uint64_t frame;
    uint32_t tables;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    frame = data_frame();
    map_now(0x1000, frame, RW);
    map_now(0x40000, frame, RW);
    tables = iommu_tables_used(machine.context);
    vendor_stop_answering();
    assert_int_equal(iommu_unmap(machine.context, 0x40000, 0, &machine.flush), 0);
    assert_int_equal(iommu_flush(&machine.flush), -EIO);
    assert_true(iommu_unit_dead(0));
    assert_int_equal(host_record.released, 0);
    assert_int_equal(iommu_tables_used(machine.context), tables);
    assert_false(is_bus_master(EDU_ID));
    assert_false(edu_reaches(0x1000000, frame));
    assert_int_equal(iommu_map(machine.context, 1, frame, 0, RW, &machine.flush), -EIO);
    assert_int_equal(iommu_unmap(machine.context, 0x1000, 0, &machine.flush), -EIO);
    assert_int_equal(iommu_flush(&machine.flush), -EIO);
    assert_int_equal(iommu_attach(machine.context, 0, EDU_ID), -EIO);
    assert_int_equal(captured_count("counts as dead"), 1);
}

/* Behind a bridge the device cannot be named by its requester id: the bridge is stopped. */
static void a_dead_unit_stops_bridges_too(void **state)
{
    (void)state;
    machine_start(MACHINE_BRIDGE);
    machine_up();
    assert_int_equal(iommu_attach(machine.context, 0, BRIDGE_ALIAS), 0);
    map_now(0x1000, 0x123, RW);
    vendor_stop_answering();
    assert_int_equal(iommu_unmap(machine.context, 0x1000, 0, &machine.flush), 0);
    assert_int_equal(iommu_flush(&machine.flush), -EIO);
    assert_false(is_bus_master(BRIDGE_ID));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_consecutive_range_is_one_descriptor, machine_stop),
        cmocka_unit_test_teardown(mapping_onto_nothing_posts_nothing, machine_stop),
        cmocka_unit_test_teardown(mapping_where_absence_is_remembered_posts_once, machine_stop),
        cmocka_unit_test_teardown(identical_replacement_owes_nothing, machine_stop),
        cmocka_unit_test_teardown(scattered_ranges_have_a_bound, machine_stop),
        cmocka_unit_test_teardown(the_address_mask_covers_the_whole_range, machine_stop),
        cmocka_unit_test_teardown(the_hint_is_set_only_while_tables_stay, machine_stop),
        cmocka_unit_test_teardown(the_hint_is_not_set_where_absence_was_remembered, machine_stop),
        cmocka_unit_test_teardown(moving_a_device_invalidates_its_entry, machine_stop),
        cmocka_unit_test_teardown(a_detached_device_is_forgotten, machine_stop),
        cmocka_unit_test_teardown(an_isolated_device_stays_isolated, machine_stop),
        cmocka_unit_test_teardown(who_cannot_be_detached, machine_stop),
        cmocka_unit_test_teardown(frames_are_released_after_the_wait, machine_stop),
        cmocka_unit_test_teardown(the_queue_wraps, machine_stop),
        cmocka_unit_test_teardown(a_refused_descriptor_is_got_over, machine_stop),
        cmocka_unit_test_teardown(a_refused_invalidation_is_made_up_for, machine_stop),
        cmocka_unit_test_teardown(refusals_without_end_are_a_dead_unit, machine_stop),
        cmocka_unit_test_teardown(a_dead_unit_releases_nothing, machine_stop),
        cmocka_unit_test_teardown(a_dead_unit_stops_bridges_too, machine_stop),
    };

    return cmocka_run_group_tests_name("flush", tests, NULL, NULL);
}

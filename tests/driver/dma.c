/* SPDX-License-Identifier: MIT */
/* What a device reaches through the bus map, and what it does not: real DMA through QEMU's IOMMU. */
#include "drivers/iommu/host.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/driver/machine.h"
#include "tests/driver/oracle.h"
#include "tests/driver/vendor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Nothing is attached: the device must not reach memory at its machine address, nor anywhere. */
static void denied_by_default(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_PLAIN);
    frame = data_frame();
    assert_true(edu_reaches(frame << 12, frame)); /* before the IOMMU is on: the test can tell */
    assert_int_equal(machine_init(), 0);
    assert_int_equal(iommu_enable(), 0);
    expect_blocked(WRITE_TO, frame, frame, vendor_words(WORDS_BUS_UNKNOWN));
}

static void moves_bytes_both_ways(uint32_t kind, uint64_t bfn)
{
    uint64_t from = data_frame(), to = data_frame();

    assert_int_equal(iommu_max_bfn(machine.context), (1ull << (vendor_bus_bits(kind) - 12)) - 1);
    map_now(bfn, from, IOMMU_READ);
    map_now(bfn + 1, to, RW);
    for (uint32_t i = 0; i < 1024; i++)
        frame_bytes(from)[i + 16] = (uint8_t)(i * 7 + 3);
    edu_fetch((bfn << 12) + 16, 1024);
    edu_store(((bfn + 1) << 12) + 32, 1024);
    assert_memory_equal(frame_bytes(from) + 16, frame_bytes(to) + 32, 1024);
    expect_no_fault();
}

static void maps_at_the_end_of_the_bus(void **state)
{
    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    moves_bytes_both_ways(MACHINE_PLAIN, iommu_max_bfn(machine.context) - 15);
}

static void maps_at_the_end_of_a_wide_bus(void **state)
{
    (void)state;
    machine_start(MACHINE_WIDE);
    machine_up();
    assert_true(vendor_bus_bits(MACHINE_WIDE) > vendor_bus_bits(MACHINE_PLAIN));
    moves_bytes_both_ways(MACHINE_WIDE, iommu_max_bfn(machine.context) - 15);
}

static bool saw_half_an_entry;

static void look_at_entry(void)
{
    saw_half_an_entry |= vendor_entry_is_half(EDU_ID);
}

/* A tree may grow when a far address is mapped: what is near stays where it was all the time. */
static void near_and_far_at_once(void **state)
{
    uint64_t near, far, end;

    (void)state;
    machine_start(MACHINE_WIDE);
    machine_up();
    near = data_frame();
    far = data_frame();
    end = iommu_max_bfn(machine.context);
    map_now(1, near, RW);
    assert_true(edu_reaches(0x1000, near));
    saw_half_an_entry = false;
    host_record.on_store = look_at_entry;
    map_now(end, far, RW);
    assert_false(saw_half_an_entry);
    assert_true(edu_reaches(end << 12, far));
    assert_true(edu_reaches(0x1000, near));
    unmap_now(end);
    expect_blocked(WRITE_TO, end, far, "not present in the bus map");
    assert_true(edu_reaches(0x1000, near));
}

static void maps_where_absence_is_remembered(void **state)
{
    (void)state;
    machine_start(MACHINE_REMEMBERS_ABSENCE);
    machine_up();
    moves_bytes_both_ways(MACHINE_REMEMBERS_ABSENCE, 0x1234);
}

/* The translation is in the IOTLB when it is taken away: only a real invalidation stops the next DMA. */
static void unmapped_means_unreachable(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    frame = data_frame();
    map_now(0x1000, frame, RW);
    map_now(0x1001, data_frame(), RW); /* the table stays */
    assert_true(edu_reaches(0x1000000, frame));
    unmap_now(0x1000);
    expect_blocked(WRITE_TO, 0x1000, frame, "not present in the bus map");
}

static void remapped_under_its_feet(void **state)
{
    uint64_t first, second;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    first = data_frame();
    second = data_frame();
    map_now(5, first, RW);
    assert_true(edu_reaches(0x5000, first));
    map_now(5, second, RW);
    assert_false(edu_reaches(0x5000, first));
    assert_true(edu_reaches(0x5000, second));
}

static void read_only_is_read_only(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    frame = data_frame();
    map_now(7, frame, IOMMU_READ);
    map_now(8, frame, IOMMU_READ | IOMMU_WITHHELD);
    expect_blocked(WRITE_TO, 7, frame, "mapped read-only");
    expect_blocked(WRITE_TO, 8, frame, "mapped, but writing is withheld");
}

/* The software flags are in bits that hardware ignores: no reserved-bit fault. */
static void software_flags_do_not_disturb(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_WIDE);
    machine_up();
    frame = data_frame();
    map_now(9, frame, RW | IOMMU_PREMAP);
    assert_true(edu_reaches(0x9000, frame));
    edu_fetch(0x9000, 8);
    expect_no_fault();
}

/* A table that came empty is taken out, reused elsewhere, and must not be walked from its old place. */
static void a_recycled_table_serves_its_new_place_only(void **state)
{
    uint64_t frame, other;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    frame = data_frame();
    other = data_frame();
    map_now(0x40000, frame, RW);
    assert_true(edu_reaches(0x40000000, frame));
    unmap_now(0x40000);
    assert_int_equal(iommu_tables_used(machine.context), 1);
    map_now(0x80000, other, RW);
    assert_false(edu_reaches(0x40000000, other));
    assert_true(edu_reaches(0x80000000, other));
}

/* Another context's mapping of the same BFN is untouched: domain ids keep them apart. */
/* One entry for 2 MiB, a part of it taken away, and all of it back: the device sees each page as it is. */
static void superpages_come_together_and_apart(void **state)
{
    uint64_t first;
    uint32_t used;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    first = (host_frames_alloc(1023) + 511) & ~511ull;
    assert_int_equal(iommu_map(machine.context, 0x400, first, 9, RW, &machine.flush), 0);
    assert_int_equal(iommu_flush(&machine.flush), 0);
    used = iommu_tables_used(machine.context);
    for (uint64_t page = 0; page < 512; page += 73)
        assert_true(edu_reaches((0x400 + page) << 12, first + page));
    unmap_now(0x400 + 73);
    assert_int_equal(iommu_tables_used(machine.context), used + 1);
    expect_blocked(WRITE_TO, 0x400 + 73, first + 73, "not present in the bus map");
    assert_true(edu_reaches(0x400000 + 72 * 4096, first + 72));
    assert_true(edu_reaches(0x400000 + 146 * 4096, first + 146));
    map_now(0x400 + 73, first + 73, RW);
    assert_int_equal(iommu_tables_used(machine.context), used);
    for (uint64_t page = 0; page < 512; page += 73)
        assert_true(edu_reaches((0x400 + page) << 12, first + page));
    assert_int_equal(iommu_unmap(machine.context, 0x400, 9, &machine.flush), 0);
    assert_int_equal(iommu_flush(&machine.flush), 0);
    expect_blocked(WRITE_TO, 0x400 + 511, first + 511, "not present in the bus map");
}

static void contexts_are_apart(void **state)
{
    struct iommu_context *second;
    uint64_t mine, theirs;

    (void)state;
    machine_start(MACHINE_BRIDGE);
    machine_up();
    mine = data_frame();
    theirs = data_frame();
    assert_int_equal(iommu_context_create(&second, 16), 0);
    assert_int_equal(iommu_attach(second, 0, vendor_bridged_id), 0);
    map_now(0x100, mine, RW);
    iommu_flush_begin(&machine.flush, second);
    assert_int_equal(iommu_map(second, 0x100, theirs, 0, RW, &machine.flush), 0);
    assert_int_equal(iommu_flush(&machine.flush), 0);

    assert_true(edu_reaches(0x100000, mine));
    frame_bytes(theirs)[0] = 0x5a;
    bridged_edu_store(0x100000, 8);
    assert_int_equal(frame_bytes(theirs)[0], 0);

    assert_int_equal(iommu_unmap(second, 0x100, 0, &machine.flush), 0);
    assert_int_equal(iommu_flush(&machine.flush), 0);
    frame_bytes(theirs)[0] = 0x5a;
    bridged_edu_store(0x100000, 8);
    assert_int_equal(frame_bytes(theirs)[0], 0x5a);
    assert_true(edu_reaches(0x100000, mine));
}

/* Moving a device to another context must drop the cached context entry and the old translations. */
static void reattached_device_leaves_its_old_map(void **state)
{
    struct iommu_context *second;
    uint64_t old, new;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    old = data_frame();
    new = data_frame();
    map_now(0x100, old, RW);
    assert_true(edu_reaches(0x100000, old));
    assert_int_equal(iommu_context_create(&second, 16), 0);
    iommu_flush_begin(&machine.flush, second);
    assert_int_equal(iommu_map(second, 0x100, new, 0, RW, &machine.flush), 0);
    assert_int_equal(iommu_flush(&machine.flush), 0);
    assert_int_equal(iommu_attach(second, 0, EDU_ID), 0);
    assert_false(edu_reaches(0x100000, old));
    assert_true(edu_reaches(0x100000, new));
}

/* Its translation is in the unit's caches when it is taken out of its context. */
static void a_detached_device_is_blocked(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_PLAIN);
    machine_up();
    frame = data_frame();
    map_now(0x100, frame, RW);
    assert_true(edu_reaches(0x100000, frame));
    assert_int_equal(iommu_detach(0, EDU_ID), 0);
    expect_blocked(WRITE_TO, 0x100, frame, vendor_words(WORDS_NOT_ATTACHED));
    assert_false(edu_reaches(frame << 12, frame)); /* nor does it pass by the tables */
    assert_int_equal(iommu_attach(machine.context, 0, EDU_ID), 0);
    assert_true(edu_reaches(0x100000, frame));
}

/* A function behind a PCIe-to-PCI bridge shows as the bridge's secondary bus, device 0. */
static void behind_a_bridge(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start(MACHINE_BRIDGE);
    machine_up();
    frame = data_frame();
    map_now(0x200, frame, RW);
    frame_bytes(frame)[0] = 0x5a;
    bridged_edu_store(0x200000, 8);
    assert_int_equal(frame_bytes(frame)[0], 0x5a);
    expect_told(vendor_bridged_id, WRITE_TO, 0x200, vendor_words(WORDS_BUS_UNKNOWN));
    assert_int_equal(iommu_attach(machine.context, 0, vendor_bridged_id), 0);
    bridged_edu_store(0x200000, 8);
    assert_int_equal(frame_bytes(frame)[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(denied_by_default, machine_stop),
        cmocka_unit_test_teardown(maps_at_the_end_of_the_bus, machine_stop),
        cmocka_unit_test_teardown(maps_at_the_end_of_a_wide_bus, machine_stop),
        cmocka_unit_test_teardown(near_and_far_at_once, machine_stop),
        cmocka_unit_test_teardown(maps_where_absence_is_remembered, machine_stop),
        cmocka_unit_test_teardown(unmapped_means_unreachable, machine_stop),
        cmocka_unit_test_teardown(remapped_under_its_feet, machine_stop),
        cmocka_unit_test_teardown(read_only_is_read_only, machine_stop),
        cmocka_unit_test_teardown(software_flags_do_not_disturb, machine_stop),
        cmocka_unit_test_teardown(a_recycled_table_serves_its_new_place_only, machine_stop),
        cmocka_unit_test_teardown(superpages_come_together_and_apart, machine_stop),
        cmocka_unit_test_teardown(contexts_are_apart, machine_stop),
        cmocka_unit_test_teardown(reattached_device_leaves_its_old_map, machine_stop),
        cmocka_unit_test_teardown(a_detached_device_is_blocked, machine_stop),
        cmocka_unit_test_teardown(behind_a_bridge, machine_stop),
    };

    return cmocka_run_group_tests_name("dma", tests, NULL, NULL);
}

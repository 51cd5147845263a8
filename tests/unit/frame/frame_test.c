/* SPDX-License-Identifier: MIT */
/* The rules of one frame: owner, references, exclusive type, and what a device may do (clause S2). */
#include "guest-abi/include/sluice/errno.h"
#include "mem/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define FRAMES 4u
#define MOST   (1u << 31)

static struct frame frames[FRAMES];
struct frame *frame_table = frames;
uint64_t frame_table_count = FRAMES;

static uint64_t unparked;

void frame_unpark(uint64_t mfn)
{
    unparked = mfn;
}

static int begin(void **state)
{
    (void)state;
    memset(frames, 0, sizeof(frames));
    for (unsigned i = 0; i < FRAMES; i++)
        frames[i].owner = FRAME_GUEST;
    return 0;
}

static const enum frame_owner others[] = {FRAME_NOT_RAM, FRAME_HYPERVISOR, FRAME_FREE, FRAME_FIRMWARE,
                                          FRAME_PARKED};
static const enum frame_type tables[] = {FRAME_TYPE_L1, FRAME_TYPE_L2, FRAME_TYPE_L3, FRAME_TYPE_L4,
                                         FRAME_TYPE_SEGMENT};
#define TABLES (sizeof(tables) / sizeof(tables[0]))

static void test_only_the_guests_frames_give_references(void **state)
{
    bool writes = true;
    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct frame before;
        frames[1].owner = (uint8_t)others[i];
        before = frames[1];
        assert_int_equal(frame_get(&frames[1]), -EPERM);
        assert_int_equal(frame_get_type(&frames[1], FRAME_TYPE_WRITABLE), -EPERM);
        assert_int_equal(frame_bus_get(1, 5, true, &writes), -EPERM);
        frame_bus_put(1, true);
        assert_memory_equal(&before, &frames[1], sizeof(before));
    }
    assert_int_equal(frame_bus_get(FRAMES, 5, true, &writes), -EPERM);
    assert_int_equal(frame_bus_get(UINT64_MAX, 5, true, &writes), -EPERM);
    frame_bus_put(FRAMES, true);
    frames_premap_put(UINT64_MAX, 1);
}

static void test_references_are_counted(void **state)
{
    (void)state;
    assert_int_equal(frame_get(&frames[0]), 0);
    assert_int_equal(frame_get(&frames[0]), 0);
    assert_int_equal(frames[0].references, 2);
    frame_put(&frames[0]);
    frame_put(&frames[0]);
    assert_int_equal(frames[0].references, 0);
    frame_put(&frames[0]); /* one too many does not wrap */
    assert_int_equal(frames[0].references, 0);
}

static void test_references_saturate(void **state)
{
    struct frame before;
    bool writes = false;
    (void)state;
    frames[0].references = MOST - 1;
    assert_int_equal(frame_get(&frames[0]), 0);
    before = frames[0];
    assert_int_equal(frame_get(&frames[0]), -ENOSPC);
    assert_int_equal(frame_get_type(&frames[0], FRAME_TYPE_WRITABLE), -ENOSPC);
    assert_int_equal(frame_bus_get(0, 9, true, &writes), -ENOSPC);
    assert_memory_equal(&before, &frames[0], sizeof(before));
}

static void test_types_exclude_each_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLES; i++) {
        begin(NULL);
        assert_int_equal(frame_get_type(&frames[0], FRAME_TYPE_WRITABLE), 0);
        assert_int_equal(frame_get_type(&frames[0], tables[i]), -EBUSY);
        assert_int_equal(frame_get_type(&frames[0], FRAME_TYPE_WRITABLE), 0);
        assert_int_equal(frames[0].type_references, 2);
        assert_int_equal(frames[0].references, 2);
        frame_put_type(&frames[0]);
        assert_int_equal(frame_get_type(&frames[0], tables[i]), -EBUSY);
        frame_put_type(&frames[0]);
        assert_int_equal(frames[0].type, FRAME_TYPE_NONE);
        assert_int_equal(frame_get_type(&frames[0], tables[i]), 0);
        assert_int_equal(frame_get_type(&frames[0], FRAME_TYPE_WRITABLE), -EBUSY);
        for (size_t j = 0; j < TABLES; j++)
            assert_int_equal(frame_get_type(&frames[0], tables[j]), i == j ? 0 : -EBUSY);
    }
}

static void test_plain_references_do_not_hold_a_type(void **state)
{
    (void)state;
    assert_int_equal(frame_get(&frames[0]), 0);
    assert_int_equal(frame_get_type(&frames[0], FRAME_TYPE_L1), 0);
    assert_int_equal(frame_get(&frames[0]), 0);
    assert_int_equal(frames[0].references, 3);
    assert_int_equal(frames[0].type_references, 1);
    frame_put_type(&frames[0]);
    frame_put_type(&frames[0]); /* one too many does nothing */
    assert_int_equal(frames[0].references, 2);
}

static void test_a_device_writes_only_what_is_no_table(void **state)
{
    bool writes = false;
    (void)state;
    assert_int_equal(frame_bus_get(0, 9, true, &writes), 0);
    assert_true(writes);
    assert_int_equal(frame_get_type(&frames[1], FRAME_TYPE_WRITABLE), 0);
    assert_int_equal(frame_bus_get(1, 9, true, &writes), 0);
    assert_true(writes);
    for (size_t i = 0; i < TABLES; i++) {
        begin(NULL);
        writes = true;
        assert_int_equal(frame_get_type(&frames[2], tables[i]), 0);
        assert_int_equal(frame_bus_get(2, 9, true, &writes), 0);
        assert_false(writes);
        assert_int_equal(frame_bus_get(2, 9, false, &writes), 0);
        assert_false(writes);
    }
}

static void test_the_latest_writable_bfn_is_noted(void **state)
{
    bool writes = false;
    (void)state;
    assert_int_equal(frame_bus_get(0, 9, true, &writes), 0);
    assert_int_equal(frame_bus_get(0, 10, false, &writes), 0);
    assert_int_equal(frames[0].bus_writable, 1);
    assert_int_equal(frames[0].bus_bfn, 9);
    assert_int_equal(frame_bus_get(0, 11, true, &writes), 0);
    assert_int_equal(frames[0].bus_writable, 2);
    assert_int_equal(frames[0].bus_bfn, 11);
    frame_bus_put(0, true);
    frame_bus_put(0, false);
    frame_bus_put(0, true);
    assert_int_equal(frames[0].bus_writable, 0);
    assert_int_equal(frames[0].references, 0);
    frame_bus_put(0, true); /* one too many does not wrap */
    assert_int_equal(frames[0].bus_writable, 0);
    assert_int_equal(frames[0].references, 0);
}

static void test_a_premapped_frame_is_let_go_once(void **state)
{
    (void)state;
    frames[0].flags = FRAME_PREMAPPED | FRAME_PINNED;
    frames[0].references = 5;
    frames_premap_put(0, 1);
    frames_premap_put(0, 1);
    assert_int_equal(frames[0].flags, FRAME_PINNED);
    assert_int_equal(frames[0].references, 4);
}

static void test_entries_without_write_are_counted(void **state)
{
    bool writes;
    (void)state;
    assert_int_equal(frame_bus_get(1, 9, false, &writes), 0);
    assert_int_equal(frame_bus_get(1, 9, true, &writes), 0);
    assert_int_equal(frames[1].bus_readers, 1);
    assert_int_equal(frames[1].bus_writable, 1);
    frame_bus_put(1, true);
    assert_int_equal(frames[1].bus_readers, 1);
    frame_bus_put(1, false);
    assert_int_equal(frames[1].bus_readers, 0);
    assert_int_equal(frames[1].references, 0);

    /* Beyond what is counted, nobody knows how many there are; then it stays so. */
    frames[1].bus_readers = FRAME_READERS_MAX - 1;
    assert_int_equal(frame_bus_get(1, 9, false, &writes), 0);
    assert_int_equal(frame_bus_get(1, 9, false, &writes), 0);
    assert_int_equal(frames[1].bus_readers, FRAME_READERS_MAX);
    frame_bus_put(1, false);
    frame_bus_put(1, false);
    assert_int_equal(frames[1].bus_readers, FRAME_READERS_MAX);
}

static void test_a_parked_frame_is_free_with_its_last_entry(void **state)
{
    bool writes;
    (void)state;
    unparked = UINT64_MAX;
    assert_int_equal(frame_bus_get(3, 9, true, &writes), 0);
    assert_int_equal(frame_bus_get(3, 10, false, &writes), 0);
    frames[3].owner = FRAME_PARKED;
    assert_int_equal(frame_bus_get(3, 11, false, &writes), -EPERM);
    frame_bus_put(3, true);
    assert_int_equal(unparked, UINT64_MAX);
    frame_bus_put(3, false);
    assert_int_equal(unparked, 3);

    /* The guest's own frames stay its own. */
    unparked = UINT64_MAX;
    assert_int_equal(frame_bus_get(2, 9, true, &writes), 0);
    frame_bus_put(2, true);
    assert_int_equal(unparked, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_only_the_guests_frames_give_references, begin),
        cmocka_unit_test_setup(test_references_are_counted, begin),
        cmocka_unit_test_setup(test_references_saturate, begin),
        cmocka_unit_test_setup(test_types_exclude_each_other, begin),
        cmocka_unit_test_setup(test_plain_references_do_not_hold_a_type, begin),
        cmocka_unit_test_setup(test_a_device_writes_only_what_is_no_table, begin),
        cmocka_unit_test_setup(test_the_latest_writable_bfn_is_noted, begin),
        cmocka_unit_test_setup(test_a_premapped_frame_is_let_go_once, begin),
        cmocka_unit_test_setup(test_entries_without_write_are_counted, begin),
        cmocka_unit_test_setup(test_a_parked_frame_is_free_with_its_last_entry, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The buddy system: aligned, below what was asked, joined again, nothing lost and nothing twice. */
#include "world.h"

static void extents_are_aligned_zeroed_and_the_guests(void **state)
{
    (void)state;
    for (uint32_t order = 0; order <= 9; order++) {
        uint64_t mfn = extent_alloc(order, 64);
        assert_true(mfn >= FREE_FIRST && mfn + (1u << order) <= FRAMES);
        assert_int_equal(mfn & ((1u << order) - 1), 0);
        for (uint64_t i = 0; i < 1u << order; i++) {
            assert_int_equal(frames[mfn + i].owner, FRAME_GUEST);
            assert_int_equal(*contents(mfn + i), 0);
            assert_int_equal(contents(mfn + i)[FRAME_SIZE - 1], 0);
        }
        assert_true(mfn + (1u << order) == FRAMES || *contents(mfn + (1u << order)) != 0 ||
                    frames[mfn + (1u << order)].owner == FRAME_GUEST);
    }
}

static void every_frame_is_given_once(void **state)
{
    (void)state;
    uint32_t given = 0;
    while (extent_alloc(0, 64) != 0)
        given++;
    assert_int_equal(given, FRAMES - FREE_FIRST);
    assert_int_equal(free_frames(), 0);
    assert_int_equal(extent_alloc(0, 64), 0);
}

static void halves_are_joined_again(void **state)
{
    static uint64_t list[FRAMES];
    uint32_t count = 0;
    (void)state;
    for (uint64_t mfn; (mfn = extent_alloc(0, 64)) != 0;)
        list[count++] = mfn;
    for (uint32_t i = 0; i < count; i++) /* in another order than they came in */
        extent_free(list[(i * 1021) % count], 0);
    assert_int_equal(extent_alloc(11, 64), FREE_FIRST);
}

static void one_that_is_not_free_keeps_halves_apart(void **state)
{
    (void)state;
    uint64_t whole = extent_alloc(11, 64);
    assert_int_equal(whole, FREE_FIRST);
    for (uint64_t i = 0; i < 2048; i++) {
        if (i != 1000)
            extent_free(whole + i, 0);
    }
    assert_int_equal(extent_alloc(11, 64), 0);
    assert_int_equal(extent_alloc(10, 64), whole + 1024);
    extent_free(whole + 1024, 10);
    extent_free(whole + 1000, 0);
    assert_int_equal(extent_alloc(11, 64), whole);
}

static void a_limit_is_kept(void **state)
{
    (void)state;
    assert_int_equal(extent_alloc(0, 0), 0);
    assert_int_equal(extent_alloc(0, 11), 0); /* all of it is at 2048 and above */
    assert_true(extent_alloc(0, 12) != 0);
    extents_add(3, 5); /* 3, 4 to 7 */
    for (uint64_t mfn = 3; mfn < 8; mfn++)
        frames[mfn].owner = FRAME_FREE;
    assert_int_equal(extent_alloc(2, 3), 4);
    assert_int_equal(extent_alloc(0, 2), 3);
    assert_int_equal(extent_alloc(0, 11), 0);
}

/* What few requests can be served from is taken last. */
static void high_memory_goes_first(void **state)
{
    (void)state;
    for (uint64_t mfn = 4; mfn < 8; mfn++)
        frames[mfn].owner = FRAME_FREE;
    extents_add(4, 4);
    for (uint32_t i = 0; i < FRAMES - FREE_FIRST; i++)
        assert_true(extent_alloc(0, 64) >= FREE_FIRST);
    assert_true(extent_alloc(0, 64) < 8);
}

int run_extent_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(extents_are_aligned_zeroed_and_the_guests, world_begin),
        cmocka_unit_test_setup(every_frame_is_given_once, world_begin),
        cmocka_unit_test_setup(halves_are_joined_again, world_begin),
        cmocka_unit_test_setup(one_that_is_not_free_keeps_halves_apart, world_begin),
        cmocka_unit_test_setup(a_limit_is_kept, world_begin),
        cmocka_unit_test_setup(high_memory_goes_first, world_begin),
    };
    return cmocka_run_group_tests_name("extents", tests, NULL, NULL);
}

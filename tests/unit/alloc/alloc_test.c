/* SPDX-License-Identifier: MIT */
/* Who gets which frames: the hypervisor the top, the guest the bottom but what is kept, and after boot the
 * hypervisor only what was set aside. */
#include "lib/log.h"
#include "mem/alloc.h"
#include "mem/early.h"
#include "mem/frame.h"
#include "mem/frame_table.h"
#include "mem/map.h"
#include "mem/memory_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FRAMES          2048u
#define FIRST           16u   /* the lowest frame of RAM */
#define HOLE            1000u /* not RAM, 8 frames */
#define OWN_FRAMES      10u   /* the highest, taken early */
/* What boot services held: all but a few of the frames below those. */
#define SERVICES        1200u
#define SERVICES_FRAMES (FRAMES - OWN_FRAMES - 4 - SERVICES)

static struct frame frames[FRAMES];
struct frame *frame_table = frames;
uint64_t frame_table_count = FRAMES;
uint64_t test_direct_base;
struct memory_range memory_ranges[MEMORY_RANGES_MAX];
uint32_t memory_range_count;

/* What was given to the guest's pool, a bit a frame. */
static bool pooled[FRAMES];

void extents_add(uint64_t mfn, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(frames[mfn + i].owner, FRAME_FREE);
        assert_false(pooled[mfn + i]);
        pooled[mfn + i] = true;
    }
}

/* ---- the rooms beside ---- */

void log_line(const char *format, ...)
{
    (void)format;
}

bool map_build(const struct boot_info *info)
{
    (void)info;
    return true;
}

void map_switch(void)
{
}

void memory_map_forget_boot_services(void)
{
}

void frame_table_fill(void)
{
    memset(frames, 0, sizeof frames);
    for (uint64_t mfn = FIRST; mfn < FRAMES; mfn++)
        frames[mfn].owner = mfn - HOLE < 8                     ? FRAME_NOT_RAM
                            : mfn - SERVICES < SERVICES_FRAMES ? FRAME_SERVICES
                                                               : FRAME_FREE;
}

void frame_table_set_owner(uint64_t mfn, uint64_t count, enum frame_owner owner)
{
    for (; count != 0; mfn++, count--)
        frames[mfn].owner = (uint8_t)owner;
}

uint64_t frame_table_end(void)
{
    return FRAMES;
}

uint64_t frame_table_bytes(void)
{
    return 0;
}

void early_taken(uint64_t *first, uint64_t *count)
{
    *first = FRAMES - OWN_FRAMES;
    *count = OWN_FRAMES;
}

uint64_t memory_max_mfn(void)
{
    return FRAMES;
}

/* ---- the tests: alloc.c boots once ---- */

static uint64_t list[FRAMES];

static uint32_t count_free(void)
{
    uint32_t count = 0;
    for (uint64_t mfn = 0; mfn < FRAMES; mfn++)
        count += frames[mfn].owner == FRAME_FREE;
    return count;
}

static void boot(void)
{
    static const struct boot_info info = {.image = {.base = FIRST << FRAME_SHIFT, .size = FRAME_SIZE}};

    test_direct_base = (uint64_t)(uintptr_t)aligned_alloc(FRAME_SIZE, FRAMES * FRAME_SIZE);
    memory_ranges[0] = (struct memory_range){(FIRST + 1) << FRAME_SHIFT,
                                             (SERVICES - FIRST - 9) << FRAME_SHIFT, MEMORY_USABLE};
    memory_ranges[1] = (struct memory_range){(uint64_t)SERVICES << FRAME_SHIFT,
                                             (uint64_t)SERVICES_FRAMES << FRAME_SHIFT, MEMORY_BOOT_SERVICES};
    memory_ranges[2] = (struct memory_range){(uint64_t)(SERVICES + SERVICES_FRAMES) << FRAME_SHIFT,
                                             (OWN_FRAMES + 4) << FRAME_SHIFT, MEMORY_USABLE};
    memory_range_count = 3;
    assert_true(memory_init(&info));
}

static void expect_guest_frames(uint64_t count, uint64_t kept)
{
    uint64_t hole = 0;

    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(frames[list[i]].owner, FRAME_GUEST);
        if (i != 0)
            assert_true(list[i] > list[i - 1]);
    }
    for (uint64_t mfn = list[count - 1] + 1; mfn < FRAMES; mfn++)
        hole += frames[mfn].owner == FRAME_FREE;
    assert_int_equal(hole, kept);
    assert_int_equal(count_free(), kept);
}

static void the_life_of_a_machine(void **state)
{
    (void)state;
    boot();
    /* Other processors may be at work in what boot services held, and ACPI tables be there. */
    assert_int_equal(memory_usable_frames(), count_free());
    assert_int_equal(frames_alloc(4), FRAMES - OWN_FRAMES - 4);
    assert_int_equal(frames_alloc(1), SERVICES - 1);
    frames_free(SERVICES - 1, 1);
    frames_free(FRAMES - OWN_FRAMES - 4, 4);
    /* Of these a device of firmware's goes on using two, and none can be reached from the last but one on. */
    assert_int_equal(memory_withhold(SERVICES + 2, 2), 2);
    assert_int_equal(memory_set_reach(FRAMES - OWN_FRAMES - 2), 2);
    memory_release_boot_services();
    assert_int_equal(frames[SERVICES + 2].owner, FRAME_FIRMWARE);
    assert_int_equal(frames[SERVICES + 3].owner, FRAME_FIRMWARE);
    assert_int_equal(frames[SERVICES + 4].owner, FRAME_FREE);
    assert_int_equal(memory_usable_frames(), count_free());
    frames[FRAMES - OWN_FRAMES - 1].owner = FRAME_HYPERVISOR;
    frames_free(FRAMES - OWN_FRAMES - 1, 1);
    assert_int_equal(frames[FRAMES - OWN_FRAMES - 1].owner, FRAME_FIRMWARE);
    assert_int_equal(memory_usable_frames(), count_free());

    /* The hypervisor's, from the top. */
    uint64_t top = frames_alloc(5);
    assert_int_equal(top, FRAMES - OWN_FRAMES - 7);
    frames_free(frames_alloc(300), 300);
    assert_int_equal(memory_usable_frames(), count_free());

    /* The guest's, from the bottom; the highest are kept. */
    uint64_t most = memory_usable_frames();
    uint64_t taken = frames_alloc_guest(list, most - 200, 200);
    assert_int_equal(taken, most - 200);
    expect_guest_frames(taken, 200);
    assert_int_equal(memory_usable_frames(), 200);

    /* Free memory goes to the guest's pool, all but what is set aside. */
    uint64_t resident = memory_resident_bytes();
    memory_settle();
    uint32_t spare = 200 - count_free();
    assert_true(spare >= 64 && spare < 200);
    for (uint64_t mfn = 0; mfn < FRAMES; mfn++)
        assert_int_equal(pooled[mfn], frames[mfn].owner == FRAME_FREE);
    assert_int_equal(memory_resident_bytes(), resident + spare * FRAME_SIZE);

    /* From here on nothing that is free, or comes free, is the hypervisor's again. */
    uint64_t two = frames_alloc(2), given = 2;
    assert_int_equal(frames[two].owner, FRAME_HYPERVISOR);
    assert_int_equal(frames[two].flags, 0);
    frames[list[0]].owner = FRAME_FREE;
    while (frames_alloc(1) != 0)
        given++;
    assert_int_equal(given, spare);
    for (uint64_t mfn = 0; mfn < FRAMES; mfn++)
        assert_true(!pooled[mfn] || frames[mfn].owner == FRAME_FREE);

    /* What is given back can be taken again, and by nobody else. */
    frames_free(two, 2);
    assert_int_equal(frames[two].owner, FRAME_HYPERVISOR);
    assert_int_equal(frames_alloc(2), two);
    assert_int_equal(frames_alloc(1), 0);
    assert_int_equal(memory_resident_bytes(), resident + spare * FRAME_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_life_of_a_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

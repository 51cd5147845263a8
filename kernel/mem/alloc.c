/* SPDX-License-Identifier: MIT */
/* Frames for the hypervisor from the top of memory, for the guest from the bottom. */
#include "mem/alloc.h"

#include "lib/log.h"
#include "lib/string.h"
#include "mem/early.h"
#include "mem/frame.h"
#include "mem/frame_table.h"
#include "mem/map.h"
#include "mem/memory_map.h"

static uint64_t free_count;
static uint64_t reach_end = UINT64_MAX; /* MFN from which on nothing becomes free */
static uint64_t own_count;              /* frames of the hypervisor's without image and frame table */
static uint64_t image_first, image_frames;
static uint64_t highest_free; /* no free frame at or above it */
static uint64_t lowest_free;  /* nor below it */
static bool settled;          /* "free" is what was kept for the hypervisor */

#define SPARE_FRAMES 64u /* interrupt tables of devices that ask for them, two each */
#define LOW_END      (1ull << (32 - FRAME_SHIFT)) /* what 32 bits of address reach */

/* ---- boot ---- */

static uint64_t frames_of(enum memory_kind kind)
{
    uint64_t frames = 0;
    for (uint32_t i = 0; i < memory_range_count; i++) {
        if (memory_ranges[i].kind == kind)
            frames += memory_ranges[i].size >> FRAME_SHIFT;
    }
    return frames;
}

static void take_from_free(uint64_t mfn, uint64_t count)
{
    frame_table_set_owner(mfn, count, FRAME_HYPERVISOR);
    free_count -= count;
}

bool memory_init(const struct boot_info *info)
{
    uint64_t first = 0, count = 0;

    if (!map_build(info))
        return false;
    map_switch();
    frame_table_fill();
    free_count = frames_of(MEMORY_USABLE);

    /* The frame table lies right above what was taken early. */
    early_taken(&first, &count);
    own_count = count;
    take_from_free(first, count + (frame_table_bytes() >> FRAME_SHIFT));
    image_first = info->image.base >> FRAME_SHIFT;
    image_frames = info->image.size >> FRAME_SHIFT;
    frame_table_set_owner(image_first, image_frames, FRAME_HYPERVISOR);
    highest_free = frame_table_end();
    lowest_free = 1;
    log_line(
        "memory: %llu MiB of RAM up to 0x%llx, frame table %llu KiB, page tables %llu KiB",
        (unsigned long long)(free_count + own_count + frames_of(MEMORY_BOOT_SERVICES)) >> (20 - FRAME_SHIFT),
        (unsigned long long)memory_max_mfn() << FRAME_SHIFT, (unsigned long long)frame_table_bytes() >> 10,
        (unsigned long long)own_count << FRAME_SHIFT >> 10);
    return true;
}

/* Frames of RAM, which all have records of their own. Of those that boot services held some may have been
 * withheld since. */
static void release(uint64_t first, uint64_t end)
{
    uint64_t usable = end < reach_end ? end : reach_end;

    for (uint64_t mfn = usable > first ? usable : first; mfn < end; mfn++)
        frame_table[mfn].owner = FRAME_FIRMWARE;
    end = usable;
    if (first >= end)
        return;
    for (uint64_t mfn = first; mfn < end; mfn++) {
        if (frame_table[mfn].owner == FRAME_FIRMWARE)
            free_count--;
        else
            frame_table[mfn].owner = FRAME_FREE;
    }
    free_count += end - first;
    if (end > highest_free)
        highest_free = end;
    if (first < lowest_free)
        lowest_free = first;
}

uint64_t memory_withhold(uint64_t first, uint64_t count)
{
    uint64_t end = frame_table_end(), withheld = 0;
    for (uint64_t mfn = first; count != 0 && mfn < end; mfn++, count--) {
        struct frame *frame = frame_of(mfn);
        if (frame->owner != FRAME_FREE && frame->owner != FRAME_SERVICES)
            continue;
        free_count -= frame->owner == FRAME_FREE;
        frame->owner = FRAME_FIRMWARE;
        withheld++;
    }
    return withheld;
}

uint64_t memory_set_reach(uint64_t end)
{
    reach_end = end;
    return memory_withhold(end, UINT64_MAX);
}

static void release_kind(enum memory_kind kind)
{
    uint64_t image_end = image_first + image_frames;
    for (uint32_t i = 0; i < memory_range_count; i++) {
        const struct memory_range *range = &memory_ranges[i];
        uint64_t first = range->base >> FRAME_SHIFT;
        uint64_t end = (range->base + range->size) >> FRAME_SHIFT;
        if (range->kind != kind)
            continue;
        release(first, image_first < end ? image_first : end);
        release(image_end > first ? image_end : first, end);
    }
}

void memory_release_boot_services(void)
{
    release_kind(MEMORY_BOOT_SERVICES);
    memory_map_forget_boot_services();
}

void memory_release_loader(void)
{
    release_kind(MEMORY_LOADER);
}

/* ---- the hypervisor's ---- */

static bool is_free(const struct frame *frame)
{
    return settled ? (frame->flags & FRAME_SPARE) != 0 : frame->owner == FRAME_FREE;
}

/* Lowest frame of the highest run of count free ones; 0 when there is none. */
static uint64_t find_run(uint64_t count)
{
    while (highest_free > lowest_free && !is_free(frame_of(highest_free - 1)))
        highest_free--;
    uint64_t run = 0;
    for (uint64_t mfn = highest_free; mfn > lowest_free;) {
        mfn--;
        run = is_free(frame_of(mfn)) ? run + 1 : 0;
        if (run == count)
            return mfn;
    }
    return 0;
}

uint64_t frames_alloc(uint64_t count)
{
    if (count == 0 || count > free_count)
        return 0;
    uint64_t mfn = find_run(count);
    if (mfn == 0)
        return 0;
    for (uint64_t i = 0; i < count; i++) {
        frame_of(mfn + i)->owner = FRAME_HYPERVISOR;
        frame_of(mfn + i)->flags = 0;
    }
    free_count -= count;
    own_count += settled ? 0 : count; /* what was kept is counted already */
    memset(phys_to_virt(mfn << FRAME_SHIFT), 0, count << FRAME_SHIFT);
    return mfn;
}

static void keep_spare(uint64_t mfn, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        frame_of(mfn + i)->flags = FRAME_SPARE;
    if (mfn + count > highest_free)
        highest_free = mfn + count;
    free_count += count;
}

void frames_free(uint64_t mfn, uint64_t count)
{
    if (mfn == 0 || count == 0)
        return;
    if (settled) {
        keep_spare(mfn, count);
        return;
    }
    own_count -= count;
    release(mfn, mfn + count);
}

/* ---- the guest's ---- */

/* Up to count of the free frames in [mfn, end), lowest first; all of it in locals: the list may alias
 * anything. *next: none of them is below it. */
static uint64_t take_for_guest(uint64_t *list, uint64_t count, uint64_t mfn, uint64_t end, uint64_t *next)
{
    struct frame *frame = &frame_table[mfn];
    uint64_t taken = 0;

    while (mfn < end && taken < count) {
        uint64_t most = end - mfn < count - taken ? end - mfn : count - taken;
        uint64_t run = 0;
        for (; run < most && frame[run].owner == FRAME_FREE; run++) {
            frame[run].owner = FRAME_GUEST;
            list[taken + run] = mfn + run;
        }
        uint64_t step = run != 0 ? run : 1;
        taken += run;
        mfn += step;
        frame += step;
    }
    *next = mfn;
    return taken;
}

/* The lowest of the `kept` highest free frames below end. */
static uint64_t first_kept(uint64_t end, uint64_t kept)
{
    const struct frame *frames = frame_of(0);
    uint64_t mfn = end, lowest = lowest_free;

    while (kept != 0 && mfn > lowest)
        kept -= frames[--mfn].owner == FRAME_FREE;
    return mfn;
}

uint64_t frames_alloc_guest(uint64_t *list, uint64_t count, uint64_t kept)
{
    uint64_t hole_end = highest_free < LOW_END ? highest_free : LOW_END;
    uint64_t hole = first_kept(hole_end, kept), lowest = lowest_free;

    if (hole_end < lowest) /* no low memory is left */
        hole = hole_end = lowest;
    uint64_t taken = take_for_guest(list, count, lowest, hole, &lowest_free);
    if (taken < count)
        taken += take_for_guest(list + taken, count - taken, hole_end, highest_free, &lowest);
    if (hole == hole_end && lowest > lowest_free)
        lowest_free = lowest;
    free_count -= taken;
    return taken;
}

void memory_settle(void)
{
    uint64_t spare = frames_alloc(SPARE_FRAMES), mfn = lowest_free, end = highest_free;
    const struct frame *frames = frame_of(0);

    while (mfn < end) {
        uint64_t first = mfn;

        while (mfn < end && frames[mfn].owner == FRAME_FREE)
            mfn++;
        extents_add(first, mfn - first);
        while (mfn < end && frames[mfn].owner != FRAME_FREE)
            mfn++;
    }
    settled = true;
    free_count = 0;
    lowest_free = highest_free = spare;
    if (spare != 0)
        frames_free(spare, SPARE_FRAMES);
}

uint64_t memory_usable_frames(void)
{
    return free_count;
}

uint64_t memory_resident_bytes(void)
{
    return (own_count + image_frames) << FRAME_SHIFT;
}

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
static uint64_t own_count; /* frames of the hypervisor's without image and frame table */
static uint64_t image_first, image_frames;
static uint64_t highest_free; /* no free frame at or above it */
static uint64_t lowest_free;  /* nor below it */

/* ---- boot ---- */

static void count_free(void)
{
    free_count = 0;
    for (uint32_t i = 0; i < memory_range_count; i++) {
        if (memory_ranges[i].kind == MEMORY_USABLE)
            free_count += memory_ranges[i].size >> FRAME_SHIFT;
    }
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
    memory_map_forget_boot_services();
    frame_table_fill();
    count_free();

    /* The frame table lies right above what was taken early. */
    early_taken(&first, &count);
    own_count = count;
    take_from_free(first, count + (frame_table_bytes() >> FRAME_SHIFT));
    image_first = info->image.base >> FRAME_SHIFT;
    image_frames = info->image.size >> FRAME_SHIFT;
    frame_table_set_owner(image_first, image_frames, FRAME_HYPERVISOR);
    highest_free = frame_table_end();
    lowest_free = 1;
    log_line("memory: %llu MiB of RAM up to 0x%llx, frame table %llu KiB, page tables %llu KiB",
             (unsigned long long)(free_count + own_count) >> (20 - FRAME_SHIFT),
             (unsigned long long)memory_max_mfn() << FRAME_SHIFT,
             (unsigned long long)frame_table_bytes() >> 10,
             (unsigned long long)own_count << FRAME_SHIFT >> 10);
    return true;
}

static void release(uint64_t first, uint64_t end)
{
    if (first >= end)
        return;
    frame_table_set_owner(first, end - first, FRAME_FREE);
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
        if (frame->owner != FRAME_FREE)
            continue;
        frame->owner = FRAME_FIRMWARE;
        free_count--;
        withheld++;
    }
    return withheld;
}

void memory_release_loader(void)
{
    uint64_t image_end = image_first + image_frames;
    for (uint32_t i = 0; i < memory_range_count; i++) {
        const struct memory_range *range = &memory_ranges[i];
        uint64_t first = range->base >> FRAME_SHIFT;
        uint64_t end = (range->base + range->size) >> FRAME_SHIFT;
        if (range->kind != MEMORY_LOADER)
            continue;
        release(first, image_first < end ? image_first : end);
        release(image_end > first ? image_end : first, end);
    }
}

/* ---- the hypervisor's ---- */

/* Lowest frame of the highest run of count free ones; 0 when there is none. */
static uint64_t find_run(uint64_t count)
{
    while (highest_free > lowest_free && frame_of(highest_free - 1)->owner != FRAME_FREE)
        highest_free--;
    uint64_t run = 0;
    for (uint64_t mfn = highest_free; mfn > lowest_free;) {
        mfn--;
        run = frame_of(mfn)->owner == FRAME_FREE ? run + 1 : 0;
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
    for (uint64_t i = 0; i < count; i++)
        frame_of(mfn + i)->owner = FRAME_HYPERVISOR;
    free_count -= count;
    own_count += count;
    memset(phys_to_virt(mfn << FRAME_SHIFT), 0, count << FRAME_SHIFT);
    return mfn;
}

void frames_free(uint64_t mfn, uint64_t count)
{
    if (mfn == 0 || count == 0)
        return;
    own_count -= count;
    release(mfn, mfn + count);
}

/* ---- the guest's ---- */

uint64_t frames_alloc_guest(uint64_t *list, uint64_t count)
{
    struct frame *frame = frame_of(lowest_free);
    uint64_t taken = 0;
    uint64_t mfn = lowest_free;

    if (frame == NULL) /* not one is left */
        return 0;
    /* Run by run, all of it in locals: the list may alias anything. */
    for (const uint64_t end = highest_free; mfn < end && taken < count;) {
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
    lowest_free = mfn;
    free_count -= taken;
    return taken;
}

uint64_t memory_usable_frames(void)
{
    return free_count;
}

uint64_t memory_resident_bytes(void)
{
    return (own_count + image_frames) << FRAME_SHIFT;
}

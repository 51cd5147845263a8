/* SPDX-License-Identifier: MIT */
/*
 * The rules of the bus where edu is missing, as on any PC: a disk is the device, and its read commands bring
 * the disk's first 4 KiB to pages that it may not write. Only where data goes to strays: the commands
 * themselves are where the controller may read them, and nothing is written to the disk.
 */
#include "tour.h"

#include "kit/bus.h"
#include "kit/iommu.h"

static struct frame original; /* what the first page holds */

/* Each byte is the opposite of what would arrive there. */
static void fill_opposite(struct frame *frame)
{
    for (uint32_t i = 0; i < PAGE_SIZE; i++)
        frame->page[i] = (uint8_t)~original.page[i];
}

static bool has_arrived(const struct frame *frame)
{
    return !memcmp(frame->page, original.page, PAGE_SIZE);
}

static bool is_untouched(const struct frame *frame)
{
    for (uint32_t i = 0; i < PAGE_SIZE; i++)
        if (frame->page[i] != (uint8_t)~original.page[i])
            return false;
    return true;
}

/* A controller may or may not notice that its write was blocked: the status of the command proves nothing. */
static void disk_goes_to(uint64_t bfn)
{
    uint64_t page = bfn << PAGE_SHIFT;
    long status = disk_read_pages(0, 1, &page, false);
    if (status)
        remark("the controller says that the command failed: %ld", status);
}

static uint64_t map_frame_for_disk(const struct frame *frame, uint32_t flags)
{
    uint64_t bfn = bus_map(&frame->mfn, 1, flags);
    if (bfn == NO_BUS)
        refute("mapping gave %ld", bus_error);
    return bfn;
}

static bool still_works(void)
{
    static struct frame frame;
    static uint64_t page = NO_BUS;
    if (page == NO_BUS) {
        frame = frame_get();
        page = bus_address(frame.pfn);
    }
    fill_opposite(&frame);
    long status = disk_read_pages(0, 1, &page, false);
    return (!status && has_arrived(&frame)) || refute("the disk does not answer any more: %ld", status);
}

/* Takes the first page as it is, once. */
static bool know_original(void)
{
    if (original.page)
        return true;
    struct frame frame = frame_get();
    uint64_t page = bus_address(frame.pfn);
    if (page == NO_BUS)
        return refute("mapping gave %ld", bus_error);
    long status = disk_read_pages(0, 1, &page, false);
    if (status)
        return refute("the read command ended with %ld", status);
    original = frame;
    return true;
}

bool stray_unmapped(void)
{
    struct frame frame = frame_get();
    if (!know_original())
        return false;
    long status = iommu_unmap_one(frame.mfn);
    if (status)
        return refute("unmapping gave %ld", status);
    fill_opposite(&frame);
    disk_goes_to(frame.mfn);
    return (is_untouched(&frame) || refute("the data arrived")) && still_works();
}

bool stray_read_only(void)
{
    struct frame frame = frame_get();
    if (!know_original())
        return false;
    uint64_t bfn = map_frame_for_disk(&frame, IOMMU_MAP_OP_readable);
    if (bfn == NO_BUS)
        return false;
    fill_opposite(&frame);
    disk_goes_to(bfn);
    return (is_untouched(&frame) || refute("the data arrived")) && still_works();
}

bool stray_remapped(void)
{
    struct frame old = frame_get(), new = frame_get();
    if (!know_original())
        return false;
    uint64_t bfn = map_frame_for_disk(&old, IOMMU_RW);
    if (bfn == NO_BUS)
        return false;
    fill_opposite(&old);
    disk_goes_to(bfn);
    if (!has_arrived(&old))
        return refute("the first read did not arrive");
    long status = iommu_map_one(bfn, new.mfn, IOMMU_RW);
    if (status)
        return refute("mapping over it gave %ld", status);
    fill_opposite(&old);
    fill_opposite(&new);
    disk_goes_to(bfn);
    if (!is_untouched(&old))
        return refute("the second read landed in the old frame");
    return has_arrived(&new) || refute("the second read did not arrive in the new frame");
}

bool stray_unmapped_after_use(void)
{
    struct frame frame = frame_get();
    if (!know_original())
        return false;
    uint64_t bfn = map_frame_for_disk(&frame, IOMMU_RW);
    if (bfn == NO_BUS)
        return false;
    fill_opposite(&frame);
    disk_goes_to(bfn);
    if (!has_arrived(&frame))
        return refute("the first read did not arrive");
    fill_opposite(&frame);
    long status = iommu_unmap_one(bfn);
    if (status)
        return refute("unmapping gave %ld", status);
    disk_goes_to(bfn);
    return (is_untouched(&frame) || refute("the read after the unmap arrived: a stale translation")) &&
           still_works();
}

/* SPDX-License-Identifier: MIT */
#include "pv/bus.h"

#include "drivers/iommu/iommu.h"
#include "lib/log.h"
#include "lib/options.h"
#include "lib/string.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "pv/assign.h"
#include "pv/guest.h"

/* Table pages beyond one for each 2 MiB of guest memory: upper levels, reserved ranges, device MMIO, and the
 * guest's own mappings away from the boot-time ones. */
#define QUOTA_SLACK 256u

#define FRAMES_PER_TABLE 512u

static struct iommu_flush flush;

bool guest_bus_options(void)
{
    const char *mode = option_value("iommu-mode");

    guest.premap = option_bool("premap", true);
    guest.continue_every = (uint32_t)option_number("continue-every", 0, UINT32_MAX, 0);
    guest.iommu_mode = IOMMU_MODE_OWNED;
    if (mode == NULL || strcmp(mode, "owned") == 0)
        return true;
    if (strcmp(mode, "none") == 0) {
        guest.iommu_mode = IOMMU_MODE_NONE;
        return true;
    }
    if (strcmp(mode, "relaxed") == 0 || strcmp(mode, "draft-a-literal") == 0)
        log_line("iommu-mode=%s is not offered yet; use owned or none", mode);
    else
        log_line("iommu-mode=%s is not a mode; use owned or none", mode);
    return false;
}

static bool context_wanted(void)
{
    return guest.iommu_on && guest.iommu_mode == IOMMU_MODE_OWNED;
}

bool guest_bus_create(uint64_t guest_frames)
{
    if (!context_wanted())
        return true;
    uint64_t quota = guest_frames / FRAMES_PER_TABLE + memory_range_count + QUOTA_SLACK;
    int error = iommu_context_create(&guest.context, (uint32_t)quota);
    if (error != 0) {
        log_line("no bus address space for the guest: %llu table pages cannot be set aside (error %d)",
                 (unsigned long long)quota, error);
        return false;
    }
    return true;
}

/* ---- the boot-time map ---- */

/* Devices may read it but never write it, and neither may a later entry. */
static bool is_table(const struct frame *frame)
{
    return frame->type > FRAME_TYPE_WRITABLE;
}

/* Length of the run of frames at first that get no entry. */
static uint64_t skip_run(const struct frame *first, const struct frame *end)
{
    const struct frame *frame = first;
    while (frame != end && frame->owner != FRAME_GUEST)
        frame++;
    return (uint64_t)(frame - first);
}

/* Length of the run of own frames from first on that get the same entry; each of them counts that entry. */
static uint64_t take_run(struct frame *first, const struct frame *end)
{
    const bool tables = is_table(first);
    struct frame *frame = first;
    while (frame != end && frame->owner == FRAME_GUEST && is_table(frame) == tables) {
        frame->references++;
        frame->flags |= FRAME_PREMAPPED;
        frame++;
    }
    return (uint64_t)(frame - first);
}

static int premap_all(void)
{
    uint64_t reach = iommu_max_bfn(guest.context) + 1;
    uint64_t limit = frame_table_end() < reach ? frame_table_end() : reach;
    struct frame *frames = frame_of(0);
    uint64_t mfn = 0;

    while ((mfn += skip_run(&frames[mfn], &frames[limit])) < limit) {
        uint64_t done = 0;
        uint32_t write = is_table(&frames[mfn]) ? IOMMU_WITHHELD : IOMMU_WRITE;
        uint64_t length = take_run(&frames[mfn], &frames[limit]);
        int error =
            iommu_map_run(guest.context, mfn, mfn, length, IOMMU_READ | write | IOMMU_PREMAP, &flush, &done);
        if (error != 0)
            return error;
        mfn += length;
    }
    return iommu_flush(&flush);
}

bool guest_bus_open(void)
{
    if (!guest.iommu_on)
        return true;
    if (guest.context == NULL) {
        assign_devices();
        log_line("bus: mode none: every device of the guest stays blocked");
        return true;
    }
    iommu_flush_begin(&flush, guest.context);
    int error = guest.premap ? premap_all() : 0;
    if (error != 0) {
        log_line("bus: the guest's memory cannot be mapped for its devices (error %d)", error);
        return false;
    }
    uint32_t attached = assign_devices();
    log_line("bus: mode owned, %s, %u functions attached, %u of %u table pages used, %u kept back for splits",
             guest.premap ? "own frames mapped at BFN = MFN" : "nothing mapped (premap=off)", attached,
             iommu_tables_used(guest.context), iommu_tables_quota(guest.context),
             iommu_tables_kept(guest.context));
    return true;
}

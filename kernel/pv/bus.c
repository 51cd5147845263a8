/* SPDX-License-Identifier: MIT */
#include "pv/bus.h"

#include "drivers/iommu/iommu.h"
#include "guest-abi/include/sluice/errno.h"
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

/* ---- modes ---- */

static const char *const mode_names[] = {
    [IOMMU_MODE_OWNED] = "owned",
    [IOMMU_MODE_NONE] = "none",
    [IOMMU_MODE_RELAXED] = "relaxed",
    [IOMMU_MODE_LITERAL] = "draft-a-literal",
};
#define MODES (sizeof mode_names / sizeof mode_names[0])

static bool strict;

static bool is_trusted(void)
{
    return guest.iommu_mode == IOMMU_MODE_RELAXED || guest.iommu_mode == IOMMU_MODE_LITERAL;
}

const char *guest_bus_mode(void)
{
    if (guest.context == NULL)
        return "none";
    return strict ? "draft-a-literal,strict" : mode_names[guest.iommu_mode];
}

static bool parse_mode(const char *text)
{
    for (uint32_t mode = 0; mode < MODES; mode++) {
        if (strcmp(text, mode_names[mode]) == 0) {
            guest.iommu_mode = (enum iommu_mode)mode;
            return true;
        }
    }
    log_say(LOG_ALERT, "iommu-mode=%s is not a mode; use owned, relaxed, draft-a-literal or none", text);
    return false;
}

/* Under strict the draft has no hypercall, and devices reach what is the guest's: that is "owned" without
 * doors. */
bool guest_bus_options(void)
{
    const char *mode = option_value("iommu-mode");

    guest.premap = option_bool("premap", true);
    guest.continue_every = (uint32_t)option_number("continue-every", 0, UINT32_MAX, 0);
    guest.iommu_mode = IOMMU_MODE_OWNED;
    if (mode != NULL && !parse_mode(mode))
        return false;
    strict = guest.iommu_mode == IOMMU_MODE_LITERAL && option_bool("strict", false);
    if (strict)
        guest.iommu_mode = IOMMU_MODE_OWNED;
    return true;
}

static bool context_wanted(void)
{
    return guest.iommu_on && guest.iommu_mode != IOMMU_MODE_NONE;
}

static enum iommu_doors doors(void)
{
    if (strict || guest.context == NULL)
        return IOMMU_DOORS_CLOSED;
    return is_trusted() ? IOMMU_DOORS_TRUST : IOMMU_DOORS_CHECK;
}

bool guest_bus_create(uint64_t guest_frames)
{
    if (!context_wanted())
        return true;
    uint64_t frames = is_trusted() ? frame_table_end() : guest_frames;
    uint64_t quota = frames / FRAMES_PER_TABLE + memory_range_count + QUOTA_SLACK;
    int error = iommu_context_create(&guest.context, (uint32_t)quota);
    if (error != 0) {
        log_say(LOG_ALERT,
                "no bus address space for the guest: %llu table pages cannot be set aside (error %d)",
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

static int map_run(uint64_t mfn, uint64_t length, uint32_t write)
{
    uint64_t done = 0;

    return iommu_map_run(guest.context, mfn, mfn, length, IOMMU_READ | write | IOMMU_PREMAP, &flush, &done);
}

static int premap_own(struct frame *frames, uint64_t limit)
{
    uint64_t mfn = 0;
    int error = 0;

    while (error == 0 && (mfn += skip_run(&frames[mfn], &frames[limit])) < limit) {
        uint32_t write = is_table(&frames[mfn]) ? IOMMU_WITHHELD : IOMMU_WRITE;
        uint64_t length = take_run(&frames[mfn], &frames[limit]);
        error = map_run(mfn, length, write);
        mfn += length;
    }
    return error;
}

/* All RAM but the hypervisor's. These entries hold nothing: whose a frame is does not matter to them. */
static int premap_trusted(const struct frame *frames, uint64_t limit)
{
    uint64_t length;
    int error = 0;

    for (uint64_t mfn = 0; mfn < limit && error == 0; mfn += length + 1) {
        for (length = 0; mfn + length < limit; length++) {
            const uint8_t owner = frames[mfn + length].owner;
            if (owner != FRAME_GUEST && owner != FRAME_FREE)
                break;
        }
        error = length != 0 ? map_run(mfn, length, IOMMU_WRITE) : 0;
    }
    return error;
}

static int premap_all(void)
{
    uint64_t reach = iommu_max_bfn(guest.context) + 1;
    uint64_t limit = frame_table_end() < reach ? frame_table_end() : reach;
    int error = is_trusted() ? premap_trusted(frame_of(0), limit) : premap_own(frame_of(0), limit);

    return error != 0 ? error : iommu_flush(&flush);
}

static void tell(uint32_t attached)
{
    const char *what = is_trusted() ? "all memory but the hypervisor's" : "own frames";

    log_line("bus: mode %s, %s%s, %u functions attached, %u of %u table pages used, %u kept back for splits",
             guest_bus_mode(), guest.premap ? what : "nothing mapped (premap=off)",
             guest.premap ? " mapped at BFN = MFN" : "", attached, iommu_tables_used(guest.context),
             iommu_tables_quota(guest.context), iommu_tables_kept(guest.context));
    if (is_trusted())
        log_line("bus: the guest is trusted: its devices can write all of its memory, page tables included, "
                 "and so it can take over the hypervisor");
    if (strict)
        log_line("bus: strict: IOMMUOP is switched off");
}

bool guest_bus_open(void)
{
    /* The last to take memory of its own: what is free from here on, devices may reach. */
    uint32_t attached = guest.iommu_on ? assign_devices() : 0;

    memory_settle();
    guest.iommu_doors = doors();
    if (!guest.iommu_on)
        return true;
    if (guest.context == NULL) {
        log_line("bus: mode none: every device of the guest stays blocked");
        return true;
    }
    iommu_flush_begin(&flush, guest.context);
    int error = guest.premap ? premap_all() : 0;
    if (error != 0) {
        log_say(LOG_ALERT, "bus: the guest's memory cannot be mapped for its devices (error %d)", error);
        return false;
    }
    tell(attached);
    return true;
}

/* ---- frames that come and go ---- */

static bool follows_owner(void)
{
    return guest.context != NULL && guest.iommu_mode == IOMMU_MODE_OWNED;
}

/* What the guest has put at that BFN stays; in a reserved range nobody may put anything. */
static bool is_open(uint64_t bfn)
{
    struct iommu_mapping there;

    return bfn <= iommu_max_bfn(guest.context) && !iommu_is_window(bfn) &&
           iommu_lookup(guest.context, bfn, &there) == -ENOENT;
}

int guest_bus_open_frames(uint64_t mfn, uint64_t frames)
{
    if (!follows_owner() || !guest.premap)
        return 0;
    for (uint64_t end = mfn + frames; mfn < end; mfn++) {
        struct frame *frame = frame_of(mfn);

        if (!is_open(mfn))
            continue;
        int error = iommu_map(guest.context, mfn, mfn, 0, IOMMU_READ | IOMMU_WRITE | IOMMU_PREMAP, &flush);
        if (error != 0)
            return error;
        frame->references++;
        frame->flags |= FRAME_PREMAPPED;
    }
    return 0;
}

int guest_bus_close_frame(uint64_t mfn)
{
    if ((frame_of(mfn)->flags & FRAME_PREMAPPED) == 0)
        return 0;
    return iommu_unmap(guest.context, mfn, 0, &flush);
}

int guest_bus_flush(void)
{
    return guest.context != NULL ? iommu_flush(&flush) : 0;
}

/* SPDX-License-Identifier: MIT */
#include "pv/withhold.h"

#include "drivers/iommu/iommu.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/frame.h"
#include "mem/map.h"
#include "pv/guest.h"
#include "pv/tlb.h"

static struct iommu_flush flush; /* every use leaves it empty */

/* In the other modes the guest is trusted, and its devices write what they like. */
static bool is_enforced(void)
{
    return guest.context != NULL && guest.iommu_mode == IOMMU_MODE_OWNED;
}

static void begin(void)
{
    if (flush.context != guest.context)
        iommu_flush_begin(&flush, guest.context);
}

/* The guest's own entry for the frame at bfn, if it asked for W there. */
static bool is_entry(uint64_t bfn, uint64_t mfn, struct iommu_mapping *mapping)
{
    return iommu_lookup(guest.context, bfn, mapping) == 0 && mapping->mfn == mfn &&
           (mapping->flags & (IOMMU_PREMAP | IOMMU_LOCKED)) == 0 &&
           (mapping->flags & (IOMMU_WRITE | IOMMU_WITHHELD)) != 0;
}

/* Where it is: where it was asked for last, or at the BFN that the common layouts give it. */
static bool find_entry(const struct frame *frame, uint64_t mfn, uint64_t *bfn, struct iommu_mapping *mapping)
{
    const uint64_t candidates[] = {frame->bus_bfn, mfn, m2p_get(mfn)};

    for (unsigned i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
        *bfn = candidates[i];
        if (is_entry(*bfn, mfn, mapping))
            return true;
    }
    return false;
}

static uint32_t with_write(uint32_t flags, bool effective)
{
    return (flags & ~(IOMMU_WRITE | IOMMU_WITHHELD)) | (effective ? IOMMU_WRITE : IOMMU_WITHHELD);
}

static int set_write(uint64_t bfn, uint64_t mfn, uint32_t flags, bool effective)
{
    begin();
    return iommu_rewrite(guest.context, bfn, mfn, with_write(flags, effective), &flush);
}

/* -ENOENT: devices may be able to write the frame where it was not found. */
static int set_all(const struct frame *frame, uint64_t mfn, bool effective)
{
    struct iommu_mapping mapping;
    uint64_t bfn;
    int error = 0;

    if (frame->bus_writable != 0)
        error =
            find_entry(frame, mfn, &bfn, &mapping) ? set_write(bfn, mfn, mapping.flags, effective) : -ENOENT;
    if (error == 0 && (frame->flags & FRAME_PREMAPPED) != 0)
        error = set_write(mfn, mfn, IOMMU_READ | IOMMU_PREMAP, effective);
    return error;
}

static bool is_on_bus(const struct frame *frame)
{
    return is_enforced() && (frame->bus_writable != 0 || (frame->flags & FRAME_PREMAPPED) != 0);
}

/* What is on the bus now. */
static int take_write_away(const struct frame *frame, uint64_t mfn)
{
    if (frame->bus_writable > 1)
        return -EBUSY;
    int error = set_all(frame, mfn, false);
    if (error == 0)
        error = iommu_flush(&flush);
    if (error == 0 || error == -EIO)
        return error;
    (void)set_all(frame, mfn, true);
    withhold_restore_end();
    return error == -ENOENT || error == -ENOMEM ? -EBUSY : error;
}

int withhold(uint64_t mfn)
{
    const struct frame *frame = frame_of(mfn);

    if (!is_enforced())
        return 0;
    int error = is_on_bus(frame) ? take_write_away(frame, mfn) : 0;
    /* On the bus or not: a device may have written it before its entry was unmapped. */
    if (error == 0)
        cache_flush_frame(phys_to_virt(mfn << FRAME_SHIFT));
    return error;
}

void withhold_restore(uint64_t mfn)
{
    const struct frame *frame = frame_of(mfn);

    if (is_on_bus(frame))
        (void)set_all(frame, mfn, true);
}

void withhold_restore_end(void)
{
    if (flush.range_count != 0 || flush.whole_domain)
        (void)iommu_flush(&flush);
}

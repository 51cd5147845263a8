/* SPDX-License-Identifier: MIT */
/*
 * Rule: a frame that leaves the guest loses its boot-time bus entry before it does, and the device has
 * forgotten it; while entries that the guest made lead to it, it is parked: nobody gets it until the last of
 * them is gone.
 *
 * From: guest-abi/iommu_op.md, clause S2.
 *
 * Method: a device reads a frame at BFN = MFN, so that the translation is cached; the frame leaves; another
 * frame is mapped at that BFN, and the device must see that one. Then a frame with entries at two BFNs
 * leaves, one of them without W: the device writes to it, all free memory is taken, and the frame must not be
 * in it before both entries are unmapped. Frames that come are on the bus at BFN = MFN, unless the guest has
 * put something else there.
 *
 * Errors: none.
 *
 * run: default devices="edu"
 * run: caching-mode devices="edu" intel="caching-mode=on"
 */
#include "common/device.h"
#include "common/reservation.h"
#include "common/rule.h"

static uint64_t leave(uint64_t pfn)
{
    uint64_t mfn = pfn_to_mfn(pfn);
    struct xen_memory_reservation reservation = extents(&mfn, 1, 0);
    EXPECT_RETURN(memory_op(XENMEM_decrease_reservation, &reservation), 1);
    p2m_set(pfn, NO_FRAME);
    return mfn;
}

/* The MFN of the frame that the PFN gets, or NO_FRAME. */
static uint64_t come(uint64_t pfn)
{
    uint64_t extent = pfn;
    struct xen_memory_reservation reservation = extents(&extent, 1, 0);
    if (memory_op(XENMEM_populate_physmap, &reservation) != 1)
        return NO_FRAME;
    p2m_set(pfn, extent);
    return extent;
}

static void a_cached_translation_is_forgotten(void)
{
    uint64_t pfn = unmapped_pfn(), mark;
    volatile uint64_t *page = map_frame(pfn_to_mfn(pfn), MAP_RAM);
    volatile uint64_t *other = marked_page(0x07e4, &mark);
    *page = 0x01d;
    EXPECT_RETURN(device_read(pfn_to_mfn(pfn)), 0x01d);
    unmap_frames((void *)(uintptr_t)page, 1);
    uint64_t gone = leave(pfn);
    EXPECT_ABSENT(gone);
    device_write(gone, 0xbad);
    EXPECT_RETURN(iommu_map_one(gone, mark, IOMMU_RW), 0);
    uint64_t seen = device_read(gone);
    EXPECT(seen == 0x07e4, "at BFN 0x%lx the device reads 0x%lx: it is still at the frame that left", gone,
           seen);
    EXPECT(*other == 0x07e4, "the page holds 0x%lx", *other);
    /* What is the guest's own at that BFN stays, should the frame come back. */
    uint64_t back = come(pfn);
    if (back == gone)
        EXPECT_MAPPED(gone, mark, IOMMU_RW);
    else
        EXPECT_MAPPED(back, back, IOMMU_RW);
    EXPECT_RETURN(iommu_unmap_one(gone), 0);
}

static uint32_t bits_of(uint64_t mfn)
{
    return 64 - (uint32_t)__builtin_clzl(mfn);
}

/* A PFN with a frame of which the highest bit is as the highest frame's, or is not. */
static uint64_t pfn_in_zone(bool highest)
{
    uint64_t pfn = unmapped_pfn();
    while ((bits_of(pfn_to_mfn(pfn)) == bits_of(highest_mfn())) != highest)
        pfn = unmapped_pfn();
    return pfn;
}

/* Takes all that is free below the next power of two above it, which is little: the guest has had the lowest
 * frames from the start. Was it among them? */
static bool is_given(uint64_t mfn)
{
    for (;;) {
        uint64_t pfn = pfn_in_zone(true), old = pfn_to_mfn(pfn), extent = pfn;
        struct xen_memory_exchange exchange = {.in = extents(&old, 1, 0), .out = extents(&extent, 1, 0)};
        exchange.out.mem_flags = XENMEMF_address_bits(bits_of(mfn) + PAGE_SHIFT);
        long result = memory_op(XENMEM_exchange, &exchange);
        if (result == -ENOMEM)
            return false;
        EXPECT(result == 0, "exchange gave %ld", result);
        p2m_set(pfn, extent);
        if (extent == mfn)
            return true;
    }
}

static void a_frame_is_parked(void)
{
    uint64_t pfn = pfn_in_zone(false), mfn = pfn_to_mfn(pfn), bfn = unused_bfns(3);
    EXPECT_RETURN(iommu_map_one(bfn, mfn, IOMMU_RW), 0);
    EXPECT_RETURN(iommu_map_one(bfn + 1, mfn, IOMMU_MAP_OP_readable), 0);
    leave(pfn);
    EXPECT_ABSENT(mfn);
    expect_gone(mfn);
    EXPECT_MAPPED(bfn, mfn, IOMMU_RW);
    device_write(bfn, 0xdead);
    EXPECT(device_read(bfn + 1) == 0xdead, "the device does not reach the parked frame");
    EXPECT(iommu_map_one(bfn + 2, mfn, IOMMU_RW) == -EPERM, "a parked frame can be mapped again");
    EXPECT_RETURN(iommu_unmap_one(bfn), 0);
    EXPECT(!is_given(mfn), "the frame was given away while the device could read it");
    EXPECT_RETURN(iommu_unmap_one(bfn + 1), 0);
    EXPECT(is_given(mfn), "the frame never came back");
    expect_zeroed(mfn);
    EXPECT_MAPPED(mfn, mfn, IOMMU_RW);
}

void guest_main(void)
{
    need_iommu();
    device_open();
    a_cached_translation_is_forgotten();
    a_frame_is_parked();
    report_success("no device follows a frame that left");
}

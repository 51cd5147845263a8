/* SPDX-License-Identifier: MIT */
/* What the guests that give and take frames share. */
#ifndef RESERVATION_H
#define RESERVATION_H

#include "kit/guest.h"

static inline struct xen_memory_reservation extents(const uint64_t *list, uint64_t count, uint32_t order)
{
    return (struct xen_memory_reservation){.extent_start = hypercall_pointer(list),
                                           .nr_extents = count,
                                           .extent_order = order,
                                           .domid = DOMID_SELF};
}

/* A PFN whose frame is mapped nowhere. */
static inline uint64_t unmapped_pfn(void)
{
    uint64_t pfn = frame_take_from_end();
    if (pfn == NO_FRAME)
        report_error("the guest has too little memory");
    return pfn;
}

static inline uint64_t m2p_word(uint64_t mfn)
{
    return ((const uint64_t *)MACH2PHYS_VIRT_START)[mfn];
}

static inline long reservation_now(void)
{
    domid_t self = DOMID_SELF;
    return memory_op(XENMEM_current_reservation, &self);
}

/* Not the guest's any more: no page-table entry may name it. */
static inline void expect_gone(uint64_t mfn)
{
    EXPECT(m2p_word(mfn) == NO_FRAME, "the M2P still says 0x%lx for MFN 0x%lx", m2p_word(mfn), mfn);
    EXPECT(!map_frame(mfn, MAP_RAM_READ) && window_error == -EPERM, "MFN 0x%lx can still be mapped: %ld", mfn,
           window_error);
}

static inline void expect_zeroed(uint64_t mfn)
{
    const uint64_t *page = map_frame(mfn, MAP_RAM_READ);
    EXPECT(page, "MFN 0x%lx cannot be mapped: %ld", mfn, window_error);
    for (uint32_t i = 0; i < PAGE_SIZE / sizeof *page; i++)
        EXPECT(page[i] == 0, "MFN 0x%lx came with 0x%lx at %u", mfn, page[i], i);
    unmap_frames((void *)(uintptr_t)page, 1);
}

#endif

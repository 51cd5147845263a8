/* SPDX-License-Identifier: MIT */
/* Addresses that no hypercall may follow, and memory that ends where another page should begin. */
#ifndef POINTERS_H
#define POINTERS_H

#include "kit/guest.h"

static const uint64_t wild_pointers[] = {
    0, /* never mapped */
    8,
    0x00007ffffffffff8, /* the end of the lower half */
    0x0000800000000000, /* not canonical */
    0x8000000000000000,
    0xffff7ffffffffff8,
    MACH2PHYS_VIRT_START,    /* the hypervisor's, though readable by the guest */
    0xffff818000000000,      /* its device windows */
    0xffff820000000000,      /* its frame table */
    0xffff82d080200000,      /* its image */
    0xffff830000000000,      /* its view of all memory */
    HYPERVISOR_VIRT_END - 8, /* its last word */
    HYPERVISOR_VIRT_END - 1, /* ends outside of it */
    UINT64_MAX - 7,          /* the last word */
    UINT64_MAX,              /* wraps */
};
#define WILD_POINTERS (sizeof(wild_pointers) / sizeof(wild_pointers[0]))

/* The end of a mapped page behind which nothing is mapped. */
static inline char *page_end(void)
{
    uint64_t frames[2] = {pfn_to_mfn(frame_alloc()), pfn_to_mfn(frame_alloc())};
    char *pages = map_frames(frames, 2, MAP_RAM);
    if (!pages || update_va_mapping((uint64_t)(uintptr_t)pages + PAGE_SIZE, 0, UVMF_INVLPG))
        report_error("two pages cannot be set up: %ld", window_error);
    return pages + PAGE_SIZE;
}

/* A frame mapped twice: writable, and read-only at *seen. */
static inline void *read_only_page(const void **seen)
{
    uint64_t frame = pfn_to_mfn(frame_alloc());
    void *page = map_frame(frame, MAP_RAM);
    *seen = map_frame(frame, MAP_RAM_READ);
    if (!page || !*seen)
        report_error("a page cannot be mapped twice: %ld", window_error);
    return page;
}

#endif

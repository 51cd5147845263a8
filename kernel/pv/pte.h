/* SPDX-License-Identifier: MIT */
/* Bits of a page-table entry: Intel SDM volume 3 and AMD APM volume 2, 4-level paging. */
#ifndef SLUICE_PV_PTE_H
#define SLUICE_PV_PTE_H

#include <stdint.h>

#define PTE_PRESENT       0x001ull
#define PTE_WRITABLE      0x002ull
#define PTE_USER          0x004ull
#define PTE_WRITE_THROUGH 0x008ull
#define PTE_CACHE_DISABLE 0x010ull
#define PTE_ACCESSED      0x020ull
#define PTE_DIRTY         0x040ull
#define PTE_PAT           0x080ull /* in an L1 entry; the page-size bit in the levels above */
#define PTE_GLOBAL        0x100ull
#define PTE_AVAILABLE     0xe00ull
#define PTE_FRAME         0x000ffffffffff000ull
#define PTE_NO_EXECUTE    0x8000000000000000ull

#define PTE_CACHE (PTE_WRITE_THROUGH | PTE_CACHE_DISABLE | PTE_PAT)

static inline uint64_t pte_mfn(uint64_t entry)
{
    return (entry & PTE_FRAME) >> 12;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * I/O page table entries of AMD-Vi, spec 48882 revision 3.08 section 2.2.3: PR is bit 0, the level of the
 * next table bits 9 to 11 (0 in a leaf, as large as its level makes it), the address bits 12 to 51, FC bit
 * 60, IR bit 61, IW bit 62. Bits 1 to 4 are ignored by hardware and hold the software flags, each where its
 * IOMMU_* number has it.
 */
#include "drivers/iommu/amdvi/amdvi.h"

#define SOFTWARE_FLAGS (IOMMU_WITHHELD | IOMMU_PREMAP | IOMMU_LOCKED)
_Static_assert((SOFTWARE_FLAGS & ~0x1eu) == 0, "bits 1 to 4");

#define LEAF(flags)                                                                                          \
    (AMDVI_PAGE_PRESENT | AMDVI_PAGE_COHERENT | ((flags)&IOMMU_READ ? AMDVI_PAGE_READ : 0) |                 \
     ((flags)&IOMMU_WRITE ? AMDVI_PAGE_WRITE : 0) | ((flags)&SOFTWARE_FLAGS))
#define TABLE(level) (AMDVI_PAGE_PRESENT | AMDVI_PAGE_READ | AMDVI_PAGE_WRITE | (uint64_t)(level) << 9)

const struct page_format amdvi_page_format = {
    .address_mask = AMDVI_PAGE_ADDRESS,
    .leaf_bits = {LEAF(0u),  LEAF(1u),  LEAF(2u),  LEAF(3u),  LEAF(4u),  LEAF(5u),  LEAF(6u),  LEAF(7u),
                  LEAF(8u),  LEAF(9u),  LEAF(10u), LEAF(11u), LEAF(12u), LEAF(13u), LEAF(14u), LEAF(15u),
                  LEAF(16u), LEAF(17u), LEAF(18u), LEAF(19u), LEAF(20u), LEAF(21u), LEAF(22u), LEAF(23u),
                  LEAF(24u), LEAF(25u), LEAF(26u), LEAF(27u), LEAF(28u), LEAF(29u), LEAF(30u), LEAF(31u)},
    /* By the level of the table that the entry points at; nothing points at level 0. */
    .table_bits = {0, TABLE(1), TABLE(2), TABLE(3), TABLE(4), TABLE(5)},
    .kind = AMDVI_PAGE_NEXT,
    .large = 0,
    .locked = IOMMU_LOCKED,
    .not_callers = IOMMU_LOCKED | IOMMU_PREMAP,
    .permission_rotate = AMDVI_PAGE_READ_SHIFT,
    .software_rotate = 0,
};

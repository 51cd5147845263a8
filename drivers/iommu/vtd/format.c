/* SPDX-License-Identifier: MIT */
/*
 * Second-stage paging entries of VT-d, spec revision 4.1 section 9.8: R is bit 0, W bit 1, the address bits
 * 12 to 51, bits 52 to 61 are ignored by hardware and hold the software flags.
 */
#include "drivers/iommu/vtd/vtd.h"

#define SOFTWARE_SHIFT 50u /* IOMMU_WITHHELD, 0x4, becomes bit 52 */
#define SOFTWARE_FLAGS (IOMMU_WITHHELD | IOMMU_PREMAP | IOMMU_LOCKED)

#define LEAF(flags)                                                                                          \
    [(flags)] = ((flags)&IOMMU_READ ? VTD_PAGE_READ : 0) | ((flags)&IOMMU_WRITE ? VTD_PAGE_WRITE : 0) |      \
                (uint64_t)((flags)&SOFTWARE_FLAGS) << SOFTWARE_SHIFT
#define LEAVES(flags) LEAF(flags), LEAF((flags) + 1), LEAF((flags) + 2), LEAF((flags) + 3)
#define TABLE         (VTD_PAGE_READ | VTD_PAGE_WRITE)

const struct page_format vtd_page_format = {
    .address_mask = VTD_ENTRY_ADDRESS,
    .leaf_bits = {LEAVES(0u), LEAVES(4u), LEAVES(8u), LEAVES(12u), LEAVES(16u), LEAVES(20u), LEAVES(24u),
                  LEAVES(28u)},
    .table_bits = {TABLE, TABLE, TABLE, TABLE, TABLE, TABLE},
    .permission_rotate = 0,
    .software_rotate = SOFTWARE_SHIFT,
};

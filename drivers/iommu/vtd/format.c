/* SPDX-License-Identifier: MIT */
/*
 * Second-stage paging entries of VT-d, spec revision 4.1 section 9.8: R is bit 0, W bit 1, PS bit 7 (set in a
 * leaf of 2 MiB or 1 GiB), the address bits 12 to 51, bits 52 to 61 are ignored by hardware and hold the
 * software flags.
 */
#include "drivers/iommu/vtd/vtd.h"

#define SOFTWARE_SHIFT 50u /* IOMMU_WITHHELD, 0x4, becomes bit 52 */
#define SOFTWARE_FLAGS (IOMMU_WITHHELD | IOMMU_PREMAP | IOMMU_LOCKED)

#define LEAF(flags)                                                                                          \
    (((flags)&IOMMU_READ ? VTD_PAGE_READ : 0) | ((flags)&IOMMU_WRITE ? VTD_PAGE_WRITE : 0) |                 \
     (uint64_t)((flags)&SOFTWARE_FLAGS) << SOFTWARE_SHIFT)
#define TABLE (VTD_PAGE_READ | VTD_PAGE_WRITE)

const struct page_format vtd_page_format = {
    .address_mask = VTD_ENTRY_ADDRESS,
    .leaf_bits = {LEAF(0u),  LEAF(1u),  LEAF(2u),  LEAF(3u),  LEAF(4u),  LEAF(5u),  LEAF(6u),  LEAF(7u),
                  LEAF(8u),  LEAF(9u),  LEAF(10u), LEAF(11u), LEAF(12u), LEAF(13u), LEAF(14u), LEAF(15u),
                  LEAF(16u), LEAF(17u), LEAF(18u), LEAF(19u), LEAF(20u), LEAF(21u), LEAF(22u), LEAF(23u),
                  LEAF(24u), LEAF(25u), LEAF(26u), LEAF(27u), LEAF(28u), LEAF(29u), LEAF(30u), LEAF(31u)},
    .table_bits = {TABLE, TABLE, TABLE, TABLE, TABLE, TABLE},
    .kind = VTD_PAGE_LARGE,
    .large = VTD_PAGE_LARGE,
    .locked = (uint64_t)IOMMU_LOCKED << SOFTWARE_SHIFT,
    .not_callers = (uint64_t)IOMMU_LOCKED << SOFTWARE_SHIFT | (uint64_t)IOMMU_PREMAP << SOFTWARE_SHIFT,
    .permission_rotate = 0,
    .software_rotate = SOFTWARE_SHIFT,
};

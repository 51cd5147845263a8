/* SPDX-License-Identifier: MIT */
/*
 * Rule: reserved ranges are put in by the hypervisor and cannot be changed by any door (S4). The interrupt
 * window 0xfee00..0xfeeff is one of them. In it an unmap returns 0, for clients unmap every hole and stop at
 * the first error.
 *
 * From: guest-abi/iommu_op.md, table of statuses, IOMMUOP_get_reserved.
 *
 * Method: the edges of the window, inside and outside; the list with too little room, just enough and plenty.
 *
 * Errors: status -EACCES for a map inside; -ENOBUFS when the list does not fit.
 *
 * doors: both
 * run: default
 */
#include "common/rule.h"

static struct iommu_reserved_range ranges[64];

static void the_list(void)
{
    uint32_t count = bus_query()->reserved_ranges;
    EXPECT(count >= 1 && count <= 64, "%u reserved ranges", count);
    EXPECT_RETURN(iommu_op(IOMMUOP_get_reserved, ranges, 64), count);
    EXPECT_RETURN(iommu_op(IOMMUOP_get_reserved, ranges, count), count);
    if (count > 1)
        EXPECT_RETURN(iommu_op(IOMMUOP_get_reserved, ranges, count - 1), -ENOBUFS);
    bool seen = false;
    for (uint32_t i = 0; i < count; i++) {
        EXPECT(ranges[i].frames > 0 && ranges[i].zero == 0 && ranges[i].kind >= 1 && ranges[i].kind <= 3,
               "range %u is odd: 0x%lx + 0x%lx, kind %u, last word %u", i, ranges[i].start, ranges[i].frames,
               ranges[i].kind, ranges[i].zero);
        seen |=
            ranges[i].start == 0xfee00 && ranges[i].frames == 0x100 && ranges[i].kind == IOMMU_RESERVED_msi;
    }
    EXPECT(seen, "the interrupt window is not in the list");
}

static void the_window(void)
{
    uint64_t mfn = own_mfn();
    static const uint64_t inside[] = {0xfee00, 0xfee01, 0xfee80, 0xfeeff};
    for (uint32_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        for (uint32_t flags = IOMMU_MAP_OP_readable; flags <= IOMMU_RW; flags++)
            EXPECT_RETURN(iommu_map_one(inside[i], mfn, flags), -EACCES);
        EXPECT_RETURN(iommu_unmap_one(inside[i]), 0);
    }
    static const uint64_t outside[] = {0xfedff, 0xfef00};
    for (uint32_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        EXPECT_RETURN(iommu_map_one(outside[i], mfn, IOMMU_RW), 0);
        EXPECT_MAPPED(outside[i], mfn, IOMMU_RW);
        EXPECT_RETURN(iommu_unmap_one(outside[i]), 0);
        EXPECT_ABSENT(outside[i]);
    }
}

void guest_main(void)
{
    need_iommu();
    the_list();
    the_window();
    report_success("the interrupt window is nobody's");
}

/* SPDX-License-Identifier: MIT */
/*
 * Rule: map replaces a present entry, frame and permissions alike, without an unmap before it (a client maps
 * its own 1:1 layout over the boot-time one).
 *
 * From: guest-abi/iommu_op.md, rule 5; J1a of the review.
 *
 * Method: one BFN is mapped again and again with other frames and other permissions and looked up each time;
 * a frame keeps serving at its other BFNs.
 *
 * Errors: none.
 *
 * doors: both
 * run: default
 * run: continued options="continue-every=1"
 */
#include "common/rule.h"

void guest_main(void)
{
    need_iommu();
    uint64_t bfn = unused_bfns(3), first = own_mfn(), second = own_mfn();
    EXPECT_RETURN(iommu_map_one(bfn + 1, first, IOMMU_RW), 0);
    static const uint32_t permissions[] = {IOMMU_RW, IOMMU_MAP_OP_readable, IOMMU_RW, IOMMU_MAP_OP_writeable,
                                           IOMMU_MAP_OP_readable};
    for (uint32_t i = 0; i < sizeof(permissions) / sizeof(permissions[0]); i++) {
        EXPECT_RETURN(iommu_map_one(bfn, first, permissions[i]), 0);
        EXPECT_MAPPED(bfn, first, permissions[i]);
        EXPECT_RETURN(iommu_map_one(bfn, first, permissions[i]), 0); /* the same again */
        EXPECT_MAPPED(bfn, first, permissions[i]);
        EXPECT_RETURN(iommu_map_one(bfn, second, permissions[i]), 0);
        EXPECT_MAPPED(bfn, second, permissions[i]);
    }
    EXPECT_MAPPED(bfn + 1, first, IOMMU_RW);
    EXPECT_ABSENT(bfn + 2);

    /* Within one array, the later element wins. */
    struct iommu_map_op ops[] = {
        {bfn, first, IOMMU_RW, STATUS_NOT_REACHED},
        {bfn, second, IOMMU_MAP_OP_readable, STATUS_NOT_REACHED},
        {bfn, first, IOMMU_MAP_OP_readable, STATUS_NOT_REACHED},
    };
    EXPECT_RETURN(iommu_map_array(ops, 3), 0);
    EXPECT_MAPPED(bfn, first, IOMMU_MAP_OP_readable);
    report_success("map replaces what is there");
}

/* SPDX-License-Identifier: MIT */
/*
 * Rule: a map with neither permission is an unmap, so that one operation serves (J6 of the review). It then
 * ignores the frame number, as unmap does.
 *
 * From: guest-abi/iommu_op.md, rule 5.
 *
 * Method: maps with flags 0 over present and absent entries, with frame numbers that no map would accept.
 *
 * Errors: none; -EINVAL still for a BFN beyond the width.
 *
 * doors: both
 * run: default
 */
#include "common/rule.h"

void guest_main(void)
{
    need_iommu();
    uint64_t bfn = unused_bfns(2), mfn = own_mfn();
    static const uint64_t frames[] = {0, 0xfee00, 0xfed90, 1ul << 52, UINT64_MAX};
    for (uint32_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        EXPECT_RETURN(iommu_map_one(bfn, mfn, IOMMU_RW), 0);
        EXPECT_MAPPED(bfn, mfn, IOMMU_RW);
        EXPECT_RETURN(iommu_map_one(bfn, frames[i], 0), 0);
        EXPECT_ABSENT(bfn);
        EXPECT_RETURN(iommu_map_one(bfn, frames[i], 0), 0);
    }
    EXPECT_RETURN(iommu_map_one(bus_query()->max_bfn + 1, mfn, 0), -EINVAL);
    EXPECT_RETURN(iommu_map_one(0xfee00, mfn, 0), 0); /* clients unmap every hole */
    report_success("a map without permissions is an unmap");
}

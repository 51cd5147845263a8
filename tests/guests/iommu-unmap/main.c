/* SPDX-License-Identifier: MIT */
/*
 * Rule: unmap of an absent BFN succeeds. Of an element it reads only the BFN: frame number and flags are
 * ignored, whatever they hold (J5: the wire form stays 24 bytes). status is that of the unmapping (J2, J3).
 *
 * From: guest-abi/iommu_op.md, rules 5 and 6.
 *
 * Method: absent BFNs, near and far from present ones; elements whose other fields are poisoned; an unmap
 * repeated.
 *
 * Errors: none.
 *
 * doors: both
 * run: default
 * run: no-premap options="premap=off"
 */
#include "common/rule.h"

void guest_main(void)
{
    need_iommu();
    uint64_t bfn = unused_bfns(4), mfn = own_mfn(), far = bus_query()->max_bfn;
    EXPECT_RETURN(iommu_unmap_one(bfn), 0);
    EXPECT_RETURN(iommu_unmap_one(far), 0);
    EXPECT_RETURN(iommu_unmap_one(far - 512 * 512), 0);

    EXPECT_RETURN(iommu_map_one(bfn, mfn, IOMMU_RW), 0);
    EXPECT_RETURN(iommu_unmap_one(bfn + 1), 0); /* absent, in a table that is there */
    EXPECT_MAPPED(bfn, mfn, IOMMU_RW);

    struct iommu_map_op poisoned[] = {
        {bfn, UINT64_MAX, 0xffffffffu, STATUS_NOT_REACHED},
        {bfn + 1, 0xfee00, 0x80000000u, STATUS_NOT_REACHED},
        {bfn, 0, IOMMU_RW, STATUS_NOT_REACHED},
    };
    EXPECT_RETURN(iommu_unmap_array(poisoned, 3), 0);
    for (uint32_t i = 0; i < 3; i++)
        EXPECT_RETURN(poisoned[i].status, 0);
    EXPECT_ABSENT(bfn);
    EXPECT_ABSENT(bfn + 1);
    report_success("unmap needs a BFN and nothing else");
}

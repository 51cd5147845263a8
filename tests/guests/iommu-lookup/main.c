/* SPDX-License-Identifier: MIT */
/*
 * Rule: IOMMUOP_lookup_page tells what a device would get at a BFN: frame and permissions, bit 31 when
 * writing was asked for and is withheld. It follows the same rules as map: in order, stops at the first
 * failure.
 *
 * From: guest-abi/iommu_op.md, extensions of slot 57.
 *
 * Method: present, absent and impossible BFNs, one by one and in arrays.
 *
 * Errors: status -ENOENT absent; -EINVAL beyond the bus width; the call then gives -EFAULT.
 *
 * run: default
 * run: continued options="continue-every=1"
 */
#include "common/rule.h"

void guest_main(void)
{
    need_iommu();
    uint64_t bfn = unused_bfns(8), mfn = own_mfn(), table = page_table_mfn();
    for (uint32_t flags = IOMMU_MAP_OP_readable; flags <= IOMMU_RW; flags++)
        EXPECT_RETURN(iommu_map_one(bfn + flags, mfn, flags), 0);
    EXPECT_RETURN(iommu_map_one(bfn + 4, table, IOMMU_RW), 0);
    for (uint32_t flags = IOMMU_MAP_OP_readable; flags <= IOMMU_RW; flags++)
        EXPECT_MAPPED(bfn + flags, mfn, flags);
    EXPECT_MAPPED(bfn + 4, table, IOMMU_MAP_OP_readable | IOMMU_MAP_OP_write_withheld);
    EXPECT_ABSENT(bfn);
    EXPECT_ABSENT(bus_query()->max_bfn);
    struct iommu_map_op op;
    EXPECT_RETURN(looked_up(bus_query()->max_bfn + 1, &op), -EINVAL);
    EXPECT_RETURN(looked_up(UINT64_MAX, &op), -EINVAL);

    struct iommu_map_op ops[4];
    for (uint32_t i = 0; i < 4; i++)
        ops[i] = (struct iommu_map_op){.bfn = bfn + 1 + i, .status = STATUS_NOT_REACHED};
    EXPECT_RETURN(iommu_op(IOMMUOP_lookup_page, ops, 4), 0);
    for (uint32_t i = 0; i < 4; i++)
        EXPECT(ops[i].status == 0 && ops[i].bfn == bfn + 1 + i && ops[i].mfn == (i < 3 ? mfn : table),
               "element %u: status %d, BFN 0x%lx, MFN 0x%lx", i, ops[i].status, ops[i].bfn, ops[i].mfn);

    for (uint32_t i = 0; i < 4; i++)
        ops[i] = (struct iommu_map_op){.bfn = bfn + 2 - i, .status = STATUS_NOT_REACHED};
    EXPECT_RETURN(iommu_op(IOMMUOP_lookup_page, ops, 4), -EFAULT);
    EXPECT_RETURN(ops[1].status, 0);
    EXPECT_RETURN(ops[2].status, -ENOENT);
    EXPECT_RETURN(ops[3].status, STATUS_NOT_REACHED);
    report_success("lookup tells what is there");
}

/* SPDX-License-Identifier: MIT */
/*
 * Rule: PHYSDEVOP_iommu_map (physdev_op, command 33) is the same operation for one element: the result is the
 * element's status, and what it owes is flushed before it returns (J7 of the review).
 *
 * From: guest-abi/iommu_op.md, "The review's door".
 *
 * Method: the results of this door beside the statuses of slot 57; bad pointers; the neighbouring commands.
 *
 * Errors: the status; -EFAULT for a pointer that cannot be read; -ENOSYS for unknown commands.
 *
 * run: default
 */
#include "common/rule.h"

static long through_slot_57(struct iommu_map_op op)
{
    op.status = STATUS_NOT_REACHED;
    long result = iommu_op(IOMMUOP_map_page, &op, 1);
    EXPECT_RETURN(result, op.status ? -EFAULT : 0);
    return op.status;
}

void guest_main(void)
{
    need_iommu();
    uint64_t bfn = unused_bfns(1), mfn = own_mfn(), table = page_table_mfn();
    const struct iommu_map_op ops[] = {
        {bfn, mfn, IOMMU_RW, 0},
        {bfn, mfn, IOMMU_MAP_OP_readable, 0},
        {bfn, table, IOMMU_RW, 0},
        {bfn, table, IOMMU_MAP_OP_writeable, 0},
        {bfn, mfn, 0, 0},
        {bfn, mfn, 4, 0},
        {bfn, 0xfed90, IOMMU_RW, 0},
        {bfn, UINT64_MAX, IOMMU_RW, 0},
        {0xfee00, mfn, IOMMU_RW, 0},
        {0xfee00, mfn, 0, 0},
        {bus_query()->max_bfn + 1, mfn, IOMMU_RW, 0},
        {UINT64_MAX, mfn, 0, 0},
    };
    for (uint32_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        struct iommu_map_op op = ops[i];
        long wanted = through_slot_57(op), got = iommu_physdev(&op);
        EXPECT(got == wanted, "case %u: this door gives %ld, slot 57 %ld", i, got, wanted);
    }
    static const uint64_t wild[] = {0,
                                    0x00007ffffffffff8,
                                    0x0000800000000000,
                                    MACH2PHYS_VIRT_START,
                                    0xffff82d080200000,
                                    0xffff830000000000,
                                    0xfffffffffffffff0};
    for (uint32_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++)
        EXPECT_RETURN(hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_iommu_map, wild[i], 0, 0, 0), -EFAULT);
    struct iommu_map_op op = ops[0];
    EXPECT_RETURN(physdev_op(34, &op), -ENOSYS);
    EXPECT_RETURN(physdev_op(0xffffffff, &op), -ENOSYS);
    report_success("one element through this door is one element through slot 57");
}

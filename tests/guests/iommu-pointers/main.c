/* SPDX-License-Identifier: MIT */
/*
 * Rule: a fault reading an element or writing its status makes the call return -EFAULT. What was done before
 * stays done; an element that could not be read whole is not done; an element whose status could not be
 * written is done. The hypervisor's addresses are no guest's memory.
 *
 * From: guest-abi/iommu_op.md, rules 1 and 2.
 *
 * Method: arrays at NULL, at non-canonical addresses, inside the hypervisor's slots, ending past the last
 * address, straddling an unmapped page, and on a read-only page; a count far larger than the array.
 *
 * Errors: -EFAULT in every case.
 *
 * run: default
 * run: continued options="continue-every=1"
 */
#include "common/rule.h"

static uint64_t bfn;
static uint64_t mfns[4];

static void wild_arrays(void)
{
    static const uint64_t wild[] = {
        0,
        8,
        0x00007ffffffffff8,
        0x0000800000000000,
        0x8000000000000000,
        0xffff7ffffffffff8,
        MACH2PHYS_VIRT_START,
        0xffff818000000000,
        0xffff82d080200000,
        0xffff830000000000,
        HYPERVISOR_VIRT_END - 24,
        HYPERVISOR_VIRT_END - 8,
        0xffffffffffffffe8,
        0xfffffffffffffff8,
    };
    for (uint64_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
        static const uint32_t subops[] = {IOMMUOP_map_page, IOMMUOP_unmap_page, IOMMUOP_lookup_page,
                                          IOMMUOP_get_reserved, IOMMUOP_query};
        for (uint64_t j = 0; j < sizeof(subops) / sizeof(subops[0]); j++) {
            /* Room for every reserved range, or that would be the error. */
            uint64_t count = subops[j] == IOMMUOP_get_reserved ? 8 : 1;
            long result = hypercall(__HYPERVISOR_iommu_op, subops[j], wild[i], count, 0, 0);
            EXPECT(result == -EFAULT, "sub-operation 0x%x with its array at 0x%lx gave %ld", subops[j],
                   wild[i], result);
        }
    }
}

/* Two pages side by side, of which the second is then unmapped: returns the end of the first. */
static char *end_of_last_page(void)
{
    uint64_t frames[2] = {own_mfn(), own_mfn()};
    char *pages = map_frames(frames, 2, MAP_RAM);
    if (!pages)
        report_error("mapping two pages gave %ld", window_error);
    EXPECT_RETURN(update_va_mapping((uint64_t)(uintptr_t)pages + PAGE_SIZE, 0, UVMF_INVLPG), 0);
    return pages + PAGE_SIZE;
}

static void straddling_array(void)
{
    char *end = end_of_last_page();
    /* One whole element, then one of which only the first 8, then 16 bytes can be read. */
    for (uint32_t there = 8; there <= 16; there += 8) {
        struct iommu_map_op *op = (struct iommu_map_op *)(uintptr_t)(end - there - sizeof(*op));
        *op = (struct iommu_map_op){bfn, mfns[0], IOMMU_RW, STATUS_NOT_REACHED};
        op[1].bfn = bfn + 1;
        EXPECT_RETURN(iommu_op(IOMMUOP_map_page, op, 2), -EFAULT);
        EXPECT_RETURN(op->status, 0);
        EXPECT_MAPPED(bfn, mfns[0], IOMMU_RW);
        EXPECT_ABSENT(bfn + 1);
        op->status = STATUS_NOT_REACHED;
        EXPECT_RETURN(iommu_op(IOMMUOP_unmap_page, op, 2), -EFAULT);
        EXPECT_RETURN(op->status, 0);
        EXPECT_ABSENT(bfn);
    }
}

static void count_beyond_the_array(void)
{
    struct iommu_map_op *op = (struct iommu_map_op *)(uintptr_t)(end_of_last_page() - 2 * sizeof(*op));
    op[0] = (struct iommu_map_op){bfn, mfns[0], IOMMU_RW, STATUS_NOT_REACHED};
    op[1] = (struct iommu_map_op){bfn + 1, mfns[1], IOMMU_MAP_OP_readable, STATUS_NOT_REACHED};
    EXPECT_RETURN(iommu_op(IOMMUOP_map_page, op, 0x7fffffff), -EFAULT);
    EXPECT_RETURN(op[0].status, 0);
    EXPECT_RETURN(op[1].status, 0);
    EXPECT_MAPPED(bfn, mfns[0], IOMMU_RW);
    EXPECT_MAPPED(bfn + 1, mfns[1], IOMMU_MAP_OP_readable);
    EXPECT_RETURN(iommu_op(IOMMUOP_unmap_page, op, 0x7fffffff), -EFAULT);
    EXPECT_ABSENT(bfn);
    EXPECT_ABSENT(bfn + 1);
}

static void read_only_array(void)
{
    uint64_t frame = own_mfn();
    struct iommu_map_op *op = map_frame(frame, MAP_RAM);
    const struct iommu_map_op *seen = map_frame(frame, MAP_RAM_READ);
    if (!op || !seen)
        report_error("mapping a frame twice gave %ld", window_error);
    op[0] = (struct iommu_map_op){bfn + 2, mfns[2], IOMMU_RW, STATUS_NOT_REACHED};
    op[1] = (struct iommu_map_op){bfn + 3, mfns[3], IOMMU_RW, STATUS_NOT_REACHED};
    EXPECT_RETURN(iommu_op(IOMMUOP_map_page, seen, 2), -EFAULT);
    EXPECT_RETURN(op[0].status, STATUS_NOT_REACHED);
    EXPECT_MAPPED(bfn + 2, mfns[2], IOMMU_RW); /* done, though its status could not be written */
    EXPECT_ABSENT(bfn + 3);
    EXPECT_RETURN(iommu_op(IOMMUOP_unmap_page, seen, 2), -EFAULT);
    EXPECT_ABSENT(bfn + 2);
    EXPECT_RETURN(iommu_op(IOMMUOP_query, seen, 1), -EFAULT);
    EXPECT_RETURN(iommu_op(IOMMUOP_get_reserved, seen, 8), -EFAULT);
}

void guest_main(void)
{
    need_iommu();
    bfn = unused_bfns(8);
    for (uint32_t i = 0; i < 4; i++)
        mfns[i] = own_mfn();
    wild_arrays();
    straddling_array();
    count_beyond_the_array();
    read_only_array();
    report_success("bad arrays give -EFAULT and nothing else");
}

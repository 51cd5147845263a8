/* SPDX-License-Identifier: MIT */
/*
 * Rule: the checks of a call come in the order feature, caller, sub-operation, count, and only then is the
 * array looked at. Count 0 returns 0 whatever the pointer, so iommu_op(IOMMUOP_unmap_page, NULL, 0) is the
 * probe for the feature. Bits 63..32 of the sub-operation and of the count are ignored.
 *
 * From: guest-abi/iommu_op.md, "Draft A" (the draft's arguments are uint32_t).
 *
 * Method: every sub-operation number that means something and several that mean nothing, with counts 0, 2^31
 * and 2^32-1 and pointers that would fault.
 *
 * Errors: -ENOSYS unknown sub-operation, before the count is judged; -EINVAL count > INT32_MAX, before the
 * pointer is followed.
 *
 * run: default
 * run: no-premap options="premap=off"
 */
#include "common/rule.h"

static const uint64_t wild_pointers[] = {
    0,
    1,
    0x00007ffffffffff8,
    0x0000800000000000,
    0xffff7fffffffffff,
    0xffff800000000000,
    0xffff82d080200000,
    0xffff87fffffffff8,
    UINT64_MAX,
};
#define WILD (sizeof(wild_pointers) / sizeof(wild_pointers[0]))

static long call(uint64_t subop, uint64_t pointer, uint64_t count)
{
    return hypercall(__HYPERVISOR_iommu_op, subop, pointer, count, 0, 0);
}

static void count_zero_is_the_probe(void)
{
    EXPECT_RETURN(iommu_op(IOMMUOP_unmap_page, NULL, 0), 0);
    for (uint64_t i = 0; i < WILD; i++) {
        EXPECT_RETURN(call(IOMMUOP_map_page, wild_pointers[i], 0), 0);
        EXPECT_RETURN(call(IOMMUOP_unmap_page, wild_pointers[i], 0), 0);
        EXPECT_RETURN(call(IOMMUOP_lookup_page, wild_pointers[i], 0), 0);
    }
}

static void unknown_comes_before_count(void)
{
    static const uint64_t unknown[] = {0,     3,      4,          0x37,       0xff,
                                       0x103, 0x1000, 0x7fffffff, 0x80000001, 0xffffffff};
    for (uint64_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        EXPECT_RETURN(call(unknown[i], 0, 0), -ENOSYS);
        EXPECT_RETURN(call(unknown[i], 0, 1), -ENOSYS);
        EXPECT_RETURN(call(unknown[i], 0, 0x80000000), -ENOSYS);
    }
}

static void count_comes_before_pointer(void)
{
    static const uint64_t too_many[] = {0x80000000, 0x80000001, 0xfffffffe, 0xffffffff};
    static const uint64_t known[] = {IOMMUOP_map_page, IOMMUOP_unmap_page, IOMMUOP_lookup_page};
    for (uint64_t i = 0; i < sizeof(too_many) / sizeof(too_many[0]); i++) {
        for (uint64_t j = 0; j < sizeof(known) / sizeof(known[0]); j++) {
            for (uint64_t k = 0; k < WILD; k++)
                EXPECT_RETURN(call(known[j], wild_pointers[k], too_many[i]), -EINVAL);
        }
    }
}

static void upper_halves_are_ignored(void)
{
    uint64_t bfn = unused_bfns(1), mfn = own_mfn();
    struct iommu_map_op op = {.bfn = bfn, .mfn = mfn, .flags = IOMMU_RW, .status = STATUS_NOT_REACHED};
    EXPECT_RETURN(call(0xdeadbeef00000000 | IOMMUOP_map_page, hypercall_pointer(&op), 0xffffffff00000001), 0);
    EXPECT_RETURN(op.status, 0);
    EXPECT_MAPPED(bfn, mfn, IOMMU_RW);
    EXPECT_RETURN(call(0x8000000000000000 | IOMMUOP_unmap_page, hypercall_pointer(&op), 0x100000000), 0);
    EXPECT_MAPPED(bfn, mfn, IOMMU_RW);
    EXPECT_RETURN(call(IOMMUOP_unmap_page, hypercall_pointer(&op), 0x8000000000000001), 0);
    EXPECT_ABSENT(bfn);
}

void guest_main(void)
{
    need_iommu();
    count_zero_is_the_probe();
    unknown_comes_before_count();
    count_comes_before_pointer();
    upper_halves_are_ignored();
    report_success("sub-operation, count and pointer are judged in this order");
}

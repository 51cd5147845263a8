/* SPDX-License-Identifier: MIT */
/*
 * Rule: with the feature off every door and every sub-operation gives -ENOSYS. With iommu-mode=none
 * translation is on and everything is blocked; with iommu=off nothing is protected.
 *
 * From: guest-abi/iommu_op.md, access modes.
 *
 * Method: every door is tried, with arguments good and bad. Then a device writes to a page of the guest's at
 * its machine address: under "none" nothing may arrive, under "off" it must.
 *
 * Errors: -ENOSYS.
 *
 * run: none options="iommu-mode=none" cmdline="blocked" devices="edu"
 * run: off options="iommu=off" cmdline="open" devices="edu" says="not(hing is)? protected"
 */
#include "common/rule.h"
#include "kit/edu.h"

static void every_door(uint64_t mfn)
{
    static const uint32_t subops[] = {0, 1, 2, 3, 0x100, 0x101, 0x102, 0x103, 0xffffffff};
    struct iommu_map_op op = {.bfn = 0x1000, .mfn = mfn, .flags = IOMMU_RW, .status = STATUS_NOT_REACHED};
    for (uint32_t i = 0; i < sizeof(subops) / sizeof(subops[0]); i++) {
        EXPECT_RETURN(iommu_op(subops[i], NULL, 0), -ENOSYS);
        EXPECT_RETURN(iommu_op(subops[i], &op, 1), -ENOSYS);
        EXPECT_RETURN(iommu_op(subops[i], &op, 0xffffffff), -ENOSYS);
    }
    EXPECT_RETURN(iommu_physdev(&op), -ENOSYS);
    EXPECT_RETURN(iommu_physdev(NULL), -ENOSYS);
    EXPECT_RETURN(op.status, STATUS_NOT_REACHED);
}

void guest_main(void)
{
    uint64_t pfn;
    volatile uint64_t *page = page_alloc(&pfn);
    if (!page)
        report_error("no page left");
    every_door(pfn_to_mfn(pfn));

    struct edu edu;
    if (!edu_open(&edu, 0))
        report_error("there is no edu device");
    *page = 0x1111111111111111;
    edu_load(&edu, pfn_to_mfn(pfn) << PAGE_SHIFT, 0, 8);
    *page = 0x2222222222222222;
    edu_store(&edu, pfn_to_mfn(pfn) << PAGE_SHIFT, 0, 8);
    if (strstr(start_info->cmd_line, "blocked"))
        EXPECT(*page == 0x2222222222222222, "a device wrote 0x%lx though everything is blocked", *page);
    else
        EXPECT(*page == 0x1111111111111111, "a device wrote 0x%lx though nothing is protected", *page);
    report_success("the feature is off at every door");
}

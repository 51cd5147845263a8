/* SPDX-License-Identifier: MIT */
/*
 * Rule: with the feature off every door and every sub-operation gives -ENOSYS. With iommu-mode=none
 * translation is on and everything is blocked; with iommu=off nothing is protected; with draft-a-literal and
 * strict, devices reach the guest's own frames at BFN = MFN and write no page table, and nobody can change
 * it.
 *
 * From: guest-abi/iommu_op.md, access modes.
 *
 * Method: every door is tried, with arguments good and bad. Then a device writes to a page of the guest's at
 * its machine address: under "none" nothing may arrive, under "off" and "strict" it must. Under "strict" it
 * then writes to a page table.
 *
 * Errors: -ENOSYS.
 *
 * run: none options="iommu-mode=none" cmdline="blocked" devices="edu"
 * run: strict options="iommu-mode=draft-a-literal strict" cmdline="confined" devices="edu" says="strict"
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

/* The last entry of the table that maps the guest's own code is not in use. */
static void no_page_table(struct edu *edu)
{
    struct pte_place place;
    if (!page_table_walk((uint64_t)(uintptr_t)&no_page_table, 2, &place))
        report_error("the guest's own page tables cannot be walked");
    const volatile uint64_t *table = map_frame(place.table_mfn, MAP_RAM_READ);
    if (!table)
        report_error("a page table cannot be seen: %ld", window_error);
    const uint64_t before = table[0];
    edu_store(edu, place.table_mfn << PAGE_SHIFT, 0, 8);
    EXPECT(table[0] == before, "a device wrote 0x%lx to a page table", table[0]);
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
        EXPECT(*page == 0x1111111111111111, "a device wrote 0x%lx where it may write", *page);
    if (strstr(start_info->cmd_line, "confined"))
        no_page_table(&edu);
    report_success("the feature is off at every door");
}

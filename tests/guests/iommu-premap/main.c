/* SPDX-License-Identifier: MIT */
/*
 * Rule: in mode "owned" the guest's own frames are mapped at BFN = MFN when it starts, page tables without W;
 * nothing else is. With premap=off nothing is mapped at all. The guest may then map its own 1:1 layout over
 * it (J1a of the review) or take everything away (J1b).
 *
 * From: guest-abi/iommu_op.md, access modes, rule 5, clause S2.
 *
 * Method: every BFN up to the highest machine frame is looked up. Then BFN = PFN is mapped for every frame
 * over what is there, and looked up; then everything is unmapped.
 *
 * Errors: none.
 *
 * run: default
 * run: no-premap options="premap=off" cmdline="nothing"
 * run: identity options="p2m=identity"
 * run: linear options="p2m=linear"
 */
#include "common/rule.h"

#define BATCH 512u

static struct iommu_map_op ops[BATCH];

static bool is_table(uint64_t mfn)
{
    uint64_t first = virt_to_pfn((const void *)(uintptr_t)start_info->pt_base), pfn = mfn_to_pfn(mfn);
    return pfn >= first && pfn < first + start_info->nr_pt_frames;
}

static uint32_t expected_flags(uint64_t mfn)
{
    return is_table(mfn) ? IOMMU_MAP_OP_readable | IOMMU_MAP_OP_write_withheld : IOMMU_RW;
}

static void at_boot(bool premapped)
{
    struct xen_machphys_mapping mapping;
    EXPECT_RETURN(memory_op(XENMEM_machphys_mapping, &mapping), 0);
    for (uint64_t mfn = 0; mfn <= mapping.max_mfn + 512; mfn++) {
        if (premapped && mfn_to_pfn(mfn) != NO_FRAME)
            EXPECT_MAPPED(mfn, mfn, expected_flags(mfn));
        else
            EXPECT_ABSENT(mfn);
    }
}

static void for_every_frame(uint32_t subop)
{
    for (uint64_t pfn = 0; pfn < start_info->nr_pages;) {
        uint32_t count = 0;
        for (; count < BATCH && pfn < start_info->nr_pages; pfn++)
            ops[count++] = (struct iommu_map_op){pfn, pfn_to_mfn(pfn), IOMMU_RW, STATUS_NOT_REACHED};
        EXPECT_RETURN(iommu_op(subop, ops, count), 0);
        for (uint32_t i = 0; i < count; i++)
            EXPECT_RETURN(ops[i].status, 0);
    }
}

void guest_main(void)
{
    need_iommu();
    at_boot(!strstr(start_info->cmd_line, "nothing"));
    for_every_frame(IOMMUOP_map_page);
    for (uint64_t pfn = 0; pfn < start_info->nr_pages; pfn++)
        EXPECT_MAPPED(pfn, pfn_to_mfn(pfn), expected_flags(pfn_to_mfn(pfn)));
    for_every_frame(IOMMUOP_unmap_page);
    for (uint64_t pfn = 0; pfn < start_info->nr_pages; pfn++)
        EXPECT_ABSENT(pfn);
    report_success("the bus map at boot is what it should be, and the guest's to change");
}

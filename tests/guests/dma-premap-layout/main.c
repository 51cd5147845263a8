/* SPDX-License-Identifier: MIT */
/*
 * Rule: a client that maps its own 1:1 layout once (BFN = PFN for every frame), over what was there at boot
 * and without unmapping first, has DMA land right from then on (J1a of the review).
 *
 * From: guest-abi/iommu_op.md, rule 5.
 *
 * Method: BFN = PFN is mapped for every frame in batches. A device then reads and writes pages all over
 * memory by their PFN. Translations of the boot-time map are cached first, by use.
 *
 * Errors: none.
 *
 * run: default devices="edu"
 * run: every-100 options="continue-every=100" devices="edu"
 */
#include "common/device.h"
#include "common/rule.h"

#define BATCH 512u
#define PAGES 12u

static struct iommu_map_op ops[BATCH];

static void map_all(void)
{
    for (uint64_t pfn = 0; pfn < start_info->nr_pages;) {
        uint32_t count = 0;
        for (; count < BATCH && pfn < start_info->nr_pages; pfn++)
            ops[count++] = (struct iommu_map_op){pfn, pfn_to_mfn(pfn), IOMMU_RW, STATUS_NOT_REACHED};
        EXPECT_RETURN(iommu_op(IOMMUOP_map_page, ops, count), 0);
    }
}

void guest_main(void)
{
    need_iommu();
    device_open();
    uint64_t pfns[PAGES];
    volatile uint64_t *pages[PAGES];
    for (uint32_t i = 0; i < PAGES; i++) {
        uint64_t skip = (start_info->nr_pages - 4096) / PAGES;
        for (uint64_t n = 0; n < skip && n < frames_left() / 2; n++)
            frame_take_from_end();
        pfns[i] = frame_take_from_end();
        pages[i] = map_frame(pfn_to_mfn(pfns[i]), MAP_RAM);
        if (!pages[i])
            report_error("mapping a page gave %ld", window_error);
        *pages[i] = 0x600 + i;
        device_read(pfns[i]); /* whatever is there now gets cached */
    }
    map_all();
    for (uint32_t i = 0; i < PAGES; i++) {
        uint64_t seen = device_read(pfns[i]);
        EXPECT(seen == 0x600 + i, "at BFN = PFN 0x%lx the device reads 0x%lx", pfns[i], seen);
        device_write(pfns[i], 0x700 + i);
        EXPECT(*pages[i] == 0x700 + i, "at BFN = PFN 0x%lx the device's write did not land", pfns[i]);
    }
    report_success("DMA by PFN works for %lu frames", start_info->nr_pages);
}

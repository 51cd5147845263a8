/* SPDX-License-Identifier: MIT */
/*
 * Rule: when an unmap has returned, no device reaches the frame any more: not even through a translation that
 * the IOMMU has cached. With nothing mapped at boot, DMA faults before a map, works after it and faults after
 * the unmap (J1b of the review: map per DMA).
 *
 * From: guest-abi/iommu_op.md, rules 3 and 7, clause S3.
 *
 * Method: a device reads and writes through a mapping, so that its translation is cached; then the mapping
 * goes, alone or in a batch, and the device tries again at once.
 *
 * Errors: none; the device's transfers do not land.
 *
 * doors: both
 * run: default devices="edu"
 * run: no-premap options="premap=off" devices="edu"
 * run: caching-mode devices="edu" intel="caching-mode=on"
 *      only="intel: caching-mode; QEMU's amd-iommu always says that it caches absence, other runs have it"
 */
#include "common/device.h"
#include "common/rule.h"

#define PAGES 4u

static volatile uint64_t *pages[PAGES];
static uint64_t mfns[PAGES];

static void reach(uint64_t bfn, uint32_t i, bool wanted)
{
    uint64_t value = 0xabc0000000000000 + i, before = 0x77770000 + i;
    *pages[i] = before;
    uint64_t seen = device_read(bfn);
    EXPECT((seen == before) == wanted, "the device read 0x%lx at BFN 0x%lx, which is %smapped", seen, bfn,
           wanted ? "" : "not ");
    device_write(bfn, value);
    EXPECT(*pages[i] == (wanted ? value : before),
           "after a write at BFN 0x%lx (%smapped) the page holds 0x%lx", bfn, wanted ? "" : "not ",
           *pages[i]);
}

void guest_main(void)
{
    need_iommu();
    device_open();
    uint64_t bfn = unused_bfns(PAGES);
    struct iommu_map_op maps[PAGES], unmaps[PAGES];
    for (uint32_t i = 0; i < PAGES; i++) {
        pages[i] = marked_page(i, &mfns[i]);
        maps[i] = (struct iommu_map_op){bfn + i, mfns[i], IOMMU_RW, STATUS_NOT_REACHED};
        unmaps[i] = (struct iommu_map_op){.bfn = bfn + i, .status = STATUS_NOT_REACHED};
        reach(bfn + i, i, false);
    }
    for (uint32_t i = 0; i < PAGES; i++) {
        EXPECT_RETURN(iommu_map_one(bfn + i, mfns[i], IOMMU_RW), 0);
        reach(bfn + i, i, true);
        EXPECT_RETURN(iommu_unmap_one(bfn + i), 0);
        reach(bfn + i, i, false);
    }
    EXPECT_RETURN(iommu_map_array(maps, PAGES), 0);
    for (uint32_t i = 0; i < PAGES; i++)
        reach(bfn + i, i, true);
    EXPECT_RETURN(iommu_unmap_array(unmaps, PAGES), 0);
    for (uint32_t i = 0; i < PAGES; i++)
        reach(bfn + i, i, false);
    report_success("what is unmapped is out of reach at once");
}

/* SPDX-License-Identifier: MIT */
/*
 * Rule: a contiguous bus range over scattered machine frames looks contiguous to a device, and nothing beside
 * the frames that were named is reachable: the granularity is the page.
 *
 * From: guest-abi/iommu_op.md, words; clause S1.
 *
 * Method: two frames that are not neighbours in the machine are mapped side by side on the bus; one transfer
 * crosses the edge; the pages before and behind stay out of reach.
 *
 * Errors: none.
 *
 * doors: both
 * run: default devices="edu"
 * run: no-premap options="premap=off" devices="edu"
 */
#include "common/device.h"
#include "common/rule.h"
#include "kit/edu.h"

static struct edu edu;

void guest_main(void)
{
    need_iommu();
    device_open();
    EXPECT(edu_open(&edu, 0), "edu cannot be opened twice");
    uint64_t bfn = unused_bfns(4), low_mfn, high_mfn;
    volatile uint64_t *low = marked_page(1, &low_mfn), *high = marked_page(2, &high_mfn);
    struct iommu_map_op ops[] = {
        {bfn + 1, low_mfn, IOMMU_RW, STATUS_NOT_REACHED},
        {bfn + 2, high_mfn, IOMMU_RW, STATUS_NOT_REACHED},
    };
    EXPECT_RETURN(iommu_map_array(ops, 2), 0);
    for (uint32_t i = 0; i < 4; i++) {
        low[508 + i] = 0x1000 + i;
        high[i] = 0x2000 + i;
    }
    uint64_t edge = (bfn + 2) << PAGE_SHIFT;
    EXPECT(edu_load(&edu, edge - 32, 0, 64), "edu does not answer");
    for (uint32_t i = 0; i < 4; i++)
        low[508 + i] = high[i] = 0;
    EXPECT(edu_store(&edu, edge - 32, 0, 64), "edu does not answer");
    for (uint32_t i = 0; i < 4; i++)
        EXPECT(low[508 + i] == 0x1000 + i && high[i] == 0x2000 + i, "word %u: 0x%lx and 0x%lx", i,
               low[508 + i], high[i]);
    EXPECT_ABSENT(bfn);
    EXPECT_ABSENT(bfn + 3);
    uint64_t beyond = device_read(bfn + 3);
    EXPECT(beyond == DEVICE_POISON || beyond == 0 || beyond == UINT64_MAX, "the page behind reads 0x%lx",
           beyond);
    report_success("scattered frames are one range on the bus");
}

/* SPDX-License-Identifier: MIT */
/*
 * Rule: IOMMUOP works inside a multicall, and so does its continuation: the entry's arguments are advanced,
 * the entry's result is that of the whole array, and the entries before it are not repeated.
 *
 * From: guest-abi/iommu_op.md, rule 4.
 *
 * Method: one multicall that maps forty pages, unmaps half of them, maps one badly and looks one up, with an
 * entry between that would show if it were done twice.
 *
 * Errors: -EFAULT as the result of the bad entry, 0 as that of the multicall.
 *
 * run: never
 * run: every-1 options="continue-every=1"
 * run: every-3 options="continue-every=3"
 */
#include "common/rule.h"

#define PAGES 40u

static struct iommu_map_op maps[PAGES], unmaps[PAGES / 2], bad, lookup;

static struct multicall_entry entry(uint32_t subop, const void *array, uint32_t count)
{
    return (struct multicall_entry){
        .op = __HYPERVISOR_iommu_op, .result = 99, .args = {subop, hypercall_pointer(array), count}};
}

void guest_main(void)
{
    need_iommu();
    uint64_t bfn = unused_bfns(PAGES + 1), mfn = own_mfn();
    for (uint32_t i = 0; i < PAGES; i++)
        maps[i] = (struct iommu_map_op){bfn + i, mfn, IOMMU_RW, STATUS_NOT_REACHED};
    for (uint32_t i = 0; i < PAGES / 2; i++)
        unmaps[i] = (struct iommu_map_op){.bfn = bfn + i, .status = STATUS_NOT_REACHED};
    bad = (struct iommu_map_op){bfn, mfn, 0x40, STATUS_NOT_REACHED};
    lookup = (struct iommu_map_op){.bfn = bfn + PAGES - 1, .status = STATUS_NOT_REACHED};
    struct multicall_entry entries[] = {
        {.op = __HYPERVISOR_console_io,
         .result = 99,
         .args = {CONSOLEIO_write, 30, hypercall_pointer("printed once by the multicall\n")}},
        entry(IOMMUOP_map_page, maps, PAGES),
        entry(IOMMUOP_unmap_page, unmaps, PAGES / 2),
        entry(IOMMUOP_map_page, &bad, 1),
        entry(IOMMUOP_lookup_page, &lookup, 1),
    };
    static const long results[] = {0, 0, 0, -EFAULT, 0};
    EXPECT_RETURN(multicall(entries, 5), 0);
    for (uint32_t i = 0; i < 5; i++)
        EXPECT(entries[i].result == results[i], "entry %u gave %ld, not %ld", i, entries[i].result,
               results[i]);
    for (uint32_t i = 0; i < PAGES; i++) {
        EXPECT_RETURN(maps[i].status, 0);
        if (i < PAGES / 2)
            EXPECT_ABSENT(bfn + i);
        else
            EXPECT_MAPPED(bfn + i, mfn, IOMMU_RW);
    }
    EXPECT_RETURN(bad.status, -EINVAL);
    EXPECT(lookup.status == 0 && lookup.mfn == mfn, "the lookup gave status %d, MFN 0x%lx", lookup.status,
           lookup.mfn);
    report_success("IOMMUOP works inside a multicall");
}

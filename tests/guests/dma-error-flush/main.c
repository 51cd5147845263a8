/* SPDX-License-Identifier: MIT */
/*
 * Rule: what a call owes is flushed when it completes, when a continuation is created and also before it
 * returns an error: what the elements before the bad one took away is out of reach.
 *
 * From: guest-abi/iommu_op.md, rule 3.
 *
 * Method: a device uses four mappings, so that they are cached. One array then unmaps, replaces and narrows
 * three of them and ends in a bad element. The device tries again.
 *
 * Errors: -EFAULT, and -EINVAL as the bad element's status.
 *
 * run: default devices="edu"
 * run: continued options="continue-every=1" devices="edu"
 * run: in-a-multicall devices="edu" cmdline="multicall"
 */
#include "common/device.h"
#include "common/rule.h"

static long call(struct iommu_map_op *ops, uint32_t count)
{
    if (!strstr(start_info->cmd_line, "multicall"))
        return iommu_op(IOMMUOP_map_page, ops, count);
    struct multicall_entry entry = {.op = __HYPERVISOR_iommu_op,
                                    .args = {IOMMUOP_map_page, hypercall_pointer(ops), count}};
    EXPECT_RETURN(multicall(&entry, 1), 0);
    return entry.result;
}

void guest_main(void)
{
    need_iommu();
    device_open();
    uint64_t bfn = unused_bfns(5), mfns[5];
    volatile uint64_t *pages[5];
    for (uint32_t i = 0; i < 5; i++) {
        pages[i] = marked_page(0x100 + i, &mfns[i]);
        if (i == 3)
            continue; /* the frame that replaces */
        EXPECT_RETURN(iommu_map_one(bfn + i, mfns[i], IOMMU_RW), 0);
        EXPECT_RETURN(device_read(bfn + i), 0x100 + i);
    }
    struct iommu_map_op ops[] = {
        {bfn, 0, 0, STATUS_NOT_REACHED},                                   /* unmapped */
        {bfn + 1, mfns[1], IOMMU_MAP_OP_readable, STATUS_NOT_REACHED},     /* narrowed */
        {bfn + 2, mfns[3], IOMMU_RW, STATUS_NOT_REACHED},                  /* replaced */
        {bus_query()->max_bfn + 1, mfns[3], IOMMU_RW, STATUS_NOT_REACHED}, /* bad */
        {bfn + 4, 0, 0, STATUS_NOT_REACHED},                               /* not reached */
    };
    EXPECT_RETURN(call(ops, 5), -EFAULT);
    EXPECT_RETURN(ops[3].status, -EINVAL);
    EXPECT(device_read(bfn) != 0x100, "the device still reads what was unmapped before the error");
    device_write(bfn + 1, 0xbad);
    EXPECT(*pages[1] == 0x101, "the device still writes what was narrowed before the error");
    EXPECT_RETURN(device_read(bfn + 2), 0x103);
    EXPECT_RETURN(device_read(bfn + 4), 0x104);
    report_success("an error flushes as success does");
}

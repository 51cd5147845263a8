/* SPDX-License-Identifier: MIT */
/*
 * Rule: when a map that replaces has returned, devices reach the new frame and no longer the old one; when it
 * narrows permissions, what is withdrawn is out of reach.
 *
 * From: guest-abi/iommu_op.md, rules 3, 5 and 7.
 *
 * Method: a device uses a mapping, so that it is cached; the mapping is replaced by another frame, or
 * narrowed to reading, and the device uses it again. Widening is tried as well.
 *
 * Errors: none; the device's transfers land where they should or nowhere.
 *
 * doors: both
 * run: default devices="edu"
 * run: caching-mode devices="edu" intel="caching-mode=on"
 *      only="intel: caching-mode; QEMU's amd-iommu always says that it caches absence, other runs have it"
 */
#include "common/device.h"
#include "common/rule.h"

static void another_frame(void)
{
    uint64_t bfn = unused_bfns(1), old_mfn, new_mfn;
    volatile uint64_t *old_page = marked_page(0x0101, &old_mfn), *new_page = marked_page(0x0202, &new_mfn);
    EXPECT_RETURN(iommu_map_one(bfn, old_mfn, IOMMU_RW), 0);
    EXPECT_RETURN(device_read(bfn), 0x0101);
    EXPECT_RETURN(iommu_map_one(bfn, new_mfn, IOMMU_RW), 0);
    EXPECT_RETURN(device_read(bfn), 0x0202);
    device_write(bfn, 0x0303);
    EXPECT_RETURN(*new_page, 0x0303);
    EXPECT_RETURN(*old_page, 0x0101);
}

static void fewer_permissions(void)
{
    uint64_t bfn = unused_bfns(1), mfn;
    volatile uint64_t *page = marked_page(0x0404, &mfn);
    EXPECT_RETURN(iommu_map_one(bfn, mfn, IOMMU_RW), 0);
    device_write(bfn, 0x0505);
    EXPECT_RETURN(*page, 0x0505);
    EXPECT_RETURN(iommu_map_one(bfn, mfn, IOMMU_MAP_OP_readable), 0);
    device_write(bfn, 0x0606);
    EXPECT(*page == 0x0505, "a device wrote 0x%lx through a mapping that is read-only now", *page);
    EXPECT_RETURN(device_read(bfn), 0x0505);
    EXPECT_RETURN(iommu_map_one(bfn, mfn, IOMMU_RW), 0);
    device_write(bfn, 0x0707);
    EXPECT_RETURN(*page, 0x0707);
}

static void write_only(void)
{
    uint64_t bfn = unused_bfns(1), mfn;
    volatile uint64_t *page = marked_page(0x0808, &mfn);
    EXPECT_RETURN(iommu_map_one(bfn, mfn, IOMMU_MAP_OP_writeable), 0);
    EXPECT(device_read(bfn) != 0x0808, "a device read through a write-only mapping");
    device_write(bfn, 0x0909);
    EXPECT_RETURN(*page, 0x0909);
}

void guest_main(void)
{
    need_iommu();
    device_open();
    another_frame();
    fewer_permissions();
    write_only();
    report_success("a replaced mapping is the new one at once");
}

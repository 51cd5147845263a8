/* SPDX-License-Identifier: MIT */
/*
 * Rule: a device can write a frame only while the frame's type is none or writable. Mapping an own page-table
 * frame for reading and writing succeeds with W withheld, and a lookup says so; W alone is refused.
 *
 * From: guest-abi/iommu_op.md, clause S2.
 *
 * Method: the frame that holds the guest's own level 1 table is mapped and looked up; then a device writes to
 * it, through that mapping and through the one that was there at boot.
 *
 * Errors: status -EPERM for W alone.
 *
 * doors: both
 * run: default devices="edu"
 */
#include "common/device.h"
#include "common/rule.h"
#include "common/tables.h"

static volatile const uint64_t *table_words(uint64_t mfn)
{
    volatile const uint64_t *words = map_frame(mfn, MAP_RAM_READ);
    if (!words)
        report_error("mapping a page table for reading gave %ld", window_error);
    return words;
}

static void write_does_not_land(uint64_t bfn, volatile const uint64_t *words)
{
    uint64_t before = words[0];
    EXPECT(before != 0x4141414141414141, "the table already holds the pattern");
    device_write(bfn, 0x4141414141414141);
    EXPECT(words[0] == before, "a device changed a page-table entry at BFN 0x%lx to 0x%lx", bfn, words[0]);
}

static void descriptors_are_withheld_too(uint64_t bfn)
{
    struct table table;
    table_begin(&table);
    table_seal(&table);
    EXPECT_RETURN(set_gdt(&table.mfn, 1), 0);
    EXPECT_RETURN(iommu_map_one(bfn, table.mfn, IOMMU_MAP_OP_writeable), -EPERM);
    EXPECT_RETURN(iommu_map_one(bfn, table.mfn, IOMMU_RW), 0);
    EXPECT_MAPPED(bfn, table.mfn, IOMMU_MAP_OP_readable | IOMMU_MAP_OP_write_withheld);
    EXPECT_RETURN(set_gdt(NULL, 0), 0);
}

void guest_main(void)
{
    need_iommu();
    device_open();
    uint64_t bfn = unused_bfns(2), table = page_table_mfn();
    EXPECT_RETURN(iommu_map_one(bfn, table, IOMMU_RW), 0);
    EXPECT_MAPPED(bfn, table, IOMMU_MAP_OP_readable | IOMMU_MAP_OP_write_withheld);
    EXPECT_RETURN(iommu_map_one(bfn + 1, table, IOMMU_MAP_OP_writeable), -EPERM);
    EXPECT_ABSENT(bfn + 1);
    EXPECT_RETURN(iommu_map_one(bfn + 1, table, IOMMU_MAP_OP_readable), 0);
    EXPECT_MAPPED(bfn + 1, table, IOMMU_MAP_OP_readable);

    volatile const uint64_t *words = table_words(table);
    write_does_not_land(bfn, words);
    write_does_not_land(bfn + 1, words);
    struct iommu_map_op op;
    if (looked_up(table, &op) == 0 && op.mfn == table) {
        EXPECT(!(op.flags & IOMMU_MAP_OP_writeable), "at boot a page table was mapped writable");
        write_does_not_land(table, words);
    }
    EXPECT(device_read(bfn) == words[0], "the device cannot read what it may read");
    descriptors_are_withheld_too(bfn);
    report_success("a page table is never writable by a device");
}

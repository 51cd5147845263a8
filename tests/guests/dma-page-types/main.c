/* SPDX-License-Identifier: MIT */
/*
 * Rule: in mode owned a device can write a frame only while the frame is no table, of pages or of
 * descriptors. Before a frame becomes one its bus entries lose W and the device has forgotten them; when it
 * is none any more they have it back.
 *
 * From: guest-abi/iommu_op.md, clause S2; guest-abi/pv_memory.md, section 6; guest-abi/modes.md. Advisories:
 * 285 and 288.
 *
 * Method: edu writes the frame at every BFN it is mapped at, before, while and after it is a table. The
 * device has used the entry each time, so that a translation it remembers would be found out.
 *
 * Errors: -EBUSY to pin a frame that devices can write at two BFNs of the guest's.
 *
 * run: default
 * run: scramble options="p2m=scramble:3"
 * run: no-premap options="premap=off"
 */
#include "common/device.h"
#include "common/rule.h"
#include "common/tables.h"

static bool premapped;

/* Whether a write of the device at bfn arrives in the table, which is left as it was. */
static bool device_writes(const struct table *table, uint64_t bfn)
{
    static uint64_t mark = 0x100;
    uint64_t before = table->view[0];
    mark += 0x1000; /* never a present entry, nor a descriptor */
    device_write(bfn, mark);
    bool arrived = table->view[0] == mark;
    EXPECT(arrived || table->view[0] == before, "the table holds 0x%lx", table->view[0]);
    return arrived;
}

static void judge(const struct table *table, uint64_t bfn, bool writes, const char *when)
{
    if (bfn != table->mfn || premapped)
        EXPECT(device_writes(table, bfn) == writes, "%s: at BFN 0x%lx the device %s", when, bfn,
               writes ? "cannot write" : "can write");
    else
        EXPECT(!device_writes(table, bfn), "%s: nothing is at BFN 0x%lx, and yet it can be written", when,
               bfn);
}

/* What a frame becomes: a page table of level 1 to 4, or one of these. */
#define GDT_PAGE 5u
#define LDT_PAGE 6u

static long become(uint32_t what, const struct table *table)
{
    if (what == GDT_PAGE)
        return set_gdt(&table->mfn, 512);
    if (what == LDT_PAGE)
        return mmuext(MMUEXT_SET_LDT, (uint64_t)(uintptr_t)table->view, 512);
    return pin(what, table->mfn);
}

static long cease(uint32_t what, const struct table *table)
{
    if (what == GDT_PAGE)
        return set_gdt(NULL, 0);
    if (what == LDT_PAGE)
        return mmuext(MMUEXT_SET_LDT, 0, 0);
    return unpin(table->mfn);
}

static void one_frame(uint32_t what, uint64_t bfn)
{
    struct table table;
    table_begin(&table);
    if (bfn != NO_BUS)
        EXPECT_RETURN(iommu_map_one(bfn, table.mfn, IOMMU_RW), 0);
    else
        bfn = table.mfn;
    judge(&table, table.mfn, true, "before");
    judge(&table, bfn, true, "before");
    table.view[0] = 0;
    table_seal(&table);
    for (int i = 0; i < 3; i++) {
        EXPECT_RETURN(become(what, &table), 0);
        judge(&table, table.mfn, false, "while it is a table");
        judge(&table, bfn, false, "while it is a table");
        EXPECT_RETURN(cease(what, &table), 0);
        judge(&table, table.mfn, true, "after");
        judge(&table, bfn, true, "after");
        table_unseal(&table);
        table.view[0] = 0;
        table_seal(&table);
    }
    if (bfn != table.mfn)
        EXPECT_RETURN(iommu_unmap_one(bfn), 0);
}

/* Refused for its contents: it was no table, so the device has its right back. */
static void a_refused_table(uint64_t bfn)
{
    struct table table;
    table_begin(&table);
    table.view[511] = table.mfn << PAGE_SHIFT | MAP_RAM | 1ul << 55;
    EXPECT_RETURN(iommu_map_one(bfn, table.mfn, IOMMU_RW), 0);
    table_seal(&table);
    EXPECT_RETURN(pin(1, table.mfn), -EINVAL);
    judge(&table, bfn, true, "after a refusal");
    judge(&table, table.mfn, true, "after a refusal");
    EXPECT_RETURN(iommu_unmap_one(bfn), 0);
}

static void at_two_places(uint64_t bfn)
{
    struct table table;
    table_begin(&table);
    table_seal(&table);
    EXPECT_RETURN(iommu_map_one(bfn, table.mfn, IOMMU_RW), 0);
    EXPECT_RETURN(iommu_map_one(bfn + 1, table.mfn, IOMMU_RW), 0);
    EXPECT_RETURN(pin(1, table.mfn), -EBUSY);
    judge(&table, bfn, true, "after a refusal");
    EXPECT_RETURN(iommu_map_one(bfn, table.mfn, IOMMU_MAP_OP_readable), 0);
    EXPECT_RETURN(pin(1, table.mfn), -EINVAL * (table.view[0] & PTE_PRESENT ? 1 : 0));
    EXPECT(!device_writes(&table, bfn + 1), "a table can be written");
    EXPECT_RETURN(unpin(table.mfn), 0);
    EXPECT(device_writes(&table, bfn + 1), "the right did not come back");
    EXPECT_RETURN(iommu_unmap_one(bfn), 0);
    EXPECT_RETURN(iommu_unmap_one(bfn + 1), 0);
}

/* Mapped while it is a table: W is withheld, and comes when it is one no longer. */
static void mapped_as_a_table(uint64_t bfn)
{
    struct table table;
    table_begin(&table);
    table_seal(&table);
    EXPECT_RETURN(pin(1, table.mfn), 0);
    EXPECT_RETURN(iommu_map_one(bfn, table.mfn, IOMMU_RW), 0);
    EXPECT_RETURN(iommu_map_one(bfn + 1, table.mfn, IOMMU_MAP_OP_writeable), -EPERM);
    EXPECT_MAPPED(bfn, table.mfn, IOMMU_MAP_OP_readable | IOMMU_MAP_OP_write_withheld);
    EXPECT(!device_writes(&table, bfn), "a table can be written");
    EXPECT_RETURN(unpin(table.mfn), 0);
    EXPECT_MAPPED(bfn, table.mfn, IOMMU_RW);
    EXPECT(device_writes(&table, bfn), "the right did not come");
    EXPECT_RETURN(iommu_unmap_one(bfn), 0);
}

/* Tables that nobody pins, because a pinned one leads to them. */
static void tables_below(uint64_t bfn)
{
    struct table tree[5];
    tree_begin(tree, own_mfn() << PAGE_SHIFT | MAP_RAM_READ);
    for (uint32_t level = 1; level <= 4; level++)
        EXPECT_RETURN(iommu_map_one(bfn + level, tree[level].mfn, IOMMU_RW), 0);
    EXPECT_RETURN(pin(4, tree[4].mfn), 0);
    for (uint32_t level = 1; level <= 4; level++)
        EXPECT(!device_writes(&tree[level], bfn + level), "the L%u can be written", level);
    EXPECT_RETURN(unpin(tree[4].mfn), 0);
    for (uint32_t level = 1; level <= 4; level++) {
        EXPECT(device_writes(&tree[level], bfn + level), "the right of the L%u did not come back", level);
        EXPECT_RETURN(iommu_unmap_one(bfn + level), 0);
    }
}

void guest_main(void)
{
    struct iommu_query query;
    need_iommu();
    device_open();
    EXPECT_RETURN(iommu_query(&query), 0);
    premapped = query.premap != 0;
    uint64_t bfns = unused_bfns(16);
    for (uint32_t what = 1; what <= LDT_PAGE; what++) {
        one_frame(what, bfns);
        if (premapped)
            one_frame(what, NO_BUS);
    }
    a_refused_table(bfns);
    at_two_places(bfns);
    mapped_as_a_table(bfns);
    tables_below(bfns);
    report_success("no device writes a table, of pages or of descriptors");
}

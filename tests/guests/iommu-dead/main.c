/* SPDX-License-Identifier: MIT */
/*
 * Rule: an IOMMU that stops answering is dead. The call that finds out gives -EIO, and so does every later
 * one that would map or unmap; no frame that devices may still reach becomes a table, is exchanged or leaves.
 *
 * From: guest-abi/iommu_op.md, section 4; guest-abi/pv_memory.md, sections 6, 7 and 9.
 *
 * Method: a page comes and goes on the bus until the unit, whose queue the test switches off from outside
 * meanwhile, has stopped. Then everything is tried that would need it.
 *
 * Errors: -EIO. decrease_reservation says how many extents left: none.
 *
 * run: default devices="edu" stop="iommu-dead: stop it" says="^sluice: iommu: .*it counts as dead"
 */
#include "common/reservation.h"
#include "common/rule.h"
#include "common/tables.h"
#include "kit/time.h"

static void until_it_is_dead(uint64_t bfn, uint64_t mfn)
{
    uint64_t deadline = deadline_after(DEVICE_DEADLINE_MS);
    long result = 0;
    printk("iommu-dead: stop it\n");
    while (!result && !deadline_passed(deadline)) {
        struct iommu_map_op op = {.bfn = bfn, .mfn = mfn, .flags = IOMMU_RW};
        result = iommu_op(IOMMUOP_map_page, &op, 1);
        if (!result)
            result = iommu_op(IOMMUOP_unmap_page, &op, 1);
    }
    EXPECT_RETURN(result, -EIO);
}

static void every_door_is_shut(uint64_t bfn, uint64_t mfn)
{
    static const uint32_t subops[] = {IOMMUOP_map_page, IOMMUOP_unmap_page};
    for (uint32_t i = 0; i < sizeof(subops) / sizeof(subops[0]); i++) {
        struct iommu_map_op ops[2] = {{bfn, mfn, IOMMU_RW, STATUS_NOT_REACHED},
                                      {bfn + 1, mfn, IOMMU_RW, STATUS_NOT_REACHED}};
        EXPECT_RETURN(iommu_op(subops[i], ops, 2), -EIO);
        EXPECT_RETURN(ops[0].status, -EIO);
        EXPECT_RETURN(ops[1].status, STATUS_NOT_REACHED);
    }
    struct iommu_map_op op = {.bfn = bfn, .mfn = mfn, .flags = IOMMU_RW};
    EXPECT_RETURN(iommu_physdev(&op), -EIO);
    op.flags = 0;
    EXPECT_RETURN(iommu_physdev(&op), -EIO);
    struct iommu_query query;
    EXPECT_RETURN(iommu_query(&query), 0);
    EXPECT_RETURN(iommu_probe(), 0);
}

/* table is on the bus, from boot. link is an L2, pinned already. */
static void nothing_becomes_a_table(const struct table *table, const struct table *link)
{
    EXPECT_RETURN(pin(1, table->mfn), -EIO);
    EXPECT_RETURN(set_entry(link->mfn, 0, table_link(table)), -EIO);
    EXPECT_RETURN(mmuext(MMUEXT_NEW_USER_BASEPTR, table->mfn, 0), -EIO);
    EXPECT_RETURN(table_view(table, MAP_RAM), 0); /* it is none */
}

static void nothing_leaves(uint64_t pfn)
{
    uint64_t mfn = pfn_to_mfn(pfn), extent = pfn;
    struct xen_memory_exchange exchange = {.in = extents(&mfn, 1, 0), .out = extents(&extent, 1, 0)};
    EXPECT_RETURN(memory_op(XENMEM_exchange, &exchange), -EIO);
    EXPECT_RETURN(exchange.nr_exchanged, 0);
    EXPECT_RETURN(m2p_word(mfn), pfn);
    struct xen_memory_reservation reservation = extents(&mfn, 1, 0);
    EXPECT_RETURN(memory_op(XENMEM_decrease_reservation, &reservation), 0);
}

void guest_main(void)
{
    need_iommu();
    struct table table, link;
    table_begin(&table);
    table_begin(&link);
    table_seal(&table);
    table_seal(&link);
    EXPECT_RETURN(pin(2, link.mfn), 0);
    uint64_t bfn = unused_bfns(2), mfn = own_mfn(), lonely = unmapped_pfn();

    until_it_is_dead(bfn, mfn);
    every_door_is_shut(bfn, mfn);
    nothing_becomes_a_table(&table, &link);
    nothing_leaves(lonely);
    report_success("a dead unit takes nothing with it");
}

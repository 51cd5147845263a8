/* SPDX-License-Identifier: MIT */
/*
 * Rule: in modes "relaxed" and "draft-a-literal" all RAM but the hypervisor's is mapped at BFN = MFN for
 * reading and writing when the guest starts (nothing with premap=off), page tables included, and a map may
 * name any frame but the hypervisor's, an IOMMU's or an interrupt controller's (S1). Nothing is withheld, and
 * no entry keeps a frame from leaving.
 *
 * From: guest-abi/iommu_op.md, access modes; Draft A's access level.
 *
 * Method: every BFN up to the highest RAM frame is looked up, and every frame that is not the guest's is
 * mapped elsewhere: those on the bus at boot must be allowed, and there must be such and others. Then the
 * registers that nobody gets, a page table with W alone, and a frame that leaves while it is mapped.
 *
 * Errors: status -EPERM.
 *
 * doors: both
 * run: default options="iommu-mode=relaxed" says="the guest is trusted" cmdline-intel="unit=intel"
 * run: literal options="iommu-mode=draft-a-literal" says="the guest is trusted" cmdline-intel="unit=intel"
 * run: no-premap options="iommu-mode=relaxed premap=off" cmdline="nothing" cmdline-intel="nothing unit=intel"
 */
#include "common/reservation.h"
#include "common/rule.h"

static uint64_t bfn;
static bool premapped;

static void answers(void)
{
    struct iommu_query query;
    EXPECT_RETURN(iommu_query(&query), 0);
    EXPECT(query.features & IOMMU_QUERY_relaxed && !(query.features & IOMMU_QUERY_owned), "features 0x%x",
           query.features);
    EXPECT(!(query.features & IOMMU_QUERY_premapped) == !premapped, "features 0x%x", query.features);
    EXPECT(query.premap == (premapped ? IOMMU_PREMAP_all_ram : IOMMU_PREMAP_none), "premap %u", query.premap);
}

static void own_frame(uint64_t mfn)
{
    if (premapped)
        EXPECT_MAPPED(mfn, mfn, IOMMU_RW);
    else
        EXPECT_ABSENT(mfn);
}

static void every_frame(void)
{
    uint64_t own = 0, others = 0, refused = 0, end = highest_mfn();
    for (uint64_t mfn = 0; mfn <= end; mfn++) {
        if (mfn_to_pfn(mfn) != NO_FRAME) {
            own_frame(mfn);
            own++;
            continue;
        }
        struct iommu_map_op op;
        bool there = looked_up(mfn, &op) == 0;
        long status = iommu_map_one(bfn, mfn, IOMMU_RW);
        EXPECT(status == 0 || status == -EPERM, "MFN 0x%lx: status %ld", mfn, status);
        EXPECT(status == 0 || !there, "MFN 0x%lx is on the bus, but may not be mapped", mfn);
        others += there;
        refused += status != 0;
    }
    EXPECT(own == start_info->nr_pages, "%lu frames are the guest's", own);
    EXPECT(!others == !premapped, "%lu frames that are not the guest's are on the bus", others);
    EXPECT(refused > 1000, "only %lu frames are the hypervisor's", refused);
    printk("%lu own frames, %lu others on the bus, %lu that may not be mapped\n", own, others, refused);
    EXPECT_RETURN(iommu_unmap_one(bfn), 0);
}

static void refused(uint64_t mfn, const char *what)
{
    for (uint32_t flags = IOMMU_MAP_OP_readable; flags <= IOMMU_RW; flags++) {
        long status = iommu_map_one(bfn, mfn, flags);
        EXPECT(status == -EPERM, "%s, MFN 0x%lx, flags %u: status %ld", what, mfn, flags, status);
    }
    EXPECT_ABSENT(bfn);
}

static void what_nobody_gets(void)
{
    bool intel = strstr(start_info->cmd_line, "unit=intel");
    refused(start_info->shared_info >> PAGE_SHIFT, "a frame of the hypervisor's");
    refused(intel ? 0xfed90 : 0xfed80, "the IOMMU's registers");
    refused(0xfee00, "the local APIC's registers");
    refused(0xfec00, "the IO-APIC's registers");
    refused(0xb0000, "the configuration window");
    refused(1ul << 40, "what the machine cannot address");
    refused(UINT64_MAX, "no frame");
    EXPECT(iommu_map_one(0xfee00, own_mfn(), IOMMU_RW) == -EACCES, "the interrupt window was mapped");
    EXPECT(iommu_map_one(bfn, own_mfn(), 4) == -EINVAL, "an unknown flag was taken");
}

static void a_page_table(void)
{
    uint64_t table = page_table_mfn();
    EXPECT_RETURN(iommu_map_one(bfn, table, IOMMU_RW), 0);
    EXPECT_MAPPED(bfn, table, IOMMU_RW);
    EXPECT_RETURN(iommu_map_one(bfn, table, IOMMU_MAP_OP_writeable), 0);
    EXPECT_MAPPED(bfn, table, IOMMU_MAP_OP_writeable);
    EXPECT_RETURN(iommu_map_one(bfn, table, 0), 0);
    EXPECT_ABSENT(bfn);
}

static void a_frame_that_leaves(void)
{
    uint64_t pfn = unmapped_pfn(), mfn = pfn_to_mfn(pfn);
    struct xen_memory_reservation reservation = extents(&mfn, 1, 0);
    EXPECT_RETURN(iommu_map_one(bfn, mfn, IOMMU_RW), 0);
    EXPECT_RETURN(memory_op(XENMEM_decrease_reservation, &reservation), 1);
    expect_gone(mfn);
    own_frame(mfn); /* as before: it is RAM */
    EXPECT_MAPPED(bfn, mfn, IOMMU_RW);
    uint64_t extent = pfn;
    reservation = extents(&extent, 1, 0);
    EXPECT_RETURN(memory_op(XENMEM_populate_physmap, &reservation), 1);
    p2m_set(pfn, extent);
    own_frame(extent);
    EXPECT_RETURN(iommu_unmap_one(bfn), 0);
}

void guest_main(void)
{
    need_iommu();
    premapped = !strstr(start_info->cmd_line, "nothing");
    bfn = unused_bfns(1);
    answers();
    every_frame();
    what_nobody_gets();
    a_page_table();
    a_frame_that_leaves();
    report_success("any frame but the hypervisor's can be mapped");
}

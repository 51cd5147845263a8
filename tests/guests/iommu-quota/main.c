/* SPDX-License-Identifier: MIT */
/*
 * Rule: table memory is bounded by a quota set aside at boot; running out is -ENOMEM for the caller and
 * nothing else (S5). Unmap never allocates and cannot fail for want of memory. Table pages that hold nothing
 * any more can be used again.
 *
 * From: guest-abi/iommu_op.md, rule 6 and clause S5.
 *
 * Method: single frames mapped 2 MiB apart, each of which needs a table page of its own, until -ENOMEM; then
 * everything that must still work is tried; then all is unmapped and the whole is done once more.
 *
 * Errors: status -ENOMEM.
 *
 * doors: both
 * run: default
 */
#include "common/rule.h"

#define APART 512ul /* frames that one leaf table covers */

static uint64_t base, mfn;

static uint64_t map_until_full(void)
{
    uint64_t room = (bus_query()->max_bfn - base) / APART;
    for (uint64_t n = 0; n < room; n++) {
        long status = iommu_map_one(base + n * APART, mfn, IOMMU_RW);
        if (status) {
            EXPECT_RETURN(status, -ENOMEM);
            return n;
        }
    }
    report_failure("the bus space ended before the quota did");
}

static uint32_t used(void)
{
    struct iommu_query query;
    EXPECT_RETURN(iommu_query(&query), 0);
    EXPECT(query.table_used <= query.table_quota, "%u table pages of %u", query.table_used,
           query.table_quota);
    return query.table_used;
}

static void the_rest_still_works(uint64_t full)
{
    EXPECT_RETURN(iommu_map_one(base + full * APART, mfn, IOMMU_RW), -ENOMEM); /* and again */
    EXPECT_ABSENT(base + full * APART);
    EXPECT_MAPPED(base, mfn, IOMMU_RW);
    EXPECT_MAPPED(base + (full - 1) * APART, mfn, IOMMU_RW);
    EXPECT_RETURN(iommu_map_one(base + 1, mfn, IOMMU_RW), 0); /* its table is there */
    EXPECT_RETURN(iommu_map_one(base, mfn, IOMMU_MAP_OP_readable), 0);
    EXPECT_RETURN(iommu_unmap_one(base + 1), 0);
    EXPECT_RETURN(iommu_unmap_one(base + full * APART), 0); /* absent, and no memory needed */
    EXPECT_RETURN(iommu_unmap_one(base + (full - 1) * APART), 0);
    EXPECT_RETURN(iommu_map_one(base + full * APART, mfn, IOMMU_RW), 0); /* the page that came free */
    EXPECT_RETURN(iommu_unmap_one(base + full * APART), 0);
    uint64_t another = own_mfn();
    EXPECT(map_frame(another, MAP_RAM) != NULL, "memory cannot be mapped any more: %ld", window_error);
}

void guest_main(void)
{
    need_iommu();
    base = (unused_bfns(1024) + APART - 1) & ~(APART - 1);
    mfn = own_mfn();
    uint32_t before = used();
    uint64_t first = map_until_full();
    printk("%lu leaf tables of a quota of %u pages\n", first, bus_query()->table_quota);
    EXPECT(first >= 2, "the quota is too small to do anything with");
    the_rest_still_works(first);
    for (uint64_t n = 0; n < first; n++)
        EXPECT_RETURN(iommu_unmap_one(base + n * APART), 0);
    EXPECT_RETURN(used(), before);
    EXPECT_RETURN(map_until_full(), first);
    for (uint64_t n = 0; n < first; n++)
        EXPECT_RETURN(iommu_unmap_one(base + n * APART), 0);
    EXPECT_RETURN(used(), before);
    report_success("the quota ends in -ENOMEM and nothing else");
}

/* SPDX-License-Identifier: MIT */
/*
 * Rule: IOMMUOP_query says what the hypervisor does: version 1, the features it has, the highest bus frame,
 * the premap, how many ranges are reserved, and how many table pages there are and are used. It writes 32
 * bytes and no more.
 *
 * From: guest-abi/iommu_op.md, extensions of slot 57.
 *
 * Method: the fields are compared with what the calls do, and with the width and the premap that this run was
 * given (words on the command line).
 *
 * Errors: -EINVAL a count above 1.
 *
 * run: default cmdline-intel="width=39 premapped" cmdline-amd="width=64 premapped"
 * run: wide intel="aw-bits=48" cmdline="width=48 premapped"
 *      only="intel: aw-bits; QEMU's amd-iommu has one width, which default tries"
 * run: no-premap options="premap=off" cmdline-intel="width=39" cmdline-amd="width=64"
 */
#include "common/rule.h"

#define MUST_HAVE                                                                                            \
    (IOMMU_QUERY_map_replaces | IOMMU_QUERY_zero_flags_unmaps | IOMMU_QUERY_owned | IOMMU_QUERY_physdev_door)
#define MUST_NOT_HAVE (IOMMU_QUERY_relaxed | IOMMU_QUERY_v7_door)

static bool told(const char *word)
{
    return strstr(start_info->cmd_line, word) != NULL;
}

static void fields(const struct iommu_query *query)
{
    bool premapped = told("premapped");
    EXPECT_RETURN(query->version, 1);
    EXPECT((query->features & (MUST_HAVE | MUST_NOT_HAVE)) == MUST_HAVE, "features are 0x%x",
           query->features);
    EXPECT(!(query->features & ~(MUST_HAVE | MUST_NOT_HAVE | IOMMU_QUERY_premapped)),
           "unknown features in 0x%x", query->features);
    EXPECT(!!(query->features & IOMMU_QUERY_premapped) == premapped, "the premap bit of 0x%x is wrong",
           query->features);
    EXPECT_RETURN(query->premap, premapped ? IOMMU_PREMAP_own_frames : IOMMU_PREMAP_none);
    if (told("width=39"))
        EXPECT_RETURN(query->max_bfn, (1ul << 27) - 1);
    if (told("width=48"))
        EXPECT_RETURN(query->max_bfn, (1ul << 36) - 1);
    if (told("width=64"))
        EXPECT_RETURN(query->max_bfn, (1ul << 52) - 1);
    EXPECT(query->table_used <= query->table_quota && query->table_quota > 0, "%u of %u table pages",
           query->table_used, query->table_quota);
}

static void table_pages_are_counted(void)
{
    struct iommu_query before, between, after;
    uint64_t bfn = bus_query()->max_bfn, mfn = own_mfn();
    /* A tree that grows to reach this far keeps its upper levels; from here on it has them. */
    EXPECT_RETURN(iommu_map_one(bfn, mfn, IOMMU_RW), 0);
    EXPECT_RETURN(iommu_unmap_one(bfn), 0);
    EXPECT_RETURN(iommu_query(&before), 0);
    EXPECT_RETURN(iommu_map_one(bfn, mfn, IOMMU_RW), 0);
    EXPECT_RETURN(iommu_query(&between), 0);
    EXPECT_RETURN(iommu_unmap_one(bfn), 0);
    EXPECT_RETURN(iommu_query(&after), 0);
    EXPECT(between.table_used > before.table_used, "a map at the far end took no table page");
    EXPECT_RETURN(after.table_used, before.table_used);
    EXPECT_RETURN(after.table_quota, before.table_quota);
}

void guest_main(void)
{
    need_iommu();
    struct {
        struct iommu_query query;
        uint64_t guard;
    } answer;
    memset(&answer, 0x5a, sizeof(answer));
    EXPECT_RETURN(iommu_query(&answer.query), 0);
    EXPECT(answer.guard == 0x5a5a5a5a5a5a5a5a, "query wrote more than 32 bytes");
    EXPECT_RETURN(iommu_op(IOMMUOP_query, &answer.query, 2), -EINVAL);
    EXPECT_RETURN(iommu_op(IOMMUOP_query, &answer.query, INT32_MAX), -EINVAL);
    fields(&answer.query);
    table_pages_are_counted();
    report_success("the answers agree with what is done");
}

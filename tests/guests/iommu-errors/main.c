/* SPDX-License-Identifier: MIT */
/*
 * Rule: elements are done in order. The first that fails gets its errno in status; the call stops and returns
 * -EFAULT; later elements are untouched (J4 of the review: -EFAULT, with its sign).
 *
 * From: guest-abi/iommu_op.md, rule 2 and the table of statuses.
 *
 * Method: arrays of five elements in which each position in turn holds each kind of bad element.
 *
 * Errors: status -EINVAL for a BFN beyond the bus width and for unknown flag bits; -EPERM for frames that are
 * not the guest's to give; -EACCES inside the interrupt window.
 *
 * doors: both
 * run: default
 * run: continued options="continue-every=1"
 * run: continued-by-3 options="continue-every=3"
 * run: wide intel="aw-bits=48"
 *      only="intel: aw-bits; QEMU's amd-iommu has one width, which default tries"
 */
#include "common/rule.h"

#define ELEMENTS 5u

struct bad {
    const char *what;
    struct iommu_map_op op;
    int32_t status;
};

static uint64_t first_bfn;
static uint64_t mfns[ELEMENTS];

static void prepare(struct iommu_map_op *ops)
{
    for (uint32_t i = 0; i < ELEMENTS; i++)
        ops[i] = (struct iommu_map_op){first_bfn + i, mfns[i], IOMMU_RW, STATUS_NOT_REACHED};
}

static void expect_statuses(const struct bad *bad, const struct iommu_map_op *ops, uint32_t at, long result)
{
    EXPECT(result == -EFAULT, "%s at %u: the call gave %ld", bad->what, at, result);
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        int32_t wanted = i < at ? 0 : i == at ? bad->status : STATUS_NOT_REACHED;
        EXPECT(ops[i].status == wanted, "%s at %u: element %u has status %d, not %d", bad->what, at, i,
               ops[i].status, wanted);
    }
}

static void bad_map_at(const struct bad *bad, uint32_t at)
{
    struct iommu_map_op ops[ELEMENTS];
    prepare(ops);
    ops[at] = bad->op;
    ops[at].status = STATUS_NOT_REACHED;
    expect_statuses(bad, ops, at, iommu_map_array(ops, ELEMENTS));
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        if (i < at)
            EXPECT_MAPPED(first_bfn + i, mfns[i], IOMMU_RW);
        else
            EXPECT_ABSENT(first_bfn + i);
    }
    prepare(ops);
    EXPECT_RETURN(iommu_unmap_array(ops, ELEMENTS), 0);
}

static void bad_unmap_at(const struct bad *bad, uint32_t at)
{
    struct iommu_map_op ops[ELEMENTS];
    prepare(ops);
    EXPECT_RETURN(iommu_map_array(ops, ELEMENTS), 0);
    prepare(ops);
    ops[at] = bad->op;
    ops[at].status = STATUS_NOT_REACHED;
    expect_statuses(bad, ops, at, iommu_unmap_array(ops, ELEMENTS));
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        if (i < at)
            EXPECT_ABSENT(first_bfn + i);
        else
            EXPECT_MAPPED(first_bfn + i, mfns[i], IOMMU_RW);
    }
    prepare(ops);
    EXPECT_RETURN(iommu_unmap_array(ops, ELEMENTS), 0);
}

static void judge_maps(uint64_t beyond)
{
    uint64_t bfn = first_bfn + ELEMENTS, mfn = own_mfn(), table = page_table_mfn();
    const struct bad bad[] = {
        {"first BFN beyond the width", {beyond, mfn, IOMMU_RW, 0}, -EINVAL},
        {"BFN 2^51", {1ul << 51, mfn, IOMMU_RW, 0}, -EINVAL},
        {"BFN 2^52", {1ul << 52, mfn, IOMMU_RW, 0}, -EINVAL},
        {"BFN 2^63", {1ul << 63, mfn, IOMMU_RW, 0}, -EINVAL},
        {"BFN 2^64-1", {UINT64_MAX, mfn, IOMMU_RW, 0}, -EINVAL},
        {"flag bit 2", {bfn, mfn, IOMMU_RW | 4u, 0}, -EINVAL},
        {"flag bit 2 alone", {bfn, mfn, 4u, 0}, -EINVAL},
        {"flag bit 31", {bfn, mfn, IOMMU_RW | 0x80000000u, 0}, -EINVAL},
        {"all flags", {bfn, mfn, 0xffffffffu, 0}, -EINVAL},
        {"MFN 2^40", {bfn, 1ul << 40, IOMMU_RW, 0}, -EPERM},
        {"MFN 2^52", {bfn, 1ul << 52, IOMMU_RW, 0}, -EPERM},
        {"own MFN + 2^52", {bfn, mfn | 1ul << 52, IOMMU_RW, 0}, -EPERM},
        {"MFN 2^64-1", {bfn, UINT64_MAX, IOMMU_RW, 0}, -EPERM},
        {"W alone on a page table", {bfn, table, IOMMU_MAP_OP_writeable, 0}, -EPERM},
        {"interrupt window", {0xfee00, mfn, IOMMU_RW, 0}, -EACCES},
        {"end of the interrupt window", {0xfeeff, mfn, IOMMU_MAP_OP_readable, 0}, -EACCES},
    };
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        /* A bus of 64 bits has BFNs that a narrower one has not. */
        if (bad[i].status == -EINVAL && bad[i].op.flags == IOMMU_RW && bad[i].op.bfn < beyond)
            continue;
        for (uint32_t at = 0; at < ELEMENTS; at++)
            bad_map_at(&bad[i], at);
    }
    EXPECT_ABSENT(bfn);
}

static void judge_unmaps(uint64_t beyond)
{
    const struct bad bad[] = {
        {"unmap of the first BFN beyond the width", {beyond, 0, 0, 0}, -EINVAL},
        {"unmap of BFN 2^52", {1ul << 52, 0, 0, 0}, -EINVAL},
        {"unmap of BFN 2^64-1", {UINT64_MAX, 0, 0, 0}, -EINVAL},
    };
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (uint32_t at = 0; at < ELEMENTS; at++)
            bad_unmap_at(&bad[i], at);
    }
}

static void the_last_bfn_works(uint64_t last)
{
    EXPECT_RETURN(iommu_map_one(last, mfns[0], IOMMU_RW), 0);
    EXPECT_MAPPED(last, mfns[0], IOMMU_RW);
    EXPECT_RETURN(iommu_unmap_one(last), 0);
    EXPECT_ABSENT(last);
}

void guest_main(void)
{
    need_iommu();
    first_bfn = unused_bfns(ELEMENTS + 1);
    for (uint32_t i = 0; i < ELEMENTS; i++)
        mfns[i] = own_mfn();
    judge_maps(bus_query()->max_bfn + 1);
    judge_unmaps(bus_query()->max_bfn + 1);
    the_last_bfn_works(bus_query()->max_bfn);
    report_success("a bad element stops the call, and only it is reported");
}

/* SPDX-License-Identifier: MIT */
/*
 * Rule: whatever the order of maps, replacements and unmaps, the bus map is what the calls say.
 *
 * From: guest-abi/iommu_op.md, rules 1 to 7 together.
 *
 * Method: pseudo-random batches over BFNs in several tables and at their edges, against an array that holds
 * what should be there; table pages are counted before and after.
 *
 * Errors: those of the bad elements that are mixed in.
 *
 * doors: both
 * run: default
 * run: continued options="continue-every=5"
 */
#include "common/rule.h"

#define PLACES     768u
#define NEIGHBOURS 640u /* places side by side; the rest lie 2 MiB apart, a table page each */
#define FRAMES     64u
#define BATCH      32u
#define ROUNDS     600u

static struct {
    uint64_t mfn;
    uint32_t flags;
} expected[PLACES];
static uint64_t mfns[FRAMES], base;

static uint64_t bfn_of(uint32_t place)
{
    return place < NEIGHBOURS ? base + 300 + place : base + 4096 + (place - NEIGHBOURS) * 512;
}

static void one_round(uint64_t *seed)
{
    struct iommu_map_op ops[BATCH];
    uint32_t places[BATCH];
    uint32_t count = (uint32_t)(next_random(seed) % BATCH) + 1;
    uint32_t bad = next_random(seed) % 4 ? count : (uint32_t)(next_random(seed) % count);
    bool map = next_random(seed) % 3 != 0;
    for (uint32_t i = 0; i < count; i++) {
        places[i] = (uint32_t)(next_random(seed) % PLACES);
        ops[i] = (struct iommu_map_op){bfn_of(places[i]), mfns[next_random(seed) % FRAMES],
                                       (uint32_t)(next_random(seed) % 4), STATUS_NOT_REACHED};
        if (i == bad)
            ops[i].bfn = bus_query()->max_bfn + 1 + next_random(seed) % 1000;
    }
    long result = map ? iommu_map_array(ops, count) : iommu_unmap_array(ops, count);
    EXPECT_RETURN(result, bad < count ? -EFAULT : 0);
    for (uint32_t i = 0; i < count; i++) {
        EXPECT_RETURN(ops[i].status, i < bad ? 0 : i == bad ? -EINVAL : STATUS_NOT_REACHED);
        if (i < bad) {
            expected[places[i]].mfn = ops[i].mfn;
            expected[places[i]].flags = map ? ops[i].flags : 0;
        }
    }
}

static void compare(void)
{
    for (uint32_t place = 0; place < PLACES; place++) {
        if (expected[place].flags)
            EXPECT_MAPPED(bfn_of(place), expected[place].mfn, expected[place].flags);
        else
            EXPECT_ABSENT(bfn_of(place));
    }
}

void guest_main(void)
{
    need_iommu();
    uint64_t seed = 0x5eed5eed5eed5eed;
    base = bus_query()->max_bfn / 2 & ~511ul;
    for (uint32_t i = 0; i < FRAMES; i++)
        mfns[i] = own_mfn();
    /* A tree that grows to reach this far keeps its upper levels; from here on it has them. */
    EXPECT_RETURN(iommu_map_one(base, mfns[0], IOMMU_RW), 0);
    EXPECT_RETURN(iommu_unmap_one(base), 0);
    struct iommu_query before, after;
    EXPECT_RETURN(iommu_query(&before), 0);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        one_round(&seed);
        if (round % 50 == 49)
            compare();
    }
    for (uint32_t place = 0; place < PLACES; place++)
        EXPECT_RETURN(iommu_unmap_one(bfn_of(place)), 0);
    EXPECT_RETURN(iommu_query(&after), 0);
    EXPECT(after.table_used == before.table_used, "%u table pages before, %u after", before.table_used,
           after.table_used);
    report_success("%u rounds agree with the model", ROUNDS);
}

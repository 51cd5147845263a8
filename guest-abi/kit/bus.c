/* SPDX-License-Identifier: MIT */
#include "kit/bus.h"

#include "kit/iommu.h"
#include "kit/memory.h"

#define PREFERRED_BFN 0x400000ul /* 16 GiB */
#define BATCH         512u

long bus_error;

static bool steered;
static struct iommu_query query;
static struct iommu_reserved_range reserved[32];
static uint32_t reserved_count;
static uint64_t next_bfn;

bool bus_init(void)
{
    steered = iommu_probe() == 0 && iommu_query(&query) == 0;
    if (!steered)
        return false;
    long n = iommu_op(IOMMUOP_get_reserved, reserved, sizeof(reserved) / sizeof(reserved[0]));
    reserved_count = n > 0 ? (uint32_t)n : 0;
    next_bfn = PREFERRED_BFN;
    if (query.premap != IOMMU_PREMAP_none && highest_mfn() != NO_FRAME && highest_mfn() >= next_bfn)
        next_bfn = highest_mfn() + 1;
    if (next_bfn > query.max_bfn / 2)
        next_bfn = query.max_bfn / 2;
    if (n < 0) /* more ranges than fit here: no BFN is known to be free */
        next_bfn = query.max_bfn;
    return true;
}

bool bus_steered(void)
{
    return steered;
}

const struct iommu_query *bus_query(void)
{
    return &query;
}

uint64_t bus_reserve(uint32_t frames)
{
    uint64_t first = next_bfn;
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t i = 0; i < reserved_count; i++) {
            uint64_t end = reserved[i].start + reserved[i].frames;
            if (first < end && reserved[i].start < first + frames) {
                first = end;
                moved = true;
            }
        }
    }
    if (first + frames > query.max_bfn)
        return NO_BUS;
    next_bfn = first + frames;
    return first;
}

uint64_t bus_map(const uint64_t *mfns, uint32_t count, uint32_t flags)
{
    static struct iommu_map_op ops[BATCH];
    uint64_t first = count <= BATCH ? bus_reserve(count) : NO_BUS;
    if (first == NO_BUS) {
        bus_error = -ENOSPC;
        return NO_BUS;
    }
    for (uint32_t i = 0; i < count; i++)
        ops[i] = (struct iommu_map_op){first + i, mfns[i], flags, STATUS_NOT_REACHED};
    bus_error = iommu_map_array(ops, count);
    if (!bus_error)
        return first;
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].status < 0)
            bus_error = ops[i].status;
    }
    return NO_BUS;
}

uint64_t bus_address(uint64_t pfn)
{
    uint64_t mfn = pfn_to_mfn(pfn);
    if (!steered)
        return mfn << PAGE_SHIFT;
    uint64_t bfn = bus_map(&mfn, 1, IOMMU_RW);
    return bfn == NO_BUS ? NO_BUS : bfn << PAGE_SHIFT;
}

/* SPDX-License-Identifier: MIT */
/*
 * What hypercalls cost, in ticks of the time-stamp counter; under -icount a tick count is an instruction
 * count. Prints lines "bench: NAME ELEMENTS TICKS", the least of several tries less what reading the counter
 * costs.
 */
#include "kit/bus.h"
#include "kit/guest.h"
#include "kit/iommu.h"
#include "kit/time.h"
#include "measure.h"

#define TRIES 12u
#define MANY  256u

static struct iommu_map_op ops[MANY];
static uint64_t empty; /* cost of an empty measurement */

void nothing(uint64_t n)
{
    (void)n;
}

uint64_t least(void (*prepare)(uint64_t), void (*run)(uint64_t), uint64_t n)
{
    uint64_t best = UINT64_MAX;
    for (uint32_t i = 0; i < TRIES; i++) {
        prepare(n);
        uint64_t start = rdtsc();
        run(n);
        uint64_t ticks = rdtsc() - start;
        best = ticks < best ? ticks : best;
    }
    return best - empty;
}

void show_ticks(const char *name, uint64_t n, uint64_t ticks)
{
    printk("bench: %s %lu %lu\n", name, n, ticks);
}

void show(const char *name, void (*prepare)(uint64_t), void (*run)(uint64_t), uint64_t n)
{
    show_ticks(name, n, least(prepare, run, n));
}

/* ---- calls that do nothing ---- */

static void unknown_call(uint64_t n)
{
    (void)n;
    hypercall(63, 0, 0, 0, 0, 0);
}

static void version_call(uint64_t n)
{
    (void)n;
    xen_version(XENVER_version, NULL);
}

static void empty_iommu_call(uint64_t n)
{
    (void)n;
    iommu_probe();
}

/* ---- IOMMUOP ---- */

static uint64_t bfn, mfns[TABLE_ENTRIES];
static uint64_t apart; /* BFNs between two elements */
static bool shuffled;  /* else machine frames ascend, given p2m=linear */

static void fill(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        ops[i] = (struct iommu_map_op){bfn + i * apart, mfns[shuffled ? i * 97 % MANY : i], IOMMU_RW,
                                       STATUS_NOT_REACHED};
}

static void unmap(uint64_t n)
{
    EXPECT_RETURN(iommu_op(IOMMUOP_unmap_page, ops, n), 0);
}

static void map(uint64_t n)
{
    EXPECT_RETURN(iommu_op(IOMMUOP_map_page, ops, n), 0);
}

static void fill_and_unmap(uint64_t n)
{
    fill(n);
    unmap(n);
    fill(n);
}

static void fill_and_map(uint64_t n)
{
    fill(n);
    map(n);
    fill(n);
}

static void map_by_physdev(uint64_t n)
{
    (void)n;
    EXPECT_RETURN(iommu_physdev(ops), 0);
}

/* A neighbour stays in each leaf table, so that tables are neither built nor taken down: "warm". */
static void keep_tables(void)
{
    for (uint64_t i = 0; i < 3; i++)
        ops[i] = (struct iommu_map_op){bfn + 512 * i + 511, mfns[0], IOMMU_RW, STATUS_NOT_REACHED};
    map(3);
}

static void iommu_calls(const char *map_name, const char *unmap_name)
{
    for (uint64_t n = 1; n <= MANY; n *= 2) {
        show(map_name, fill_and_unmap, map, n);
        show(unmap_name, fill_and_map, unmap, n);
    }
}

void guest_main(void)
{
    if (!bus_init())
        report_error("there is no IOMMUOP here");
    for (uint32_t i = 0; i < TABLE_ENTRIES; i++)
        mfns[i] = pfn_to_mfn(frame_alloc());
    uint64_t reserved = bus_reserve(8192);
    empty = least(nothing, nothing, 0);

    show("unknown-hypercall", nothing, unknown_call, 1);
    show("xen_version", nothing, version_call, 1);
    show("iommu_op-empty", nothing, empty_iommu_call, 1);
    bfn = (reserved + 511) & ~511ul;
    apart = 1;
    keep_tables();
    iommu_calls("map-contiguous", "unmap-contiguous");
    shuffled = true;
    iommu_calls("map-scattered-frames", "unmap-scattered-frames");
    apart = 5;
    iommu_calls("map-scattered", "unmap-scattered");
    show("physdev-map", fill_and_unmap, map_by_physdev, 1);
    page_table_rows(mfns);
    trap_rows();
    report_success("bench: done");
}

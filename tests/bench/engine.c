/* SPDX-License-Identifier: MIT */
/*
 * The map/unmap engine, case by case: B1 to B6 and B8 of docs/benchmarks.md, in both vendors' formats, on a
 * unit that is coherent and on one that is not. Under callgrind each case ends in a dump that carries its
 * name; the program that counts stores (host.h) prints its counts instead. Both check what the cases did.
 *
 * Case "nothing" is what the counting itself adds to every other.
 */
#include "tests/bench/host.h"

#include <stdio.h>
#include <valgrind/callgrind.h>

#define RW    (IOMMU_READ | IOMMU_WRITE)
#define QUOTA 2048u
#define COUNT 256u
#define BLOCK 512u       /* frames of 2 MiB */
#define GIB   (1u << 18) /* frames */

#define NEAR   0x1003u   /* not aligned to anything */
#define AWAY   0x9000u   /* in another leaf table */
#define APART  0x10000u  /* BFNs five apart begin here */
#define LARGE  0x40000u  /* 1 GiB with a frame mapped at its beginning: upper tables are there */
#define SPARSE 0x200000u /* 1 GiB whose every other leaf table is there */
#define COLD   0x400000u /* 1 GiB that nothing is in */

static const struct bench_machine *machine;
static struct iommu_context *context;
static struct iommu_flush flush;
static struct iommu_element list[COUNT];

/* ---- measuring ---- */

static void flush_all(void)
{
    bench_check(iommu_flush(&flush) == 0, "flush");
}

static char label[128];
static struct bench_counts before;
static uint32_t tables_before;

static void begin(const char *name)
{
    snprintf(label, sizeof label, "%s%s %s", machine->name, machine->coherent ? "" : "-incoherent", name);
    before = bench_counts;
    tables_before = context != NULL ? iommu_tables_used(context) : 0;
}

static void end(void)
{
#ifdef SLUICE_HOST_TEST
    printf("%s %lu %lu %d %lu %lu\n", label, bench_counts.stores - before.stores,
           bench_counts.line_flushes - before.line_flushes,
           (int)iommu_tables_used(context) - (int)tables_before,
           bench_counts.descriptors - before.descriptors, bench_counts.waits - before.waits);
#endif
}

#define MEASURE(name, code)                                                                                  \
    do {                                                                                                     \
        begin(name);                                                                                         \
        CALLGRIND_ZERO_STATS;                                                                                \
        code;                                                                                                \
        CALLGRIND_DUMP_STATS_AT(label);                                                                      \
        end();                                                                                               \
    } while (0)

/* The flush that follows is a case of its own: lines may be written back, and a unit told, only then. */
#define MEASURE_WITH_FLUSH(name, code)                                                                       \
    do {                                                                                                     \
        MEASURE(name, code);                                                                                 \
        MEASURE(name "-flush", flush_all());                                                                 \
    } while (0)

/* ---- what is measured ---- */

static void map_one(uint64_t bfn, uint64_t mfn, uint32_t order)
{
    bench_check(iommu_map(context, bfn, mfn, order, RW, &flush) == 0, "map");
}

static void unmap_one(uint64_t bfn, uint32_t order)
{
    bench_check(iommu_unmap(context, bfn, order, &flush) == 0, "unmap");
}

static void map_run(uint64_t bfn, uint64_t mfn, uint64_t frames)
{
    uint64_t done;

    bench_check(iommu_map_run(context, bfn, mfn, frames, RW, &flush, &done) == 0 && done == frames, "run");
}

static void unmap_run(uint64_t bfn, uint64_t frames)
{
    uint64_t done;

    bench_check(iommu_unmap_run(context, bfn, frames, &flush, &done) == 0 && done == frames, "unmap run");
}

static void map_list(void)
{
    uint32_t done;

    bench_check(iommu_map_list(context, list, COUNT, &flush, &done) == 0 && done == COUNT, "list");
}

static void map_singly(void)
{
    for (uint32_t i = 0; i < COUNT; i++)
        map_one(list[i].bfn, list[i].mfn, 0);
}

static void unmap_list(void)
{
    uint32_t done;

    bench_check(iommu_unmap_list(context, list, COUNT, &flush, &done) == 0 && done == COUNT, "unmap list");
}

static void unmap_singly(void)
{
    for (uint32_t i = 0; i < COUNT; i++)
        unmap_one(list[i].bfn, 0);
}

/* ---- around it ---- */

static void start(void)
{
    context = bench_context(machine, QUOTA);
    iommu_flush_begin(&flush, context);
}

/* Tables stay in place: something else is mapped in each of them. */
static void start_warm(void)
{
    start();
    map_one(NEAR + COUNT + 1, 1, 0);
    map_one(AWAY, 1, 0);
    for (uint32_t i = 0; i < 3; i++)
        map_one(APART + BLOCK * i + BLOCK - 1, 1, 0);
    map_one(LARGE, LARGE + 1, 0);
    for (uint32_t i = 0; i < COUNT; i++)
        map_one(SPARSE + 2 * BLOCK * i + 1, 1, 0);
    flush_all();
}

/* The engine has last worked in another leaf table of the gigabyte, so that the next element is one step
 * away. */
static void look_away(void)
{
    map_one(AWAY, 1, 0);
    flush_all();
}

/* The list's BFNs are so far apart, its frames in no order. */
static void fill_list(uint64_t bfn, uint64_t apart, uint64_t mfn)
{
    for (uint32_t i = 0; i < COUNT; i++)
        list[i] = (struct iommu_element){.bfn = bfn + i * apart, .mfn = mfn + i * 37 % COUNT, .flags = RW};
}

static void check_mapped(uint64_t bfn, uint64_t mfn)
{
    struct iommu_mapping mapping = {0};

    bench_check(iommu_lookup(context, bfn, &mapping) == 0 && mapping.mfn == mfn && mapping.flags == RW,
                "what was mapped is not there");
}

static void check_absent(uint64_t bfn)
{
    struct iommu_mapping mapping;

    bench_check(iommu_lookup(context, bfn, &mapping) != 0, "what was unmapped is still there");
}

static void check_list(void)
{
    for (uint32_t i = 0; i < COUNT; i++)
        check_mapped(list[i].bfn, list[i].mfn);
}

static void check_list_absent(void)
{
    for (uint32_t i = 0; i < COUNT; i++)
        check_absent(list[i].bfn);
}

static void check_run(uint64_t bfn, uint64_t mfn, uint64_t frames)
{
    for (uint64_t i = 0; i < frames; i++)
        check_mapped(bfn + i, mfn + i);
}

static void check_run_absent(uint64_t bfn, uint64_t frames)
{
    for (uint64_t i = 0; i < frames; i++)
        check_absent(bfn + i);
}

/* ---- the cases ---- */

/* The engine has last worked in another gigabyte: the next element is walked to from the root. */
static void look_far_away(void)
{
    map_one(LARGE, LARGE + 1, 0);
    flush_all();
}

static void one_page(void)
{
    look_away();
    MEASURE_WITH_FLUSH("b1.map", map_one(NEAR, 5, 0));
    check_mapped(NEAR, 5);
    look_away();
    MEASURE_WITH_FLUSH("b1.unmap", unmap_one(NEAR, 0));
    check_absent(NEAR);
    look_far_away();
    MEASURE("b1.map-far", map_one(NEAR, 5, 0));
    look_far_away();
    MEASURE("b1.unmap-far", unmap_one(NEAR, 0));
    map_one(NEAR + 1, 9, 0);
    MEASURE("b1.map-beside", map_one(NEAR, 5, 0));
    MEASURE("b1.unmap-beside", unmap_one(NEAR, 0));
    unmap_one(NEAR + 1, 0);
    flush_all();
}

static void one_call(void)
{
    look_away();
    MEASURE_WITH_FLUSH("b2.map", map_run(NEAR, 0x5001, COUNT));
    check_run(NEAR, 0x5001, COUNT);
    look_away();
    MEASURE_WITH_FLUSH("b2.unmap", unmap_run(NEAR, COUNT));
    check_run_absent(NEAR, COUNT);
}

static void scattered_frames(void)
{
    fill_list(NEAR, 1, 0x2000);
    look_away();
    MEASURE_WITH_FLUSH("b3.map", map_list());
    check_list();
    fill_list(NEAR, 1, 0x3000);
    look_away();
    MEASURE_WITH_FLUSH("b3.replace", map_list());
    check_list();
    look_away();
    MEASURE_WITH_FLUSH("b3.unmap", unmap_run(NEAR, COUNT));
    check_list_absent();
    look_away();
    MEASURE("b3.map-singly", map_singly());
    check_list();
    look_away();
    MEASURE("b3.unmap-singly", unmap_singly());
    check_list_absent();
    flush_all();
}

static void scattered_bfns(void)
{
    fill_list(APART, 5, 0x2000);
    look_away();
    MEASURE_WITH_FLUSH("b3.map-apart", map_list());
    check_list();
    look_away();
    MEASURE_WITH_FLUSH("b3.unmap-apart", unmap_list());
    check_list_absent();
}

/* The same within the gigabyte of the 2 MiB cases, as look_away() is within that of the others. */
static void look_away_there(void)
{
    map_one(LARGE + 5 * BLOCK + 3, 1, 0);
    flush_all();
}

static void superpages(void)
{
    const uint64_t middle = LARGE + GIB / 2;

    look_away_there();
    MEASURE_WITH_FLUSH("b4.map-one", map_one(LARGE + BLOCK, 0x80200, 9));
    check_run(LARGE + BLOCK, 0x80200, BLOCK);
    look_away_there();
    MEASURE_WITH_FLUSH("b4.unmap-one", unmap_one(LARGE + BLOCK, 9));
    check_run_absent(LARGE + BLOCK, BLOCK);
    look_away();
    MEASURE_WITH_FLUSH("b4.map", map_run(middle, 0x60000, GIB / 2));
    check_run(middle, 0x60000, GIB / 2);
    look_away();
    MEASURE_WITH_FLUSH("b4.unmap", unmap_run(middle, GIB / 2));
    check_run_absent(middle, GIB / 2);
    look_away();
    MEASURE_WITH_FLUSH("b4.map-order", map_one(middle, 0x60000, 17));
    check_run(middle, 0x60000, GIB / 2);
    look_away();
    MEASURE_WITH_FLUSH("b4.unmap-order", unmap_one(middle, 17));
    check_run_absent(middle, GIB / 2);
}

static void map_block(uint64_t bfn, uint64_t mfn)
{
    for (uint32_t i = 0; i < BLOCK; i++)
        map_one(bfn + i, mfn + i, 0);
}

static void complete_and_split(void)
{
    uint64_t bfn = LARGE + 2 * BLOCK, mfn = 0x80400;
    uint32_t tables = iommu_tables_used(context);

    look_away();
    MEASURE_WITH_FLUSH("b6.map", map_block(bfn, mfn));
    check_run(bfn, mfn, BLOCK);
    bench_check(iommu_tables_used(context) == tables, "512 maps did not make one leaf");
    look_away();
    MEASURE_WITH_FLUSH("b6.split", unmap_one(bfn + 16, 0));
    check_run(bfn, mfn, 16);
    check_absent(bfn + 16);
    check_run(bfn + 17, mfn + 17, BLOCK - 17);
    unmap_one(bfn, 9);
    flush_all();
}

static void sparse(void)
{
    fill_list(SPARSE, 2 * BLOCK, 0x2000);
    look_away();
    MEASURE_WITH_FLUSH("b8.map", map_list());
    check_list();
    look_away();
    MEASURE_WITH_FLUSH("b8.unmap", unmap_list());
    check_list_absent();
}

/* 4 MiB of frames that do not merge, in a tree that has its root alone. */
static void cold(void)
{
    start();
    MEASURE_WITH_FLUSH("b5.map", map_run(COLD, 0x500001, 2 * BLOCK));
    check_run(COLD, 0x500001, 2 * BLOCK);
    MEASURE_WITH_FLUSH("b5.unmap", unmap_run(COLD, 2 * BLOCK));
    check_run_absent(COLD, 2 * BLOCK);
    bench_check(iommu_tables_used(context) == 1, "tables were left");
}

/* Table pages of 1 GiB: of frames that do not merge into 2 MiB, and of 2 MiB that do not merge into 1 GiB. */
static void gibibytes(void)
{
    start();
    MEASURE_WITH_FLUSH("gib.4k", map_run(COLD, 0x500001, GIB));
    check_run(COLD, 0x500001, GIB);
    MEASURE_WITH_FLUSH("gib.2m", map_run(COLD + GIB, 0x600200, GIB));
    check_run(COLD + GIB, 0x600200, GIB);
    unmap_run(COLD, 2 * GIB);
    flush_all();
    check_run_absent(COLD, 2 * GIB);
}

int main(void)
{
    static const struct bench_machine machines[] = {
        {"intel", IOMMU_VENDOR_VTD, true},
        {"intel", IOMMU_VENDOR_VTD, false},
        {"amd", IOMMU_VENDOR_AMDVI, true},
        {"amd", IOMMU_VENDOR_AMDVI, false},
    };

    for (machine = machines; machine < machines + sizeof machines / sizeof machines[0]; machine++) {
        start_warm();
        MEASURE("nothing", (void)0);
        one_page();
        one_call();
        scattered_frames();
        scattered_bfns();
        superpages();
        complete_and_split();
        sparse();
        cold();
        gibibytes();
    }
    return 0;
}

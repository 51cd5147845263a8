/* SPDX-License-Identifier: MIT */
/*
 * Instructions of the map/unmap engine, counted by callgrind: each case ends in a dump that carries its name.
 * Runs under callgrind alone (tests/bench/engine.py); by itself it only checks that the cases work.
 *
 * The vendor's part is left out: invalidations cost nothing here and are counted elsewhere. Case "nothing" is
 * what the counting itself adds to every other.
 */
#include "drivers/iommu/driver.h"
#include "drivers/iommu/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#define FRAMES    4096u
#define FIRST_MFN 0x100000u
#define RW        (IOMMU_READ | IOMMU_WRITE)
#define COUNT     256u
#define BASE      0x1003u /* not aligned to anything */

static _Alignas(4096) uint8_t memory[FRAMES << 12];
static uint64_t next_frame;
static struct iommu_context *context;
static struct iommu_flush flush;
static uint64_t scattered[COUNT];

/* ---- host.h and a vendor without hardware ---- */

extern const struct page_format vtd_page_format;
static bool coherent;

uint64_t host_frames_alloc(uint64_t count)
{
    uint64_t first = next_frame;

    next_frame += count;
    return next_frame <= FRAMES ? FIRST_MFN + first : 0;
}
void host_frames_free(uint64_t mfn, uint64_t count)
{
    (void)mfn, (void)count;
}
void *host_frame_address(uint64_t mfn)
{
    return memory + ((mfn - FIRST_MFN) << 12);
}
void host_frames_release(const struct iommu_frames *frames, uint32_t runs)
{
    (void)frames, (void)runs;
}
uint32_t host_pci_read(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes)
{
    (void)segment, (void)id, (void)offset, (void)bytes;
    return UINT32_MAX;
}
void host_pci_write(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    (void)segment, (void)id, (void)offset, (void)bytes, (void)value;
}

static int init(const struct iommu_setup *setup, struct iommu_limits *limits)
{
    (void)setup;
    *limits = (struct iommu_limits){.levels = 4,
                                    .levels_max = 4,
                                    .leaf_level = 3,
                                    .address_bits = 48,
                                    .coherent = coherent,
                                    .domains = 65536};
    return 0;
}
static void no_ranges(uint8_t address_bits)
{
    (void)address_bits;
}

bool iommu_reserve_is_refused(uint16_t segment, uint16_t id)
{
    (void)segment, (void)id;
    return false;
}

static int nothing(void)
{
    return 0;
}
static int attach(struct iommu_context *one, uint16_t segment, uint16_t requester_id)
{
    (void)segment, (void)requester_id;
    one->units = 1;
    return 0;
}
static void invalidate(uint32_t unit, const struct iommu_plan *plan)
{
    (void)unit, (void)plan;
}
static int wait(uint32_t unit)
{
    (void)unit;
    return 0;
}

const struct iommu_driver vtd_driver = {
    .name = "bench",
    .format = &vtd_page_format,
    .init = init,
    .reserve = no_ranges,
    .enable = nothing,
    .attach = attach,
    .invalidate = invalidate,
    .wait = wait,
};
const struct iommu_driver amdvi_driver = {.name = "none"};

/* ---- cases ---- */

static void check(bool right, const char *what)
{
    if (!right) {
        fprintf(stderr, "engine: %s\n", what);
        exit(1);
    }
}

static void map_scattered(void)
{
    for (uint32_t i = 0; i < COUNT; i++)
        check(iommu_map(context, BASE + i, scattered[i], 0, RW, &flush) == 0, "map");
}

static void map_block(void)
{
    for (uint32_t i = 0; i < 512; i++)
        check(iommu_map(context, 0x40200 + i, 0x80200 + i, 0, RW, &flush) == 0, "map");
}

static void unmap_consecutive(void)
{
    for (uint32_t i = 0; i < COUNT; i++)
        check(iommu_unmap(context, BASE + i, 0, &flush) == 0, "unmap");
}

#define MEASURE(name, code)                                                                                  \
    do {                                                                                                     \
        CALLGRIND_ZERO_STATS;                                                                                \
        code;                                                                                                \
        CALLGRIND_DUMP_STATS_AT(name);                                                                       \
    } while (0)

/* Tables stay in place: something else is mapped in each of them. */
static void open_context(bool is_coherent)
{
    const struct iommu_setup setup = {.vendor = IOMMU_VENDOR_VTD, .physical_bits = 46};

    coherent = is_coherent;
    next_frame = 0;
    memset(memory, 0, sizeof memory);
    check(iommu_init(&setup) == 0 && iommu_context_create(&context, 2048) == 0 &&
              iommu_attach(context, 0, 0) == 0,
          "start");
    iommu_flush_begin(&flush, context);
    check(iommu_map(context, BASE + COUNT + 1, 1, 0, RW, &flush) == 0, "map");
    check(iommu_map(context, 0x9000, 1, 0, RW, &flush) == 0, "map");
    check(iommu_flush(&flush) == 0, "flush");
}

int main(void)
{
    uint64_t done;

    for (uint32_t i = 0; i < COUNT; i++)
        scattered[i] = 0x2000 + i * 37 % COUNT;

    open_context(true);
    MEASURE("nothing", (void)0);
    MEASURE("map 1", iommu_map(context, BASE, 5, 0, RW, &flush));
    MEASURE("unmap 1", iommu_unmap(context, BASE, 0, &flush));
    MEASURE("flush of 1", iommu_flush(&flush));
    MEASURE("map 256 in one run", iommu_map_run(context, BASE, 0x5001, COUNT, RW, &flush, &done));
    MEASURE("unmap 256", unmap_consecutive());
    MEASURE("flush of 256", iommu_flush(&flush));
    MEASURE("map 256 scattered frames", map_scattered());
    MEASURE("replace 256", map_scattered());
    check(iommu_flush(&flush) == 0, "flush");
    MEASURE("map 512 MiB cold", iommu_map_run(context, 0x100000, 0x100000, 131072, RW, &flush, &done));
    check(done == 131072, "run");

    check(iommu_map(context, 0x40000, 0x40001, 0, RW, &flush) == 0, "map"); /* the upper tables stay */
    MEASURE("map 2 MiB", iommu_map(context, 0x40200, 0x80200, 9, RW, &flush));
    MEASURE("unmap 2 MiB", iommu_unmap(context, 0x40200, 9, &flush));
    MEASURE("map 256 times 2 MiB", iommu_map(context, 0x60000, 0x60000, 17, RW, &flush));
    MEASURE("unmap 256 times 2 MiB", iommu_unmap(context, 0x60000, 17, &flush));
    check(iommu_flush(&flush) == 0, "flush");
    MEASURE("map 512 that make a leaf", map_block());
    MEASURE("unmap 1 that splits a leaf", iommu_unmap(context, 0x40210, 0, &flush));
    check(iommu_flush(&flush) == 0, "flush");

    open_context(false);
    MEASURE("map 256 scattered frames, not coherent", map_scattered());
    MEASURE("unmap 256, not coherent", unmap_consecutive());
    return 0;
}

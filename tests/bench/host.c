/* SPDX-License-Identifier: MIT */
#include "tests/bench/host.h"

#include "drivers/iommu/driver.h"
#include "drivers/iommu/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES    4096u
#define FIRST_MFN 0x100000u
#define LINE      64u

#define LARGEST_ORDER 18u /* of a block that one descriptor names: 1 GiB, as most units can */

static _Alignas(4096) uint8_t memory[FRAMES << 12];
static uint64_t next_frame;
static bool coherent;

struct bench_counts bench_counts;

void bench_check(bool right, const char *what)
{
    if (!right) {
        fprintf(stderr, "engine: %s\n", what);
        exit(1);
    }
}

/* ---- what is counted ---- */

#ifdef SLUICE_HOST_TEST
#define COUNT(what, number) (bench_counts.what += (number))

void host_store64(uint64_t *address, uint64_t value)
{
    COUNT(stores, 1);
    *(volatile uint64_t *)address = value;
}

void host_cache_flush(const volatile void *address, size_t size)
{
    uintptr_t first = (uintptr_t)address / LINE, last = ((uintptr_t)address + size - 1) / LINE;

    COUNT(line_flushes, last - first + 1);
}
#else
#define COUNT(what, number) ((void)0)
#endif

/* ---- host.h ---- */

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
void host_frames_release(const struct iommu_frames *frames, uint32_t runs, uint64_t address_mask,
                         uint32_t flags)
{
    (void)frames, (void)runs, (void)address_mask, (void)flags;
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

/* ---- a vendor without hardware, with either format ---- */

extern const struct page_format vtd_page_format, amdvi_page_format;

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
    COUNT(descriptors, plan->count != 0 && plan->order_max <= LARGEST_ORDER ? plan->count : 1);
}
static int wait(uint32_t unit)
{
    (void)unit;
    COUNT(waits, 1);
    return 0;
}

static int forget_page(uint32_t unit, uint16_t domain, uint64_t bfn)
{
    (void)unit, (void)domain, (void)bfn;
    COUNT(descriptors, 1);
    COUNT(waits, 1);
    return 0;
}

#define WITHOUT_HARDWARE                                                                                     \
    .init = init, .reserve = no_ranges, .enable = nothing, .attach = attach, .invalidate = invalidate,       \
    .forget_page = forget_page, .wait = wait

const struct iommu_driver vtd_driver = {.name = "VT-d", .format = &vtd_page_format, WITHOUT_HARDWARE};
const struct iommu_driver amdvi_driver = {.name = "AMD-Vi", .format = &amdvi_page_format, WITHOUT_HARDWARE};

struct iommu_context *bench_context(const struct bench_machine *machine, uint32_t quota)
{
    const struct iommu_setup setup = {.vendor = machine->vendor, .physical_bits = 46};
    struct iommu_context *context = NULL;

    coherent = machine->coherent;
    next_frame = 0;
    memset(memory, 0, sizeof memory);
    bench_check(iommu_init(&setup) == 0 && iommu_context_create(&context, quota) == 0 &&
                    iommu_attach(context, 0, 0) == 0 &&
                    iommu_driver()->format ==
                        (machine->vendor == IOMMU_VENDOR_VTD ? &vtd_page_format : &amdvi_page_format),
                "no context");
    return context;
}

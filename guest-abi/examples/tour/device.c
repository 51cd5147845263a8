/* SPDX-License-Identifier: MIT */
/* The edu device's stations: what arrives, and above all what does not. */
#include "tour.h"

#include "kit/bus.h"
#include "kit/edu.h"
#include "kit/iommu.h"

#define POISON_BYTE 0xa5

static struct edu edu;
static bool opened;
static struct frame source, sink; /* always mapped for the device: what it writes comes from, and goes to */
static uint64_t source_bus, sink_bus;

bool device_open(void)
{
    if (!edu_open(&edu, 0))
        return false;
    source = frame_get();
    sink = frame_get();
    source_bus = bus_address(source.pfn);
    sink_bus = bus_address(sink.pfn);
    if (source_bus == NO_BUS || sink_bus == NO_BUS)
        report_failure("tour: edu's two working pages cannot be mapped: %ld", bus_error);
    printk("tour: edu is " PCI_FORMAT "\n", PCI_SHOW(edu.id));
    opened = true;
    return true;
}

bool device_is_here(void)
{
    return opened;
}

/* ---- patterns ---- */

void fill_poison(uint8_t *page)
{
    memset(page, POISON_BYTE, PAGE_SIZE);
}

bool is_poison(const uint8_t *page, uint32_t from, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        if (page[from + i] != POISON_BYTE)
            return false;
    return true;
}

/* Bytes with bit 0 clear, so that they are never a present page-table entry. */
static uint8_t pattern(uint32_t seed, uint32_t index)
{
    return (uint8_t)(((seed * 2654435761u >> 8) + index * 29 + 0x33) << 1);
}

void fill_payload(uint8_t *bytes, uint32_t seed)
{
    for (uint32_t i = 0; i < PAYLOAD; i++)
        bytes[i] = pattern(seed, i);
}

bool is_payload(const uint8_t *bytes, uint32_t seed)
{
    for (uint32_t i = 0; i < PAYLOAD; i++)
        if (bytes[i] != pattern(seed, i))
            return false;
    return true;
}

/* ---- what the device does ---- */

static bool preset_device(uint32_t seed)
{
    fill_payload(source.page, seed);
    return edu_load(&edu, source_bus, 0, PAYLOAD);
}

bool device_starts_write(uint64_t bus_address, uint32_t seed)
{
    return preset_device(seed) && edu_start_store(&edu, bus_address, 0, PAYLOAD);
}

bool device_starts_read(uint64_t bus_address, uint32_t preset)
{
    return preset_device(preset) && edu_start_load(&edu, bus_address, 0, PAYLOAD);
}

bool device_is_busy(void)
{
    return edu_is_busy(&edu);
}

bool device_finishes(void)
{
    return edu_finish(&edu);
}

bool device_shows(uint8_t *got)
{
    fill_poison(sink.page);
    bool done = edu_store(&edu, sink_bus, 0, PAYLOAD);
    memcpy(got, sink.page, PAYLOAD);
    return done;
}

bool device_writes(uint64_t bus_address, uint32_t seed)
{
    return device_starts_write(bus_address, seed) && device_finishes();
}

bool device_reads(uint64_t bus_address, uint32_t preset, uint8_t *got)
{
    return device_starts_read(bus_address, preset) && device_finishes() && device_shows(got);
}

bool device_is_cut_off(void)
{
    uint8_t got[PAYLOAD];
    return device_reads(source_bus, 1, got) && is_poison(got, 0, PAYLOAD);
}

/* ---- stations ---- */

static bool writes_and_reads(uint8_t *at, uint64_t bus, uint32_t seed)
{
    uint8_t got[PAYLOAD];
    if (!device_writes(bus, seed) || !is_payload(at, seed))
        return refute("the write did not arrive");
    fill_payload(at, seed + 1);
    if (!device_reads(bus, seed + 2, got) || !is_payload(got, seed + 1))
        return refute("the device read something else");
    return true;
}

bool device_direct(void)
{
    struct frame frame = frame_get();
    fill_poison(frame.page);
    return writes_and_reads(frame.page, frame.mfn << PAGE_SHIFT, 1);
}

bool device_page_edge(void)
{
    struct frame low = frame_get(), high = frame_get();
    while (high.mfn == low.mfn + 1)
        high = frame_get();
    uint64_t mfns[2] = {low.mfn, high.mfn};
    uint64_t bfn = bus_map(mfns, 2, IOMMU_RW);
    if (bfn == NO_BUS)
        return refute("mapping the two pages gave %ld", bus_error);
    const uint32_t before = 24, edge = (uint32_t)PAGE_SIZE - before, after = PAYLOAD - before;
    uint64_t bus = (bfn << PAGE_SHIFT) + edge;
    uint8_t joined[PAYLOAD], got[PAYLOAD];

    remark("bus 0x%lx is machine frame 0x%lx, the next one 0x%lx", bfn << PAGE_SHIFT, low.mfn, high.mfn);
    fill_poison(low.page);
    fill_poison(high.page);
    if (!device_writes(bus, 10))
        return refute("the device did not finish");
    memcpy(joined, low.page + edge, before);
    memcpy(joined + before, high.page, after);
    if (!is_payload(joined, 10))
        return refute("the bytes did not arrive on both sides");
    if (!is_poison(low.page, 0, edge) || !is_poison(high.page, after, (uint32_t)PAGE_SIZE - after))
        return refute("bytes arrived outside");
    fill_payload(joined, 11);
    memcpy(low.page + edge, joined, before);
    memcpy(high.page, joined + before, after);
    return (device_reads(bus, 12, got) && is_payload(got, 11)) || refute("the device read something else");
}

bool device_unmapped(void)
{
    struct frame frame = frame_get();
    uint8_t got[PAYLOAD];
    long status = iommu_unmap_one(frame.mfn);
    if (status)
        return refute("unmapping gave %ld", status);
    uint64_t bus = frame.mfn << PAGE_SHIFT;
    fill_poison(frame.page);
    if (!device_writes(bus, 20))
        return refute("the device did not finish");
    if (!is_poison(frame.page, 0, (uint32_t)PAGE_SIZE))
        return refute("the write arrived");
    fill_payload(frame.page, 21);
    if (!device_reads(bus, 22, got))
        return refute("the device did not finish");
    return !is_payload(got, 21) || refute("the device read the page");
}

static uint64_t map_one(const struct frame *frame, uint32_t flags)
{
    uint64_t bfn = bus_map(&frame->mfn, 1, flags);
    if (bfn == NO_BUS)
        refute("mapping gave %ld", bus_error);
    return bfn;
}

bool device_read_only(void)
{
    struct frame frame = frame_get();
    uint8_t got[PAYLOAD];
    uint64_t bfn = map_one(&frame, IOMMU_MAP_OP_readable);
    if (bfn == NO_BUS)
        return false;
    fill_poison(frame.page);
    /* The write comes first: QEMU blocks a write to an entry it has cached as read-only without a record. */
    if (!device_writes(bfn << PAGE_SHIFT, 30))
        return refute("the device did not finish");
    if (!is_poison(frame.page, 0, (uint32_t)PAGE_SIZE))
        return refute("the write arrived");
    fill_payload(frame.page, 31);
    return (device_reads(bfn << PAGE_SHIFT, 32, got) && is_payload(got, 31)) ||
           refute("reading did not work");
}

bool device_remapped(void)
{
    struct frame old = frame_get(), new = frame_get();
    uint64_t bfn = map_one(&old, IOMMU_RW);
    if (bfn == NO_BUS)
        return false;
    fill_poison(old.page);
    fill_poison(new.page);
    if (!device_writes(bfn << PAGE_SHIFT, 40) || !is_payload(old.page, 40))
        return refute("the first write did not arrive");
    long status = iommu_map_one(bfn, new.mfn, IOMMU_RW);
    if (status)
        return refute("mapping over it gave %ld", status);
    if (!device_writes(bfn << PAGE_SHIFT, 41))
        return refute("the device did not finish");
    if (!is_payload(old.page, 40))
        return refute("the second write landed in the old frame");
    return is_payload(new.page, 41) || refute("the second write did not arrive in the new frame");
}

bool device_unmapped_after_use(void)
{
    struct frame frame = frame_get();
    uint64_t bfn = map_one(&frame, IOMMU_RW);
    if (bfn == NO_BUS)
        return false;
    fill_poison(frame.page);
    if (!device_writes(bfn << PAGE_SHIFT, 50) || !is_payload(frame.page, 50))
        return refute("the first write did not arrive");
    /* The next transfer's bytes are in the device before the page goes, so that nothing lies in between. */
    if (!preset_device(51))
        return refute("the device did not finish");
    long status = iommu_unmap_one(bfn);
    if (status)
        return refute("unmapping gave %ld", status);
    if (!edu_store(&edu, bfn << PAGE_SHIFT, 0, PAYLOAD))
        return refute("the device did not finish");
    return is_payload(frame.page, 50) || refute("the write after the unmap arrived: a stale translation");
}

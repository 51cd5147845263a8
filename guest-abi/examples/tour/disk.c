/* SPDX-License-Identifier: MIT */
/* The disk's stations: who it is, and 1 MiB of it by DMA into scattered frames. Nothing here writes to a
 * disk. */
#include "tour.h"

#include "kit/bus.h"
#include "kit/iommu.h"

#define READ_FRAMES    256u         /* 1 MiB */
#define COMMAND_BYTES  (512u << 10) /* the most QEMU's controller takes in one command */
#define COMPARE_FRAMES 64u
#define POISON         0x5a17ed15c0ffee00ul

/* Frames in an order in which neighbours are far apart, whatever the P2M's layout is. */
static void take_scattered(struct frame *frames, uint64_t *mfns, uint32_t count)
{
    uint32_t stride = count % 97 ? 97 : 89; /* primes: every place is visited once */
    for (uint32_t i = 0; i < count; i++)
        frames[i * stride % count] = frame_get();
    for (uint32_t i = 0; i < count; i++)
        mfns[i] = frames[i].mfn;
}

static uint32_t neighbours(const uint64_t *mfns, uint32_t count)
{
    uint32_t n = 0;
    for (uint32_t i = 1; i < count; i++)
        n += mfns[i] == mfns[i - 1] + 1;
    return n;
}

static void poison(const struct frame *frames, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t word = 0; word < PAGE_SIZE / 8; word++)
            ((uint64_t *)(void *)frames[i].page)[word] = POISON ^ i;
}

static bool all_poison(const struct frame *frame, uint32_t index)
{
    for (uint32_t word = 0; word < PAGE_SIZE / 8; word++)
        if (((const uint64_t *)(const void *)frame->page)[word] != (POISON ^ index))
            return false;
    return true;
}

/* Reads count pages from page first_page of the disk to the bus pages given. */
static bool read_pages(uint64_t first_page, const uint64_t *pages, uint32_t count, bool one_descriptor)
{
    uint32_t max = disk_now()->max_bytes;
    uint32_t most = (max < COMMAND_BYTES ? max : COMMAND_BYTES) / PAGE_SIZE;
    for (uint32_t done = 0; done < count;) {
        uint32_t piece = count - done < most ? count - done : most;
        long status = disk_read_pages(first_page + done, piece, pages + done, one_descriptor);
        if (status)
            return refute("the read command ended with %ld", status);
        done += piece;
    }
    return true;
}

/* Bus addresses of the pages: one contiguous range of BFNs when steered, the machine's otherwise. */
static bool choose_addresses(const uint64_t *mfns, uint32_t count, uint64_t *pages)
{
    uint64_t first = 0;
    if (bus_steered()) {
        first = bus_map(mfns, count, IOMMU_RW);
        if (first == NO_BUS)
            return refute("mapping the range gave %ld", bus_error);
    }
    for (uint32_t i = 0; i < count; i++)
        pages[i] = (bus_steered() ? first + i : mfns[i]) << PAGE_SHIFT;
    return true;
}

/* Reads it all again, another way: page by page, to other frames in the opposite order. */
static bool compare_second_read(const struct frame *frames, uint32_t count)
{
    static struct frame again[COMPARE_FRAMES];
    static uint64_t mfns[COMPARE_FRAMES], pages[COMPARE_FRAMES];
    for (uint32_t i = 0; i < COMPARE_FRAMES; i++) {
        again[i] = frame_get();
        mfns[COMPARE_FRAMES - 1 - i] = again[i].mfn;
    }
    if (!choose_addresses(mfns, COMPARE_FRAMES, pages))
        return false;
    for (uint32_t i = 0; i < COMPARE_FRAMES / 2; i++) {
        uint64_t page = pages[i];
        pages[i] = pages[COMPARE_FRAMES - 1 - i];
        pages[COMPARE_FRAMES - 1 - i] = page;
    }
    for (uint32_t at = 0; at < count; at += COMPARE_FRAMES) {
        uint32_t piece = count - at < COMPARE_FRAMES ? count - at : COMPARE_FRAMES;
        poison(again, piece);
        if (!read_pages(at, pages, piece, false))
            return false;
        for (uint32_t i = 0; i < piece; i++)
            if (memcmp(again[i].page, frames[at + i].page, PAGE_SIZE) != 0)
                return refute("a second read brought other data to page %u", at + i);
    }
    return true;
}

static void say_how(uint32_t count, uint64_t first, const uint64_t *mfns)
{
    if (bus_steered())
        remark("%u frames, %u of them next to the one before, became one bus range from 0x%lx", count,
               neighbours(mfns, count), first);
    else
        remark("%u frames, %u of them next to the one before, by a list of machine addresses", count,
               neighbours(mfns, count));
}

bool disk_identify(void)
{
    const struct disk *disk = disk_now();
    remark("%s " PCI_FORMAT ": %s, %lu blocks of %u bytes", disk->kind, PCI_SHOW(disk->id), disk->model,
           disk->blocks, disk->block_size);
    return true;
}

bool disk_read(void)
{
    static struct frame frames[READ_FRAMES];
    static uint64_t mfns[READ_FRAMES], pages[READ_FRAMES];
    uint64_t disk_pages = disk_now()->pages;
    uint32_t count = disk_pages < READ_FRAMES ? (uint32_t)disk_pages : READ_FRAMES;
    take_scattered(frames, mfns, count);
    poison(frames, count);
    if (!choose_addresses(mfns, count, pages))
        return false;
    say_how(count, pages[0], mfns);
    bool one_descriptor = bus_steered() && disk_now()->sgl;
    remark("each command names its memory by %s",
           one_descriptor ? "one scatter-gather descriptor" : "a list of pages");
    if (!read_pages(0, pages, count, one_descriptor))
        return false;
    uint32_t crc = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (all_poison(&frames[i], i))
            return refute("nothing arrived in page %u", i);
        crc = crc32(crc, frames[i].page, PAGE_SIZE);
    }
    printk("tour: disk crc32 %08x over %u bytes from LBA 0\n", crc, count * (uint32_t)PAGE_SIZE);
    return compare_second_read(frames, count);
}

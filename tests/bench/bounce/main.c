/* SPDX-License-Identifier: MIT */
/*
 * What it takes to have a device fill scattered frames, in ticks of the time-stamp counter; under -icount a
 * tick count is an instruction count. Two ways:
 *
 *   mapped    the frames are mapped at consecutive BFNs, the disk reads into them, they are unmapped and
 * flushed; bounced   the disk reads into a buffer that stays mapped, and the guest copies that into the
 * frames.
 *
 * Prints lines "bounce: PART PAGES TICKS", the least of several tries. What the guest spends on the device's
 * command and on its completion is counted in both ways; waiting in between is not, since it depends on the
 * host's disk. What arrived is compared with the disk's contents each time, and those with the host's file by
 * a checksum.
 */
#include "copy.h"

#include "kit/bus.h"
#include "kit/guest.h"
#include "kit/iommu.h"
#include "kit/nvme.h"
#include "kit/time.h"

#define TRIES         3u
#define PAGES         1024u /* 4 MiB, the disk */
#define STRIDE        97u /* from one frame of a list to the next, in a circle of PAGES: a prime visits all */
#define COMMAND_PAGES 128u /* the most QEMU's controller takes in one command is 512 KiB */
#define POISON        0x6e6f7468696e6721ul

typedef uint8_t page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static page scattered[PAGES]; /* used in an order in which no neighbours follow each other */
static page buffer[PAGES];    /* mapped from the start */
static page truth[PAGES];     /* what the disk holds */

static uint8_t *target[PAGES]; /* the scattered pages in their order, and their frames */
static uint64_t target_mfn[PAGES];
static struct iommu_map_op ops[PAGES];
static uint64_t target_bfn, buffer_bfn;

static struct nvme disk;
static uint64_t empty; /* what counting takes */

/* ---- the device ---- */

static uint64_t since(uint64_t start)
{
    return rdtsc() - start - empty;
}

static void wait_for_one(void)
{
    uint64_t deadline = deadline_after(DEVICE_DEADLINE_MS);
    while (!nvme_has_finished(&disk))
        if (deadline_passed(deadline))
            report_error("bounce: the disk does not answer");
}

/* Reads the disk's first pages to BFNs from bfn on. The ticks that the driver took. */
static uint64_t use(uint64_t bfn, uint32_t pages)
{
    uint32_t commands = 0;
    uint64_t start = rdtsc();
    for (uint32_t at = 0; at < pages; at += COMMAND_PAGES, commands++) {
        uint32_t piece = pages - at < COMMAND_PAGES ? pages - at : COMMAND_PAGES;
        uint64_t lba = (uint64_t)at * (PAGE_SIZE / disk.block_size);
        EXPECT_RETURN(nvme_start_sgl(&disk, lba, piece * (uint32_t)PAGE_SIZE, (bfn + at) << PAGE_SHIFT), 0);
    }
    uint64_t ticks = since(start);
    while (commands--) {
        wait_for_one();
        start = rdtsc();
        EXPECT_RETURN(nvme_finish(&disk), 0);
        ticks += since(start);
    }
    return ticks;
}

/* ---- what arrived ---- */

static bool same_page(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    for (uint32_t i = 0; i < PAGE_SIZE / sizeof(*a); i++)
        if (a[i] != b[i])
            return false;
    return true;
}

static void spoil(void *pages, uint32_t count)
{
    uint64_t words = count * PAGE_SIZE / sizeof(uint64_t);
    __asm__ volatile("rep stosq" : "+D"(pages), "+c"(words) : "a"(POISON) : "memory");
}

static void spoil_targets(uint32_t pages)
{
    for (uint32_t i = 0; i < pages; i++)
        spoil(target[i], 1);
}

static void judge(const char *way, uint32_t pages)
{
    for (uint32_t i = 0; i < pages; i++)
        EXPECT(same_page(target[i], truth[i]), "bounce: %s: page %u of %u is not what the disk holds", way, i,
               pages);
}

/* ---- the two ways ---- */

struct costs {
    uint64_t map, use, unmap;
    uint64_t use_bounced, copy[COPY_WAYS];
};

static void keep_least(uint64_t *least, uint64_t ticks)
{
    if (ticks < *least)
        *least = ticks;
}

static uint64_t map(uint32_t pages)
{
    uint64_t start = rdtsc();
    for (uint32_t i = 0; i < pages; i++)
        ops[i] = (struct iommu_map_op){target_bfn + i, target_mfn[i], IOMMU_RW, STATUS_NOT_REACHED};
    long result = iommu_op(IOMMUOP_map_page, ops, pages);
    uint64_t ticks = since(start);
    EXPECT_RETURN(result, 0);
    return ticks;
}

static uint64_t unmap(uint32_t pages)
{
    uint64_t start = rdtsc();
    long result = iommu_op(IOMMUOP_unmap_page, ops, pages);
    uint64_t ticks = since(start);
    EXPECT_RETURN(result, 0);
    return ticks;
}

static void mapped(uint32_t pages, struct costs *least)
{
    spoil_targets(pages);
    keep_least(&least->map, map(pages));
    keep_least(&least->use, use(target_bfn, pages));
    keep_least(&least->unmap, unmap(pages));
    judge("mapped", pages);
}

static uint64_t copy(void (*copy_page)(void *to, const void *from), uint32_t pages)
{
    uint64_t start = rdtsc();
    for (uint32_t i = 0; i < pages; i++)
        copy_page(target[i], buffer[i]);
    return since(start);
}

static void bounced(uint32_t pages, struct costs *least)
{
    for (uint32_t i = 0; i < COPY_WAYS; i++) {
        spoil_targets(pages);
        spoil(buffer, pages);
        keep_least(&least->use_bounced, use(buffer_bfn, pages));
        keep_least(&least->copy[i], copy(copy_ways[i].copy_page, pages));
        judge(copy_ways[i].name, pages);
    }
}

static void measure(uint32_t pages)
{
    struct costs least;
    memset(&least, 0xff, sizeof(least));
    for (uint32_t i = 0; i < TRIES; i++) {
        mapped(pages, &least);
        bounced(pages, &least);
    }
    printk("bounce: map %u %lu\n", pages, least.map);
    printk("bounce: use %u %lu\n", pages, least.use);
    printk("bounce: unmap %u %lu\n", pages, least.unmap);
    printk("bounce: use-bounced %u %lu\n", pages, least.use_bounced);
    for (uint32_t i = 0; i < COPY_WAYS; i++)
        printk("bounce: copy-%s %u %lu\n", copy_ways[i].name, pages, least.copy[i]);
}

/* ---- before it begins ---- */

static void map_for_good(const page *pages, uint64_t bfn)
{
    for (uint32_t i = 0; i < PAGES; i++)
        ops[i] = (struct iommu_map_op){bfn + i, virt_to_mfn(pages[i]), IOMMU_RW, STATUS_NOT_REACHED};
    EXPECT_RETURN(iommu_op(IOMMUOP_map_page, ops, PAGES), 0);
}

/* The host compares the checksum with the disk's file. */
static void learn_truth(void)
{
    uint64_t bfn = bus_reserve(PAGES);
    spoil(truth, PAGES);
    map_for_good(truth, bfn);
    use(bfn, PAGES);
    printk("bounce: disk crc32 %08x over %lu bytes from LBA 0\n", crc32(0, truth, sizeof(truth)),
           sizeof(truth));
    for (uint32_t i = 0; i < PAGES; i++)
        ops[i].bfn = bfn + i;
    EXPECT_RETURN(iommu_op(IOMMUOP_unmap_page, ops, PAGES), 0);
}

static void choose_targets(void)
{
    for (uint32_t i = 0; i < PAGES; i++) {
        target[i] = scattered[i * STRIDE % PAGES];
        target_mfn[i] = virt_to_mfn(target[i]);
    }
}

static uint64_t cost_of_counting(void)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < TRIES; i++) {
        uint64_t start = rdtsc();
        keep_least(&least, rdtsc() - start);
    }
    return least;
}

void guest_main(void)
{
    static const uint32_t sizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 32, 64, 128, 256, 512, PAGES};
    if (!bus_init())
        report_error("bounce: there is no IOMMUOP here");
    if (!copy_ways_work())
        report_error("bounce: this CPU has no AVX");
    const char *trouble = nvme_open(&disk, 0);
    if (trouble || !disk.sgl || disk.blocks * disk.block_size < PAGES * PAGE_SIZE)
        report_error("bounce: no disk that will do: %s", trouble ? trouble : "too small, or no SGLs");
    buffer_bfn = bus_reserve(PAGES);
    target_bfn = bus_reserve(PAGES);
    empty = cost_of_counting();
    choose_targets();
    learn_truth();
    map_for_good(buffer, buffer_bfn);
    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        measure(sizes[i]);
    nvme_close(&disk);
    report_success("bounce: every page arrived both ways");
}

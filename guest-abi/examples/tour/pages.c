/* SPDX-License-Identifier: MIT */
/*
 * The stations of large pages. Nobody asks for one: an element is a page of 4 KiB, and where 512 of them
 * continue each other the hypervisor makes one entry of 2 MiB of them, and no table below it is needed any
 * more. When one of the 512 goes, the table comes back.
 */
#include "tour.h"

#include "kit/bus.h"
#include "kit/iommu.h"
#include "kit/time.h"

#define BLOCK  512u /* pages of a 2 MiB entry */
#define BLOCKS 32u  /* 64 MiB */

/* First machine frames of aligned blocks of 2 MiB that are the guest's. */
static uint64_t blocks[BLOCKS];
static uint32_t found;
static bool large_entries; /* what pages_of_two_sizes() has seen */

/* A page table would be mapped with its write permission withheld, unlike its neighbours. */
static bool is_plain_frame(uint64_t mfn)
{
    uint64_t pfn = mfn_to_pfn(mfn);
    uint64_t first_table = virt_to_pfn((const void *)(uintptr_t)start_info->pt_base);
    return pfn != NO_FRAME && pfn - first_table >= start_info->nr_pt_frames;
}

static bool is_plain_block(uint64_t mfn)
{
    for (uint32_t i = 0; i < BLOCK; i++)
        if (!is_plain_frame(mfn + i))
            return false;
    return true;
}

/* False, with a remark, when no 2 MiB of the guest's memory lie in one piece. */
static bool find_blocks(void)
{
    uint64_t highest = highest_mfn();
    found = 0;
    for (uint64_t mfn = 0; highest != NO_FRAME && mfn + BLOCK - 1 <= highest && found < BLOCKS; mfn += BLOCK)
        if (is_plain_block(mfn))
            blocks[found++] = mfn;
    if (!found)
        remark("but no 2 MiB of my memory lie in one piece: nothing can be shown here");
    return found;
}

static uint64_t reserve_blocks(uint32_t count)
{
    uint64_t first = bus_reserve((count + 1) * BLOCK);
    return first == NO_BUS ? NO_BUS : (first + BLOCK - 1) & ~(uint64_t)(BLOCK - 1);
}

static uint32_t table_pages(void)
{
    struct iommu_query now = {0};
    iommu_query(&now);
    return now.table_used;
}

/* ---- two sizes ---- */

static struct iommu_map_op ops[BLOCK];

/* One block's pages in their order, or each moved on by `turn` places: then they do not continue each other.
 */
static void fill_block(uint64_t bfn, uint64_t mfn, uint32_t turn)
{
    for (uint32_t i = 0; i < BLOCK; i++)
        ops[i] = (struct iommu_map_op){bfn + i, mfn + (i + turn) % BLOCK, IOMMU_RW, STATUS_NOT_REACHED};
}

/* All blocks, by one call each. The ticks in the calls, or 0 after a refusal. */
static uint64_t do_blocks(uint32_t subop, uint64_t bfn, uint32_t turn)
{
    uint64_t ticks = 0;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        fill_block(bfn + i * BLOCK, blocks[i % found], turn);
        uint64_t start = rdtsc();
        long result = iommu_op(subop, ops, BLOCK);
        ticks += rdtsc() - start;
        if (result) {
            refute("block %u gave %ld", i, result);
            return 0;
        }
    }
    return ticks;
}

/* Table pages that the 64 MiB take, mapped in such a way, or UINT32_MAX; says what it took. */
static uint32_t try_size(const char *size, uint64_t bfn, uint32_t turn)
{
    uint64_t unit = ticks_per_instruction(), pages = BLOCKS * BLOCK;
    uint32_t before = table_pages();
    uint64_t map = do_blocks(IOMMUOP_map_page, bfn, turn);
    uint32_t taken = table_pages() - before;
    uint64_t unmap = map ? do_blocks(IOMMUOP_unmap_page, bfn, turn) : 0;
    if (!map || !unmap)
        return UINT32_MAX;
    remark("in pieces of %s: table pages: %u; %s for a page: %lu to map, %lu to unmap", size, taken,
           unit ? "instructions" : "ticks", map / (unit ? unit : 1) / pages,
           unmap / (unit ? unit : 1) / pages);
    if (table_pages() == before)
        return taken;
    refute("table pages are left over: %u, not %u", table_pages(), before);
    return UINT32_MAX;
}

bool pages_of_two_sizes(void)
{
    if (!find_blocks())
        return true;
    uint64_t bfn = reserve_blocks(BLOCKS);
    if (bfn == NO_BUS)
        return refute("there are no bus frames left");
    if (found == BLOCKS)
        remark("%u blocks of 2 MiB, each in one piece, from bus 0x%lx on", BLOCKS, bfn << PAGE_SHIFT);
    else
        remark("only %u blocks of 2 MiB are in one piece: %u stand at bus 0x%lx, some of them again", found,
               BLOCKS, bfn << PAGE_SHIFT);
    uint32_t small = try_size("4 KiB (each page moved on by one place)", bfn, 1);
    uint32_t large = small == UINT32_MAX ? UINT32_MAX : try_size("2 MiB (in their order)", bfn, 0);
    if (large == UINT32_MAX)
        return false;
    large_entries = large != small;
    if (!large_entries)
        remark("so there are no entries of 2 MiB on this machine");
    return !large_entries || large + BLOCKS == small || refute("each block should have saved one table page");
}

/* ---- a split under DMA ---- */

#define EDGE   (PAYLOAD / 2) /* bytes before a page edge */
#define ROUNDS 6u
#define PHASE  400u /* steps between one transfer's beginning and the next's, as changes go */
#define TRIES  16u  /* rounds that may be needed where the device is too quick */

/*
 * A block on the bus with three spare pages side by side: the device's transfer lies across the edge of the
 * first two, which the guest sees at `view`, while the third comes and goes.
 */
struct site {
    uint64_t bfn, mfn; /* of the block */
    uint32_t at;       /* the first of the three pages */
    uint8_t *view;
    bool present;    /* the third page */
    uint32_t whole;  /* table pages while it is there, */
    uint32_t pieces; /* and how many more when it was not, the last time */
};

static bool find_site(struct site *site)
{
    for (uint32_t i = 0; i < found; i++) {
        uint32_t run = 0;
        for (uint32_t at = 0; at < BLOCK; at++) {
            run = frame_is_spare(mfn_to_pfn(blocks[i] + at)) ? run + 1 : 0;
            if (run == 3) {
                site->mfn = blocks[i];
                site->at = at - 2;
                return true;
            }
        }
    }
    remark("but no block has three spare pages side by side: nothing can be shown here");
    return false;
}

static bool open_site(struct site *site)
{
    uint64_t mfns[2] = {site->mfn + site->at, site->mfn + site->at + 1};
    uint32_t before = table_pages();
    site->bfn = reserve_blocks(1);
    site->view = map_frames(mfns, 2, MAP_RAM);
    if (site->bfn == NO_BUS || !site->view)
        return refute("there are no bus frames or no addresses left");
    fill_block(site->bfn, site->mfn, 0);
    long result = iommu_map_array(ops, BLOCK);
    if (result)
        return refute("mapping the block gave %ld", result);
    site->present = true;
    site->whole = table_pages();
    remark("bus frames 0x%lx to 0x%lx are one block; table pages more than before: %u", site->bfn,
           site->bfn + BLOCK - 1, site->whole - before);
    return true;
}

static bool close_site(struct site *site)
{
    unmap_frames(site->view, 2);
    fill_block(site->bfn, site->mfn, 0);
    long result = iommu_unmap_array(ops, BLOCK);
    return !result || refute("unmapping the block gave %ld", result);
}

static uint8_t *target(const struct site *site)
{
    return site->view + PAGE_SIZE - EDGE;
}

static uint64_t target_bus(const struct site *site)
{
    return ((site->bfn + site->at + 1) << PAGE_SHIFT) - EDGE;
}

/* Unmaps the third page, or maps it again. */
static bool flip(struct site *site)
{
    uint64_t bfn = site->bfn + site->at + 2, mfn = site->mfn + site->at + 2;
    long status = site->present ? iommu_unmap_one(bfn) : iommu_map_one(bfn, mfn, IOMMU_RW);
    if (status)
        return refute("%s the page gave %ld", site->present ? "unmapping" : "mapping", status);
    site->present = !site->present;
    struct iommu_map_op op = {.bfn = bfn, .status = STATUS_NOT_REACHED};
    iommu_lookup(&op);
    if (op.status != (site->present ? 0 : -ENOENT))
        return refute("lookup of the page says %d", op.status);
    uint32_t more = table_pages() - site->whole;
    if (!site->present)
        site->pieces = more;
    return !site->present || !more || refute("the block is whole again, but its table is still there");
}

static void idle(uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++)
        __asm__ volatile("");
}

/*
 * Again and again, until the device is done; *flips counts. The page is there in the end. When instructions
 * are counted every transfer takes equally many: each begins a little later than the one before, so that they
 * do not all end at the same point of a change.
 */
static bool flip_while_busy(struct site *site, uint32_t *flips)
{
    static uint32_t transfer;
    idle(transfer++ * PHASE);
    uint64_t deadline = deadline_after(DEVICE_DEADLINE_MS);
    for (*flips = 0; device_is_busy(); ++*flips) {
        if (deadline_passed(deadline))
            return refute("the device did not finish");
        if (!flip(site))
            return false;
    }
    return site->present || flip(site);
}

static bool write_while_flipping(struct site *site, uint32_t seed, uint32_t *flips)
{
    fill_poison(site->view);
    fill_poison(site->view + PAGE_SIZE);
    if (!device_starts_write(target_bus(site), seed))
        return refute("the device does not begin");
    if (!flip_while_busy(site, flips))
        return false;
    if (!is_payload(target(site), seed))
        return refute("what the device wrote did not arrive whole");
    return (is_poison(site->view, 0, PAGE_SIZE - EDGE) &&
            is_poison(site->view + PAGE_SIZE, EDGE, PAGE_SIZE - EDGE)) ||
           refute("bytes arrived outside");
}

static bool read_while_flipping(struct site *site, uint32_t seed, uint32_t *flips)
{
    uint8_t got[PAYLOAD];
    fill_payload(target(site), seed);
    if (!device_starts_read(target_bus(site), seed + 1))
        return refute("the device does not begin");
    if (!flip_while_busy(site, flips))
        return false;
    return (device_shows(got) && is_payload(got, seed)) || refute("the device read something else");
}

/* A transfer that was over before the entry had been split and made again shows nothing: then once more. */
static bool visit_site(struct site *site)
{
    uint32_t rounds = 0, flips = 0;
    for (uint32_t i = 0; i < TRIES && rounds < ROUNDS; i++) {
        uint32_t writing, reading;
        if (!write_while_flipping(site, 90 + 4 * i, &writing) ||
            !read_while_flipping(site, 92 + 4 * i, &reading))
            return false;
        rounds += writing >= 2 && reading >= 2;
        flips += writing + reading;
    }
    if (rounds < ROUNDS)
        return refute("the device was never busy for long enough");
    if (!large_entries) {
        remark("there are no entries of 2 MiB on this machine: a page came and went %u times", flips);
        return true;
    }
    remark("the entry became a table or the table an entry %u times under %u transfers", flips, 2 * ROUNDS);
    return site->pieces == 1 || refute("a split should take one table page, not %u", site->pieces);
}

bool pages_split_under_dma(void)
{
    struct site site;
    if (!find_blocks() || !find_site(&site))
        return true;
    return open_site(&site) && visit_site(&site) && close_site(&site);
}

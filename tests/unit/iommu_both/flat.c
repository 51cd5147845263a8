/* SPDX-License-Identifier: MIT */
#include "tests/unit/iommu_both/flat.h"

#include "guest-abi/include/sluice/errno.h"

#include <string.h>

#define MSI_FIRST  0xfee00u
#define MSI_LAST   0xfeeffu
#define BLOCK      512u
#define BLOCKS_MAX (FLAT_PAGES_MAX / BLOCK)

struct flat flat;

static struct area {
    uint64_t first;
    uint32_t pages, at; /* at: number of its first page */
} areas[FLAT_AREAS_MAX];
static uint32_t area_count;
static bool any_locked;

/* What a leaf table is for: whether one leaf could stand for all of it is found out when it is asked for. */
static struct block {
    uint16_t live; /* pages that hold something */
    bool known, run;
} blocks[BLOCKS_MAX];
static uint32_t live_blocks;

/* The blocks that are in one GiB. */
static struct gib {
    uint64_t number;
    uint32_t first, count, live;
    bool known, run; /* as of blocks */
} gibs[FLAT_AREAS_MAX * 5];
static uint32_t gib_count;
static uint16_t gib_of[BLOCKS_MAX];

uint64_t flat_bfn(uint32_t page)
{
    const struct area *area = areas;

    while (page - area->at >= area->pages)
        area++;
    return area->first + (page - area->at);
}

bool flat_page_of(uint64_t bfn, uint32_t *page)
{
    for (uint32_t i = 0; i < area_count; i++)
        if (bfn - areas[i].first < areas[i].pages) {
            *page = areas[i].at + (uint32_t)(bfn - areas[i].first);
            return true;
        }
    return false;
}

uint64_t flat_sum(uint64_t mfn, uint32_t flags)
{
    uint64_t value = (mfn << 5 | flags) * 0x9e3779b97f4a7c15ull;

    return value ^ value >> 29;
}

static uint64_t reach(uint32_t levels)
{
    uint64_t last = (1ull << 9 * levels) - 1;

    return last < flat.max_bfn ? last : flat.max_bfn;
}

/* ---- tables ---- */

/* GiBs, 512 GiB and so on that hold something, or part of the blocks from `first` to `last`. */
static uint32_t upper_tables(uint32_t level, uint32_t first, uint32_t last)
{
    uint64_t latest = UINT64_MAX;
    uint32_t tables = 0;

    for (uint32_t i = 0; i < gib_count; i++) {
        const struct gib *gib = &gibs[i];
        uint64_t table = gib->number >> 9 * (level - 2);

        if ((gib->live != 0 || (gib->first <= last && gib->first + gib->count > first)) && table != latest) {
            tables++;
            latest = table;
        }
    }
    return tables;
}

/* Tables of a tree that holds what there is, and something in each of these blocks. */
static uint32_t tables_with(uint32_t first, uint32_t last)
{
    uint32_t tables = 1;

    if (flat.levels == 1)
        return 1;
    tables += live_blocks;
    for (uint32_t i = first; i <= last && i < BLOCKS_MAX; i++)
        tables += blocks[i].live == 0;
    for (uint32_t level = 2; level < flat.levels; level++)
        tables += upper_tables(level, first, last);
    return tables;
}

uint32_t flat_tables_split(void)
{
    return tables_with(BLOCKS_MAX, 0);
}

static bool continues(const struct flat_page *page, const struct flat_page *first, uint32_t by)
{
    return page->flags == first->flags && page->mfn == first->mfn + by;
}

/* All of a block continues its first page, which is one that a larger leaf may begin with. */
static bool is_run(uint32_t number)
{
    const struct flat_page *pages = &flat.pages[number * BLOCK];
    struct block *block = &blocks[number];

    if (block->known)
        return block->run;
    block->known = true;
    block->run = block->live == BLOCK && pages->mfn % BLOCK == 0;
    for (uint32_t i = 1; i < BLOCK && block->run; i++)
        block->run = continues(&pages[i], pages, i);
    return block->run;
}

static bool is_gib_run(struct gib *gib)
{
    const struct flat_page *pages = &flat.pages[gib->first * BLOCK];

    if (gib->known)
        return gib->run;
    gib->known = true;
    gib->run = gib->live == BLOCK && pages->mfn % (BLOCK * BLOCK) == 0;
    for (uint32_t i = 0; i < BLOCK && gib->run; i++)
        gib->run = is_run(gib->first + i) && continues(&pages[i * BLOCK], pages, i * BLOCK);
    return gib->run;
}

uint32_t flat_tables(void)
{
    uint32_t tables = flat_tables_split();

    for (uint32_t i = 0; i < gib_count && flat.leaf_level > 1; i++) {
        if (flat.leaf_level > 2 && is_gib_run(&gibs[i])) {
            tables -= BLOCK + 1;
            continue;
        }
        for (uint32_t block = 0; block < gibs[i].count; block++)
            tables -= is_run(gibs[i].first + block);
    }
    return tables;
}

/* Each further level is a table more, unless the tree is empty. */
static int grow(uint64_t bfn)
{
    while (bfn > reach(flat.levels)) {
        if (live_blocks != 0 && flat_tables_split() + 1 > flat.quota)
            return -ENOMEM;
        flat.levels++;
    }
    return 0;
}

/* ---- pages ---- */

static void count_live(uint32_t number, int32_t by)
{
    struct block *block = &blocks[number];
    struct gib *gib = &gibs[gib_of[number]];
    bool was_live = block->live != 0;

    block->live = (uint16_t)(block->live + by);
    block->known = gib->known = false;
    gib->live += (uint32_t)(block->live != 0) - (uint32_t)was_live;
    live_blocks += (uint32_t)(block->live != 0) - (uint32_t)was_live;
}

static void put(uint32_t page, uint64_t mfn, uint32_t flags)
{
    struct flat_page *at = &flat.pages[page];

    if (at->flags != 0) {
        flat.removed++;
        flat.removed_sum += flat_sum(at->mfn, at->flags);
    }
    flat.held += (uint32_t)(flags != 0) - (uint32_t)(at->flags != 0);
    count_live(page / BLOCK, (int32_t)(flags != 0) - (int32_t)(at->flags != 0));
    *at = (struct flat_page){flags != 0 ? (uint32_t)mfn : 0, flags};
}

static void put_away(uint32_t page, uint64_t frames)
{
    for (uint64_t end = page + frames; page < end; page++) {
        if (blocks[page / BLOCK].live == 0)
            page |= BLOCK - 1;
        else
            put(page, 0, 0);
    }
}

static bool is_locked(uint32_t page, uint64_t frames)
{
    for (uint64_t i = 0; any_locked && i < frames && page + i < flat.page_count; i++)
        if ((flat.pages[page + i].flags & IOMMU_LOCKED) != 0)
            return true;
    return false;
}

static bool is_window(uint64_t bfn, uint64_t frames)
{
    return bfn <= MSI_LAST && bfn + frames > MSI_FIRST;
}

static bool is_aligned_range(uint64_t first, uint64_t frames, uint64_t last)
{
    return first % frames == 0 && first <= last && frames - 1 <= last - first;
}

static int check(uint32_t page, uint64_t frames)
{
    if (!is_aligned_range(flat_bfn(page), frames, flat.max_bfn))
        return -EINVAL;
    return is_locked(page, frames) ? -EACCES : 0;
}

/* ---- the interface ---- */

static void add_block(uint64_t number, uint32_t block)
{
    if (gib_count == 0 || gibs[gib_count - 1].number != number)
        gibs[gib_count++] = (struct gib){.number = number, .first = block};
    gibs[gib_count - 1].count++;
    gib_of[block] = (uint16_t)(gib_count - 1);
}

void flat_begin(const struct flat_area *from, uint32_t count, uint8_t levels, uint8_t levels_max,
                uint8_t leaf_level, uint32_t quota, uint64_t max_mfn, struct iommu_range reserved)
{
    memset(flat.pages, 0, flat.page_count * sizeof *flat.pages);
    flat.page_count = 0;
    flat.removed = flat.removed_sum = flat.held = 0;
    memset(blocks, 0, sizeof blocks);
    live_blocks = gib_count = 0;
    area_count = count;
    for (uint32_t i = 0; i < count; i++) {
        areas[i] = (struct area){from[i].first, from[i].pages, flat.page_count};
        for (uint32_t page = 0; page < from[i].pages; page += BLOCK)
            add_block((from[i].first + page) >> 18, (flat.page_count + page) / BLOCK);
        flat.page_count += from[i].pages;
    }
    flat.levels = levels;
    flat.leaf_level = levels < leaf_level ? levels : leaf_level;
    flat.levels_max = levels_max;
    flat.quota = quota;
    flat.max_mfn = max_mfn;
    flat.max_bfn = (1ull << (levels_max < 6 ? 9 * levels_max : 52)) - 1;
    any_locked = reserved.frames != 0;
    for (uint64_t i = 0; i < reserved.frames; i++) /* in the first area */
        put((uint32_t)(reserved.bfn + i), reserved.bfn + i, IOMMU_READ | IOMMU_WRITE | IOMMU_LOCKED);
}

int flat_map(uint32_t page, uint64_t mfn, uint32_t order, uint32_t flags)
{
    uint64_t frames = 1ull << order;
    int error = is_aligned_range(mfn, frames, flat.max_mfn) ? 0 : -EINVAL;

    if (error == 0 && order != 0 && !is_aligned_range(flat_bfn(page), frames, flat.max_bfn))
        error = -EINVAL;
    if (error == 0 && is_window(flat_bfn(page), frames))
        error = -EACCES;
    if (error == 0 && flat_bfn(page) > flat.max_bfn)
        error = -EINVAL;
    if (error == 0)
        error = grow(flat_bfn(page) + frames - 1);
    if (error == 0 && is_locked(page, frames))
        error = -EACCES;
    if (error == 0 && tables_with(page / BLOCK, (uint32_t)((page + frames - 1) / BLOCK)) > flat.quota)
        error = -ENOMEM;
    for (uint64_t i = 0; i < frames && error == 0; i++)
        put((uint32_t)(page + i), mfn + i, flags);
    return error;
}

int flat_map_run(uint32_t page, uint64_t mfn, uint32_t frames, uint32_t flags, uint64_t *done)
{
    uint64_t bfn = flat_bfn(page);
    int error = 0;

    *done = 0;
    if (frames == 0)
        return 0;
    if (bfn > flat.max_bfn || frames - 1 > flat.max_bfn - bfn || mfn > flat.max_mfn ||
        frames - 1 > flat.max_mfn - mfn)
        return -EINVAL;
    if (is_window(bfn, frames))
        return -EACCES;
    error = grow(bfn + frames - 1);
    while (error == 0 && *done < frames) {
        uint32_t at = page + (uint32_t)*done;

        if (is_locked(at, 1))
            error = -EACCES;
        else if (blocks[at / BLOCK].live == 0 && tables_with(at / BLOCK, at / BLOCK) > flat.quota)
            error = -ENOMEM;
        else
            put(at, mfn + (*done)++, flags);
    }
    return error;
}

int flat_map_list(const struct flat_element *list, uint32_t count, uint32_t *done)
{
    int error = 0;

    for (*done = 0; *done < count && error == 0; *done += error == 0)
        error = flat_map(list[*done].page, list[*done].mfn, 0, list[*done].flags);
    return error;
}

int flat_unmap(uint32_t page, uint32_t order)
{
    int error = order != 0 || flat_bfn(page) > flat.max_bfn ? check(page, 1ull << order)
                : is_locked(page, 1)                        ? -EACCES
                                                            : 0;

    if (error == 0)
        put_away(page, 1ull << order);
    return error;
}

int flat_unmap_run(uint32_t page, uint32_t frames, uint64_t *done)
{
    int error = 0;

    for (*done = 0; *done < frames && error == 0; *done += error == 0)
        error = flat_unmap(page + (uint32_t)*done, 0);
    return error;
}

int flat_unmap_list(const struct flat_element *list, uint32_t count, uint32_t *done)
{
    int error = 0;

    for (*done = 0; *done < count && error == 0; *done += error == 0)
        error = flat_unmap(list[*done].page, 0);
    return error;
}

int flat_lookup(uint32_t page, struct iommu_mapping *mapping)
{
    if (flat_bfn(page) > flat.max_bfn)
        return -EINVAL;
    if (flat.pages[page].flags == 0)
        return -ENOENT;
    *mapping = (struct iommu_mapping){.mfn = flat.pages[page].mfn, .flags = flat.pages[page].flags};
    return 0;
}

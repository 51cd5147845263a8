/* SPDX-License-Identifier: MIT */
#include "tests/unit/iommu_both/flat.h"

#include "guest-abi/include/sluice/errno.h"

#include <string.h>

#define MSI_FIRST 0xfee00u
#define MSI_LAST  0xfeeffu

struct flat flat;

/* Edges of what 1 to 4 levels reach, the interrupt window, and the end of six levels. */
const uint64_t flat_starts[FLAT_REGIONS] = {0,
                                            (1ull << 18) - 1024,
                                            0xfe800,
                                            (1ull << 27) - 1024,
                                            (1ull << 27) + (1ull << 20),
                                            (1ull << 36) - 1024,
                                            (1ull << 45) - 1024,
                                            (1ull << 52) - 2048};

uint64_t flat_bfn(uint32_t page)
{
    return flat_starts[page / FLAT_SPAN] + page % FLAT_SPAN;
}

static uint64_t reach(uint32_t levels)
{
    uint64_t last = (1ull << 9 * levels) - 1;

    return last < flat.max_bfn ? last : flat.max_bfn;
}

/* ---- tables ---- */

static bool holds(uint32_t leaf, uint32_t first, uint32_t last)
{
    return flat.live[leaf] != 0 || (leaf >= first && leaf <= last);
}

/* Tables of a tree that holds what there is, and something in the leaf tables first to last. */
static uint32_t tables_with(uint32_t first, uint32_t last)
{
    uint32_t tables = 1;

    for (uint32_t level = 1; level < flat.levels; level++) {
        uint64_t latest = UINT64_MAX;

        for (uint32_t leaf = 0; leaf < FLAT_TABLES; leaf++) {
            uint64_t table = flat_bfn(leaf * 512) >> 9 * level;

            if (holds(leaf, first, last) && table != latest) {
                tables++;
                latest = table;
            }
        }
    }
    return tables;
}

uint32_t flat_tables_split(void)
{
    return tables_with(FLAT_TABLES, 0);
}

/* All of a leaf table continues its first page, which is one that a larger leaf may begin with. */
static bool is_run(uint32_t leaf)
{
    const struct iommu_mapping *pages = &flat.pages[leaf * 512];
    uint32_t i = 0;

    if (flat.live[leaf] != 512 || pages[0].mfn % 512 != 0)
        return false;
    while (i < 512 && pages[i].mfn == pages[0].mfn + i && pages[i].flags == pages[0].flags)
        i++;
    return i == 512;
}

uint32_t flat_tables(void)
{
    uint32_t tables = flat_tables_split();

    for (uint32_t leaf = 0; leaf < FLAT_TABLES && flat.leaf_level > 1; leaf++)
        tables -= is_run(leaf);
    return tables;
}

/* Each further level is a table more, unless the tree is empty. */
static int grow(uint64_t bfn)
{
    while (bfn > reach(flat.levels)) {
        uint32_t tables = flat_tables_split();
        bool empty = true;

        for (uint32_t leaf = 0; leaf < FLAT_TABLES; leaf++)
            empty &= flat.live[leaf] == 0;
        if (!empty && tables + 1 > flat.quota)
            return -ENOMEM;
        flat.levels++;
    }
    return 0;
}

/* ---- pages ---- */

static void put(uint32_t page, uint64_t mfn, uint32_t flags)
{
    struct iommu_mapping *mapping = &flat.pages[page];

    flat.removed += mapping->flags != 0;
    flat.live[page / 512] += (uint32_t)(flags != 0) - (uint32_t)(mapping->flags != 0);
    *mapping = (struct iommu_mapping){.mfn = flags != 0 ? mfn : 0, .flags = flags};
}

static bool is_locked(uint32_t page, uint64_t frames)
{
    for (uint64_t i = 0; i < frames && page + i < FLAT_PAGES; i++)
        if ((flat.pages[page + i].flags & IOMMU_LOCKED) != 0)
            return true;
    return false;
}

static bool is_window(uint64_t bfn, uint64_t frames)
{
    return bfn <= MSI_LAST && bfn + frames > MSI_FIRST;
}

static int check(uint32_t page, uint64_t frames)
{
    uint64_t bfn = flat_bfn(page);

    if (bfn % frames != 0 || bfn > flat.max_bfn || frames - 1 > flat.max_bfn - bfn)
        return -EINVAL;
    return is_locked(page, frames) ? -EACCES : 0;
}

/* ---- the interface ---- */

void flat_begin(uint8_t levels, uint8_t levels_max, uint32_t quota, uint64_t max_mfn,
                struct iommu_range reserved)
{
    memset(&flat, 0, sizeof flat);
    flat.levels = levels;
    flat.leaf_level = levels < 3 ? levels : 3;
    flat.levels_max = levels_max;
    flat.quota = quota;
    flat.max_mfn = max_mfn;
    flat.max_bfn = (1ull << (levels_max < 6 ? 9 * levels_max : 52)) - 1;
    for (uint64_t i = 0; i < reserved.frames; i++) /* in the first region */
        put((uint32_t)(reserved.bfn + i), reserved.bfn + i, IOMMU_READ | IOMMU_WRITE | IOMMU_LOCKED);
}

int flat_map(uint32_t page, uint64_t mfn, uint32_t order, uint32_t flags)
{
    uint64_t frames = 1ull << order;
    int error = mfn > flat.max_mfn ? -EINVAL : order != 0 ? check(page, frames) : 0;

    if (error == 0 && (mfn % frames != 0 || frames - 1 > flat.max_mfn - mfn))
        error = -EINVAL;
    if (error == 0 && is_window(flat_bfn(page), frames))
        error = -EACCES;
    if (error == 0 && flat_bfn(page) > flat.max_bfn)
        error = -EINVAL;
    if (error == 0)
        error = grow(flat_bfn(page) + frames - 1);
    if (error == 0 && is_locked(page, frames))
        error = -EACCES;
    if (error == 0 && tables_with(page / 512, (uint32_t)((page + frames - 1) / 512)) > flat.quota)
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
        else if (tables_with(at / 512, at / 512) > flat.quota)
            error = -ENOMEM;
        else
            put(at, mfn + (*done)++, flags);
    }
    return error;
}

int flat_unmap(uint32_t page, uint32_t order)
{
    int error = order != 0 || flat_bfn(page) > flat.max_bfn ? check(page, 1ull << order)
                : is_locked(page, 1)                        ? -EACCES
                                                            : 0;

    for (uint64_t i = 0; i < 1ull << order && error == 0; i++)
        put((uint32_t)(page + i), 0, 0);
    return error;
}

int flat_lookup(uint32_t page, struct iommu_mapping *mapping)
{
    if (flat_bfn(page) > flat.max_bfn)
        return -EINVAL;
    if (flat.pages[page].flags == 0)
        return -ENOENT;
    *mapping = flat.pages[page];
    return 0;
}

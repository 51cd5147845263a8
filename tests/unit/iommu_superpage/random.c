/* SPDX-License-Identifier: MIT */
#include "tests/unit/iommu_superpage/random.h"

#include "drivers/iommu/driver.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/unit/iommu_engine/model.h"
#include "tests/unit/iommu_engine/oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PAGES   (1u << 19)
#define BLOCK   512u
#define GIB     (BLOCK * BLOCK)
#define WATCHED 64u
#define CHANGES 64u

struct page {
    uint32_t mfn, flags; /* flags 0: nothing */
};

struct change {
    uint32_t first, frames;
    struct page to; /* of the first page */
};

static struct page pages[PAGES], flushed[PAGES]; /* now, and at the last flush */
static struct change change, changes[CHANGES];   /* now, and since the last flush */
static uint32_t change_count;
static uint32_t watched[WATCHED], watched_count;
static uint64_t numbers, watch_numbers, removed, released, merged;

static uint32_t next(uint64_t *state, uint32_t limit)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((*state >> 33) % limit);
}

/* ---- with hardware's eyes ---- */

static bool is_as(uint64_t entry, struct page page)
{
    if (page.flags == 0)
        return entry == 0;
    return model_permissions(entry) == (page.flags & RW) && (entry >> 12 & 0xffffffffffull) == page.mfn;
}

static struct page changed(const struct change *by, uint32_t page)
{
    return by->to.flags == 0 ? by->to : (struct page){by->to.mfn + page - by->first, by->to.flags};
}

static bool is_made_by(const struct change *by, uint32_t page, uint64_t entry)
{
    return page - by->first < by->frames && is_as(entry, changed(by, page));
}

/* Without coherency a unit may see what was there at any time since the last flush. */
static bool was_made(uint32_t page, uint64_t entry)
{
    for (uint32_t i = 0; i < change_count; i++)
        if (is_made_by(&changes[i], page, entry))
            return true;
    return is_as(entry, flushed[page]);
}

static void watch_page(uint32_t page)
{
    uint64_t entry = model_walk(0, page);

    if (!is_as(entry, pages[page]) && !is_made_by(&change, page, entry))
        assert_true(!model.coherent && was_made(page, entry));
}

/* The page that is changed now and those about it are where something may be wrong; the others are a sample.
 */
static void watch_store(void)
{
    if (change.frames > BLOCK && model.stores % 61 != 0)
        return;
    watch_page(change.first + next(&watch_numbers, change.frames));
    watch_page((change.first & ~(BLOCK - 1)) + next(&watch_numbers, BLOCK));
    watch_page(next(&watch_numbers, PAGES));
}

static void count_release(uint64_t mfn, uint32_t flags)
{
    (void)mfn, (void)flags;
    released++;
}

/* ---- the fewest tables ---- */

/* What the block that begins with that page holds: 0 nothing, 1 what needs a table, 2 one leaf. */
static uint32_t kind_of(uint32_t first, uint32_t frames)
{
    bool same = pages[first].flags != 0 && pages[first].mfn % frames == 0, empty = true;

    for (uint32_t i = 0; i < frames && (same || empty); i++) {
        const struct page *page = &pages[first + i];

        empty &= page->flags == 0;
        same &= page->flags == pages[first].flags && page->mfn == pages[first].mfn + i;
    }
    return empty ? 0 : same ? 2 : 1;
}

static uint32_t fewest_tables(void)
{
    uint32_t tables = 1, in_use = 0;

    for (uint32_t gib = 0; gib < PAGES; gib += GIB) {
        uint32_t kind = kind_of(gib, GIB);

        in_use |= kind;
        tables += kind == 1;
        for (uint32_t block = gib; block < gib + GIB && kind == 1; block += BLOCK)
            tables += kind_of(block, BLOCK) == 1;
    }
    return in_use != 0 ? tables + model.levels - 3u : tables;
}

/* ---- operations ---- */

static void flush_now(void)
{
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(released, removed);
    for (uint32_t i = 0; i < change_count; i++)
        memcpy(&flushed[changes[i].first], &pages[changes[i].first], changes[i].frames * sizeof flushed[0]);
    change_count = 0;
    assert_int_equal(iommu_tables_used(context), fewest_tables());
    merged += context->table.reserve;
    for (uint32_t i = 0; i < watched_count && i < WATCHED; i++)
        assert_true(is_as(model_translate(0, context, watched[i], true), pages[watched[i]]));
}

static void apply(void)
{
    for (uint32_t i = 0; i < change.frames; i++) {
        uint32_t page = change.first + i;

        removed += pages[page].flags != 0;
        pages[page] = changed(&change, page);
    }
    changes[change_count++] = change;
}

static void operate(void)
{
    static const uint32_t orders[] = {0, 0, 0, 0, 9, 9, 9, 18};
    uint32_t order = orders[next(&numbers, 8)], choice = next(&numbers, 8);
    uint64_t done = 0;
    int error;

    change.frames = 1u << order;
    change.first = next(&numbers, PAGES) >> order << order;
    /* Where most of it happens, so that things come together. */
    if (next(&numbers, 2) != 0 && order != 18)
        change.first = change.first % (BLOCK * 4) + (BLOCK - 2) * BLOCK;
    change.to = (struct page){change.first + (next(&numbers, 8) == 0 ? 4 * GIB : PAGES),
                              next(&numbers, 8) == 0 ? IOMMU_READ : RW};
    if (choice < 3) {
        change.to = (struct page){0};
        error = iommu_unmap(context, change.first, order, &flush);
        assert_int_equal(error, 0);
    } else if (choice < 5 && order == 9) {
        change.frames = BLOCK + next(&numbers, 2 * BLOCK);
        if (change.frames > PAGES - change.first)
            change.frames = PAGES - change.first;
        error = iommu_map_run(context, change.first, change.to.mfn, change.frames, change.to.flags, &flush,
                              &done);
        change.frames = error != 0 ? (uint32_t)done : change.frames;
    } else {
        error = iommu_map(context, change.first, change.to.mfn, order, change.to.flags, &flush);
        change.frames = error != 0 ? 0 : change.frames;
    }
    assert_true(error == 0 || error == -ENOMEM);
    assert_true(context->table.quota - context->table.used >= context->table.reserve);
    apply();
}

static void look_around(void)
{
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t page = i < 4 ? (change.first + next(&numbers, BLOCK)) % PAGES : next(&numbers, PAGES);
        struct iommu_mapping mapping;
        int error = iommu_lookup(context, page, &mapping);

        assert_int_equal(error, pages[page].flags != 0 ? 0 : -ENOENT);
        if (error == 0) {
            assert_int_equal(mapping.mfn, pages[page].mfn);
            assert_int_equal(mapping.flags, pages[page].flags);
        }
        model_translate(0, context, page, true);
        watched[watched_count++ % WATCHED] = page;
    }
}

void random_orders(uint64_t seed, uint32_t operations, uint32_t quota)
{
    memset(pages, 0, sizeof pages);
    memset(flushed, 0, sizeof flushed);
    change_count = 0;
    numbers = watch_numbers = seed;
    watched_count = 0;
    removed = released = merged = 0;
    oracle_start(quota);
    model.on_store = watch_store;
    model.on_release = count_release;
    for (uint32_t i = 0; i < operations; i++) {
        operate();
        look_around();
        if (next(&numbers, 8) == 0 || change_count == CHANGES - 1)
            flush_now();
    }
    assert_true(merged > operations);
    change.first = 0;
    change.frames = PAGES;
    change.to = (struct page){0};
    model.on_store = NULL;
    for (uint32_t first = 0; first < PAGES; first += GIB)
        assert_int_equal(iommu_unmap(context, first, 18, &flush), 0);
    apply();
    flush_now();
    assert_int_equal(iommu_tables_used(context), 1);
    assert_int_equal(context->table.reserve, 0);
}

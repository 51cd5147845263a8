/* SPDX-License-Identifier: MIT */
#include "tests/unit/iommu_random/life.h"

#include "drivers/iommu/driver.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/unit/iommu_engine/model.h"
#include "tests/unit/iommu_random/judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RW          (IOMMU_READ | IOMMU_WRITE)
#define BLOCK       512u
#define GIB         (BLOCK * BLOCK)
#define STRIDE      32u /* pages between those that are looked up at the end */
#define MACHINE_MFN ((1ull << 28) - 1)

/* Below the device windows and over the one for interrupts; about the end of what three levels reach. */
static const struct flat_area areas[] = {{0, 4 * GIB}, {(1ull << 27) - GIB, 2 * GIB}};
/* Pages about which most happens, so that things come together: where tables of every level end. */
static const uint32_t hot[] = {0, GIB, 0xfee00, 5 * GIB, 2 * GIB + 77 * BLOCK};

static const struct life *life;
static struct iommu_context *context;
static struct iommu_flush flush;
static uint64_t numbers;
static uint32_t operation; /* number of the one that is going on */
static bool dead;
uint64_t life_large_leaves, life_given_back;

static uint32_t below(uint32_t limit)
{
    numbers ^= numbers << 13;
    numbers ^= numbers >> 7;
    numbers ^= numbers << 17;
    return (uint32_t)((numbers >> 11) % limit);
}

static bool chance(uint32_t one_in)
{
    return below(one_in) == 0;
}

static void describe(void)
{
    print_error("%s, seed %llu, operation %u\n", life->vendor == IOMMU_VENDOR_VTD ? "vtd" : "amdvi",
                (unsigned long long)life->seed, operation);
}

/* ---- choices ---- */

static uint32_t random_order(void)
{
    uint32_t kind = below(200);

    if (kind < 90)
        return 0;
    if (kind < 130)
        return 1 + below(8);
    if (kind < 180)
        return 9;
    return kind < 199 ? 10 + below(8) : 18;
}

static uint32_t random_page(uint32_t frames)
{
    uint32_t page = below(flat.page_count);

    if (below(5) < 3)
        page = (hot[below(5)] + flat.page_count - 2 * BLOCK + below(4 * BLOCK)) % flat.page_count;
    if (frames > flat.page_count - page)
        page = flat.page_count - frames;
    return chance(32) ? page : page - page % frames;
}

static uint32_t random_flags(void)
{
    static const uint32_t choices[] = {IOMMU_READ, IOMMU_WRITE, IOMMU_READ | IOMMU_WITHHELD, IOMMU_WITHHELD,
                                       RW | IOMMU_PREMAP};

    return below(4) != 0 ? RW : choices[below(5)];
}

/* Often what continues its neighbours, in one of two places, so that runs come about and are replaced. */
static uint64_t random_mfn(uint32_t page, uint32_t frames)
{
    uint64_t mfn = below(1u << 29);

    if (below(4) != 0)
        return page + (chance(8) ? 64ull * GIB : 8ull * GIB);
    if (chance(16))
        return mfn;
    return (mfn & MACHINE_MFN) / frames * frames;
}

/* ---- outcomes ---- */

/* Whether the call was cut short by the death of a unit; if not, its error must be the oracle's. */
static bool is_cut_short(int error)
{
    for (uint32_t unit = 0; unit < model.units; unit++)
        dead |= iommu_unit_dead(unit);
    if (dead)
        model_require(life->mortal);
    return dead && error == -EIO;
}

static void expect(int error, int expected)
{
    if (error != expected)
        print_error("%d, not %d\n", error, expected);
    model_require(error == expected);
}

static void change_run(uint32_t page, uint32_t frames, uint64_t mfn, uint32_t flags)
{
    judge_change.page = page;
    judge_change.frames = frames;
    judge_change.mfn = mfn;
    judge_change.flags = flags;
    judge_change.count = 0;
}

/* ---- operations ---- */

static void map_at(uint32_t page, uint32_t order)
{
    uint32_t flags = random_flags();
    uint64_t mfn = random_mfn(page, 1u << order);
    int error;

    change_run(page, 1u << order, mfn, flags);
    error = iommu_map(context, flat_bfn(page), mfn, order, flags, &flush);
    if (is_cut_short(error))
        return judge_cut_short();
    expect(error, flat_map(page, mfn, order, flags));
    judge_operation();
}

static void map(void)
{
    uint32_t order = random_order();

    map_at(random_page(1u << order), order);
}

static uint32_t random_run(uint32_t *page)
{
    uint32_t frames = below(chance(64) ? GIB : chance(3) ? 3 * BLOCK : 40);

    *page = random_page(1);
    if (frames > flat.page_count - *page)
        frames = flat.page_count - *page;
    if (*page < areas[0].pages && frames > areas[0].pages - *page)
        frames = areas[0].pages - *page;
    return frames;
}

static void map_run(void)
{
    uint32_t page, frames = random_run(&page), flags = random_flags();
    uint64_t mfn = random_mfn(page, 1), done, expected;
    int error;

    change_run(page, frames, mfn, flags);
    error = iommu_map_run(context, flat_bfn(page), mfn, frames, flags, &flush, &done);
    if (is_cut_short(error))
        return judge_cut_short();
    expect(error, flat_map_run(page, mfn, frames, flags, &expected));
    model_require(done == expected);
    judge_operation();
}

/* Scattered, or one beside the other, or one page several times. */
static void random_list(struct iommu_element *list, bool put)
{
    uint32_t page = random_page(1), spread = below(3);

    judge_change.count = 1 + below(JUDGE_LIST_MAX);
    for (uint32_t i = 0; i < judge_change.count; i++) {
        struct flat_element *element = &judge_change.list[i];

        page = spread == 0 ? random_page(1) : (page + (spread == 1 ? 1 : below(3))) % flat.page_count;
        *element = (struct flat_element){page, put ? random_flags() : 0, random_mfn(page, 1)};
        list[i] = (struct iommu_element){.bfn = flat_bfn(page), .mfn = element->mfn, .flags = element->flags};
    }
}

static void map_list(void)
{
    struct iommu_element list[JUDGE_LIST_MAX];
    uint32_t done, expected;
    int error;

    random_list(list, true);
    error = iommu_map_list(context, list, judge_change.count, &flush, &done);
    if (is_cut_short(error))
        return;
    expect(error, flat_map_list(judge_change.list, judge_change.count, &expected));
    model_require(done == expected);
    judge_operation();
}

static void unmap_list(void)
{
    struct iommu_element list[JUDGE_LIST_MAX];
    uint32_t done, expected;
    int error;

    random_list(list, false);
    error = iommu_unmap_list(context, list, judge_change.count, &flush, &done);
    if (is_cut_short(error))
        return;
    expect(error, flat_unmap_list(judge_change.list, judge_change.count, &expected));
    model_require(done == expected);
    judge_operation();
}

static void unmap(void)
{
    uint32_t order = random_order(), page = random_page(1u << order);
    int error;

    change_run(page, 1u << order, 0, 0);
    error = iommu_unmap(context, flat_bfn(page), order, &flush);
    if (is_cut_short(error))
        return judge_cut_short();
    expect(error, flat_unmap(page, order));
    judge_operation();
}

static void unmap_run(void)
{
    uint32_t page, frames = random_run(&page);
    uint64_t done, expected;
    int error;

    change_run(page, frames, 0, 0);
    error = iommu_unmap_run(context, flat_bfn(page), frames, &flush, &done);
    if (is_cut_short(error))
        return judge_cut_short();
    expect(error, flat_unmap_run(page, frames, &expected));
    model_require(done == expected);
    judge_operation();
}

static void look_up(uint32_t page)
{
    struct iommu_mapping mapping = {0}, expected = {0};

    expect(iommu_lookup(context, flat_bfn(page), &mapping), flat_lookup(page, &expected));
    model_require(mapping.mfn == expected.mfn && mapping.flags == expected.flags);
}

/* The tables are the fewest, and those that a split would take are kept back. */
static void flush_now(void)
{
    int error = iommu_flush(&flush);

    if (is_cut_short(error))
        return;
    expect(error, 0);
    judge_flush();
    model_require(iommu_tables_used(context) == flat_tables());
    model_require(context->table.reserve == flat_tables_split() - flat_tables());
    model_require(iommu_tables_peak(context) <= iommu_tables_quota(context));
    life_large_leaves += context->table.reserve;
}

/* Often where nothing else is owed, so that the frame may be given back at once. */
static void unmap_page(void)
{
    uint32_t page = random_page(1);
    struct iommu_mapping gone;
    int error;

    if (!chance(4) && !dead)
        flush_now();
    if (!chance(4) && !dead)
        map_at(page, 0);
    if (dead)
        return;
    change_run(page, 1, 0, 0);
    error = iommu_unmap_page(context, flat_bfn(page), &gone, &flush);
    if (is_cut_short(error))
        return judge_cut_short();
    if (gone.flags != 0) {
        judge_given_back(page, gone.mfn, gone.flags);
        life_given_back++;
    }
    expect(error, flat_unmap(page, 0));
    judge_operation();
}

static void operate(void)
{
    uint32_t kind = below(100);

    if (kind < 28)
        map();
    else if (kind < 35)
        map_list();
    else if (kind < 42)
        map_run();
    else if (kind < 55)
        unmap();
    else if (kind < 60)
        unmap_page();
    else if (kind < 65)
        unmap_list();
    else if (kind < 71)
        unmap_run();
    else if (kind < 85)
        look_up(random_page(1));
    else
        flush_now();
    if (!dead)
        judge_look(judge_change.count != 0 ? judge_change.list[0].page : judge_change.page);
}

/* ---- the end ---- */

/* Everything is refused; nothing is stored, and nothing comes free. */
static void be_dead(void)
{
    uint64_t stores = model.stores, released = judge_released, done;
    uint32_t tables = iommu_tables_used(context), page = random_page(1), count;
    const struct iommu_element element = {.bfn = flat_bfn(page), .mfn = 5, .flags = RW};
    struct iommu_mapping gone;

    for (uint32_t order = 0; order <= 18; order++) {
        uint64_t bfn = flat_bfn(page) >> order << order;

        if (bfn + (1u << order) - 1 > flat.max_bfn || iommu_is_window(bfn) || life->reserved != 0)
            continue;
        expect(iommu_unmap(context, bfn, order, &flush), -EIO);
        if (bfn > 0xfee00 || bfn + (1u << order) <= 0xfee00)
            expect(iommu_map(context, bfn, 0, order, RW, &flush), -EIO);
    }
    if (element.bfn <= flat.max_bfn && !iommu_is_window(element.bfn)) {
        expect(iommu_map_run(context, element.bfn, 5, 1, RW, &flush, &done), -EIO);
        expect(iommu_map_list(context, &element, 1, &flush, &count), -EIO);
        expect(iommu_unmap_run(context, element.bfn, 1, &flush, &done), -EIO);
        expect(iommu_unmap_list(context, &element, 1, &flush, &count), -EIO);
        expect(iommu_unmap_page(context, element.bfn, &gone, &flush), -EIO);
    }
    expect(iommu_flush(&flush), -EIO);
    model_require(model.stores == stores && judge_released == released);
    model_require(iommu_tables_used(context) == tables);
}

static void unmap_everything(void)
{
    for (uint32_t page = 0; page < flat.page_count; page += GIB) {
        change_run(page, GIB, 0, 0);
        if (flat_bfn(page) == 0 && life->reserved != 0)
            for (uint32_t i = 0; i < GIB; i++) { /* the reserved range stays */
                int error = iommu_unmap(context, i, 0, &flush);

                expect(error, flat_unmap(i, 0));
            }
        else
            expect(iommu_unmap(context, flat_bfn(page), 18, &flush), flat_unmap(page, 18));
        judge_operation();
    }
}

static void begin(void)
{
    model.vendor = life->vendor;
    model.levels = life->levels;
    model.levels_max = life->levels_max;
    model.leaf_level = life->leaf_level;
    model.coherent = life->coherent;
    model.caching_mode = life->caching_mode;
    model.units = life->units;
    model.order_max = life->order_max;
    model.reserved = (struct iommu_range){LIFE_RESERVED, life->reserved};
    model_init();
    model.describe = describe;
    operation = 0;
    numbers = life->seed * 2 + 1;
    dead = false;
    expect(iommu_context_create(&context, life->quota), 0);
    for (uint16_t unit = 0; unit < model.units; unit++)
        expect(iommu_attach(context, unit, 0), 0);
    iommu_flush_begin(&flush, context);
    flat_begin(areas, 2, context->table.levels, life->levels_max, life->leaf_level,
               iommu_tables_quota(context), MACHINE_MFN, model.reserved);
    model.early = life->early;
    model.delay = life->delay;
    if (life->mortal)
        model.drop_after = below(life->operations / 8);
    judge_begin(context, life->seed);
}

void life_play(const struct life *of)
{
    uint32_t tables;

    life = of;
    begin();
    tables = iommu_tables_used(context);
    for (; operation < life->operations && !dead; operation++)
        operate();
    while (life->mortal && !dead)
        operate();
    if (dead)
        return be_dead();
    for (uint32_t page = 0; page < flat.page_count; page += 1 + below(2 * STRIDE))
        look_up(page);
    unmap_everything();
    flush_now();
    model_require(life->reserved != 0 || context->table.reserve == 0);
    model_require(iommu_tables_used(context) == tables || flat.levels != life->levels);
    for (uint32_t page = 0; page < flat.page_count; page += 1 + below(2 * STRIDE))
        look_up(page);
}

struct life life_of_seed(uint64_t seed, uint32_t operations, enum iommu_vendor vendor)
{
    static const uint32_t quotas[] = {20, 300, 1100, 3200};
    struct life made = {.seed = seed, .operations = operations, .vendor = vendor};

    numbers = seed * 2 + 1;
    for (uint32_t i = 0; i < 8; i++)
        (void)below(2);
    made.quota = quotas[below(4)];
    made.levels = made.levels_max = (uint8_t)(3 + below(2));
    if (vendor == IOMMU_VENDOR_AMDVI && chance(2)) { /* only AMD-Vi has trees that grow */
        made.levels = (uint8_t)(1 + below(4));
        made.levels_max = (uint8_t)(4 + below(3));
    }
    made.leaf_level = (uint8_t)(chance(8) ? 1 + below(2) : 3);
    made.coherent = chance(2);
    made.caching_mode = chance(4);
    made.early = chance(2);
    made.delay = below(3);
    made.units = 1 + below(3);
    made.order_max = chance(8) ? -1 : chance(4) ? 9 : 38;
    made.reserved = chance(8) ? 0x20 : 0;
    return made;
}

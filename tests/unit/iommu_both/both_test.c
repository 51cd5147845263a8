/* SPDX-License-Identifier: MIT */
/*
 * The same history of calls has the same answers in both vendors' formats: random operations are played once
 * in each, and held against a flat oracle and against each other, answer by answer.
 */
#include "drivers/iommu/driver.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/unit/iommu_both/flat.h"
#include "tests/unit/iommu_engine/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define OPERATIONS  60000u /* of each history */
#define REGIONS     8u
#define SPAN        3072u /* BFNs of a region */
#define ORDERS      11u   /* 0 to 10 */
#define MACHINE_MFN ((1ull << 28) - 1)
#define RW          (IOMMU_READ | IOMMU_WRITE)
#define WATCHED     64u /* pages that the unit was made to remember */

/* Edges of what 1 to 4 levels reach, the interrupt window, and the end of six levels. */
static const struct flat_area regions_of_bfns[REGIONS] = {
    {0, SPAN},
    {(1ull << 18) - 1024, SPAN},
    {0xfe800, SPAN},
    {(1ull << 27) - 1024, SPAN},
    {(1ull << 27) + (1ull << 20), SPAN},
    {(1ull << 36) - 1024, SPAN},
    {(1ull << 45) - 1024, SPAN},
    {(1ull << 52) - 2048, SPAN},
};

struct answer {
    int error;
    struct iommu_mapping mapping;
    uint64_t done;
    uint32_t tables;
};

static struct answer answers[OPERATIONS]; /* of the first run */
static uint64_t random_numbers, released, watch_numbers;

/* What the operation that is going on may make of a range. */
static struct {
    uint32_t page;
    uint64_t frames, mfn;
    uint32_t flags; /* 0: takes away */
} change;
static uint32_t watched[WATCHED], watched_count, superpages_seen;

static uint32_t random_below(uint32_t limit)
{
    random_numbers ^= random_numbers << 13;
    random_numbers ^= random_numbers >> 7;
    random_numbers ^= random_numbers << 17;
    return (uint32_t)((random_numbers >> 11) % limit);
}

static void count_release(uint64_t mfn, uint32_t flags)
{
    (void)mfn, (void)flags;
    released++;
}

/* Every combination that a map may have: of R and W, given or withheld, put there at boot or not. */
static uint32_t random_flags(void)
{
    static const uint32_t withheld[] = {IOMMU_READ, IOMMU_WRITE, IOMMU_READ | IOMMU_WRITE,
                                        IOMMU_READ | IOMMU_WITHHELD, IOMMU_WITHHELD};

    return withheld[random_below(5)] | (random_below(4) == 0 ? IOMMU_PREMAP : 0);
}

/* The last block of a region may reach over its end; the oracle knows nothing there. */
static uint32_t random_page(uint32_t regions, uint32_t frames)
{
    uint32_t page = random_below(SPAN - frames + 1);

    if (random_below(8) != 0)
        page -= page % frames;
    return random_below(regions) * SPAN + page;
}

static uint64_t random_mfn(uint32_t frames)
{
    uint64_t mfn = (uint64_t)random_below(1u << 29) / frames * frames;

    return random_below(8) != 0 ? mfn % (MACHINE_MFN + 1 - frames) / frames * frames : mfn + random_below(2);
}

/* Often what continues its neighbours, so that runs come about. */
static void random_target(uint32_t page, uint32_t frames, uint64_t *mfn, uint32_t *flags)
{
    *mfn = random_below(2) != 0 ? flat_bfn(page) & (MACHINE_MFN >> 1) : random_mfn(frames);
    *flags = random_below(4) != 0 ? RW : random_flags();
}

/* ---- with hardware's eyes ---- */

static uint32_t watch_below(uint32_t limit)
{
    watch_numbers = watch_numbers * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((watch_numbers >> 33) % limit);
}

static bool is_as(uint64_t entry, uint64_t mfn, uint32_t flags)
{
    if ((flags & RW) == 0)
        return entry == 0;
    return model_permissions(entry) == (flags & RW) && (entry >> 12 & 0xffffffffffull) == mfn;
}

/* After each store a page is as before the operation, or, within its range, as after it. */
static void watch_page(uint32_t page)
{
    uint64_t entry = model_walk(0, flat_bfn(page)), offset = (uint64_t)page - change.page;

    if (!is_as(entry, flat.pages[page].mfn, flat.pages[page].flags))
        assert_true(page >= change.page && offset < change.frames &&
                    is_as(entry, change.mfn + offset, change.flags));
}

static void watch_store(void)
{
    uint64_t inside = change.page + watch_below(change.frames == 0 ? 1 : (uint32_t)change.frames);

    watch_page(inside < (REGIONS * SPAN) ? (uint32_t)inside : 0);
    watch_page((uint32_t)(inside | 511) < (REGIONS * SPAN) ? (uint32_t)(inside | 511) - watch_below(512) : 0);
    watch_page(watch_below((REGIONS * SPAN)));
}

static void begin_change(uint32_t page, uint64_t frames, uint64_t mfn, uint32_t flags)
{
    change.page = page;
    change.frames = frames;
    change.mfn = mfn;
    change.flags = flags;
}

static void watch_remembered(const struct iommu_context *context)
{
    uint32_t count = watched_count < WATCHED ? watched_count : WATCHED;

    for (uint32_t i = 0; i < count; i++) {
        const struct flat_page *mapping = &flat.pages[watched[i]];

        assert_true(
            is_as(model_translate(0, context, flat_bfn(watched[i]), true), mapping->mfn, mapping->flags));
    }
}

/* ---- operations ---- */

/* Small orders most of the time, and sometimes everything. */
static uint32_t random_order(void)
{
    return random_below(4) != 0 ? 0 : random_below(random_below(3) != 0 ? 4 : ORDERS);
}

static struct answer map(struct iommu_context *context, struct iommu_flush *flush, uint32_t regions)
{
    uint32_t order = random_order(), page = random_page(regions, 1u << order), flags;
    struct answer answer = {0};
    uint64_t mfn;

    random_target(page, 1u << order, &mfn, &flags);
    begin_change(page, 1u << order, mfn, flags);
    answer.error = iommu_map(context, flat_bfn(page), mfn, order, flags, flush);
    assert_int_equal(answer.error, flat_map(page, mfn, order, flags));
    return answer;
}

static struct answer map_run(struct iommu_context *context, struct iommu_flush *flush, uint32_t regions)
{
    uint32_t frames = random_below(random_below(4) != 0 ? 40 : 1200), flags;
    uint32_t page = random_below(regions) * SPAN + random_below(SPAN - frames);
    uint64_t mfn, done;
    struct answer answer = {0};

    random_target(page, 1, &mfn, &flags);
    begin_change(page, frames, mfn, flags);

    answer.error = iommu_map_run(context, flat_bfn(page), mfn, frames, flags, flush, &answer.done);
    assert_int_equal(answer.error, flat_map_run(page, mfn, frames, flags, &done));
    assert_int_equal(answer.done, done);
    return answer;
}

static struct answer unmap(struct iommu_context *context, struct iommu_flush *flush, uint32_t regions)
{
    uint32_t order = random_below(8) == 0 ? ORDERS - 1 : random_order();
    uint32_t page = random_page(regions, 1u << order);
    struct answer answer = {0};

    begin_change(page, 1u << order, 0, 0);
    answer.error = iommu_unmap(context, flat_bfn(page), order, flush);
    assert_int_equal(answer.error, flat_unmap(page, order));
    return answer;
}

static struct answer lookup(struct iommu_context *context, uint32_t page)
{
    struct iommu_mapping expected = {0};
    struct answer answer = {0};

    answer.error = iommu_lookup(context, flat_bfn(page), &answer.mapping);
    assert_int_equal(answer.error, flat_lookup(page, &expected));
    assert_int_equal(answer.mapping.mfn, expected.mfn);
    assert_int_equal(answer.mapping.flags, expected.flags);
    model_translate(0, context, flat_bfn(page), true);
    watched[watched_count++ % WATCHED] = page;
    return answer;
}

static struct answer flush_now(struct iommu_context *context, struct iommu_flush *flush)
{
    struct answer answer = {.error = iommu_flush(flush), .tables = iommu_tables_used(context)};

    assert_int_equal(answer.error, 0);
    assert_int_equal(released, flat.removed);
    assert_int_equal(answer.tables, flat_tables());
    assert_int_equal(answer.tables + context->table.reserve, flat_tables_split());
    superpages_seen += context->table.reserve;
    watch_remembered(context);
    assert_int_equal(context->table.levels, flat.levels);
    return answer;
}

static struct answer operate(struct iommu_context *context, struct iommu_flush *flush, uint32_t regions)
{
    uint32_t choice = random_below(100);

    if (choice < 25)
        return map(context, flush, regions);
    if (choice < 30)
        return map_run(context, flush, regions);
    if (choice < 50)
        return unmap(context, flush, regions);
    if (choice < 90)
        return lookup(context, random_below(regions * SPAN));
    return flush_now(context, flush);
}

static void play(enum iommu_vendor vendor, uint64_t seed, uint32_t quota, uint32_t operations)
{
    static struct iommu_flush flush;
    struct iommu_context *context;

    random_numbers = seed;
    released = 0;
    model.vendor = vendor;
    model_init();
    model.on_release = count_release;
    watched_count = 0;
    assert_int_equal(iommu_context_create(&context, quota), 0);
    assert_int_equal(iommu_attach(context, 0, 0), 0);
    flat_begin(regions_of_bfns, REGIONS, context->table.levels, model.levels_max, model.leaf_level,
               iommu_tables_quota(context), MACHINE_MFN, model.reserved);
    assert_int_equal(iommu_max_bfn(context), flat.max_bfn);
    iommu_flush_begin(&flush, context);
    model.on_store = watch_store;
    for (uint32_t i = 0; i < operations; i++) {
        /* Region after region comes into use, so that a tree that can grow does so over time. */
        uint32_t regions = 1 + i * 2 / (operations / REGIONS + 1);
        struct answer answer = operate(context, &flush, regions < REGIONS ? regions : REGIONS);

        if (vendor == IOMMU_VENDOR_VTD)
            answers[i] = answer;
        else
            assert_memory_equal(&answer, &answers[i], sizeof answer);
    }
    flush_now(context, &flush);
    for (uint32_t page = 0; page < (REGIONS * SPAN); page++)
        lookup(context, page);
}

static void play_on_both(uint8_t levels, uint8_t levels_max, uint32_t quota, uint32_t operations)
{
    model.levels = levels;
    model.levels_max = levels_max;
    model.coherent = true;
    model.units = 1;
    model.order_max = 38;
    model.leaf_level = 3;
    memset(answers, 0, sizeof answers);
    play(IOMMU_VENDOR_VTD, 1000u * levels + quota, quota, operations);
    play(IOMMU_VENDOR_AMDVI, 1000u * levels + quota, quota, operations);
}

static void histories_of_four_levels(void **state)
{
    (void)state;
    model.reserved = (struct iommu_range){0x300, 0x20};
    superpages_seen = 0;
    play_on_both(4, 4, 200, OPERATIONS);
    assert_true(superpages_seen > OPERATIONS / 100);
}

static void histories_with_a_small_quota(void **state)
{
    (void)state;
    model.reserved = (struct iommu_range){0x300, 0x20};
    play_on_both(3, 3, 4, OPERATIONS);
}

static void histories_of_trees_that_grow(void **state)
{
    (void)state;
    model.reserved = (struct iommu_range){0};
    for (uint8_t levels = 1; levels <= 4; levels++)
        for (uint8_t most = levels + 1; most <= 6; most++)
            play_on_both(levels, most, 200, OPERATIONS / 10);
}

static void histories_of_trees_that_grow_with_small_quotas(void **state)
{
    (void)state;
    model.reserved = (struct iommu_range){0x300, 0x20};
    for (uint32_t quota = 0; quota < 24; quota += 3)
        play_on_both(1, 6, quota, OPERATIONS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(histories_of_four_levels),
        cmocka_unit_test(histories_with_a_small_quota),
        cmocka_unit_test(histories_of_trees_that_grow),
        cmocka_unit_test(histories_of_trees_that_grow_with_small_quotas),
    };

    return cmocka_run_group_tests_name("iommu_both", tests, NULL, NULL);
}

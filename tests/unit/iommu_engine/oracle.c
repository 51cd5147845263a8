/* SPDX-License-Identifier: MIT */
#include "tests/unit/iommu_engine/oracle.h"

#include "drivers/iommu/driver.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/unit/iommu_engine/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RW (IOMMU_READ | IOMMU_WRITE)

struct oracle oracle;
struct iommu_context *context;
struct iommu_flush flush;
uint64_t oracle_random;
static uint32_t current_page; /* the page an operation is about */
static uint64_t current_new;
static bool in_operation;
const uint64_t *oracle_starts;
uint32_t oracle_regions;

/* Regions that share no table, share upper tables, and straddle every kind of boundary. */
static const uint64_t below_2_27[ORACLE_REGIONS] = {0,        0x40000 - 512, 0x40000 + 4096,
                                                    0x100000, 0x3fff800,     0x7fff800};
/* What a tree of 1, 2, ... levels reaches last and first not; the end of all bus addresses. */
const uint64_t oracle_edges[ORACLE_REGIONS] = {0,
                                               (1ull << 18) - 512,
                                               (1ull << 27) - 512,
                                               (1ull << 36) - 512,
                                               (1ull << 45) - 512,
                                               (1ull << 52) - ORACLE_SPAN};

static uint32_t random_below(uint32_t limit)
{
    oracle_random ^= oracle_random << 13;
    oracle_random ^= oracle_random >> 7;
    oracle_random ^= oracle_random << 17;
    return (uint32_t)((oracle_random >> 11) % limit);
}

static uint64_t bfn_of(uint32_t page)
{
    return oracle_starts[page / ORACLE_SPAN] + page % ORACLE_SPAN;
}

static const struct page_format *format(void)
{
    return model.vendor == IOMMU_VENDOR_VTD ? vtd_driver.format : amdvi_driver.format;
}

static uint64_t entry_of(uint32_t mfn, uint32_t flags)
{
    uint64_t entry = (uint64_t)(mfn + 1) << 12 | format()->leaf_bits[flags];

    assert_int_equal(model_permissions(entry), flags & RW);
    return entry;
}

/* What hardware makes of an entry: nothing, when it permits nothing. */
static uint64_t visible(uint64_t entry)
{
    return model_permissions(entry) != 0 ? entry : 0;
}

/* ---- judging ---- */

static bool is_plausible(uint32_t page, uint64_t entry)
{
    if (entry == visible(oracle.now[page]))
        return true;
    for (uint32_t i = 0; i < oracle.seen_count[page]; i++)
        if (entry == visible(oracle.seen[page][i]))
            return true;
    return in_operation && page == current_page && entry == visible(current_new);
}

static void judge_page(uint32_t page, bool remember)
{
    for (uint32_t unit = 0; unit < model.units; unit++)
        assert_true(is_plausible(page, model_translate(unit, context, bfn_of(page), remember)));
}

static void look_after_store(void)
{
    judge_page(random_below(ORACLE_PAGES), false);
    judge_page(current_page, random_below(4) == 0);
    judge_page(random_below(ORACLE_PAGES), true);
}

/* By the time anything is released, no unit may hold a translation that is no longer right. */
static void look_at_release(uint64_t mfn, uint32_t flags)
{
    (void)flags;
    for (uint32_t i = 0; i < oracle.touched_count; i++) {
        uint32_t page = oracle.touched[i];

        for (uint32_t unit = 0; unit < model.units; unit++) {
            uint64_t entry;

            if (model_cached(unit, context, bfn_of(page), &entry))
                assert_int_equal(entry, visible(oracle.now[page]));
        }
    }
    assert_in_range(mfn, 1, ORACLE_MFNS);
    assert_true(oracle.references[mfn - 1] > 0);
    oracle.references[mfn - 1]--;
}

/* A tree never loses levels: the root, and whatever has a live entry below it, at the levels it has by now.
 */
static uint32_t tables_needed(void)
{
    uint32_t tables = 1;

    for (uint32_t level = 1; level < context->table.levels; level++) {
        uint64_t last = UINT64_MAX;

        for (uint32_t page = 0; page < ORACLE_PAGES; page += 512) {
            uint64_t table = bfn_of(page) >> (9 * level);

            if (oracle.live[page / 512] != 0 && table != last) {
                tables++;
                last = table;
            }
        }
    }
    return tables;
}

/* ---- operations ---- */

/* Entries change one by one; the model may look after each store. */
static void set_oracle(uint32_t page, uint64_t entry)
{
    if (oracle.now[page] == entry)
        return;
    if (oracle.seen_count[page] == 0)
        oracle.touched[oracle.touched_count++] = page;
    if (oracle.seen_count[page] < ORACLE_HISTORY)
        oracle.seen[page][oracle.seen_count[page]++] = oracle.now[page];
    oracle.live[page / 512] += (uint32_t)(entry != 0) - (uint32_t)(oracle.now[page] != 0);
    oracle.now[page] = entry;
}

static void flush_now(void)
{
    assert_int_equal(iommu_flush(&flush), 0);
    /* An early flush inside an operation releases too, hence the oracle's history ends only here. */
    for (uint32_t i = 0; i < oracle.touched_count; i++)
        oracle.seen_count[oracle.touched[i]] = 0;
    for (uint32_t i = 0; i < oracle.touched_count; i++)
        judge_page(oracle.touched[i], true);
    oracle.touched_count = 0;
    for (uint32_t i = 0; i < 8; i++)
        judge_page(random_below(ORACLE_PAGES), true);
}

static bool history_is_full(uint32_t page)
{
    return oracle.seen_count[page] == ORACLE_HISTORY || oracle.touched_count == ORACLE_PAGES;
}

static void map_page(uint32_t page)
{
    static const uint32_t flag_choices[] = {IOMMU_READ, RW, IOMMU_WRITE, IOMMU_READ | IOMMU_WITHHELD,
                                            RW | IOMMU_PREMAP};
    uint32_t mfn = random_below(ORACLE_MFNS), flags = flag_choices[random_below(5)];
    uint8_t levels;
    uint64_t stores;
    int error;

    if (history_is_full(page) || iommu_flush_full(&flush))
        flush_now();
    current_page = page;
    current_new = entry_of(mfn, flags);
    in_operation = true;
    oracle.references[mfn]++;
    levels = context->table.levels;
    stores = model.stores;
    error = iommu_map(context, bfn_of(page), mfn + 1, 0, flags, &flush);
    in_operation = false;
    if (error == 0) {
        set_oracle(page, current_new);
        return;
    }
    assert_int_equal(error, -ENOMEM);
    oracle.references[mfn]--;
    assert_true(model.stores == stores || context->table.levels != levels);
    flush_now();
    assert_true(tables_needed() + model.levels_max > iommu_tables_quota(context));
}

static void unmap_page(uint32_t page)
{
    if (history_is_full(page) || iommu_flush_full(&flush))
        flush_now();
    current_page = page;
    current_new = 0;
    in_operation = true;
    assert_int_equal(iommu_unmap(context, bfn_of(page), 0, &flush), 0);
    in_operation = false;
    set_oracle(page, 0);
}

static void check_lookup(uint32_t page)
{
    struct iommu_mapping mapping = {0};
    int error = iommu_lookup(context, bfn_of(page), &mapping);

    if (oracle.now[page] == 0) {
        assert_int_equal(error, -ENOENT);
        return;
    }
    assert_int_equal(error, 0);
    assert_int_equal(entry_of((uint32_t)mapping.mfn - 1, mapping.flags), oracle.now[page]);
}

static void check_everything(void)
{
    flush_now();
    assert_int_equal(iommu_tables_used(context), tables_needed());
    for (uint32_t page = 0; page < ORACLE_PAGES; page++) {
        judge_page(page, true);
        check_lookup(page);
    }
}

void oracle_start(uint32_t quota)
{
    memset(&oracle, 0, sizeof oracle);
    oracle_starts = below_2_27;
    oracle_regions = ORACLE_REGIONS;
    model_init();
    assert_int_equal(iommu_context_create(&context, quota), 0);
    for (uint16_t unit = 0; unit < model.units; unit++)
        assert_int_equal(iommu_attach(context, unit, 0), 0);
    iommu_flush_begin(&flush, context);
}

/* First a few pages of each table, so that tables come and go all the time; then everything. */
static uint32_t pick_page(bool sparse)
{
    return sparse ? random_below(oracle_regions * 3) * 512 + random_below(3)
                  : random_below(oracle_regions * ORACLE_SPAN);
}

void oracle_operate(uint32_t operations, bool growing)
{
    model.on_store = look_after_store;
    model.on_release = look_at_release;
    for (uint32_t i = 0; i < operations; i++) {
        bool sparse = i < operations / 2;
        uint32_t page = pick_page(sparse), run = random_below(4) == 0 && !sparse ? random_below(48) : 1;
        bool unmap = random_below(100) < 45 + (i / 4096 % 2) * 10; /* waves of filling and emptying */

        for (; run > 0; run--, page = page + 1 < oracle_regions * ORACLE_SPAN ? page + 1 : 0) {
            if (unmap)
                unmap_page(page);
            else
                map_page(page);
        }
        if (random_below(sparse ? 3 : 8) == 0)
            flush_now();
        if (growing && oracle_regions < ORACLE_REGIONS && random_below(operations) < 2 * ORACLE_REGIONS)
            oracle_regions++;
        if (i % 20000 == 0)
            check_everything();
    }
    check_everything();
    for (uint32_t page = 0; page < ORACLE_PAGES; page++)
        unmap_page(page);
    flush_now();
    assert_int_equal(iommu_tables_used(context), 1);
    for (uint32_t mfn = 0; mfn < ORACLE_MFNS; mfn++)
        assert_int_equal(oracle.references[mfn], 0);
}

void oracle_random_operations(uint64_t seed, uint32_t operations, uint32_t quota)
{
    oracle_random = seed;
    oracle_start(quota);
    oracle_operate(operations, false);
}

void oracle_set_model(uint8_t levels, bool coherent, bool caching_mode, uint32_t units)
{
    model.levels = model.levels_max = levels;
    model.coherent = coherent;
    model.caching_mode = caching_mode;
    model.units = units;
    model.order_max = 18;
    model.leaf_level = 3;
}

int oracle_vtd(void **state)
{
    (void)state;
    model.vendor = IOMMU_VENDOR_VTD;
    return 0;
}

int oracle_amdvi(void **state)
{
    (void)state;
    model.vendor = IOMMU_VENDOR_AMDVI;
    return 0;
}

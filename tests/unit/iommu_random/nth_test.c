/* SPDX-License-Identifier: MIT */
/*
 * Every table that a map takes is the one that is not there, in turn: quotas from what the context holds
 * already up to what the call needs. The error is the oracle's; what was mapped is as it was, page by page,
 * or as far as the call says that it got; no table is left over, and nothing is taken from elsewhere.
 */
#include "drivers/iommu/driver.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/unit/iommu_engine/model.h"
#include "tests/unit/iommu_random/judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RW          (IOMMU_READ | IOMMU_WRITE)
#define BLOCK       512u
#define GIB         (BLOCK * BLOCK)
#define MACHINE_MFN ((1ull << 28) - 1)
#define LIST        20u
#define ALL_OF      24u /* so many failures are tried one by one; of more, some */

/* Two GiB for every order, and the edges of what 3, 4 and 5 levels reach. */
static const struct flat_area areas[] = {{0, 2 * GIB},
                                         {(1ull << 27) - BLOCK, 2 * BLOCK},
                                         {(1ull << 36) - BLOCK, 2 * BLOCK},
                                         {(1ull << 45) - BLOCK, 2 * BLOCK}};
#define AREAS     4u
#define EDGE_OF_3 (2 * GIB + BLOCK) /* pages: the first one beyond */
#define EDGE_OF_5 (2 * GIB + 5 * BLOCK)

static struct iommu_context *context;
static struct iommu_flush flush;
static uint8_t first_levels;

struct call {
    int (*make)(const struct call *call);
    uint32_t page, order; /* or frames */
};

/* ---- calls, and what the oracle says of them ---- */

static int map(const struct call *call)
{
    int error;

    judge_change =
        (struct judge_change){.page = call->page, .frames = 1u << call->order, .mfn = 4 * GIB, .flags = RW};
    error = iommu_map(context, flat_bfn(call->page), 4 * GIB, call->order, RW, &flush);
    assert_int_equal(error, flat_map(call->page, 4 * GIB, call->order, RW));
    return error;
}

static int map_run(const struct call *call)
{
    uint64_t mfn = 4 * GIB + call->page, done, expected;
    int error;

    judge_change = (struct judge_change){.page = call->page, .frames = call->order, .mfn = mfn, .flags = RW};
    error = iommu_map_run(context, flat_bfn(call->page), mfn, call->order, RW, &flush, &done);
    assert_int_equal(error, flat_map_run(call->page, mfn, call->order, RW, &expected));
    assert_int_equal(done, expected);
    return error;
}

/* Each in a table of its own; the way back is through the same ones. */
static int map_list(const struct call *call)
{
    struct iommu_element list[LIST];
    uint32_t done, expected;
    int error;

    judge_change = (struct judge_change){.count = LIST};
    for (uint32_t i = 0; i < LIST; i++) {
        uint32_t page = call->page + (i < LIST / 2 ? i : LIST - i) * 3 * BLOCK;

        judge_change.list[i] = (struct flat_element){page, RW, 7000 + i};
        list[i] = (struct iommu_element){.bfn = flat_bfn(page), .mfn = 7000 + i, .flags = RW};
    }
    error = iommu_map_list(context, list, LIST, &flush, &done);
    assert_int_equal(error, flat_map_list(judge_change.list, LIST, &expected));
    assert_int_equal(done, expected);
    return error;
}

static int unmap(const struct call *call)
{
    int error;

    judge_change = (struct judge_change){.page = call->page, .frames = 1u << call->order};
    error = iommu_unmap(context, flat_bfn(call->page), call->order, &flush);
    assert_int_equal(error, flat_unmap(call->page, call->order));
    return error;
}

static int unmap_list(const struct call *call)
{
    struct iommu_element list[LIST];
    uint32_t done, expected;
    int error;

    judge_change = (struct judge_change){.count = LIST};
    for (uint32_t i = 0; i < LIST; i++) {
        judge_change.list[i] = (struct flat_element){.page = call->page + i * call->order};
        list[i] = (struct iommu_element){.bfn = flat_bfn(judge_change.list[i].page)};
    }
    error = iommu_unmap_list(context, list, LIST, &flush, &done);
    assert_int_equal(error, flat_unmap_list(judge_change.list, LIST, &expected));
    assert_int_equal(done, expected);
    return error;
}

static int unmap_run(const struct call *call)
{
    uint64_t done, expected;
    int error;

    judge_change = (struct judge_change){.page = call->page, .frames = call->order};
    error = iommu_unmap_run(context, flat_bfn(call->page), call->order, &flush, &done);
    assert_int_equal(error, flat_unmap_run(call->page, call->order, &expected));
    assert_int_equal(done, expected);
    return error;
}

/* ---- what is there before ---- */

enum before { NOTHING, A_PAGE_BESIDE, A_PAGE_IN_THE_GIB, A_BLOCK, A_GIB, PAGES_AND_BLOCKS, BEFORES };

static void put(uint32_t page, uint32_t order)
{
    const struct call call = {.page = page, .order = order};
    uint64_t mfn = 8ull * GIB + page;

    judge_change = (struct judge_change){.page = page, .frames = 1u << order, .mfn = mfn, .flags = RW};
    assert_int_equal(iommu_map(context, flat_bfn(call.page), mfn, order, RW, &flush), 0);
    assert_int_equal(flat_map(page, mfn, order, RW), 0);
    judge_operation();
}

static void put_before(enum before before)
{
    if (before == A_PAGE_BESIDE)
        put(7, 0);
    if (before == A_PAGE_IN_THE_GIB)
        put(GIB - 1, 0);
    if (before == A_BLOCK || before == PAGES_AND_BLOCKS)
        put(0, 9);
    if (before == A_GIB)
        put(0, 18);
    if (before == PAGES_AND_BLOCKS) {
        put(5 * BLOCK + 3, 0);
        put(GIB + 8 * BLOCK, 9);
    }
}

static uint32_t tables_before(enum before before)
{
    static const uint32_t tables[BEFORES] = {0, 1, 1, 1, BLOCK, 3};
    static const uint32_t gibs[BEFORES] = {0, 1, 1, 1, 1, 2};
    uint32_t above = before != NOTHING && first_levels == 4;

    return tables[before] + gibs[before] + above; /* beside the root */
}

static void begin(uint32_t quota, enum before before)
{
    model_init();
    assert_int_equal(iommu_context_create(&context, quota), 0);
    assert_int_equal(iommu_attach(context, 0, 0), 0);
    iommu_flush_begin(&flush, context);
    flat_begin(areas, AREAS, model.levels, model.levels_max, 3, quota + 1, MACHINE_MFN,
               (struct iommu_range){0});
    judge_begin(context, quota);
    put_before(before);
    assert_int_equal(iommu_flush(&flush), 0);
    model.allocation_limit = 0;
}

/* ---- one call with one quota ---- */

static void expect_lookups(uint32_t from, uint32_t pages, uint32_t step)
{
    for (uint32_t page = from; page < from + pages && page < flat.page_count; page += step) {
        struct iommu_mapping mapping = {0}, expected = {0};

        assert_int_equal(iommu_lookup(context, flat_bfn(page), &mapping), flat_lookup(page, &expected));
        assert_int_equal(mapping.mfn, expected.mfn);
        assert_int_equal(mapping.flags, expected.flags);
    }
}

static void expect_no_residue(int64_t frames)
{
    judge_operation();
    expect_lookups(0, flat.page_count, 257);
    expect_lookups(judge_change.page, 2 * BLOCK, 1);
    assert_int_equal(iommu_flush(&flush), 0);
    judge_flush();
    assert_int_equal(iommu_tables_used(context), flat_tables());
    assert_int_equal(model.frames_out, frames);
    for (uint32_t page = 0; page < 2 * GIB; page += GIB)
        (void)unmap(&(struct call){.page = page, .order = 18});
    for (uint32_t page = 2 * GIB; page < flat.page_count; page += BLOCK)
        (void)unmap(&(struct call){.page = page, .order = 9});
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(iommu_tables_used(context), 1);
    assert_int_equal(context->table.reserve, 0);
    assert_int_equal(model.frames_out, frames);
}

/* The error, and how many tables the call made the tree count as having. */
static int try(const struct call *call, uint32_t quota, enum before before, uint32_t *needed)
{
    uint32_t tables;
    uint64_t removed;
    int error;

    begin(quota, before);
    tables = flat_tables_split();
    removed = flat.removed;
    error = call->make(call);
    *needed = flat_tables_split() - tables;
    if (error != 0 && call->make == map) { /* all or nothing */
        assert_int_equal(flat.removed, removed);
        assert_true(flat_tables_split() - tables <= (uint32_t)(flat.levels - model.levels));
    }
    expect_no_residue(model.frames_out);
    return error;
}

/* From none that is left to as many as are needed. */
static void fail_each(const struct call *call, enum before before)
{
    uint32_t least = tables_before(before), needed, ignored;

    assert_int_equal(try(call, 2000, before, &needed), 0);
    for (uint32_t left = 0; left < needed; left++) {
        if (needed > ALL_OF && left > 3 && left + 4 < needed && left % 67 != 0)
            continue;
        assert_int_equal(try(call, least + left, before, &ignored), -ENOMEM);
    }
    assert_int_equal(try(call, least + needed, before, &ignored), 0);
}

static void set_model(uint8_t levels, uint8_t levels_max, bool coherent)
{
    model.levels = first_levels = levels;
    model.levels_max = levels_max;
    model.leaf_level = 3;
    model.coherent = coherent;
    model.caching_mode = false;
    model.units = 1;
    model.order_max = 38;
    model.reserved = (struct iommu_range){0};
}

/* ---- cases ---- */

static void a_map_of_each_order(void **state)
{
    (void)state;
    for (uint32_t order = 0; order <= 18; order++)
        for (enum before before = NOTHING; before < BEFORES; before++) {
            set_model(order % 2 == 0 ? 3 : 4, 4, before % 2 == 0);
            model.levels_max = model.levels;
            fail_each(&(struct call){map, 0, order}, before);
            if (order == 0)
                fail_each(&(struct call){map, GIB + BLOCK, 0}, before);
        }
}

static void a_run(void **state)
{
    static const uint32_t frames[] = {1, BLOCK, 2 * BLOCK + 100, 8 * BLOCK, GIB + 3};

    (void)state;
    set_model(4, 4, false);
    for (uint32_t i = 0; i < 5; i++)
        for (enum before before = NOTHING; before < BEFORES; before++) {
            fail_each(&(struct call){map_run, 0, frames[i]}, before);
            fail_each(&(struct call){map_run, GIB - 200, frames[i] % (BLOCK * 16)}, before);
        }
}

static void a_list(void **state)
{
    (void)state;
    set_model(4, 4, true);
    for (enum before before = NOTHING; before < BEFORES; before++)
        fail_each(&(struct call){map_list, GIB - 14 * BLOCK, 0}, before);
}

/* No table is made for a frame that no machine has. */
static void a_list_that_is_refused(void **state)
{
    const struct iommu_element list[] = {{.bfn = GIB + 5, .mfn = MACHINE_MFN + 1, .flags = RW}};
    uint32_t done;

    (void)state;
    set_model(4, 4, true);
    begin(100, A_PAGE_BESIDE);
    assert_int_equal(iommu_map_list(context, list, 1, &flush, &done), -EINVAL);
    assert_int_equal(done, 0);
    judge_change = (struct judge_change){0};
    expect_no_residue(model.frames_out);
}

/* The levels that it takes, and the tables below them; what the tree held is reached by both roots. */
static void a_tree_that_grows(void **state)
{
    (void)state;
    for (uint8_t levels = 3; levels <= 4; levels++)
        for (uint32_t edge = EDGE_OF_3; edge <= EDGE_OF_5; edge += 2 * BLOCK)
            for (enum before before = NOTHING; before < BEFORES; before++) {
                if (before == A_GIB)
                    continue;
                set_model(levels, 6, true);
                fail_each(&(struct call){map, edge, 0}, before);
                fail_each(&(struct call){map, edge, 9}, before);
                fail_each(&(struct call){map_run, edge - 3, 6}, before);
            }
}

/* Not one table is left: leaves that were put in as large ones come apart all the same. */
static void an_unmap_takes_nothing(void **state)
{
    static const uint32_t frames[] = {1, 100, BLOCK + 1, GIB - 1};
    uint32_t ignored;

    (void)state;
    for (enum before before = NOTHING; before < BEFORES; before++) {
        set_model(before % 2 == 0 ? 3 : 4, 4, before % 2 == 0);
        model.levels_max = model.levels;
        for (uint32_t order = 0; order <= 18; order++) {
            uint32_t page = order < 9 ? 256u : 0;

            assert_int_equal(try(&(struct call){unmap, page, order}, tables_before(before), before, &ignored),
                             0);
        }
        for (uint32_t i = 0; i < 4; i++)
            assert_int_equal(try(&(struct call){unmap_list, 3, frames[i] % (3 * BLOCK)},
                                 tables_before(before), before, &ignored),
                             0);
        for (uint32_t i = 0; i < 4; i++)
            assert_int_equal(
                try(&(struct call){unmap_run, 1, frames[i]}, tables_before(before), before, &ignored), 0);
    }
}

static void a_replacement_takes_nothing(void **state)
{
    uint32_t ignored;

    (void)state;
    set_model(4, 4, false);
    for (uint32_t order = 0; order <= 18; order++) {
        assert_int_equal(try(&(struct call){map, 0, order}, tables_before(A_GIB), A_GIB, &ignored), 0);
        if (order <= 9)
            assert_int_equal(try(&(struct call){map, 0, order}, tables_before(A_BLOCK), A_BLOCK, &ignored),
                             0);
    }
}

static int on_vtd(void **state)
{
    (void)state;
    model.vendor = IOMMU_VENDOR_VTD;
    return 0;
}

static int on_amdvi(void **state)
{
    (void)state;
    model.vendor = IOMMU_VENDOR_AMDVI;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_of_each_order),
        cmocka_unit_test(a_run),
        cmocka_unit_test(a_list),
        cmocka_unit_test(a_list_that_is_refused),
        cmocka_unit_test(a_tree_that_grows),
        cmocka_unit_test(an_unmap_takes_nothing),
        cmocka_unit_test(a_replacement_takes_nothing),
    };

    return cmocka_run_group_tests_name("iommu_nth_vtd", tests, on_vtd, NULL) +
           cmocka_run_group_tests_name("iommu_nth_amdvi", tests, on_amdvi, NULL);
}

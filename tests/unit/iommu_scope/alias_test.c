/* SPDX-License-Identifier: MIT */
/*
 * Which unit a requester id belongs to and under which alias it shows: the policy over the IVRS. Machines of
 * several units are only here; QEMU has one.
 */
#include "drivers/iommu/amdvi/ivrs.h"
#include "tests/host/ivrs_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOBODY 0xff

static struct ivrs ivrs;
static struct ivrs_builder builder;
static bool usable[IVRS_BLOCKS_MAX];
static struct claims claims;

static int set_up(void **state)
{
    (void)state;
    ivrs_begin(&builder, 0);
    for (uint32_t i = 0; i < IVRS_BLOCKS_MAX; i++)
        usable[i] = true;
    return 0;
}

static void put_unit(uint8_t type, uint16_t segment, uint16_t id)
{
    ivrs_ivhd(&builder, (struct ivrs_ivhd){.type = type, .segment = segment, .id = id, .base = 0xfd200000});
}

static bool parse(void)
{
    assert_true(ivrs_parse(builder.bytes, builder.size, &ivrs));
    return ivrs_claim(&ivrs, usable, &claims);
}

static uint8_t unit_of(uint16_t segment, uint16_t id)
{
    const struct claim *claim = claims_find(&claims, segment, id);

    return claim != NULL && usable[claim->unit] ? claim->unit : NOBODY;
}

static uint16_t alias_of(uint16_t segment, uint16_t id)
{
    const struct claim *claim = claims_find(&claims, segment, id);

    assert_non_null(claim);
    return claim->aliased ? claim->alias : id;
}

static uint32_t count_findings(enum finding_reason reason)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < ivrs.findings.count; i++)
        count += ivrs.findings.list[i].reason == reason;
    return count;
}

/* A device over a range, a range over "all", in whatever order. */
static void the_narrowest_entry_wins(void **state)
{
    (void)state;
    put_unit(0x10, 0, 2);
    ivrs_all(&builder, 0);
    ivrs_select(&builder, 0x123, 0);
    put_unit(0x10, 0, 0x4002);
    ivrs_range(&builder, 0x100, 0x1ff, 0);
    put_unit(0x10, 1, 2);
    ivrs_range(&builder, 0x100, 0x1ff, 0);
    assert_true(parse());
    assert_int_equal(unit_of(0, 0x99), 0);
    assert_int_equal(unit_of(0, 0x123), 0);
    assert_int_equal(unit_of(0, 0x124), 1);
    assert_int_equal(unit_of(1, 0x124), 2);
    assert_int_equal(unit_of(1, 0x99), NOBODY);
    assert_int_equal(unit_of(2, 0x124), NOBODY);
}

/* Blocks that another one supersedes claim nothing, whatever they say. */
static void only_the_block_that_counts_claims(void **state)
{
    (void)state;
    put_unit(0x10, 0, 2);
    ivrs_select(&builder, 8, 0);
    put_unit(0x11, 0, 2);
    ivrs_select(&builder, 9, 0);
    assert_true(parse());
    assert_int_equal(unit_of(0, 8), NOBODY);
    assert_int_equal(unit_of(0, 9), 1);
}

static void aliases(void **state)
{
    (void)state;
    put_unit(0x10, 0, 2);
    ivrs_range(&builder, 3, 0xffff, 0);
    ivrs_alias_range(&builder, 0xff00, 0xffff, 0xa5, 0);
    ivrs_select(&builder, 0x40, 0);
    ivrs_alias(&builder, 0x40, 0x41, 0); /* beside a plain entry for the same device, the alias counts */
    ivrs_alias(&builder, 0x50, 0x51, 0);
    ivrs_select(&builder, 0x50, 0);
    assert_true(parse());
    assert_int_equal(alias_of(0, 0xff80), 0xa5);
    assert_int_equal(alias_of(0, 0xfe80), 0xfe80);
    assert_int_equal(alias_of(0, 0x40), 0x41);
    assert_int_equal(alias_of(0, 0x50), 0x51);
    assert_int_equal(ivrs.findings.count, 0);
}

static void two_aliases_for_one_device(void **state)
{
    (void)state;
    put_unit(0x10, 0, 2);
    ivrs_alias(&builder, 0x40, 0x41, 0);
    ivrs_alias(&builder, 0x40, 0x42, 0);
    ivrs_alias(&builder, 0x48, 0x49, 0);
    ivrs_alias(&builder, 0x48, 0x49, 0);
    assert_true(parse());
    assert_int_equal(unit_of(0, 0x40), NOBODY);
    assert_int_equal(unit_of(0, 0x48), 0);
    assert_int_equal(count_findings(FINDING_TWO_ALIASES), 1);
}

static void two_units_that_claim_one_device(void **state)
{
    (void)state;
    put_unit(0x10, 0, 2);
    ivrs_range(&builder, 0x100, 0x11f, 0);
    put_unit(0x10, 0, 0x4002);
    ivrs_range(&builder, 0x110, 0x12f, 0);
    assert_true(parse());
    assert_int_equal(unit_of(0, 0x10f), 0);
    assert_int_equal(unit_of(0, 0x110), NOBODY);
    assert_int_equal(unit_of(0, 0x11f), NOBODY);
    assert_int_equal(unit_of(0, 0x120), 1);
    assert_int_equal(count_findings(FINDING_TWO_UNITS), 1);
}

/* What a unit that cannot be used names is blocked; it does not fall to another's "all". */
static void devices_of_a_refused_unit_are_blocked(void **state)
{
    (void)state;
    usable[0] = false;
    put_unit(0x10, 0, 2);
    ivrs_select(&builder, 8, 0);
    put_unit(0x10, 0, 0x4002);
    ivrs_all(&builder, 0);
    assert_true(parse());
    assert_int_equal(unit_of(0, 8), NOBODY);
    assert_int_equal(unit_of(0, 9), 1);
}

/* ... and what of it cannot be read may be anybody. */
static void a_refused_unit_that_cannot_be_read_blocks_all_the_rest(void **state)
{
    (void)state;
    usable[0] = false;
    put_unit(0x10, 0, 2);
    ivrs_entry4(&builder, 0x33, 8, 0);
    put_unit(0x10, 0, 0x4002);
    ivrs_all(&builder, 0);
    ivrs_select(&builder, 9, 0);
    assert_false(parse());
    assert_int_equal(unit_of(0, 8), NOBODY);
    assert_int_equal(unit_of(0, 9), 1);
    usable[0] = true;
    assert_true(parse());
    assert_int_equal(unit_of(0, 8), 1);
}

static void a_cut_table_serves_only_named_devices(void **state)
{
    (void)state;
    put_unit(0x10, 0, 2);
    ivrs_all(&builder, 0);
    ivrs_select(&builder, 9, 0);
    ivrs_alias(&builder, 10, 11, 0);
    ivrs_range(&builder, 0x20, 0x27, 0);
    ivrs_range(&builder, 0x30, 0x30, 0);
    assert_true(parse());
    assert_int_equal(unit_of(0, 0x21), 0);
    ivrs_open(&builder, 0x10, 0); /* four bytes of a block */
    ivrs_put(&builder, 0, 1);
    assert_false(parse());
    assert_int_equal(unit_of(0, 8), NOBODY);
    assert_int_equal(unit_of(0, 9), 0);
    assert_int_equal(unit_of(0, 10), 0);
    assert_int_equal(alias_of(0, 10), 11);
    assert_int_equal(unit_of(0, 0x21), NOBODY); /* a range names nobody one by one */
    assert_int_equal(unit_of(0, 0x30), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_narrowest_entry_wins, set_up),
        cmocka_unit_test_setup(only_the_block_that_counts_claims, set_up),
        cmocka_unit_test_setup(aliases, set_up),
        cmocka_unit_test_setup(two_aliases_for_one_device, set_up),
        cmocka_unit_test_setup(two_units_that_claim_one_device, set_up),
        cmocka_unit_test_setup(devices_of_a_refused_unit_are_blocked, set_up),
        cmocka_unit_test_setup(a_refused_unit_that_cannot_be_read_blocks_all_the_rest, set_up),
        cmocka_unit_test_setup(a_cut_table_serves_only_named_devices, set_up),
    };

    return cmocka_run_group_tests_name("iommu_alias", tests, NULL, NULL);
}

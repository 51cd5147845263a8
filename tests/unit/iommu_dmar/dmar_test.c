/* SPDX-License-Identifier: MIT */
/*
 * The DMAR parser: what it makes of good tables, of spoiled ones, and of firmware's real ones. Each table is
 * parsed from a block of exactly its size, so that the sanitizer sees a read beyond it.
 */
#include "drivers/iommu/vtd/dmar.h"
#include "tests/host/dmar_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct dmar dmar;

static bool parse_exact(const uint8_t *bytes, size_t size)
{
    uint8_t *block = malloc(size != 0 ? size : 1);
    bool parsed;

    assert_non_null(block);
    memcpy(block, bytes, size);
    parsed = dmar_parse(block, size, &dmar);
    free(block);
    /* Whatever came in, what comes out is within its own bounds. */
    assert_true(dmar.unit_count <= DMAR_UNITS_MAX && dmar.scope_count <= DMAR_SCOPES_MAX);
    assert_true(dmar.reserved_count <= DMAR_RESERVED_MAX && dmar.finding_count <= DMAR_FINDINGS_MAX);
    for (uint32_t i = 0; i < dmar.unit_count; i++)
        assert_true(dmar.units[i].first_scope + dmar.units[i].scopes <= dmar.scope_count);
    for (uint32_t i = 0; i < dmar.reserved_count; i++) {
        assert_true(dmar.reserved[i].first_scope + dmar.reserved[i].scopes <= dmar.scope_count);
        assert_true(dmar.reserved[i].base <= dmar.reserved[i].limit);
    }
    return parsed;
}

static bool has_finding(const char *structure, const char *reason)
{
    for (uint32_t i = 0; i < dmar.finding_count; i++)
        if (strcmp(dmar.findings[i].structure, structure) == 0 &&
            strstr(dmar.findings[i].reason, reason) != NULL)
            return true;
    return false;
}

static void sample(struct dmar_builder *builder)
{
    dmar_begin(builder);
    dmar_drhd(builder, 0, 0, 0xfed91000);
    dmar_scope(builder, DMAR_SCOPE_ENDPOINT, 0, 2, 0);
    dmar_scope(builder, DMAR_SCOPE_BRIDGE, 0, 0x1c, 5);
    dmar_drhd(builder, 1, 1, 0xfed90000);
    dmar_scope(builder, DMAR_SCOPE_IOAPIC, 0xf0, 0x1f, 0);
    dmar_scope(builder, DMAR_SCOPE_HPET, 0, 0x1f, 0);
    dmar_rmrr(builder, 0, 0x7a000000, 0x7a7fffff);
    dmar_scope(builder, DMAR_SCOPE_ENDPOINT, 0, 0x14, 0);
}

static void a_good_table(void **state)
{
    struct dmar_builder builder;

    (void)state;
    sample(&builder);
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.finding_count, 0);
    assert_int_equal(dmar.address_width, 39);
    assert_true(dmar.interrupt_remapping);
    assert_int_equal(dmar.unit_count, 2);
    assert_int_equal(dmar.units[0].base, 0xfed91000);
    assert_int_equal(dmar.units[0].scopes, 2);
    assert_false(dmar.units[0].include_all);
    assert_true(dmar.units[1].include_all);
    assert_int_equal(dmar.units[1].segment, 1);
    assert_int_equal(dmar.scopes[1].kind, DMAR_SCOPE_BRIDGE);
    assert_int_equal(dmar.scopes[1].path[0].device, 0x1c);
    assert_int_equal(dmar.scopes[1].path[0].function, 5);
    assert_int_equal(dmar.reserved_count, 1);
    assert_int_equal(dmar.reserved[0].limit, 0x7a7fffff);
    assert_int_equal(dmar.reserved[0].first_scope, 4);
}

static void a_path_of_several_hops(void **state)
{
    struct dmar_builder builder;
    static const uint8_t scope[] = {2, 12, 0, 0, 0, 0x40, 3, 0, 0, 0, 5, 1};

    (void)state;
    dmar_begin(&builder);
    dmar_drhd(&builder, 0, 0, 0xfed90000);
    for (size_t i = 0; i < sizeof scope; i++)
        dmar_put(&builder, scope[i], 1);
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.scope_count, 1);
    assert_int_equal(dmar.scopes[0].hops, 3);
    assert_int_equal(dmar.scopes[0].start_bus, 0x40);
    assert_int_equal(dmar.scopes[0].path[2].device, 5);
    assert_int_equal(dmar.scopes[0].path[2].function, 1);
}

static void bad_entries_cost_only_themselves(void **state)
{
    struct dmar_builder builder;

    (void)state;
    dmar_begin(&builder);
    dmar_drhd(&builder, 0, 0, 0xfed90000);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 32, 0); /* no such device number */
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 4, 0);
    dmar_rmrr(&builder, 0, 0x2000, 0x1fff);
    dmar_open(&builder, 0x77);
    dmar_put(&builder, 0, 4);
    dmar_drhd(&builder, 1, 0, 0xfed91000);
    dmar_put(&builder, 1, 1); /* a scope of two bytes */
    dmar_put(&builder, 2, 1);
    dmar_rmrr(&builder, 0, 0x3000, 0x3fff);
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.unit_count, 2);
    assert_int_equal(dmar.units[0].scopes, 1);
    assert_int_equal(dmar.scopes[0].path[0].device, 4);
    assert_int_equal(dmar.units[1].scopes, 0);
    assert_int_equal(dmar.reserved_count, 1);
    assert_int_equal(dmar.reserved[0].base, 0x3000);
    assert_false(dmar.truncated);
    assert_true(has_finding("device scope", "cannot be"));
    assert_true(has_finding("RMRR", "ends before it begins"));
    assert_true(has_finding("structure", "does not know"));
    assert_true(has_finding("device scope", "length is impossible"));
}

static void impossible_lengths_stop_the_walk(void **state)
{
    static const uint16_t lengths[] = {0, 1, 3, 0xffff};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct dmar_builder builder;

        sample(&builder);
        builder.bytes[50] = (uint8_t)lengths[i];
        builder.bytes[51] = (uint8_t)(lengths[i] >> 8);
        assert_true(parse_exact(builder.bytes, builder.size));
        assert_int_equal(dmar.unit_count, 0);
        assert_true(dmar.truncated);
    }
}

/* A unit that cannot be read may own any device: what follows must know that. */
static void a_short_unit_is_remembered(void **state)
{
    struct dmar_builder builder;

    (void)state;
    dmar_begin(&builder);
    dmar_open(&builder, 0);
    dmar_put(&builder, 1, 4);
    dmar_drhd(&builder, 1, 0, 0xfed90000);
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.unit_count, 1);
    assert_true(dmar.truncated);
    assert_true(has_finding("DRHD", "too short"));
}

static void not_a_table(void **state)
{
    struct dmar_builder builder;

    (void)state;
    sample(&builder);
    assert_false(parse_exact(builder.bytes, 47));
    assert_true(has_finding("table", "too short"));
    assert_false(parse_exact(builder.bytes, 0));
    builder.bytes[0] = 'X';
    assert_false(parse_exact(builder.bytes, builder.size));
    assert_true(has_finding("table", "not a DMAR"));
}

static void truncated_at_every_byte(void **state)
{
    struct dmar_builder builder;

    (void)state;
    sample(&builder);
    for (size_t size = 0; size < builder.size; size++)
        assert_int_equal(parse_exact(builder.bytes, size), size >= 48);
}

static void every_bit_flipped(void **state)
{
    struct dmar_builder builder;

    (void)state;
    sample(&builder);
    for (size_t bit = 0; bit < builder.size * 8; bit++) {
        builder.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        parse_exact(builder.bytes, builder.size);
        builder.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void more_than_there_is_room_for(void **state)
{
    struct dmar_builder builder;

    (void)state;
    dmar_begin(&builder);
    for (uint32_t i = 0; i < DMAR_UNITS_MAX + 3; i++)
        dmar_drhd(&builder, 0, 0, 0x1000ull * (i + 1));
    for (uint32_t i = 0; i < DMAR_RESERVED_MAX + 3; i++)
        dmar_rmrr(&builder, 0, 0x1000, 0x1fff);
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.unit_count, DMAR_UNITS_MAX);
    assert_int_equal(dmar.reserved_count, DMAR_RESERVED_MAX);
    assert_true(dmar.truncated);
}

/* ---- firmware's own tables, with an independent decode of each ---- */

static uint32_t number_after(const char *line, const char *name, int base)
{
    const char *at = strstr(line, name);

    return at != NULL ? (uint32_t)strtoul(at + strlen(name), NULL, base) : 0;
}

static void check_real_table(const char *folder, char *line)
{
    static uint8_t bytes[65536];
    char path[512], *end = strstr(line, " |");
    size_t size;
    FILE *file;

    *end = '\0';
    snprintf(path, sizeof path, "%s/%s", folder, line);
    *end = ' ';
    file = fopen(path, "rb");
    assert_non_null(file);
    size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_true(parse_exact(bytes, size));
    assert_false(dmar.truncated);
    assert_int_equal(dmar.address_width, number_after(line, " haw", 10));
    assert_int_equal(dmar.unit_count, number_after(line, "DRHDx", 10));
    assert_int_equal(dmar.reserved_count, number_after(line, "RMRRx", 10));
    assert_int_equal(dmar.interrupt_remapping, number_after(line, " flags", 16) & 1);
    assert_int_equal(dmar.finding_count, 0);
    /* The other decode counts scopes of all structures. */
    if (strstr(line, "ATSR") == NULL && strstr(line, "SATC") == NULL) {
        uint32_t kinds[8] = {0};

        for (uint32_t i = 0; i < dmar.scope_count; i++)
            kinds[dmar.scopes[i].kind & 7]++;
        assert_int_equal(kinds[DMAR_SCOPE_ENDPOINT], number_after(line, "ep:", 10));
        assert_int_equal(kinds[DMAR_SCOPE_BRIDGE], number_after(line, "bridge:", 10));
        assert_int_equal(kinds[DMAR_SCOPE_IOAPIC], number_after(line, "ioapic:", 10));
    }
}

static void real_tables(void **state)
{
    const char *folder = getenv("SLUICE_TABLES");
    char path[512], line[1024];
    uint32_t tables = 0;
    FILE *list;

    (void)state;
    if (folder == NULL) {
        print_message("skipped: SLUICE_TABLES does not name a folder with firmware's tables\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/README.md", folder);
    list = fopen(path, "r");
    assert_non_null(list);
    while (fgets(line, sizeof line, list) != NULL)
        if (strncmp(line, "dmar/", 5) == 0) {
            check_real_table(folder, line);
            tables++;
        }
    fclose(list);
    assert_true(tables > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_table),
        cmocka_unit_test(a_path_of_several_hops),
        cmocka_unit_test(bad_entries_cost_only_themselves),
        cmocka_unit_test(impossible_lengths_stop_the_walk),
        cmocka_unit_test(a_short_unit_is_remembered),
        cmocka_unit_test(not_a_table),
        cmocka_unit_test(truncated_at_every_byte),
        cmocka_unit_test(every_bit_flipped),
        cmocka_unit_test(more_than_there_is_room_for),
        cmocka_unit_test(real_tables),
    };

    return cmocka_run_group_tests_name("iommu_dmar", tests, NULL, NULL);
}

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

static void check_scopes(struct dmar_scopes scopes)
{
    assert_true(scopes.first + scopes.count <= dmar.scope_count);
}

/* Whatever came in, what comes out is within its own bounds. */
static void check_bounds(size_t size)
{
    assert_true(dmar.unit_count <= DMAR_UNITS_MAX && dmar.scope_count <= DMAR_SCOPES_MAX);
    assert_true(dmar.reserved_count <= DMAR_RESERVED_MAX && dmar.findings.count <= FINDINGS_MAX);
    assert_true(dmar.list_count <= DMAR_LISTS_MAX && dmar.node_count <= DMAR_NODES_MAX);
    assert_true(dmar.acpi_count <= DMAR_ACPI_MAX && dmar.hop_count <= DMAR_HOPS_MAX);
    for (uint32_t i = 0; i < dmar.unit_count; i++)
        check_scopes(dmar.units[i].scopes);
    for (uint32_t i = 0; i < dmar.reserved_count; i++) {
        check_scopes(dmar.reserved[i].scopes);
        assert_int_equal(dmar.reserved[i].malformed, dmar.reserved[i].base > dmar.reserved[i].limit);
    }
    for (uint32_t i = 0; i < dmar.list_count; i++)
        check_scopes(dmar.lists[i].scopes);
    for (uint32_t i = 0; i < dmar.acpi_count; i++)
        assert_true(dmar.acpi[i].name + dmar.acpi[i].name_length <= size);
    for (uint32_t i = 0; i < dmar.scope_count; i++)
        assert_true(dmar.scopes[i].hops != 0 &&
                    dmar.scopes[i].first_hop + dmar.scopes[i].hops <= dmar.hop_count);
}

static bool parse_exact(const uint8_t *bytes, size_t size)
{
    uint8_t *block = malloc(size != 0 ? size : 1);
    bool parsed;

    assert_non_null(block);
    memcpy(block, bytes, size);
    memset(&dmar, 0xa5, sizeof dmar);
    parsed = dmar_parse(block, size, &dmar);
    free(block);
    check_bounds(size);
    return parsed;
}

static bool has_finding(const char *structure, const char *reason)
{
    for (uint32_t i = 0; i < dmar.findings.count; i++)
        if (strcmp(finding_structure_text(&dmar.findings.list[i]), structure) == 0 &&
            strstr(finding_reason_text(&dmar.findings.list[i]), reason) != NULL)
            return true;
    return false;
}

static struct dmar_hop hop(uint32_t scope, uint32_t index)
{
    return dmar.hops[dmar.scopes[scope].first_hop + index];
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
    dmar_list(builder, DMAR_ATSR, 1, 0);
    dmar_scope(builder, DMAR_SCOPE_BRIDGE, 0, 1, 0);
    dmar_rhsa(builder, 0xfed90000, 3);
    dmar_andd(builder, 7, "\\_SB.PCI0.I2C0");
    dmar_list(builder, DMAR_SATC, 1, 2);
    dmar_scope(builder, DMAR_SCOPE_ENDPOINT, 0, 2, 0);
    dmar_list(builder, DMAR_SIDP, 0, 0);
    dmar_scope(builder, DMAR_SCOPE_ENDPOINT, 0, 3, 1);
}

static void a_good_table(void **state)
{
    struct dmar_builder builder;

    (void)state;
    sample(&builder);
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.findings.count, 0);
    assert_int_equal(dmar.address_width, 39);
    assert_true(dmar.interrupt_remapping);
    assert_int_equal(dmar.unit_count, 2);
    assert_int_equal(dmar.units[0].base, 0xfed91000);
    assert_int_equal(dmar.units[0].scopes.count, 2);
    assert_false(dmar.units[0].include_all);
    assert_true(dmar.units[1].include_all);
    assert_int_equal(dmar.units[1].segment, 1);
    assert_int_equal(dmar.scopes[1].kind, DMAR_SCOPE_BRIDGE);
    assert_int_equal(hop(1, 0).device, 0x1c);
    assert_int_equal(hop(1, 0).function, 5);
    assert_int_equal(dmar.reserved_count, 1);
    assert_int_equal(dmar.reserved[0].limit, 0x7a7fffff);
    assert_int_equal(dmar.reserved[0].scopes.first, 4);
}

static void what_is_described_besides_units(void **state)
{
    struct dmar_builder builder;

    (void)state;
    sample(&builder);
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.list_count, 3);
    assert_int_equal(dmar.lists[0].type, DMAR_ATSR);
    assert_int_equal(dmar.lists[0].flags, 1);
    assert_int_equal(dmar.lists[0].scopes.first, 5);
    assert_int_equal(dmar.lists[1].type, DMAR_SATC);
    assert_int_equal(dmar.lists[1].segment, 2);
    assert_int_equal(dmar.lists[2].type, DMAR_SIDP);
    assert_int_equal(dmar.lists[2].scopes.count, 1);
    assert_int_equal(hop(7, 0).device, 3);
    assert_int_equal(hop(7, 0).function, 1);
    assert_int_equal(dmar.node_count, 1);
    assert_int_equal(dmar.nodes[0].base, 0xfed90000);
    assert_int_equal(dmar.nodes[0].domain, 3);
    assert_int_equal(dmar.acpi_count, 1);
    assert_int_equal(dmar.acpi[0].number, 7);
    assert_int_equal(dmar.acpi[0].name_length, 14);
    assert_memory_equal(builder.bytes + dmar.acpi[0].name, "\\_SB.PCI0.I2C0", 14);
}

/* A name ends at its zero or with its structure. */
static void a_name_without_an_end(void **state)
{
    struct dmar_builder builder;

    (void)state;
    dmar_begin(&builder);
    dmar_andd(&builder, 1, "ABC");
    builder.bytes[builder.size - 1] = 'D';
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.acpi[0].name_length, 4);
    dmar_begin(&builder);
    dmar_andd(&builder, 1, "");
    builder.size--;
    dmar_put(&builder, 0, 0);
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.acpi[0].name_length, 0);
}

static void registers_may_be_many(void **state)
{
    struct dmar_builder builder;

    (void)state;
    dmar_begin(&builder);
    dmar_drhd(&builder, 0, 0, 0xfed90000);
    dmar_drhd(&builder, 1, 0, 0xfed91000);
    builder.bytes[builder.open + 5] = 0xf4; /* the four high bits are not the size's */
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.units[0].size, 0x1000);
    assert_int_equal(dmar.units[1].size, 0x10000);
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
    assert_int_equal(hop(0, 2).device, 5);
    assert_int_equal(hop(0, 2).function, 1);
}

/* As long as a scope can be: 255 bytes have room for 124 hops. */
static void the_longest_path(void **state)
{
    struct dmar_builder builder;

    (void)state;
    dmar_begin(&builder);
    dmar_drhd(&builder, 0, 0, 0xfed90000);
    dmar_put(&builder, 2, 1);
    dmar_put(&builder, 254, 1);
    dmar_put(&builder, 0, 4);
    for (uint32_t i = 0; i < 124; i++)
        dmar_put(&builder, i % 32, 2);
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.scopes[0].hops, 124);
    assert_int_equal(hop(0, 123).device, 123 % 32);
    assert_int_equal(dmar.findings.count, 0);
    builder.bytes[builder.open + 17] = 255; /* half a hop more */
    dmar_put(&builder, 0, 1);
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_true(dmar.units[0].scopes.incomplete);
    assert_true(has_finding("device scope", "empty or cut"));
}

/* What follows a structure is no part of its list, even if a scope says so. */
static void a_scope_beyond_its_structure(void **state)
{
    struct dmar_builder builder;
    uint32_t scope;

    (void)state;
    dmar_begin(&builder);
    dmar_drhd(&builder, 0, 0, 0xfed90000);
    scope = (uint32_t)builder.size;
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 4, 0);
    dmar_drhd(&builder, 0, 0, 0xfed91000);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 5, 0);
    builder.bytes[scope + 1] = 16; /* of 8 */
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.unit_count, 2);
    assert_true(dmar.units[0].scopes.incomplete && dmar.units[0].scopes.count == 0);
    assert_true(!dmar.units[1].scopes.incomplete && dmar.units[1].scopes.count == 1);
    assert_int_equal(dmar.findings.count, 1);
    assert_int_equal(dmar.findings.list[0].reason, FINDING_LIST_LENGTH);
}

/* A unit whose list has a hole is known to have one; nothing else is. */
static void lost_scopes_are_remembered(void **state)
{
    struct dmar_builder builder;

    (void)state;
    dmar_begin(&builder);
    dmar_drhd(&builder, 0, 0, 0xfed90000);
    dmar_scope(&builder, 6, 0, 4, 0); /* of an unknown kind: kept as firmware wrote it */
    dmar_drhd(&builder, 0, 0, 0xfed91000);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 4, 8);
    dmar_drhd(&builder, 0, 0, 0xfed92000);
    dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 4, 7);
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_true(dmar.units[0].scopes.incomplete && dmar.units[1].scopes.incomplete);
    assert_false(dmar.units[2].scopes.incomplete);
    assert_int_equal(dmar.scope_count, 2);
    assert_int_equal(dmar.scopes[0].kind, 6);
    assert_int_equal(dmar.findings.count, 2);
}

/* Some firmware fills its table up; anything but zeroes is a structure that was cut. */
static void what_is_left_at_the_end(void **state)
{
    (void)state;
    for (uint32_t bytes = 1; bytes < 40; bytes++) {
        struct dmar_builder builder;

        sample(&builder);
        builder.open = 0;
        for (uint32_t i = 0; i < bytes; i++)
            dmar_put(&builder, 0, 1);
        assert_true(parse_exact(builder.bytes, builder.size));
        assert_int_equal(dmar.unit_count, 2);
        assert_false(dmar.truncated);
        assert_true(has_finding("table", "zeroes"));
        builder.bytes[builder.size - 1] = 1;
        assert_true(parse_exact(builder.bytes, builder.size));
        assert_true(dmar.truncated);
        assert_int_equal(dmar.findings.count, 1);
    }
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
    assert_int_equal(dmar.units[0].scopes.count, 1);
    assert_int_equal(hop(0, 0).device, 4);
    assert_int_equal(dmar.units[1].scopes.count, 0);
    assert_int_equal(dmar.reserved_count, 2);
    assert_true(dmar.reserved[0].malformed);
    assert_int_equal(dmar.reserved[1].base, 0x3000);
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
    assert_true(has_finding("table", "another table"));
}

static void truncated_at_every_byte(void **state)
{
    struct dmar_builder builder;

    (void)state;
    sample(&builder);
    for (size_t size = 0; size < builder.size; size++) {
        assert_int_equal(parse_exact(builder.bytes, size), size >= 48);
        assert_true(size < 48 || dmar.truncated);
    }
}

/* Wherever a length may stand, and everywhere else too. */
static void every_byte_a_bad_length(void **state)
{
    static const uint8_t values[] = {0, 1, 3, 255};
    struct dmar_builder builder;

    (void)state;
    sample(&builder);
    for (uint32_t at = 4; at < builder.size; at++)
        for (size_t i = 0; i < sizeof values; i++) {
            uint8_t before = builder.bytes[at];

            builder.bytes[at] = values[i];
            assert_true(parse_exact(builder.bytes, builder.size));
            builder.bytes[at] = before;
        }
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
    for (uint32_t i = 0; i < DMAR_LISTS_MAX + 3; i++)
        dmar_list(&builder, DMAR_SATC, 0, 0);
    for (uint32_t i = 0; i < DMAR_NODES_MAX + 3; i++)
        dmar_rhsa(&builder, 0, 0);
    for (uint32_t i = 0; i < DMAR_ACPI_MAX + 3; i++)
        dmar_andd(&builder, 0, "");
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.unit_count, DMAR_UNITS_MAX);
    assert_int_equal(dmar.reserved_count, DMAR_RESERVED_MAX);
    assert_int_equal(dmar.list_count, DMAR_LISTS_MAX);
    assert_int_equal(dmar.node_count, DMAR_NODES_MAX);
    assert_int_equal(dmar.acpi_count, DMAR_ACPI_MAX);
    assert_int_equal(dmar.findings.count, 15);
    assert_true(dmar.truncated);
}

static void more_scopes_than_there_is_room_for(void **state)
{
    struct dmar_builder builder;

    (void)state;
    dmar_begin(&builder);
    dmar_drhd(&builder, 0, 0, 0xfed90000);
    for (uint32_t i = 0; i < DMAR_SCOPES_MAX; i++)
        dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 1, 0);
    dmar_drhd(&builder, 0, 0, 0xfed91000);
    for (uint32_t i = 0; i < FINDINGS_MAX + 6; i++)
        dmar_scope(&builder, DMAR_SCOPE_ENDPOINT, 0, 1, 0);
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.scope_count, DMAR_SCOPES_MAX);
    assert_false(dmar.units[0].scopes.incomplete);
    assert_true(dmar.units[1].scopes.incomplete);
    assert_int_equal(dmar.findings.count, FINDINGS_MAX);
    assert_int_equal(dmar.findings.lost, 6);

    /* And than hops: 17 paths of 124. */
    dmar_begin(&builder);
    dmar_drhd(&builder, 0, 0, 0xfed90000);
    for (uint32_t i = 0; i < 17; i++) {
        dmar_put(&builder, 2, 1);
        dmar_put(&builder, 254, 1);
        for (uint32_t byte = 2; byte < 254; byte++)
            dmar_put(&builder, 0, 1);
    }
    assert_true(parse_exact(builder.bytes, builder.size));
    assert_int_equal(dmar.scope_count, 16);
    assert_true(dmar.units[0].scopes.incomplete);
    assert_true(has_finding("device scope", "more than Sluice keeps"));
}

/* ---- firmware's own tables, with an independent decode of each ---- */

static uint32_t number_after(const char *line, const char *name, int base)
{
    const char *at = strstr(line, name);

    return at != NULL ? (uint32_t)strtoul(at + strlen(name), NULL, base) : 0;
}

/* Scopes of all structures. */
static void check_scopes_by_kind(const char *line)
{
    static const char *const names[] = {NULL, "ep:", "bridge:", "ioapic:", "hpet:", "acpi:"};
    uint32_t kinds[6] = {0}, longest = 0;

    for (uint32_t i = 0; i < dmar.scope_count; i++) {
        assert_true(dmar.scopes[i].kind <= DMAR_SCOPE_ACPI);
        kinds[dmar.scopes[i].kind]++;
        if (dmar.scopes[i].hops > longest)
            longest = dmar.scopes[i].hops;
    }
    for (uint32_t kind = 1; kind < 6; kind++)
        assert_int_equal(kinds[kind], number_after(line, names[kind], 10));
    assert_int_equal(longest, number_after(line, "maxpath", 10));
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
    assert_int_equal(dmar.findings.count, 0);
    assert_int_equal(dmar.list_count, number_after(line, "ATSRx", 10) + number_after(line, "SATCx", 10) +
                                          number_after(line, "SIDPx", 10));
    assert_int_equal(dmar.node_count, number_after(line, "RHSAx", 10));
    assert_int_equal(dmar.acpi_count, number_after(line, "ANDDx", 10));
    check_scopes_by_kind(line);
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
        cmocka_unit_test(what_is_described_besides_units),
        cmocka_unit_test(a_name_without_an_end),
        cmocka_unit_test(registers_may_be_many),
        cmocka_unit_test(a_path_of_several_hops),
        cmocka_unit_test(the_longest_path),
        cmocka_unit_test(a_scope_beyond_its_structure),
        cmocka_unit_test(lost_scopes_are_remembered),
        cmocka_unit_test(what_is_left_at_the_end),
        cmocka_unit_test(bad_entries_cost_only_themselves),
        cmocka_unit_test(impossible_lengths_stop_the_walk),
        cmocka_unit_test(a_short_unit_is_remembered),
        cmocka_unit_test(not_a_table),
        cmocka_unit_test(truncated_at_every_byte),
        cmocka_unit_test(every_byte_a_bad_length),
        cmocka_unit_test(every_bit_flipped),
        cmocka_unit_test(more_than_there_is_room_for),
        cmocka_unit_test(more_scopes_than_there_is_room_for),
        cmocka_unit_test(real_tables),
    };

    return cmocka_run_group_tests_name("iommu_dmar", tests, NULL, NULL);
}

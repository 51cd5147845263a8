/* SPDX-License-Identifier: MIT */
/* The IVRS parser and firmware's own tables, against an independent decode of each. */
#include "tests/unit/iommu_ivrs/ivrs_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t number_after(const char *line, const char *name, int base)
{
    const char *at = strstr(line, name);

    return at != NULL ? (uint32_t)strtoul(at + strlen(name), NULL, base) : 0;
}

/* Sums, for each unit, what its blocks of every type give: what the other decode counted. */
struct totals {
    uint32_t entries, specials;
};

/* One type of block at a time, the others made unknown, so that each block is chosen once. */
static struct totals totals_over_all_blocks(const uint8_t *bytes, size_t size)
{
    static const uint8_t types[] = {0x10, 0x11, 0x40};
    static uint8_t copy[65536];
    struct totals totals = {0};

    for (size_t i = 0; i < sizeof types; i++) {
        memcpy(copy, bytes, size);
        for (size_t at = TABLE_HEADER, length; at + 4 <= size; at += length) {
            length = copy[at + 2] + 256u * copy[at + 3];
            assert_true(length >= 4);
            if (copy[at] != types[i])
                copy[at] = 0xff;
        }
        assert_true(parse_exact(copy, size));
        assert_int_equal(ivrs.memory_count, 0);
        totals.entries += ivrs.entry_count;
        totals.specials += ivrs.special_count;
    }
    return totals;
}

static void check_real_table(const char *folder, char *line)
{
    static uint8_t bytes[65536];
    char path[512], *end = strstr(line, " |");
    struct totals totals;
    size_t size;
    FILE *file;

    *end = '\0';
    snprintf(path, sizeof path, "%s/%s", folder, line);
    *end = ' ';
    file = fopen(path, "rb");
    assert_non_null(file);
    size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    totals = totals_over_all_blocks(bytes, size);
    /* A range is two entries of the table: every start counts, its end does not. */
    assert_int_equal(totals.entries, number_after(line, "02:", 10) + number_after(line, "03:", 10) +
                                         number_after(line, "43:", 10) + number_after(line, "f0:", 10));
    assert_int_equal(totals.specials, number_after(line, "48:", 10));

    assert_true(parse_exact(bytes, size));
    assert_false(ivrs.truncated);
    assert_int_equal(ivrs.finding_count, 0);
    assert_int_equal(ivrs.info, number_after(line, " ivinfo", 16));
    assert_int_equal(ivrs.unit_count, number_after(line, " units", 10));
    assert_int_equal(ivrs.memory_count, number_after(line, "blk20x", 10) + number_after(line, "blk21x", 10) +
                                            number_after(line, "blk22x", 10));
    for (uint32_t i = 0; i < ivrs.unit_count; i++) {
        uint32_t highest = strstr(line, "blk40") != NULL ? 0x40 : strstr(line, "blk11") != NULL ? 0x11 : 0x10;

        assert_int_equal(ivrs.units[i].type, highest);
        assert_true(ivrs.units[i].entries > 0 && ivrs.units[i].base != 0 && !ivrs.units[i].incomplete);
    }
}

void real_tables(void **state)
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
        if (strncmp(line, "ivrs/", 5) == 0) {
            check_real_table(folder, line);
            tables++;
        }
    fclose(list);
    assert_true(tables > 0);
}

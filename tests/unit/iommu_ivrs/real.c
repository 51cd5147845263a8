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

/* The other decode counts the entries of all blocks; a range's end is none of ours. */
static void check_entries(const char *line)
{
    static const struct {
        uint8_t kind;
        const char *name;
    } kinds[] = {{IVRS_ENTRY_ALL, "01:"},
                 {IVRS_ENTRY_SELECT, "02:"},
                 {IVRS_ENTRY_START, "03:"},
                 {IVRS_ENTRY_ALIAS, "42:"},
                 {IVRS_ENTRY_ALIAS_START, "43:"},
                 {IVRS_ENTRY_EXTENDED, "46:"},
                 {IVRS_ENTRY_EXTENDED_START, "47:"},
                 {IVRS_ENTRY_ACPI, "f0:"}};
    uint32_t counts[256] = {0}, padding = 0;

    for (uint32_t i = 0; i < ivrs.entry_count; i++)
        counts[ivrs.entries[i].kind]++;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        assert_int_equal(counts[kinds[i].kind], number_after(line, kinds[i].name, 10));
    assert_int_equal(counts[IVRS_ENTRY_START] + counts[IVRS_ENTRY_ALIAS_START] +
                         counts[IVRS_ENTRY_EXTENDED_START],
                     number_after(line, "04:", 10));
    assert_int_equal(ivrs.special_count, number_after(line, "48:", 10));
    for (uint32_t i = 0; i < ivrs.block_count; i++)
        padding += ivrs.blocks[i].padding;
    assert_int_equal(padding, number_after(line, "00:", 10));
}

static void check_blocks(const char *line)
{
    uint32_t highest = strstr(line, "blk40") != NULL ? 0x40 : strstr(line, "blk11") != NULL ? 0x11 : 0x10;
    uint32_t units = 0;

    assert_int_equal(ivrs.block_count, number_after(line, "blk10x", 10) + number_after(line, "blk11x", 10) +
                                           number_after(line, "blk40x", 10));
    for (uint32_t i = 0; i < ivrs.block_count; i++) {
        if (ivrs.blocks[i].superseded)
            continue;
        units++;
        assert_int_equal(ivrs.blocks[i].type, highest);
        assert_true(ivrs.blocks[i].entries > 0 && ivrs.blocks[i].base != 0 && !ivrs.blocks[i].incomplete);
    }
    assert_int_equal(units, number_after(line, " units", 10));
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
    assert_false(ivrs.truncated);
    assert_int_equal(ivrs.findings.count, 0);
    assert_int_equal(ivrs.info, number_after(line, " ivinfo", 16));
    assert_int_equal(ivrs.memory_count, number_after(line, "blk20x", 10) + number_after(line, "blk21x", 10) +
                                            number_after(line, "blk22x", 10));
    check_entries(line);
    check_blocks(line);
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

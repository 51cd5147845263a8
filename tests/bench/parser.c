/* SPDX-License-Identifier: MIT */
/*
 * B9: instructions of the parsers of DMAR and IVRS. Each file that is named is parsed, its dump by callgrind
 * labelled with its kind and number; and a line "KIND NUMBER handled|not" says whether there is a unit, and
 * whether the end of the table was reached.
 */
#include "drivers/iommu/amdvi/ivrs.h"
#include "drivers/iommu/vtd/dmar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#define SIZE_MAX_BYTES (1u << 20)

static char label[64];

#define MEASURE(kind, number, code)                                                                          \
    do {                                                                                                     \
        snprintf(label, sizeof label, "%s %d", kind, number);                                                \
        CALLGRIND_ZERO_STATS;                                                                                \
        code;                                                                                                \
        CALLGRIND_DUMP_STATS_AT(label);                                                                      \
    } while (0)

static size_t read_file(const char *name, uint8_t *bytes)
{
    FILE *file = fopen(name, "rb");
    size_t size;

    if (file == NULL) {
        perror(name);
        exit(1);
    }
    size = fread(bytes, 1, SIZE_MAX_BYTES, file);
    fclose(file);
    return size;
}

static bool parse_dmar(const uint8_t *bytes, size_t size, int number)
{
    static struct dmar dmar;
    bool parsed = false;

    MEASURE("dmar", number, parsed = dmar_parse(bytes, size, &dmar));
    return parsed && !dmar.truncated && dmar.unit_count != 0;
}

static bool parse_ivrs(const uint8_t *bytes, size_t size, int number)
{
    static struct ivrs ivrs;
    bool parsed = false;

    MEASURE("ivrs", number, parsed = ivrs_parse(bytes, size, &ivrs));
    return parsed && !ivrs.truncated && ivrs.block_count != 0;
}

int main(int count, char **names)
{
    static uint8_t bytes[SIZE_MAX_BYTES];

    MEASURE("nothing", 0, (void)0);
    for (int i = 1; i < count; i++) {
        size_t size = read_file(names[i], bytes);
        bool is_dmar = size >= 4 && memcmp(bytes, "DMAR", 4) == 0;
        bool handled = is_dmar ? parse_dmar(bytes, size, i) : parse_ivrs(bytes, size, i);

        printf("%s %d %s\n", is_dmar ? "dmar" : "ivrs", i, handled ? "handled" : "not");
    }
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* Which addresses are RAM, in the log: a few ranges on each line. */
#include "lib/log.h"
#include "lib/printf.h"
#include "mem/memory_map.h"

#define RANGE_TEXT 42u /* of the longest, with what parts it from the next */

static bool continues(const struct memory_range *range)
{
    const struct memory_range *last = range - 1;

    return range != memory_ranges && memory_kind_is_ram(last->kind) && last->base + last->size == range->base;
}

static uint64_t last_byte(uint32_t index)
{
    while (index + 1 < memory_range_count && memory_kind_is_ram(memory_ranges[index + 1].kind) &&
           continues(&memory_ranges[index + 1]))
        index++;
    return memory_ranges[index].base + memory_ranges[index].size - 1;
}

void memory_report_ram(void)
{
    char text[4 * RANGE_TEXT];
    size_t used = 0;

    for (uint32_t i = 0; i < memory_range_count; i++) {
        const struct memory_range *range = &memory_ranges[i];

        if (!memory_kind_is_ram(range->kind) || continues(range))
            continue;
        if (used + RANGE_TEXT > sizeof(text)) {
            log_line("memory: RAM at %s", text);
            used = 0;
        }
        used += (size_t)format_string(text + used, sizeof(text) - used, "%s0x%llx-0x%llx", used ? ", " : "",
                                      (unsigned long long)range->base, (unsigned long long)last_byte(i));
    }
    if (used != 0)
        log_line("memory: RAM at %s", text);
}

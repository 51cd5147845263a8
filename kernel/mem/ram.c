/* SPDX-License-Identifier: MIT */
/* Which addresses are RAM, in the log: a few ranges on each line. */
#include "lib/log.h"
#include "lib/printf.h"
#include "mem/memory_map.h"

#define RANGE_TEXT 42u /* of the longest, with what parts it from the next */

/* One past the last of the neighbours that are RAM, from an entry on that is. */
static uint32_t skip_ram(uint32_t index)
{
    const struct memory_range *last;

    do {
        last = &memory_ranges[index++];
    } while (index < memory_range_count && memory_kind_is_ram(memory_ranges[index].kind) &&
             memory_ranges[index].base == last->base + last->size);
    return index;
}

void memory_report_ram(void)
{
    char text[4 * RANGE_TEXT];
    size_t used = 0;

    for (uint32_t i = 0, next; i < memory_range_count; i = next) {
        if (!memory_kind_is_ram(memory_ranges[i].kind)) {
            next = i + 1;
            continue;
        }
        next = skip_ram(i);
        if (used + RANGE_TEXT > sizeof(text)) {
            log_line("memory: RAM at %s", text);
            used = 0;
        }
        used += (size_t)format_string(
            text + used, sizeof(text) - used, "%s0x%llx-0x%llx", used ? ", " : "",
            (unsigned long long)memory_ranges[i].base,
            (unsigned long long)(memory_ranges[next - 1].base + memory_ranges[next - 1].size - 1));
    }
    if (used != 0)
        log_line("memory: RAM at %s", text);
}

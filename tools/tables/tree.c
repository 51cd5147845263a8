/* SPDX-License-Identifier: MIT */
#include "tools/tables/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void tree_line(bool last, const char *format, ...)
{
    va_list values;

    fputs(last ? "└── " : "├── ", stdout);
    va_start(values, format);
    vprintf(format, values);
    va_end(values);
    putchar('\n');
}

const char *size_text(uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    static char text[32];
    uint32_t unit = 0;

    while (unit < 4 && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(text, sizeof text, "%llu %s", (unsigned long long)bytes,
             bytes == 1 && unit == 0 ? "byte" : units[unit]);
    return text;
}

const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

size_t field_length(const void *bytes, size_t size)
{
    const uint8_t *field = bytes;

    while (size > 0 && (field[size - 1] == 0 || field[size - 1] == ' '))
        size--;
    return size;
}

void safe_text(char *text, size_t room, const void *bytes, size_t size)
{
    size_t used = 0;

    size = field_length(bytes, size);
    text[0] = 0;
    for (size_t i = 0; i < size && used + 5 <= room; i++) {
        uint8_t byte = ((const uint8_t *)bytes)[i];
        bool plain = byte >= 0x20 && byte < 0x7f;

        used += (size_t)snprintf(text + used, room - used, plain ? "%c" : "\\x%02x", byte);
    }
}

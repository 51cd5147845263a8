/* SPDX-License-Identifier: MIT */
#include "loader.h"

#include <stdarg.h>

static void put(const char *text)
{
    if (!firmware->ConOut) /* a machine without any console */
        return;
    CHAR16 chunk[65];
    while (*text) {
        UINTN n = 0;
        while (*text && n < 64)
            chunk[n++] = (CHAR16)(UINT8)*text++;
        chunk[n] = 0;
        firmware->ConOut->OutputString(firmware->ConOut, chunk);
    }
}

void say(const char *first, ...)
{
    put("sluice: ");
    va_list parts;
    va_start(parts, first);
    for (const char *part = first; part; part = va_arg(parts, const char *))
        put(part);
    va_end(parts);
    put("\r\n");
}

static const char *number(UINT64 value, UINT64 base)
{
    static char buffers[4][24];
    static UINTN next;
    char *buffer = buffers[next++ % 4];
    char *p = buffer + 23;
    *p = 0;
    do {
        *--p = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (base == 16) {
        *--p = 'x';
        *--p = '0';
    }
    return p;
}

const char *decimal(UINT64 value)
{
    return number(value, 10);
}

const char *hexadecimal(UINT64 value)
{
    return number(value, 16);
}

/* SPDX-License-Identifier: MIT */
#include "tools/tables/json.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_LINES 3u /* what lies deeper stands in one line */

static uint32_t depth;
static bool follows; /* a member stands before, in the innermost object or array */

static void new_line(void)
{
    if (depth > DEPTH_LINES)
        return;
    putchar('\n');
    for (uint32_t i = 0; i < depth; i++)
        putchar(' ');
}

static void put_escaped(uint8_t byte)
{
    if (byte == '"' || byte == '\\')
        printf("\\%c", byte);
    else if (byte >= 0x20 && byte < 0x7f)
        putchar(byte);
    else
        printf("\\u%04x", byte);
}

/* The comma before it, its line, and its key. */
static void begin(const char *key)
{
    if (follows)
        fputs(depth > DEPTH_LINES ? ", " : ",", stdout);
    if (depth != 0)
        new_line();
    follows = true;
    if (key != NULL)
        printf("\"%s\": ", key);
}

static void open_with(const char *key, char bracket)
{
    begin(key);
    putchar(bracket);
    depth++;
    follows = false;
}

static void close_with(char bracket)
{
    depth--;
    if (follows && depth < DEPTH_LINES)
        new_line();
    putchar(bracket);
    follows = depth != 0;
    if (depth == 0)
        putchar('\n');
}

void json_open_object(const char *key)
{
    open_with(key, '{');
}

void json_close_object(void)
{
    close_with('}');
}

void json_open_array(const char *key)
{
    open_with(key, '[');
}

void json_close_array(void)
{
    close_with(']');
}

void json_number(const char *key, uint64_t value)
{
    begin(key);
    printf("%llu", (unsigned long long)value);
}

void json_bool(const char *key, bool value)
{
    begin(key);
    fputs(value ? "true" : "false", stdout);
}

void json_null(const char *key)
{
    begin(key);
    fputs("null", stdout);
}

void json_bytes(const char *key, const void *bytes, size_t size)
{
    begin(key);
    putchar('"');
    for (size_t i = 0; i < size; i++)
        put_escaped(((const uint8_t *)bytes)[i]);
    putchar('"');
}

/* Bytes of the sequence beyond ASCII at the start of `text`, which ends in a zero; 0 when it is none. */
static size_t utf8_length(const uint8_t *text)
{
    size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    uint32_t point = text[0] & (0xffu >> (length + 1));
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    if (text[0] < 0xc0 || text[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (text[i] & 0x3fu);
    }
    return point >= least[length] && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff) ? length : 0;
}

void json_text(const char *key, const char *text)
{
    const uint8_t *at = (const uint8_t *)text;

    begin(key);
    putchar('"');
    while (*at != 0) {
        size_t length = utf8_length(at);

        if (length == 0)
            put_escaped(*at++);
        for (; length > 0; length--)
            putchar(*at++);
    }
    putchar('"');
}

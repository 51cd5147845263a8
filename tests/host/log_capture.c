/* SPDX-License-Identifier: MIT */
#include "tests/host/log_capture.h"

#include "lib/log.h"

#include <stdio.h>
#include <string.h>

#define LINES_MAX 512
#define LINE_MAX  256

static char lines[LINES_MAX][LINE_MAX];
static uint32_t line_count;

void captured_clear(void)
{
    line_count = 0;
}

uint32_t captured_count(const char *text)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < line_count; i++)
        count += strstr(lines[i], text) != NULL;
    return count;
}

void captured_dump(void)
{
    for (uint32_t i = 0; i < line_count; i++)
        fprintf(stderr, "    log: %s\n", lines[i]);
}

static void keep(const char *format, va_list args)
{
    if (line_count < LINES_MAX)
        vsnprintf(lines[line_count++], LINE_MAX, format, args);
}

void log_line(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    keep(format, args);
    va_end(args);
}

void log_say(enum log_voice voice, const char *format, ...)
{
    va_list args;

    (void)voice;
    va_start(args, format);
    keep(format, args);
    va_end(args);
}

bool log_limit_pass(struct log_limit *limit)
{
    if (limit->printed < limit->burst) {
        limit->printed++;
        return true;
    }
    limit->suppressed++;
    return false;
}

void log_limit_refill(struct log_limit *limit)
{
    limit->printed = 0;
    limit->suppressed = 0;
}

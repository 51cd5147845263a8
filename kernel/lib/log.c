/* SPDX-License-Identifier: MIT */
#include "lib/log.h"

#include "lib/printf.h"

#define SINKS_MAX 4u
#define LINE_MAX  512u

static const char prefix[] = "sluice: ";
#define PREFIX_LENGTH (sizeof(prefix) - 1)

static log_sink_fn sinks[SINKS_MAX];
static uint32_t sink_count;

/* A guest may leave its line unfinished; ours then begins a new one. */
static bool line_open;
/* How much of the prefix the guest's line has begun with; all of it once the line is known to be another. */
static size_t matched;

void log_add_sink(log_sink_fn sink)
{
    if (sink_count < SINKS_MAX)
        sinks[sink_count++] = sink;
}

static void emit(enum log_voice voice, const char *text, size_t length)
{
    for (uint32_t i = 0; i < sink_count; i++)
        sinks[i](voice, text, length);
}

/* True at the blank that would make the guest's line one of ours. Any control character may begin a line. */
static bool completes_prefix(char character)
{
    if ((unsigned char)character < ' ') {
        matched = 0;
        return false;
    }
    if (matched < PREFIX_LENGTH && character == prefix[matched])
        return ++matched == PREFIX_LENGTH;
    matched = PREFIX_LENGTH;
    return false;
}

void log_raw(enum log_voice voice, const char *text, size_t length)
{
    if (length == 0)
        return;
    emit(voice, text, length);
    line_open = text[length - 1] != '\n';
}

void log_guest(const char *text, size_t length)
{
    size_t written = 0;

    for (size_t i = 0; i < length; i++) {
        if (completes_prefix(text[i])) {
            log_raw(LOG_GUEST, text + written, i - written);
            log_raw(LOG_GUEST, "|", 1);
            written = i + 1;
        }
    }
    log_raw(LOG_GUEST, text + written, length - written);
}

static void say(enum log_voice voice, const char *format, va_list args)
{
    char line[LINE_MAX];

    for (size_t i = 0; i < PREFIX_LENGTH; i++)
        line[i] = prefix[i];
    int wanted = format_string_v(line + PREFIX_LENGTH, LINE_MAX - PREFIX_LENGTH - 1, format, args);

    size_t length = PREFIX_LENGTH + (size_t)wanted;
    if (length > LINE_MAX - 2)
        length = LINE_MAX - 2;
    line[length++] = '\n';
    if (line_open)
        emit(voice, "\n", 1);
    line_open = false;
    matched = 0;
    emit(voice, line, length);
}

void log_line(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(LOG_PLAIN, format, args);
    va_end(args);
}

void log_say(enum log_voice voice, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(voice, format, args);
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
    if (limit->suppressed != 0)
        log_line("%s: %llu more not shown", limit->what, (unsigned long long)limit->suppressed);
    limit->suppressed = 0;
    limit->printed = 0;
}

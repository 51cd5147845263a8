/* SPDX-License-Identifier: MIT */
/* The console: formatted text through console_io. */
#ifndef KIT_CONSOLE_H
#define KIT_CONSOLE_H

#include <stdarg.h>
#include <stddef.h>

/*
 * Conversions: %d %i %u %x %X %c %s %p %%, with width, 0, -, # (0x), precision for %s, and the lengths
 * hh h l ll z.
 * Text is written out line by line, so that lines of guest and hypervisor do not mix.
 */
void printk(const char *format, ...) __attribute__((format(printf, 1, 2)));
void vprintk(const char *format, va_list arguments);

/* As snprintf: always terminates (size > 0), returns the full length. */
size_t format_text(char *buffer, size_t size, const char *format, va_list arguments);

/* Writes out what is still waiting for its newline. */
void console_flush(void);

#endif

/* SPDX-License-Identifier: MIT */
#include "kit/console.h"

#include "kit/hypercall.h"
#include "kit/string.h"

#include <stdbool.h>
#include <stdint.h>

struct sink {
    char *text;
    size_t size, length;
};

static void put(struct sink *sink, char c)
{
    if (sink->length + 1 < sink->size)
        sink->text[sink->length] = c;
    sink->length++;
}

static void put_padded(struct sink *sink, const char *text, size_t length, size_t width, bool left, char pad)
{
    for (size_t i = length; !left && i < width; i++)
        put(sink, pad);
    for (size_t i = 0; i < length; i++)
        put(sink, text[i]);
    for (size_t i = length; left && i < width; i++)
        put(sink, ' ');
}

struct conversion {
    bool left, zero, longer, prefix;
    size_t width, precision;
};

static void put_number(struct sink *sink, const struct conversion *how, uint64_t value, bool negative,
                       unsigned base, bool upper)
{
    char digits[24];
    size_t n = sizeof(digits);
    do {
        digits[--n] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[value % base];
        value /= base;
    } while (value);
    size_t width = how->width;
    if (negative && how->zero && !how->left) {
        put(sink, '-');
        width -= width > 0;
    } else if (negative) {
        digits[--n] = '-';
    }
    put_padded(sink, digits + n, sizeof(digits) - n, width, how->left, how->zero ? '0' : ' ');
}

static size_t number_at(const char **p)
{
    size_t value = 0;
    while (**p >= '0' && **p <= '9')
        value = value * 10 + (size_t)(*(*p)++ - '0');
    return value;
}

static const char *parse_conversion(const char *p, struct conversion *how)
{
    *how = (struct conversion){.precision = SIZE_MAX};
    for (;; p++) {
        if (*p == '-')
            how->left = true;
        else if (*p == '0')
            how->zero = true;
        else if (*p == '#')
            how->prefix = true;
        else
            break;
    }
    how->width = number_at(&p);
    if (*p == '.') {
        p++;
        how->precision = number_at(&p);
    }
    while (*p == 'l' || *p == 'z' || *p == 'h') {
        how->longer |= *p != 'h';
        p++;
    }
    return p;
}

static void put_signed(struct sink *sink, const struct conversion *how, va_list *arguments)
{
    int64_t value = how->longer ? va_arg(*arguments, long) : va_arg(*arguments, int);
    put_number(sink, how, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0, 10, false);
}

static void put_unsigned(struct sink *sink, const struct conversion *how, va_list *arguments, char c)
{
    uint64_t value = how->longer ? va_arg(*arguments, unsigned long) : va_arg(*arguments, unsigned int);
    if (how->prefix) {
        put(sink, '0');
        put(sink, 'x');
    }
    put_number(sink, how, value, false, c == 'u' ? 10 : 16, c == 'X');
}

static void put_text(struct sink *sink, const struct conversion *how, const char *text)
{
    size_t length = 0;
    while (length < how->precision && text[length])
        length++;
    put_padded(sink, text, length, how->width, how->left, ' ');
}

static void convert(struct sink *sink, struct conversion *how, va_list *arguments, char c)
{
    switch (c) {
    case 'd':
    case 'i':
        put_signed(sink, how, arguments);
        break;
    case 'p':
        how->prefix = how->longer = true;
        put_unsigned(sink, how, arguments, 'x');
        break;
    case 'u':
    case 'x':
    case 'X':
        put_unsigned(sink, how, arguments, c);
        break;
    case 'c': {
        char text[2] = {(char)va_arg(*arguments, int), '\0'};
        put_padded(sink, text, 1, how->width, how->left, ' ');
        break;
    }
    case 's':
        put_text(sink, how, va_arg(*arguments, const char *));
        break;
    default:
        put(sink, c);
    }
}

size_t format_text(char *buffer, size_t size, const char *format, va_list arguments)
{
    struct sink sink = {.text = buffer, .size = size};
    va_list rest;
    va_copy(rest, arguments);
    for (const char *p = format; *p; p++) {
        struct conversion how;
        if (*p != '%') {
            put(&sink, *p);
            continue;
        }
        p = parse_conversion(p + 1, &how);
        if (!*p)
            break;
        convert(&sink, &how, &rest, *p);
    }
    va_end(rest);
    if (size)
        buffer[sink.length < size ? sink.length : size - 1] = '\0';
    return sink.length;
}

static char line[512];
static uint32_t line_length;

void console_flush(void)
{
    if (line_length)
        console_io(CONSOLEIO_write, line_length, line);
    line_length = 0;
}

void vprintk(const char *format, va_list arguments)
{
    char text[512];
    size_t length = format_text(text, sizeof(text), format, arguments);
    if (length >= sizeof(text))
        length = sizeof(text) - 1;
    for (size_t i = 0; i < length; i++) {
        line[line_length++] = text[i];
        if (text[i] == '\n' || line_length == sizeof(line))
            console_flush();
    }
}

void printk(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintk(format, arguments);
    va_end(arguments);
}

/* SPDX-License-Identifier: MIT */
#include "lib/printf.h"

#include "lib/string.h"

#include <stdbool.h>
#include <stdint.h>

#define FIELD_MAX 4096 /* widths and precisions are cut here: nobody wants a longer field */

struct output {
    char *buffer;
    size_t size;   /* of buffer, with the NUL */
    size_t length; /* wanted so far */
};

struct spec {
    bool left, zero, alternate;
    int width;
    int precision; /* -1 when absent */
    int length;    /* -2 hh, -1 h, 0 int, 1 long and wider */
};

static void put(struct output *output, char c)
{
    if (output->length + 1 < output->size)
        output->buffer[output->length] = c;
    output->length++;
}

static void put_run(struct output *output, char c, int count)
{
    for (int i = 0; i < count; i++)
        put(output, c);
}

static void put_text(struct output *output, const char *text, const struct spec *spec)
{
    if (text == NULL)
        text = "(null)";
    size_t length = spec->precision >= 0 ? strnlen(text, (size_t)spec->precision) : strlen(text);
    int padding = length < (size_t)spec->width ? spec->width - (int)length : 0;
    if (!spec->left)
        put_run(output, ' ', padding);
    for (size_t i = 0; i < length; i++)
        put(output, text[i]); /* NOLINT(clang-analyzer-core.CallAndMessage): text has length characters */
    if (spec->left)
        put_run(output, ' ', padding);
}

static void put_number(struct output *output, uint64_t value, unsigned base, bool upper, bool negative,
                       const struct spec *spec)
{
    const char *symbols = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    bool prefix = spec->alternate && base == 16 && value != 0;
    char digits[20]; /* 2^64 has 20 decimal digits */
    int count = 0;

    for (; value != 0; value /= base)
        digits[count++] = symbols[value % base];
    if (count == 0 && spec->precision != 0)
        digits[count++] = '0';

    int lead = (negative ? 1 : 0) + (prefix ? 2 : 0);
    int zeros = spec->precision > count ? spec->precision - count : 0;
    if (spec->zero && !spec->left && spec->precision < 0 && spec->width > lead + count)
        zeros = spec->width - lead - count;
    int padding = spec->width > lead + zeros + count ? spec->width - lead - zeros - count : 0;

    if (!spec->left)
        put_run(output, ' ', padding);
    if (negative)
        put(output, '-');
    if (prefix) {
        put(output, '0');
        put(output, upper ? 'X' : 'x');
    }
    put_run(output, '0', zeros);
    while (count > 0)
        put(output, digits[--count]);
    if (spec->left)
        put_run(output, ' ', padding);
}

static int parse_number(const char **format, va_list *args)
{
    if (**format == '*') {
        (*format)++;
        return va_arg(*args, int);
    }
    int number = 0;
    for (; **format >= '0' && **format <= '9'; (*format)++) {
        if (number < FIELD_MAX)
            number = number * 10 + (**format - '0');
    }
    return number;
}

static void parse_flags(const char **format, struct spec *spec)
{
    for (;; (*format)++) {
        if (**format == '-')
            spec->left = true;
        else if (**format == '0')
            spec->zero = true;
        else if (**format == '#')
            spec->alternate = true;
        else
            return;
    }
}

static void parse_length(const char **format, struct spec *spec)
{
    if (**format == 'h') {
        spec->length = -1;
        if (*++(*format) == 'h') {
            spec->length = -2;
            (*format)++;
        }
        return;
    }
    while (**format == 'l' || **format == 'z' || **format == 'j' || **format == 't') {
        spec->length = 1;
        (*format)++;
    }
}

static struct spec parse_spec(const char **format, va_list *args)
{
    struct spec spec = {.precision = -1};

    parse_flags(format, &spec);
    spec.width = parse_number(format, args);
    if (spec.width < 0) { /* only '*' can give that */
        spec.left = true;
        spec.width = spec.width < -FIELD_MAX ? FIELD_MAX : -spec.width;
    }
    if (spec.width > FIELD_MAX)
        spec.width = FIELD_MAX;
    if (**format == '.') {
        (*format)++;
        spec.precision = parse_number(format, args);
        if (spec.precision > FIELD_MAX)
            spec.precision = FIELD_MAX;
    }
    parse_length(format, &spec);
    return spec;
}

static uint64_t unsigned_argument(const struct spec *spec, va_list *args)
{
    if (spec->length > 0)
        return va_arg(*args, uint64_t);
    unsigned value = va_arg(*args, unsigned);
    if (spec->length == -2)
        return (unsigned char)value;
    return spec->length == -1 ? (unsigned short)value : value;
}

static int64_t signed_argument(const struct spec *spec, va_list *args)
{
    if (spec->length > 0)
        return va_arg(*args, int64_t);
    int value = va_arg(*args, int);
    if (spec->length == -2)
        return (signed char)value;
    return spec->length == -1 ? (short)value : value;
}

/* False when the conversion is unknown. */
static bool convert(struct output *output, char conversion, struct spec *spec, va_list *args)
{
    int64_t number = 0;
    char character[2] = {0, 0};

    switch (conversion) {
    case 'd':
    case 'i':
        number = signed_argument(spec, args);
        put_number(output, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 10, false, number < 0, spec);
        return true;
    case 'u':
        put_number(output, unsigned_argument(spec, args), 10, false, false, spec);
        return true;
    case 'x':
    case 'X':
        put_number(output, unsigned_argument(spec, args), 16, conversion == 'X', false, spec);
        return true;
    case 'p':
        spec->alternate = true;
        put_number(output, (uint64_t)(uintptr_t)va_arg(*args, void *), 16, false, false, spec);
        return true;
    case 's':
        put_text(output, va_arg(*args, const char *), spec);
        return true;
    case 'c':
        character[0] = (char)va_arg(*args, int);
        spec->precision = -1;
        if (character[0] == '\0')
            put(output, '\0');
        else
            put_text(output, character, spec);
        return true;
    case '%':
        put(output, '%');
        return true;
    default:
        return false;
    }
}

int format_string_v(char *buffer, size_t size, const char *format, va_list args)
{
    struct output output = {buffer, size, 0};
    va_list list;

    va_copy(list, args);
    while (*format != '\0') {
        if (*format != '%') {
            put(&output, *format++);
            continue;
        }
        const char *start = format++;
        struct spec spec = parse_spec(&format, &list);
        char conversion = *format;
        if (conversion != '\0')
            format++;
        if (!convert(&output, conversion, &spec, &list)) {
            while (start < format)
                put(&output, *start++);
        }
    }
    va_end(list);
    if (size != 0)
        buffer[output.length < size ? output.length : size - 1] = '\0';
    return (int)output.length;
}

int format_string(char *buffer, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = format_string_v(buffer, size, format, args);
    va_end(args);
    return length;
}

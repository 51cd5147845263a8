/* SPDX-License-Identifier: MIT */
/* Formatting, against the host's C library as oracle wherever ISO C says what must come out. */
#include "lib/printf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#pragma clang diagnostic ignored "-Wformat"
#pragma clang diagnostic ignored "-Wformat-nonliteral"
#pragma clang diagnostic ignored "-Wformat-security"

#define ROOM 256

#define SAME(...)                                                                                            \
    do {                                                                                                     \
        char ours[ROOM], theirs[ROOM];                                                                       \
        int got = format_string(ours, sizeof(ours), __VA_ARGS__);                                            \
        int wanted = snprintf(theirs, sizeof(theirs), __VA_ARGS__);                                          \
        assert_string_equal(ours, theirs);                                                                   \
        assert_int_equal(got, wanted);                                                                       \
    } while (0)

static const char *const flags[] = {"", "-", "0", "-0", "#", "#0", "-#"};
static const char *const widths[] = {"", "1", "5", "20", "3"};
static const char *const precisions[] = {"", ".", ".0", ".1", ".3", ".12"};

/* Calls body with every flag, width and precision put together for the conversion. */
typedef void (*body_fn)(const char *format);

static void every_format(const char *conversion, body_fn body)
{
    for (size_t f = 0; f < sizeof(flags) / sizeof(flags[0]); f++) {
        for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++) {
            for (size_t p = 0; p < sizeof(precisions) / sizeof(precisions[0]); p++) {
                char format[40];
                snprintf(format, sizeof(format), "<%%%s%s%s%s>", flags[f], widths[w], precisions[p],
                         conversion);
                body(format);
            }
        }
    }
}

static void ints(const char *format)
{
    static const int values[] = {0, 1, -1, 7, 42, -42, 255, 256, 65536, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        SAME(format, values[i]);
}

static void longs(const char *format)
{
    static const long long values[] = {0, 1, -1, 1000000007, LLONG_MAX, LLONG_MIN, 0x123456789abcdef0};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        SAME(format, values[i]);
}

static void texts(const char *format)
{
    SAME(format, "");
    SAME(format, "x");
    SAME(format, "sluice");
}

static void test_numbers(void **state)
{
    static const char *const of_int[] = {"d", "i", "u", "x", "X", "hd", "hu", "hhd", "hhu", "hx", "hhX"};
    static const char *const of_long[] = {"ld",  "lu", "lx", "lld", "llu", "llx",
                                          "llX", "zu", "zx", "jd",  "td"};
    (void)state;
    for (size_t i = 0; i < sizeof(of_int) / sizeof(of_int[0]); i++)
        every_format(of_int[i], ints);
    for (size_t i = 0; i < sizeof(of_long) / sizeof(of_long[0]); i++)
        every_format(of_long[i], longs);
}

static void test_text(void **state)
{
    (void)state;
    every_format("s", texts);
    SAME("%c%5c%-5c|", 'a', 'b', 'c');
    SAME("%%|%5d%%|", 3);
    SAME("plain");
    SAME("");
}

static void test_stars(void **state)
{
    (void)state;
    SAME("<%*d>", 8, 42);
    SAME("<%*d>", -8, 42);
    SAME("<%.*d>", 5, 42);
    SAME("<%.*d>", -1, 42);
    SAME("<%*.*s>", 10, 3, "sluice");
    SAME("<%-*.*s>", 10, 3, "sluice");
}

/* A text without an end is read no further than the precision. */
static void test_unterminated_text(void **state)
{
    static const char text[3] = {'a', 'b', 'c'};
    char buffer[16];
    (void)state;
    assert_int_equal(format_string(buffer, sizeof(buffer), "%.3s", text), 3);
    assert_string_equal(buffer, "abc");
}

static void test_small_buffers(void **state)
{
    char buffer[8];
    (void)state;
    for (size_t size = 1; size <= sizeof(buffer); size++) {
        memset(buffer, '#', sizeof(buffer));
        assert_int_equal(format_string(buffer, size, "%s-%d", "abcdef", 12345), 12);
        assert_memory_equal(buffer, "abcdef-1", size - 1);
        assert_int_equal(buffer[size - 1], '\0');
        for (size_t i = size; i < sizeof(buffer); i++)
            assert_int_equal(buffer[i], '#');
    }
    assert_int_equal(format_string(NULL, 0, "%d", 123), 3);
}

static void test_nulls_and_pointers(void **state)
{
    char buffer[40];
    (void)state;
    format_string(buffer, sizeof(buffer), "%s", (const char *)NULL);
    assert_string_equal(buffer, "(null)");
    format_string(buffer, sizeof(buffer), "%p", (void *)0xffff82d080200000);
    assert_string_equal(buffer, "0xffff82d080200000");
}

static void test_unknown_conversions(void **state)
{
    char buffer[40];
    (void)state;
    format_string(buffer, sizeof(buffer), "a %y b %-5q c");
    assert_string_equal(buffer, "a %y b %-5q c");
    format_string(buffer, sizeof(buffer), "ends %");
    assert_string_equal(buffer, "ends %");
    format_string(buffer, sizeof(buffer), "ends %-08.3ll");
    assert_string_equal(buffer, "ends %-08.3ll");
}

/* Neither loops for ever nor overflows. */
static void test_absurd_fields(void **state)
{
    char buffer[8];
    (void)state;
    assert_int_equal(format_string(buffer, sizeof(buffer), "%99999999999d", 1), 4096);
    assert_int_equal(format_string(buffer, sizeof(buffer), "%.2147483647d", 1), 4096);
    assert_int_equal(format_string(buffer, sizeof(buffer), "%*d", INT_MIN, 1), 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_stars),
        cmocka_unit_test(test_unterminated_text),
        cmocka_unit_test(test_small_buffers),
        cmocka_unit_test(test_nulls_and_pointers),
        cmocka_unit_test(test_unknown_conversions),
        cmocka_unit_test(test_absurd_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

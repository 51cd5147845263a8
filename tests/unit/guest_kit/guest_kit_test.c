/* SPDX-License-Identifier: MIT */
/* The guest kit's formatter against the host's snprintf; its memory functions; CRC-32's check value. */
#include "kit/console.h"
#include "kit/string.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include <cmocka.h>

static size_t format(char *buffer, size_t size, const char *text, ...) __attribute__((format(printf, 3, 4)));
static size_t format(char *buffer, size_t size, const char *text, ...)
{
    va_list arguments;
    va_start(arguments, text);
    size_t length = format_text(buffer, size, text, arguments);
    va_end(arguments);
    return length;
}

#define SAME(...)                                                                                            \
    do {                                                                                                     \
        char ours[256], theirs[256];                                                                         \
        size_t length = format(ours, sizeof(ours), __VA_ARGS__);                                             \
        assert_int_equal(length, snprintf(theirs, sizeof(theirs), __VA_ARGS__));                             \
        assert_string_equal(ours, theirs);                                                                   \
    } while (0)

static void numbers_as_the_host(void **state)
{
    (void)state;
    SAME("%d %d %d %i", 0, -1, INT_MIN, INT_MAX);
    SAME("%ld %ld %lld", LONG_MIN, LONG_MAX, LLONG_MIN);
    SAME("%u %lu %x %lX", UINT_MAX, ULONG_MAX, 0xdeadbeefu, 0xfeedfacecafebeeful);
    SAME("%5d|%-5d|%05d|%05d|%2d", 42, 42, 42, -42, 12345);
    SAME("%016lx|%8x|%-8x|%#x|%#lx", 0x1234ul, 0xabu, 0xabu, 7u, 0x123456789ul);
    SAME("%zu %zx", (size_t)123, (size_t)0xabc);
}

static void text_as_the_host(void **state)
{
    (void)state;
    SAME("%s|%10s|%-10s|%.3s|%c%c", "abc", "abc", "abc", "abcdef", 'x', 'y');
    SAME("100%% of %s, %.16s", "it", "exactly sixteen characters and more");
    SAME("%p", (void *)0x12345678);
    SAME("%s", "");
}

static void a_small_buffer_is_not_left(void **state)
{
    (void)state;
    char buffer[8] = "#######";
    assert_int_equal(format(buffer, 4, "%s", "abcdefgh"), 8);
    assert_string_equal(buffer, "abc");
    assert_int_equal(buffer[4], '#');
    assert_int_equal(format(buffer, 1, "%d", 123), 3);
    assert_string_equal(buffer, "");
    buffer[0] = '#';
    assert_int_equal(format(buffer, 0, "%d", 123), 3);
    assert_int_equal(buffer[0], '#');
}

static void a_format_that_ends_early(void **state)
{
    (void)state;
    char buffer[16];
    static const char *const cut[] = {"abc%", "abc%-", "abc%08l", "abc%.3"};
    for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
        va_list none = {0};
        assert_int_equal(format_text(buffer, sizeof(buffer), cut[i], none), 3);
        assert_string_equal(buffer, "abc");
    }
}

static void memory_moves_either_way(void **state)
{
    (void)state;
    for (size_t from = 0; from < 8; from++) {
        for (size_t to = 0; to < 8; to++) {
            char text[] = "0123456789abcdef", wanted[] = "0123456789abcdef";
            for (size_t i = 0; i < 8; i++)
                wanted[to + i] = "0123456789abcdef"[from + i];
            memmove(text + to, text + from, 8);
            assert_string_equal(text, wanted);
        }
    }
}

static void text_is_found(void **state)
{
    (void)state;
    const char *text = "premap=off p2m=scramble";
    assert_ptr_equal(strstr(text, "p2m="), text + 11);
    assert_ptr_equal(strstr(text, ""), text);
    assert_null(strstr(text, "p2m=linear"));
    assert_true(strcmp("abc", "abd") < 0 && strcmp("abc", "ab") > 0 && strcmp("", "") == 0);
    assert_int_equal(strncmp("abcx", "abcy", 3), 0);
}

static void crc_has_its_check_value(void **state)
{
    (void)state;
    assert_int_equal(crc32(0, "123456789", 9), 0xcbf43926);
    assert_int_equal(crc32(crc32(0, "12345", 5), "6789", 4), 0xcbf43926);
    assert_int_equal(crc32(0, "", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_as_the_host),        cmocka_unit_test(text_as_the_host),
        cmocka_unit_test(a_small_buffer_is_not_left), cmocka_unit_test(a_format_that_ends_early),
        cmocka_unit_test(memory_moves_either_way),    cmocka_unit_test(text_is_found),
        cmocka_unit_test(crc_has_its_check_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

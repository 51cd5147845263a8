/* SPDX-License-Identifier: MIT */
/* Every length and alignment that matters, against the host's C library. */
#include "string_renamed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define ROOM 96

static void fill(unsigned char *bytes, unsigned seed)
{
    for (unsigned i = 0; i < ROOM; i++)
        bytes[i] = (unsigned char)(i * 7 + seed);
}

static void test_copy(void **state)
{
    (void)state;
    for (size_t offset = 0; offset < 9; offset++) {
        for (size_t count = 0; count < 40; count++) {
            unsigned char source[ROOM], ours[ROOM], theirs[ROOM];
            fill(source, 1);
            fill(ours, 2);
            fill(theirs, 2);
            assert_ptr_equal(own_memcpy(ours + offset, source + 3, count), ours + offset);
            memcpy(theirs + offset, source + 3, count);
            assert_memory_equal(ours, theirs, ROOM);
        }
    }
}

static void test_overlapping_move(void **state)
{
    (void)state;
    for (size_t to = 0; to < 20; to++) {
        for (size_t from = 0; from < 20; from++) {
            for (size_t count = 0; count < 40; count++) {
                unsigned char ours[ROOM], theirs[ROOM];
                fill(ours, 5);
                fill(theirs, 5);
                assert_ptr_equal(own_memmove(ours + to, ours + from, count), ours + to);
                memmove(theirs + to, theirs + from, count);
                assert_memory_equal(ours, theirs, ROOM);
            }
        }
    }
}

static void test_set(void **state)
{
    static const int bytes[] = {0, 1, 0x7f, 0x80, 0xff, 0x1234, -1};
    (void)state;
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        for (size_t count = 0; count < 40; count++) {
            unsigned char ours[ROOM], theirs[ROOM];
            fill(ours, 9);
            fill(theirs, 9);
            assert_ptr_equal(own_memset(ours + 5, bytes[i], count), ours + 5);
            memset(theirs + 5, bytes[i], count);
            assert_memory_equal(ours, theirs, ROOM);
        }
    }
}

static int sign(int number)
{
    return (number > 0) - (number < 0);
}

static void test_compare(void **state)
{
    static const char *const texts[] = {"", "a", "ab", "abc", "abd", "b", "\xff", "\x7f", "ab\xff"};
    const size_t count = sizeof(texts) / sizeof(texts[0]);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(own_strlen(texts[i]), strlen(texts[i]));
        for (size_t limit = 0; limit < 5; limit++)
            assert_int_equal(own_strnlen(texts[i], limit), strnlen(texts[i], limit));
        for (size_t j = 0; j < count; j++) {
            assert_int_equal(sign(own_strcmp(texts[i], texts[j])), sign(strcmp(texts[i], texts[j])));
            for (size_t limit = 0; limit < 5; limit++)
                assert_int_equal(sign(own_strncmp(texts[i], texts[j], limit)),
                                 sign(strncmp(texts[i], texts[j], limit)));
            assert_int_equal(sign(own_memcmp(texts[i], texts[j], 1)), sign(memcmp(texts[i], texts[j], 1)));
        }
    }
    assert_int_equal(own_memcmp("a", "b", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_overlapping_move),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Options and the log they warn in. */
#include "lib/log.h"
#include "lib/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static char output[16384];
static size_t output_length;

static void sink(enum log_voice voice, const char *text, size_t length)
{
    (void)voice;
    assert_true(output_length + length < sizeof(output));
    memcpy(output + output_length, text, length);
    output_length += length;
    output[output_length] = '\0';
}

static void set(const char *text)
{
    output_length = 0;
    output[0] = '\0';
    options_set(text, strlen(text));
}

static int begin(void **state)
{
    static bool added;
    (void)state;
    if (!added)
        log_add_sink(sink);
    added = true;
    set("");
    return 0;
}

static void test_values(void **state)
{
    (void)state;
    set("  iommu=off\tp2m=scramble:7 bare empty= x=a=b \n last=1");
    assert_string_equal(option_value("iommu"), "off");
    assert_string_equal(option_value("p2m"), "scramble:7");
    assert_string_equal(option_value("bare"), "");
    assert_string_equal(option_value("empty"), "");
    assert_string_equal(option_value("x"), "a=b");
    assert_string_equal(option_value("last"), "1");
    assert_null(option_value("iomm"));
    assert_null(option_value("iommuu"));
    assert_null(option_value(""));
    assert_string_equal(output, "");
}

static void test_later_one_wins(void **state)
{
    (void)state;
    set("a=1 b=2 a=3");
    assert_string_equal(option_value("a"), "3");
    assert_string_equal(option_value("b"), "2");
}

static void test_the_text_ends_at_its_length_or_nul(void **state)
{
    static const char text[5] = {'a', '=', '1', '2', '3'};
    (void)state;
    options_set(text, 4);
    assert_string_equal(option_value("a"), "12");
    options_set("a=1\0b=2", 7);
    assert_null(option_value("b"));
    options_set(NULL, 100);
    assert_null(option_value("a"));
}

static void test_bools(void **state)
{
    (void)state;
    set("a b=on c=yes d=true e=1 f=off g=no h=false i=0 j=maybe");
    assert_true(option_bool("a", false));
    assert_true(option_bool("b", false));
    assert_true(option_bool("c", false));
    assert_true(option_bool("d", false));
    assert_true(option_bool("e", false));
    assert_false(option_bool("f", true));
    assert_false(option_bool("g", true));
    assert_false(option_bool("h", true));
    assert_false(option_bool("i", true));
    assert_true(option_bool("absent", true));
    assert_false(option_bool("absent", false));
    assert_string_equal(output, "");
    assert_true(option_bool("j", true));
    assert_non_null(strstr(output, "j=maybe"));
}

static void test_numbers(void **state)
{
    static const char *const bad[] = {"n=",
                                      "n=x",
                                      "n=12x",
                                      "n=0x",
                                      "n=-1",
                                      "n=0xfg",
                                      "n= 5",
                                      "n=1.5",
                                      "n=4",
                                      "n=101",
                                      "n=18446744073709551616",
                                      "n=0x10000000000000000",
                                      "n"};
    (void)state;
    set("a=10 b=0xfF c=0X10 d=18446744073709551615 e=0");
    assert_int_equal(option_number("a", 0, 100, 7), 10);
    assert_int_equal(option_number("b", 0, 1000, 7), 255);
    assert_int_equal(option_number("c", 0, 1000, 7), 16);
    assert_true(option_number("d", 0, UINT64_MAX, 7) == UINT64_MAX);
    assert_int_equal(option_number("e", 0, 0, 7), 0);
    assert_int_equal(option_number("absent", 0, 0, 7), 7);
    assert_string_equal(output, "");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        set(bad[i]);
        assert_int_equal(option_number("n", 5, 100, 77), 77);
        assert_non_null(strstr(output, "n="));
    }
    set("n=18446744073709551616");
    assert_int_equal(option_number("n", 0, UINT64_MAX, 77), 77);
    set("n=5");
    assert_int_equal(option_number("n", 5, 100, 77), 5);
    set("n=100");
    assert_int_equal(option_number("n", 5, 100, 77), 100);
}

static void test_unknown_ones_are_named(void **state)
{
    (void)state;
    set("known=1 unknwon=2 x known=3");
    assert_int_equal(option_number("known", 0, 9, 0), 3);
    options_report_unknown();
    assert_string_equal(output,
                        "sluice: options: nobody knows 'unknwon=2'\nsluice: options: nobody knows 'x'\n");
}

static void test_long_texts_are_cut(void **state)
{
    char text[3000];
    (void)state;
    memset(text, 'a', sizeof(text));
    options_set(text, sizeof(text));
    assert_non_null(strstr(output, "cut after 2047"));
    assert_null(option_value("b"));

    /* The last character that fits is kept whole. */
    memset(text, ' ', sizeof(text));
    memcpy(text + 2044, "b=1", 3);
    set("");
    options_set(text, 2047);
    assert_string_equal(option_value("b"), "1");
    assert_string_equal(output, "");
}

static void test_too_many_words(void **state)
{
    char text[400];
    (void)state;
    for (size_t i = 0; i < 400; i += 2)
        memcpy(text + i, "a ", 2);
    options_set(text, sizeof(text));
    assert_non_null(strstr(output, "over 128 words"));
    assert_string_equal(option_value("a"), "");
}

static void test_log_lines(void **state)
{
    char text[1000];
    (void)state;
    log_line("a %d", 1);
    log_guest("guest", 5);
    log_line("b");
    log_guest("guest\n", 6);
    log_line("c");
    assert_string_equal(output, "sluice: a 1\nguest\nsluice: b\nguest\nsluice: c\n");

    memset(text, 'x', sizeof(text));
    set("");
    log_line("%.*s", (int)sizeof(text), text);
    assert_int_equal(output[output_length - 1], '\n');
    assert_true(output_length <= 512);
    assert_memory_equal(output, "sluice: xxx", 11);
}

static void say(const char *text)
{
    log_guest(text, strlen(text));
}

static void test_a_guest_cannot_speak_as_us(void **state)
{
    static const char lines[] = "sluice: summary\rsluice: \v\tsluice: x\n";
    (void)state;
    say("\nsluice: summary {}\nsluice:\n sluice: a\n");
    say("it says sluice: b\n");
    say("slui");
    say("ce:");
    say(" c\n");
    assert_string_equal(output, "\nsluice:|summary {}\nsluice:\n sluice: a\nit says sluice: b\nsluice:|c\n");

    /* Also when a line of ours has cut the guest's in two. */
    set("");
    say("dots..");
    log_line("ours");
    say("sluice: theirs\n");
    assert_string_equal(output, "dots..\nsluice: ours\nsluice:|theirs\n");

    set("");
    for (const char *byte = lines; *byte; byte++)
        log_guest(byte, 1);
    assert_string_equal(output, "sluice:|summary\rsluice:|\v\tsluice:|x\n");
}

static void test_log_limit(void **state)
{
    struct log_limit limit = {.what = "faults", .burst = 2};
    (void)state;
    assert_true(log_limit_pass(&limit));
    assert_true(log_limit_pass(&limit));
    assert_false(log_limit_pass(&limit));
    assert_false(log_limit_pass(&limit));
    log_limit_refill(&limit);
    assert_string_equal(output, "sluice: faults: 2 more not shown\n");
    assert_true(log_limit_pass(&limit));
    log_limit_refill(&limit);
    assert_string_equal(output, "sluice: faults: 2 more not shown\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_values, begin),
        cmocka_unit_test_setup(test_later_one_wins, begin),
        cmocka_unit_test_setup(test_the_text_ends_at_its_length_or_nul, begin),
        cmocka_unit_test_setup(test_bools, begin),
        cmocka_unit_test_setup(test_numbers, begin),
        cmocka_unit_test_setup(test_unknown_ones_are_named, begin),
        cmocka_unit_test_setup(test_long_texts_are_cut, begin),
        cmocka_unit_test_setup(test_too_many_words, begin),
        cmocka_unit_test_setup(test_log_lines, begin),
        cmocka_unit_test_setup(test_a_guest_cannot_speak_as_us, begin),
        cmocka_unit_test_setup(test_log_limit, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

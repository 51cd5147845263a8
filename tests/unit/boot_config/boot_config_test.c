/* SPDX-License-Identifier: MIT */
/*
 * sluice.conf: what is understood, and what is refused with which words and at which line. Each text is given
 * to the parser in a block of exactly its length, without a NUL, so that ASan sees a read past its end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/config.h"

static struct config config;
static uint32_t line;

static const char *parse_bytes(const char *text, size_t length)
{
    char *exact = malloc(length ? length : 1);
    assert_non_null(exact);
    memcpy(exact, text, length);
    memset(&config, 0x5a, sizeof(config));
    line = 99;
    const char *wrong = config_parse(exact, length, &config, &line);
    free(exact);
    return wrong;
}

static const char *parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static void refuses_bytes(const char *text, size_t length, uint32_t at, const char *part)
{
    const char *wrong = parse_bytes(text, length);
    assert_non_null(wrong);
    if (strstr(wrong, part) == NULL)
        fail_msg("refused with \"%s\", not with \"...%s...\"", wrong, part);
    assert_int_equal(line, at);
}

static void refuses(const char *text, uint32_t at, const char *part)
{
    refuses_bytes(text, strlen(text), at, part);
}

/* "guest = g\n", then a line of key and a value of so many characters. */
static const char *with_value(const char *key, size_t length)
{
    static char text[4096];
    int start = snprintf(text, sizeof(text), "guest = g\n%s = ", key);
    assert_true(start > 0 && (size_t)start + length < sizeof(text));
    memset(text + start, 'v', length);
    text[(size_t)start + length] = '\0';
    return text;
}

static void understands_every_key(void **state)
{
    (void)state;
    assert_null(parse(
        "guest = sluice/guest\nmodule = m.img\ncmdline = a=b  c\noptions = p2m=linear exit-port=0xf4\n"));
    assert_string_equal(config.guest, "sluice/guest");
    assert_string_equal(config.module, "m.img");
    assert_string_equal(config.cmdline, "a=b  c");
    assert_string_equal(config.options, "p2m=linear exit-port=0xf4");
    assert_int_equal(line, 0);
}

static void forgives_blanks_comments_and_line_ends(void **state)
{
    (void)state;
    assert_null(parse("\xef\xbb\xbf# made elsewhere\r\n\r\n \t guest\t=\\sluice\\guest \t\r\n   # end"));
    assert_string_equal(config.guest, "\\sluice\\guest");
    assert_string_equal(config.module, "");
    assert_string_equal(config.cmdline, "");
    assert_string_equal(config.options, "");
}

static void needs_no_newline_at_the_end(void **state)
{
    (void)state;
    assert_null(parse("guest=g"));
    assert_string_equal(config.guest, "g");
}

static void needs_a_guest(void **state)
{
    (void)state;
    refuses("", 0, "no 'guest");
    refuses("# guest = g\n", 0, "no 'guest");
    refuses("options = a\n", 0, "no 'guest");
    refuses("\xef\xbb\xbf", 0, "no 'guest");
}

static void refuses_what_it_does_not_know(void **state)
{
    (void)state;
    refuses("guest = g\n\nGuest = h\n", 3, "unknown key");
    refuses("guest = g\ngues = h\n", 2, "unknown key");
    refuses("guest = g\nguestx = h\n", 2, "unknown key");
    refuses("= g\n", 1, "unknown key");
    refuses("guest g\n", 1, "key = value");
    refuses("guest = g\nx", 2, "key = value");
}

static void refuses_a_key_given_twice(void **state)
{
    (void)state;
    refuses("guest = g\nguest = g\n", 2, "before");
    refuses("guest = g\noptions = a\noptions = b\n", 3, "before");
}

static void refuses_empty_values(void **state)
{
    (void)state;
    refuses("guest =\n", 1, "empty");
    refuses("guest = g\nmodule = \t \r\n", 2, "empty");
}

static void knows_its_limits(void **state)
{
    (void)state;
    assert_null(parse(with_value("module", 255)));
    assert_int_equal(strlen(config.module), 255);
    refuses(with_value("module", 256), 2, "too long");
    assert_null(parse(with_value("cmdline", 1023)));
    assert_int_equal(strlen(config.cmdline), 1023);
    refuses(with_value("cmdline", 1024), 2, "too long");
    assert_null(parse(with_value("options", 1023)));
    refuses(with_value("options", 1024), 2, "too long");
}

static void refuses_a_huge_file(void **state)
{
    (void)state;
    static char text[CONFIG_FILE_MAX + 1];
    memset(text, '\n', sizeof(text));
    memcpy(text, "guest=g", 7);
    assert_null(parse_bytes(text, CONFIG_FILE_MAX));
    refuses_bytes(text, sizeof(text), 0, "larger");
}

static void refuses_what_is_not_text(void **state)
{
    (void)state;
    refuses_bytes("guest = a\0b\n", 12, 1, "printable");
    refuses("guest = caf\xc3\xa9\n", 1, "printable");
    refuses("guest = g\noptions = \x1b[2J\n", 2, "printable");
    refuses_bytes("g\0u\0e\0s\0t\0 \0=\0 \0g\0", 18, 1, "unknown key");
}

static void appends_options(void **state)
{
    (void)state;
    assert_null(parse("guest = g\n"));
    assert_null(config_append_options(&config, "  p2m=linear ", 13));
    assert_string_equal(config.options, "p2m=linear");
    assert_null(config_append_options(&config, "", 0));
    assert_null(config_append_options(&config, "   ", 3));
    assert_string_equal(config.options, "p2m=linear");
    assert_null(config_append_options(&config, "iommu=off", 9));
    assert_string_equal(config.options, "p2m=linear iommu=off");
}

static void appends_no_more_than_fits(void **state)
{
    (void)state;
    assert_null(parse(with_value("options", 1013)));
    assert_non_null(config_append_options(&config, "0123456789", 10));
    assert_int_equal(strlen(config.options), 1013);
    assert_null(config_append_options(&config, "012345678", 9));
    assert_int_equal(strlen(config.options), 1023);
    assert_non_null(config_append_options(&config, "x", 1));
}

static void appends_text_only_and_all_or_nothing(void **state)
{
    (void)state;
    assert_null(parse("guest = g\noptions = a\n"));
    assert_non_null(config_append_options(&config, "b\x01", 2));
    assert_string_equal(config.options, "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understands_every_key),
        cmocka_unit_test(forgives_blanks_comments_and_line_ends),
        cmocka_unit_test(needs_no_newline_at_the_end),
        cmocka_unit_test(needs_a_guest),
        cmocka_unit_test(refuses_what_it_does_not_know),
        cmocka_unit_test(refuses_a_key_given_twice),
        cmocka_unit_test(refuses_empty_values),
        cmocka_unit_test(knows_its_limits),
        cmocka_unit_test(refuses_a_huge_file),
        cmocka_unit_test(refuses_what_is_not_text),
        cmocka_unit_test(appends_options),
        cmocka_unit_test(appends_no_more_than_fits),
        cmocka_unit_test(appends_text_only_and_all_or_nothing),
    };
    return cmocka_run_group_tests_name("boot_config", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The text grid: what a person reads, and what no guest can do to it. */
#include "screen/grid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct grid *grid; /* on the heap, so that ASan guards its ends */

static int begin(void **state)
{
    (void)state;
    grid = malloc(sizeof *grid);
    grid_init(grid, 20, 8);
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(grid);
    return 0;
}

static void write_as(enum log_voice voice, const char *text)
{
    grid_write(grid, voice, text, strlen(text));
}

static void expect(uint32_t row, const char *text)
{
    char line[GRID_COLUMNS_MAX + 1];
    uint32_t length = 0;

    for (uint32_t column = 0; column < grid->columns; column++) {
        line[column] = (char)grid->cells[row][column].character;
        if (line[column] != ' ')
            length = column + 1;
    }
    line[length] = '\0';
    assert_string_equal(line, text);
}

static void lines_follow_each_other(void **state)
{
    (void)state;
    write_as(LOG_PLAIN, "one\ntwo\r\n\nfour");
    write_as(LOG_PLAIN, " and more");
    expect(0, "one");
    expect(1, "two");
    expect(2, "");
    expect(3, "four and more");
}

static void long_lines_wrap_between_words(void **state)
{
    (void)state;
    write_as(LOG_PLAIN, "twenty characters 20\n");
    write_as(LOG_PLAIN, "a word that is moved\n");
    write_as(LOG_PLAIN, "a word that is carried on\n");
    write_as(LOG_PLAIN, "0123456789abcdefghijklmnopqrst\n");
    expect(0, "twenty characters 20");
    expect(1, "a word that is moved");
    expect(2, "a word that is");
    expect(3, "    carried on");
    expect(4, "0123456789abcdefghij");
    expect(5, "    klmnopqrst");
    expect(6, "");
}

/* The blank between two words that part is not carried on. */
static void the_blank_between_two_words_is_dropped(void **state)
{
    (void)state;
    write_as(LOG_PLAIN, "twenty characters 20 more");
    expect(0, "twenty characters 20");
    expect(1, "    more");
}

static void a_full_grid_scrolls_by_a_quarter(void **state)
{
    (void)state;
    for (char line[] = "0\n"; line[0] <= '7'; line[0]++)
        write_as(LOG_PLAIN, line);
    /* The eighth line is full, and the next one has no row: three go at once. */
    expect(0, "3");
    expect(4, "7");
    expect(5, "");
    write_as(LOG_PLAIN, "8");
    expect(5, "8");
    for (uint32_t row = 0; row < 8; row++)
        assert_true(grid->changed[row]);
}

static void tabs(void **state)
{
    (void)state;
    write_as(LOG_PLAIN, "\ta\tb\n");
    write_as(LOG_PLAIN, "1234567\tc\n");
    write_as(LOG_PLAIN, "12345678\td");
    expect(0, "        a       b");
    expect(1, "1234567 c");
    expect(2, "12345678        d");
    write_as(LOG_PLAIN, "\n\t\t\t\tend");
    assert_in_range(grid->row, 4, 5);
}

static void what_is_not_ascii_is_a_box(void **state)
{
    (void)state;
    write_as(LOG_GUEST, "\x1b[31m\x01\x7f\x80\xff\xc3\xa9");
    grid_write(grid, LOG_GUEST, "\0", 1);
    expect(0, "\x7f[31m\x7f\x7f\x7f\x7f\x7f\x7f\x7f");
}

/* Whatever a guest writes is in its own voice, and the hypervisor's lines stay as they are. */
static void a_guest_cannot_forge_a_line(void **state)
{
    (void)state;
    write_as(LOG_PLAIN, "sluice: mine\n");
    write_as(LOG_GUEST, "\r\r\b\b\x1b[A\rsluice: forged");
    for (uint32_t column = 0; column < grid->columns; column++) {
        assert_int_equal(grid->cells[0][column].voice, LOG_PLAIN);
        if (grid->cells[1][column].character != ' ')
            assert_int_equal(grid->cells[1][column].voice, LOG_GUEST);
    }
    expect(0, "sluice: mine");
    expect(1, "sluice: forged");
}

/* Any bytes, any cut, any size of the grid. */
static void any_bytes_stay_inside(void **state)
{
    static const uint32_t sizes[][2] = {{0, 0},    {1, 1},     {16, 4},
                                        {100, 37}, {200, 120}, {UINT32_MAX, UINT32_MAX}};
    static const char often[] = "\n\r\t  ab";
    char text[256];

    (void)state;
    srand(1);
    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        grid_init(grid, sizes[i][0], sizes[i][1]);
        assert_in_range(grid->columns, 16, GRID_COLUMNS_MAX);
        assert_in_range(grid->rows, 4, GRID_ROWS_MAX);
        for (uint32_t round = 0; round < 3000; round++) {
            size_t length = (size_t)rand() % sizeof text;
            for (size_t at = 0; at < length; at++)
                text[at] = rand() % 2 ? (char)rand() : often[(size_t)rand() % (sizeof often - 1)];
            grid_write(grid, (enum log_voice)(rand() % 4), text, length);
            assert_true(grid->row < grid->rows && grid->column <= grid->columns);
        }
        for (uint32_t row = 0; row < grid->rows; row++) {
            for (uint32_t column = 0; column < grid->columns; column++)
                assert_in_range(grid->cells[row][column].character, ' ', 0x7f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_follow_each_other, begin, end),
        cmocka_unit_test_setup_teardown(long_lines_wrap_between_words, begin, end),
        cmocka_unit_test_setup_teardown(the_blank_between_two_words_is_dropped, begin, end),
        cmocka_unit_test_setup_teardown(a_full_grid_scrolls_by_a_quarter, begin, end),
        cmocka_unit_test_setup_teardown(tabs, begin, end),
        cmocka_unit_test_setup_teardown(what_is_not_ascii_is_a_box, begin, end),
        cmocka_unit_test_setup_teardown(a_guest_cannot_forge_a_line, begin, end),
        cmocka_unit_test_setup_teardown(any_bytes_stay_inside, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

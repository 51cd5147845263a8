/* SPDX-License-Identifier: MIT */
/* Drawing, on framebuffers in memory: pitch, order of colours, scale, and not one byte beside the picture. */
#include "screen/canvas.h"

#include "screen/font.h"
#include "screen/grid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define UNTOUCHED 0x5a5a5a5au
#define INK       0x123456u
#define PAPER     0x0a0b0cu

static const struct canvas_colours colours = {INK, PAPER};

/* Exactly as large as its last pixel needs: ASan guards both ends. */
static uint32_t *pixels;
static struct canvas canvas;

static void make(uint32_t width, uint32_t height, uint32_t pitch, uint32_t format)
{
    size_t count = (size_t)pitch * (height - 1) + width;

    pixels = malloc(count * sizeof *pixels);
    for (size_t i = 0; i < count; i++)
        pixels[i] = UNTOUCHED;
    struct boot_framebuffer framebuffer = {.size = count * 4,
                                           .virtual = (uint64_t)(uintptr_t)pixels,
                                           .width = width,
                                           .height = height,
                                           .pitch = pitch,
                                           .format = format};
    canvas_init(&canvas, &framebuffer);
}

static int end(void **state)
{
    (void)state;
    free(pixels);
    pixels = NULL;
    return 0;
}

static void columns_and_scale(void **state)
{
    static const struct {
        uint32_t width, height, scale, columns, rows;
    } wanted[] = {
        {320, 200, 1, 39, 12},    {640, 480, 1, 79, 29},      {800, 600, 1, 99, 37},
        {1024, 768, 1, 127, 47},  {1280, 800, 1, 159, 49},    {1366, 768, 1, 169, 47},
        {1599, 900, 1, 198, 55},  {1600, 900, 2, 99, 27},     {1920, 1080, 2, 119, 33},
        {2560, 1440, 2, 159, 44}, {3840, 2160, 3, 159, 44},   {5120, 2880, 4, 159, 44},
        {7680, 4320, 6, 159, 44}, {1080, 16384, 1, 134, 120}, {16384, 200, 1, 200, 12},
    };

    (void)state;
    for (uint32_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct boot_framebuffer framebuffer = {
            .width = wanted[i].width, .height = wanted[i].height, .pitch = wanted[i].width};
        canvas_init(&canvas, &framebuffer);
        assert_int_equal(canvas.scale, wanted[i].scale);
        assert_int_equal(canvas.columns, wanted[i].columns);
        assert_int_equal(canvas.rows, wanted[i].rows);
        assert_true(canvas.left + canvas.columns * FONT_WIDTH * canvas.scale <= canvas.width);
        assert_true(canvas.top + canvas.rows * FONT_HEIGHT * canvas.scale <= canvas.height);
        assert_true(canvas.columns <= GRID_COLUMNS_MAX && canvas.rows <= GRID_ROWS_MAX);
    }
}

static bool in_cell(uint32_t x, uint32_t y, uint32_t column, uint32_t row, uint32_t *glyph_x,
                    uint32_t *glyph_y)
{
    uint32_t width = FONT_WIDTH * canvas.scale, height = FONT_HEIGHT * canvas.scale;
    uint32_t from_x = canvas.left + column * width, from_y = canvas.top + row * height;

    if (x < from_x || y < from_y || x >= from_x + width || y >= from_y + height)
        return false;
    *glyph_x = (x - from_x) / canvas.scale;
    *glyph_y = (y - from_y) / canvas.scale;
    return true;
}

/* One character, and every pixel of the picture, the gaps between lines included, judged. */
static void draw_and_judge(uint32_t column, uint32_t row, uint32_t ink, uint32_t paper)
{
    canvas_draw(&canvas, column, row, 'R', colours);
    for (uint32_t y = 0; y < canvas.height; y++) {
        for (uint32_t x = 0; x < (y + 1 < canvas.height ? canvas.pitch : canvas.width); x++) {
            uint32_t wanted = UNTOUCHED, glyph_x, glyph_y;
            if (in_cell(x, y, column, row, &glyph_x, &glyph_y))
                wanted = (font_row('R', glyph_y) >> (7 - glyph_x) & 1) != 0 ? ink : paper;
            if (pixels[(size_t)y * canvas.pitch + x] != wanted)
                fail_msg("pixel %u, %u is 0x%x, not 0x%x", x, y, pixels[(size_t)y * canvas.pitch + x],
                         wanted);
        }
    }
}

static void a_glyph_and_nothing_beside_it(void **state)
{
    (void)state;
    make(800, 600, 800, BOOT_PIXEL_BGRX);
    draw_and_judge(3, 2, INK, PAPER);
}

static void the_last_cell_with_a_pitch(void **state)
{
    (void)state;
    make(800, 600, 832, BOOT_PIXEL_BGRX);
    draw_and_judge(canvas.columns - 1, canvas.rows - 1, INK, PAPER);
}

static void red_first(void **state)
{
    (void)state;
    make(1024, 768, 1024, BOOT_PIXEL_RGBX);
    draw_and_judge(0, 0, 0x563412, 0x0c0b0a);
}

static void scaled_glyphs(void **state)
{
    (void)state;
    make(2560, 400, 2600, BOOT_PIXEL_BGRX);
    assert_int_equal(canvas.scale, 2);
    draw_and_judge(canvas.columns - 1, canvas.rows - 1, INK, PAPER);
}

static void filling_leaves_the_gaps(void **state)
{
    (void)state;
    make(320, 200, 333, BOOT_PIXEL_RGBX);
    canvas_fill(&canvas, INK);
    for (uint32_t y = 0; y < 200; y++) {
        for (uint32_t x = 0; x < (y < 199 ? 333u : 320u); x++)
            assert_int_equal(pixels[y * 333 + x], x < 320 ? 0x563412u : UNTOUCHED);
    }
}

/* Two characters that look alike could not be told apart, by nobody. */
static void no_two_characters_look_alike(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < 256; a++) {
        assert_int_equal(font_row((uint8_t)a, 1000), 0);
        for (uint32_t b = FONT_FIRST; b < a && a <= FONT_BOX; b++) {
            uint32_t row = 0;
            while (row < FONT_HEIGHT && font_row((uint8_t)a, row) == font_row((uint8_t)b, row))
                row++;
            if (row == FONT_HEIGHT)
                fail_msg("0x%02x looks like 0x%02x", a, b);
        }
        for (uint32_t row = 0; row < FONT_HEIGHT && (a < FONT_FIRST || a > FONT_BOX); row++)
            assert_int_equal(font_row((uint8_t)a, row), font_row(FONT_BOX, row));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_and_scale),
        cmocka_unit_test_teardown(a_glyph_and_nothing_beside_it, end),
        cmocka_unit_test_teardown(the_last_cell_with_a_pitch, end),
        cmocka_unit_test_teardown(red_first, end),
        cmocka_unit_test_teardown(scaled_glyphs, end),
        cmocka_unit_test_teardown(filling_leaves_the_gaps, end),
        cmocka_unit_test(no_two_characters_look_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

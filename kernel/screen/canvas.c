/* SPDX-License-Identifier: MIT */
#include "screen/canvas.h"

#include "screen/font.h"
#include "screen/grid.h"

#define COLUMNS_WANTED 160u
#define COLUMNS_LEAST  100u
#define ROWS_LEAST     10u /* before columns: a strip has many of them */

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t scale_for(uint32_t width, uint32_t height)
{
    uint32_t columns = width / FONT_WIDTH;
    uint32_t scale = (columns + COLUMNS_WANTED - 1) / COLUMNS_WANTED;

    if (scale > 1 && columns / scale < COLUMNS_LEAST)
        scale--;
    scale = smaller(scale, height / (FONT_HEIGHT * ROWS_LEAST));
    return scale == 0 ? 1 : scale;
}

void canvas_init(struct canvas *canvas, const struct boot_framebuffer *framebuffer)
{
    uint32_t scale = scale_for(framebuffer->width, framebuffer->height);
    uint32_t width = FONT_WIDTH * scale, height = FONT_HEIGHT * scale;

    *canvas = (struct canvas){
        .pixels = (volatile uint32_t *)(uintptr_t)framebuffer->virtual,
        .width = framebuffer->width,
        .height = framebuffer->height,
        .pitch = framebuffer->pitch,
        .scale = scale,
        .columns = smaller(framebuffer->width / width - 1, GRID_COLUMNS_MAX),
        .rows = smaller((framebuffer->height - height / 2) / height, GRID_ROWS_MAX),
        .red_first = framebuffer->format == BOOT_PIXEL_RGBX,
    };
    canvas->left = (framebuffer->width - canvas->columns * width) / 2;
    canvas->top = (framebuffer->height - canvas->rows * height) / 2;
}

static volatile uint32_t *pixel_at(const struct canvas *canvas, uint32_t x, uint32_t y)
{
    return canvas->pixels + (uint64_t)y * canvas->pitch + x;
}

static uint32_t pixel_of(const struct canvas *canvas, uint32_t colour)
{
    if (!canvas->red_first)
        return colour;
    return (colour & 0xff) << 16 | (colour & 0xff00) | colour >> 16;
}

void canvas_fill(const struct canvas *canvas, uint32_t colour)
{
    uint32_t pixel = pixel_of(canvas, colour);

    for (uint32_t y = 0; y < canvas->height; y++) {
        volatile uint32_t *line = pixel_at(canvas, 0, y);
        for (uint32_t x = 0; x < canvas->width; x++)
            line[x] = pixel;
    }
}

static void draw_line(volatile uint32_t *to, uint8_t bits, uint32_t scale, uint32_t ink, uint32_t paper)
{
    for (uint32_t bit = FONT_WIDTH; bit-- > 0;) {
        uint32_t pixel = (bits >> bit & 1) != 0 ? ink : paper;
        for (uint32_t i = 0; i < scale; i++)
            *to++ = pixel;
    }
}

void canvas_draw(const struct canvas *canvas, uint32_t column, uint32_t row, uint8_t character,
                 struct canvas_colours colours)
{
    uint32_t ink = pixel_of(canvas, colours.ink), paper = pixel_of(canvas, colours.paper);
    uint32_t x = canvas->left + column * FONT_WIDTH * canvas->scale;
    uint32_t y = canvas->top + row * FONT_HEIGHT * canvas->scale;

    for (uint32_t glyph_row = 0; glyph_row < FONT_HEIGHT; glyph_row++) {
        uint8_t bits = font_row(character, glyph_row);
        for (uint32_t i = 0; i < canvas->scale; i++)
            draw_line(pixel_at(canvas, x, y++), bits, canvas->scale, ink, paper);
    }
}

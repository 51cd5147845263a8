/* SPDX-License-Identifier: MIT */
/* Glyphs on a framebuffer of 32 bits a pixel. Nothing is ever read from it: such memory is slow to read. */
#ifndef SLUICE_SCREEN_CANVAS_H
#define SLUICE_SCREEN_CANVAS_H

#include "boot_info.h"

#include <stdbool.h>
#include <stdint.h>

struct canvas {
    volatile uint32_t *pixels;
    uint32_t width, height, pitch; /* pixels */
    uint32_t scale;                /* each pixel of a glyph is a square of that many */
    uint32_t columns, rows;        /* cells */
    uint32_t left, top;            /* of the first cell: all around is a margin of a quarter cell or more */
    bool red_first;                /* red, not blue, is in the lowest byte */
};

/* Colours are 0xRRGGBB. */
struct canvas_colours {
    uint32_t ink, paper;
};

/*
 * How a framebuffer that framebuffer_wrong() found nothing wrong with is divided into cells: the glyphs are
 * as large as leaves 100 to 160 columns, or up to 199 where there is no such scale, and fewer on a small
 * screen. Draws nothing.
 */
void canvas_init(struct canvas *canvas, const struct boot_framebuffer *framebuffer);

/* All of it in one colour. */
void canvas_fill(const struct canvas *canvas, uint32_t colour);

/* One character; column below columns, row below rows. */
void canvas_draw(const struct canvas *canvas, uint32_t column, uint32_t row, uint8_t character,
                 struct canvas_colours colours);

#endif

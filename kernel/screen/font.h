/* SPDX-License-Identifier: MIT */
/* The font of the screen: printable ASCII, and a box for everything else, in cells of 8 by 16 pixels. */
#ifndef SLUICE_SCREEN_FONT_H
#define SLUICE_SCREEN_FONT_H

#include <stdint.h>

#define FONT_WIDTH  8u
#define FONT_HEIGHT 16u
#define FONT_FIRST  0x20u
#define FONT_BOX    0x7fu /* what has no glyph of its own */

/* A row of a glyph, 0 to 15 from the top, the leftmost pixel in bit 7. Any character; any row. */
uint8_t font_row(uint8_t character, uint32_t row);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Text in rows and columns, in memory. Lines wrap between words, and go on indented; a full grid scrolls by a
 * quarter at once. Whatever bytes a guest writes become cells in the guest's own voice, and stay inside the
 * grid.
 */
#ifndef SLUICE_SCREEN_GRID_H
#define SLUICE_SCREEN_GRID_H

#include "lib/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRID_COLUMNS_MAX 200u
#define GRID_ROWS_MAX    120u

struct grid_cell {
    uint8_t character; /* 0x20 to FONT_BOX */
    uint8_t voice;     /* enum log_voice; LOG_PLAIN where nothing is written */
};

struct grid {
    uint32_t columns, rows; /* in use; at least 16 and 4 */
    uint32_t column, row;   /* where the next character goes; column may be columns: the row is full */
    bool changed[GRID_ROWS_MAX];
    struct grid_cell cells[GRID_ROWS_MAX][GRID_COLUMNS_MAX];
};

/* An empty grid of that size, or of the nearest that there is room for. */
void grid_init(struct grid *grid, uint32_t columns, uint32_t rows);

/* LF begins a new line, CR goes back to the row's beginning, a tab to the next column divisible by 8. */
void grid_write(struct grid *grid, enum log_voice voice, const char *text, size_t length);

#endif

/* SPDX-License-Identifier: MIT */
#include "screen/grid.h"

#include "lib/string.h"
#include "screen/font.h"

#define TAB           8u
#define INDENT        4u /* of what continues a line */
#define COLUMNS_LEAST 16u
#define ROWS_LEAST    4u

static const struct grid_cell blank = {' ', LOG_PLAIN};

static uint32_t within(uint32_t value, uint32_t least, uint32_t most)
{
    return value < least ? least : value < most ? value : most;
}

static void clear_row(struct grid *grid, uint32_t row, uint32_t from)
{
    for (uint32_t column = from; column < grid->columns; column++)
        grid->cells[row][column] = blank;
    grid->changed[row] = true;
}

void grid_init(struct grid *grid, uint32_t columns, uint32_t rows)
{
    grid->columns = within(columns, COLUMNS_LEAST, GRID_COLUMNS_MAX);
    grid->rows = within(rows, ROWS_LEAST, GRID_ROWS_MAX);
    grid->column = grid->row = 0;
    for (uint32_t row = 0; row < grid->rows; row++)
        clear_row(grid, row, 0);
}

/* By several rows at once: most of the screen is drawn anew each time. */
static void scroll(struct grid *grid)
{
    uint32_t step = grid->rows / 4 + 1;
    uint32_t kept = grid->rows - step;

    memmove(grid->cells[0], grid->cells[step], kept * sizeof(grid->cells[0]));
    for (uint32_t row = 0; row < kept; row++)
        grid->changed[row] = true;
    for (uint32_t row = kept; row < grid->rows; row++)
        clear_row(grid, row, 0);
    grid->row = kept;
}

static void next_row(struct grid *grid)
{
    grid->column = 0;
    if (grid->row + 1 < grid->rows)
        grid->row++;
    else
        scroll(grid);
}

/* The row is full: the word that did not fit goes on in the next one, unless it is a very long one. */
static void wrap(struct grid *grid)
{
    struct grid_cell word[GRID_COLUMNS_MAX];
    const struct grid_cell *cells = grid->cells[grid->row];
    uint32_t start = grid->columns;

    while (start > grid->columns / 2 && cells[start - 1].character != ' ')
        start--;
    if (start == grid->columns / 2)
        start = grid->columns;
    uint32_t length = grid->columns - start;
    memcpy(word, cells + start, length * sizeof(word[0]));
    clear_row(grid, grid->row, start);
    next_row(grid);
    memcpy(grid->cells[grid->row] + INDENT, word, length * sizeof(word[0]));
    grid->column = INDENT + length;
}

static void put(struct grid *grid, enum log_voice voice, uint8_t character)
{
    if (grid->column == grid->columns) {
        if (character == ' ') {
            next_row(grid);
            grid->column = INDENT;
            return;
        }
        wrap(grid);
    }
    grid->cells[grid->row][grid->column++] =
        character == ' ' ? blank : (struct grid_cell){character, (uint8_t)voice};
    grid->changed[grid->row] = true;
}

static void tab(struct grid *grid, enum log_voice voice)
{
    do
        put(grid, voice, ' ');
    while (grid->column % TAB != 0 && grid->column != grid->columns);
}

void grid_write(struct grid *grid, enum log_voice voice, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        uint8_t character = (uint8_t)text[i];

        if (character == '\n')
            next_row(grid);
        else if (character == '\r')
            grid->column = 0;
        else if (character == '\t')
            tab(grid, voice);
        else
            put(grid, voice, character >= FONT_FIRST && character < FONT_BOX ? character : FONT_BOX);
    }
}

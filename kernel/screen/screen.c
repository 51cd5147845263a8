/* SPDX-License-Identifier: MIT */
#include "screen/screen.h"

#include "cpu/time.h"
#include "lib/log.h"
#include "lib/options.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "screen/canvas.h"
#include "screen/font.h"
#include "screen/framebuffer.h"
#include "screen/grid.h"

/*
 * While the guest runs, a step writes at most this much to the framebuffer: about a millisecond where writes
 * are combined, 25 of them where not. Between two steps it has at least so long, however much is logged.
 */
#define STEP_BYTES (1u << 20)
#define STEP_NS    20000000ull
#define UNBOUNDED  UINT32_MAX

#define PAPER 0x0b0f14u

static const uint32_t inks[] = {
    [LOG_PLAIN] = 0xc9d1d9, [LOG_GUEST] = 0x8fbcdb, [LOG_ALERT] = 0xf2c879, [LOG_FAULT] = 0xff9d8a};

static enum {
    SCREEN_NONE,   /* nothing is drawn, ever */
    SCREEN_OURS,   /* drawn as it is logged */
    SCREEN_GUESTS, /* the guest draws */
} owner;

static struct grid text;
static struct grid_cell shown[GRID_ROWS_MAX][GRID_COLUMNS_MAX];
static struct canvas canvas;
static uint64_t base, bytes; /* physical */
static bool guest_runs;
static bool step_due; /* one was drawn, and the timer is on for the next */
static bool drawing;  /* still set when drawing has faulted */

/* ---- drawing ---- */

static bool same(struct grid_cell a, struct grid_cell b)
{
    return a.character == b.character && a.voice == b.voice;
}

/* Draws what differs in a row; false when the cells that may be drawn do not suffice. */
static bool draw_row(uint32_t row, uint32_t *cells)
{
    for (uint32_t column = 0; column < text.columns; column++) {
        struct grid_cell cell = text.cells[row][column];
        if (same(cell, shown[row][column]))
            continue;
        if ((*cells)-- == 0)
            return false;
        canvas_draw(&canvas, column, row, cell.character, (struct canvas_colours){inks[cell.voice], PAPER});
        shown[row][column] = cell;
    }
    text.changed[row] = false;
    return true;
}

/* Not more than so many. */
static void draw(uint32_t cells)
{
    bool complete = true;

    if (drawing) { /* this is the report of a fault in here */
        owner = SCREEN_NONE;
        return;
    }
    drawing = true;
    for (uint32_t row = 0; row < text.rows && complete; row++)
        complete = !text.changed[row] || draw_row(row, &cells);
    __asm__ volatile("sfence" : : : "memory"); /* combined writes leave the processor */
    drawing = false;
}

static bool is_drawn(void)
{
    for (uint32_t row = 0; row < text.rows; row++)
        if (text.changed[row])
            return false;
    return true;
}

static void draw_step(void)
{
    uint32_t cell_bytes = 4 * FONT_WIDTH * FONT_HEIGHT * canvas.scale * canvas.scale;

    step_due = false;
    if (owner != SCREEN_OURS || is_drawn())
        return;
    draw(STEP_BYTES / cell_bytes);
    step_due = true;
    timer_start(draw_step, STEP_NS);
}

static void clear(void)
{
    drawing = true;
    canvas_fill(&canvas, PAPER);
    drawing = false;
    for (uint32_t row = 0; row < text.rows; row++) {
        for (uint32_t column = 0; column < text.columns; column++)
            shown[row][column] = (struct grid_cell){' ', LOG_PLAIN};
        text.changed[row] = true;
    }
}

/* ---- the log ---- */

static void sink(enum log_voice voice, const char *bytes_in, size_t length)
{
    if (voice == LOG_RECORD)
        return;
    grid_write(&text, voice, bytes_in, length);
    if (voice == LOG_FAULT && owner == SCREEN_GUESTS) {
        owner = SCREEN_OURS;
        clear();
    }
    if (owner != SCREEN_OURS)
        return;
    if (!guest_runs || voice == LOG_FAULT)
        draw(UNBOUNDED);
    else if (!step_due)
        draw_step();
}

void screen_init(const struct boot_framebuffer *framebuffer)
{
    if (framebuffer->format == BOOT_PIXEL_NONE)
        return;
    canvas_init(&canvas, framebuffer);
    grid_init(&text, canvas.columns, canvas.rows);
    log_add_sink(sink);
}

static const char *judge(const struct boot_info *info, uint8_t physical_bits)
{
    struct framebuffer_machine machine = {
        .physical_bits = physical_bits,
        .ranges = memory_ranges,
        .range_count = memory_range_count,
        .image = info->image,
        .loader_pages = info->loader_pages,
    };
    return framebuffer_wrong(&info->framebuffer, &machine);
}

static bool is_usable(struct boot_info *info, uint8_t physical_bits)
{
    if (info->framebuffer.format == BOOT_PIXEL_NONE) {
        log_line("screen: firmware has no framebuffer; the serial port alone shows what happens");
        return false;
    }
    const char *wrong = judge(info, physical_bits);
    if (wrong != NULL) {
        log_line("screen: not used: the framebuffer %s", wrong);
        info->framebuffer.format = BOOT_PIXEL_NONE;
        return false;
    }
    return option_bool("screen", true);
}

void screen_start(struct boot_info *info, uint8_t physical_bits)
{
    if (!is_usable(info, physical_bits)) {
        info->framebuffer.virtual = 0;
        return;
    }
    base = info->framebuffer.base;
    bytes = boot_framebuffer_bytes(&info->framebuffer);
    owner = SCREEN_OURS;
    clear();
    log_line("screen: %ux%u pixels at 0x%llx, %ux%u characters", canvas.width, canvas.height,
             (unsigned long long)base, text.columns, text.rows);
}

/* ---- whose it is ---- */

void screen_guest_runs(void)
{
    guest_runs = true;
}

void screen_guest_ended(void)
{
    guest_runs = false;
    if (owner == SCREEN_OURS)
        draw(UNBOUNDED);
}

bool screen_is_ours(void)
{
    return owner == SCREEN_OURS;
}

void screen_guest_maps(uint64_t mfn)
{
    if (owner != SCREEN_OURS || mfn < base >> FRAME_SHIFT || mfn > (base + bytes - 1) >> FRAME_SHIFT)
        return;
    log_line(
        "screen: the guest maps the framebuffer, and draws from here on; this goes on on the serial port");
    draw(UNBOUNDED);
    owner = SCREEN_GUESTS;
}

void screen_guest_moves(uint64_t window, uint64_t size)
{
    if (owner != SCREEN_NONE && window < base + bytes && base < window + size) {
        owner = SCREEN_NONE;
        log_line("screen: the guest moves the framebuffer; this goes on on the serial port");
    }
}

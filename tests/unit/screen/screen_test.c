/* SPDX-License-Identifier: MIT */
/*
 * The console as a whole, on a framebuffer in memory: whose the screen is, that nothing logged is missing on
 * it, and how much is drawn at once.
 */
#include "screen/screen.h"

#include "cpu/time.h"
#include "lib/log.h"
#include "lib/options.h"
#include "mem/alloc.h"
#include "screen/canvas.h"
#include "screen/grid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define BASE      0xd0000000ull
#define WIDTH     1920u
#define HEIGHT    1080u
#define PITCH     1984u
#define BYTES     ((uint64_t)PITCH * HEIGHT * 4)
#define UNTOUCHED 0x5a5a5a5au
#define STEP_MOST (1u << 20) /* bytes that one line may draw while the guest runs */

/* A machine that the screen asks about. */
struct memory_range memory_ranges[MEMORY_RANGES_MAX] = {{0x100000, 0x7ff00000, MEMORY_USABLE}};
uint32_t memory_range_count = 1;

static timer_fn pending;

void timer_start(timer_fn fn, uint64_t delay_ns)
{
    assert_true(delay_ns > 0);
    pending = fn;
}

static uint32_t *const pixels = (uint32_t *)BOOT_FRAMEBUFFER_VIRTUAL;
static struct boot_info info;
static char serial[65536];
static size_t serial_length;

static void serial_sink(enum log_voice voice, const char *text, size_t length)
{
    (void)voice;
    assert_true(serial_length + length < sizeof serial);
    memcpy(serial + serial_length, text, length);
    serial_length += length;
    serial[serial_length] = '\0';
}

static void forget_pixels(void)
{
    for (uint64_t i = 0; i < BYTES / 4; i++)
        pixels[i] = UNTOUCHED;
}

static uint64_t bytes_drawn(void)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < BYTES / 4; i++)
        count += pixels[i] != UNTOUCHED ? 4 : 0;
    return count;
}

/* How many cells have something else than paper in them. */
static uint32_t cells_with_ink(void)
{
    struct canvas canvas;
    uint32_t count = 0;

    canvas_init(&canvas, &info.framebuffer);
    for (uint32_t row = 0; row < canvas.rows; row++) {
        for (uint32_t column = 0; column < canvas.columns; column++) {
            bool ink = false;
            for (uint32_t y = 0; y < 16 * canvas.scale; y++) {
                for (uint32_t x = 0; x < 8 * canvas.scale; x++)
                    ink |= pixels[(canvas.top + row * 16 * canvas.scale + y) * PITCH + canvas.left +
                                  column * 8 * canvas.scale + x] != pixels[0];
            }
            count += ink;
        }
    }
    return count;
}

static void log_lines(uint32_t count)
{
    static char line[] = "?a guest's line of some length, that fills a good part of a row\n";

    for (uint32_t i = 0; i < count; i++) {
        memmove(line + 1, line, sizeof line - 3); /* so that each row differs from the one above */
        line[0] = (char)('a' + rand() % 26);
        log_guest(line, sizeof line - 1);
    }
}

/* The screen begins once in the life of a program, so these are the chapters of one story. */
static void nothing_is_drawn_before_it_is_judged(void **state)
{
    static const char options[] = "screen=on";

    (void)state;
    /* Two pages behind it nobody may touch; the pages are there until then. */
    assert_ptr_equal(mmap(pixels, (BYTES + 8191) & ~4095ull, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                     pixels);
    assert_int_equal(mprotect((char *)pixels + ((BYTES + 4095) & ~4095ull), 4096, PROT_NONE), 0);
    info.framebuffer = (struct boot_framebuffer){.base = BASE,
                                                 .size = BYTES,
                                                 .virtual = BOOT_FRAMEBUFFER_VIRTUAL,
                                                 .width = WIDTH,
                                                 .height = HEIGHT,
                                                 .pitch = PITCH,
                                                 .format = BOOT_PIXEL_BGRX};
    options_set(options, sizeof options);
    log_add_sink(serial_sink);
    forget_pixels();
    screen_init(&info.framebuffer);
    log_line("what came before the screen");
    assert_int_equal(bytes_drawn(), 0);
    assert_false(screen_is_ours());
}

static void what_was_logged_before_is_shown(void **state)
{
    (void)state;
    screen_start(&info, 40);
    assert_true(screen_is_ours());
    assert_int_equal(bytes_drawn(), (uint64_t)WIDTH * HEIGHT * 4);
    assert_non_null(strstr(serial, "screen: 1920x1080"));
    /* "sluice: what came before the screen", and the sentence that it is on, without their blanks. */
    assert_int_equal(cells_with_ink(),
                     30 + strlen("sluice:screen:1920x1080pixelsat0xd0000000,119x33characters"));
}

/* All is drawn at once until the guest runs: nobody waits. */
static void all_is_drawn_at_once_before_the_guest(void **state)
{
    (void)state;
    log_lines(200);
    assert_null(pending);
    assert_in_range(cells_with_ink(), 33 * 3 / 4 * 40, 33 * 63);
}

static void run_timer(void)
{
    timer_fn due = pending;

    pending = NULL;
    if (due != NULL)
        due();
}

static void a_guests_line_draws_a_bounded_part(void **state)
{
    (void)state;
    screen_guest_runs();
    forget_pixels();
    log_lines(60);
    assert_in_range(bytes_drawn(), 1, STEP_MOST);
    /* The rest comes by timer, in steps as small, whatever is logged between them. */
    uint32_t steps = 0;
    for (; pending != NULL; steps++) {
        forget_pixels();
        run_timer();
        log_lines(steps < 20);
        assert_in_range(bytes_drawn(), 0, STEP_MOST);
        assert_in_range(steps, 0, 100);
    }
    assert_in_range(steps, 1, 100);
    forget_pixels();
    log_guest("\n", 1);
    assert_int_equal(bytes_drawn(), 0);
}

static void records_are_for_programs(void **state)
{
    (void)state;
    forget_pixels();
    log_raw(LOG_RECORD, "sluice: summary {}\n", 19);
    assert_int_equal(bytes_drawn(), 0);
    assert_non_null(strstr(serial, "summary {}"));
}

static void the_guest_maps_it(void **state)
{
    (void)state;
    screen_guest_maps((BASE >> 12) - 1);
    screen_guest_maps((BASE + BYTES + 4095) >> 12);
    screen_guest_moves(BASE - 0x1000, 0x1000);
    assert_true(screen_is_ours());
    screen_guest_maps((BASE + BYTES - 1) >> 12);
    assert_false(screen_is_ours());
    assert_non_null(strstr(serial, "the guest maps the framebuffer"));
    forget_pixels();
    log_lines(100);
    log_say(LOG_ALERT, "an alert");
    screen_guest_ended();
    run_timer();
    assert_int_equal(bytes_drawn(), 0);
    assert_null(pending);
}

/* A fault of the hypervisor's own is shown whoever draws, with what came before. */
static void a_fault_takes_it_back(void **state)
{
    (void)state;
    screen_guest_runs();
    log_say(LOG_FAULT, "panic: something");
    assert_true(screen_is_ours());
    assert_int_equal(bytes_drawn(), (uint64_t)WIDTH * HEIGHT * 4);
    assert_in_range(cells_with_ink(), 20 * 40, 33 * 63);
}

static void a_moved_window_is_never_drawn_on(void **state)
{
    (void)state;
    screen_guest_moves(BASE & ~0xffffffull, 1 << 25);
    assert_false(screen_is_ours());
    forget_pixels();
    log_say(LOG_FAULT, "panic: something else");
    assert_int_equal(bytes_drawn(), 0);
}

/* What makes no sense is told once, and is not handed on to the guest either. */
static void nonsense_is_told_once(void **state)
{
    struct boot_info other = info;

    (void)state;
    other.framebuffer.base = 0x200000;
    forget_pixels();
    serial_length = 0;
    screen_start(&other, 40);
    assert_string_equal(serial,
                        "sluice: screen: not used: the framebuffer is said to be in memory that is in use\n");
    assert_int_equal(other.framebuffer.format, BOOT_PIXEL_NONE);
    assert_int_equal(other.framebuffer.virtual, 0);
    assert_int_equal(bytes_drawn(), 0);

    serial_length = 0;
    screen_start(&other, 40);
    assert_non_null(strstr(serial, "firmware has no framebuffer"));
}

static void screen_off(void **state)
{
    static const char options[] = "screen=off";
    struct boot_info other = info;

    (void)state;
    options_set(options, sizeof options);
    screen_start(&other, 40);
    assert_false(screen_is_ours());
    assert_int_equal(other.framebuffer.virtual, 0);
    assert_int_equal(other.framebuffer.format, BOOT_PIXEL_BGRX); /* the guest is still told of it */
    assert_int_equal(bytes_drawn(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_drawn_before_it_is_judged),
        cmocka_unit_test(what_was_logged_before_is_shown),
        cmocka_unit_test(all_is_drawn_at_once_before_the_guest),
        cmocka_unit_test(a_guests_line_draws_a_bounded_part),
        cmocka_unit_test(records_are_for_programs),
        cmocka_unit_test(the_guest_maps_it),
        cmocka_unit_test(a_fault_takes_it_back),
        cmocka_unit_test(a_moved_window_is_never_drawn_on),
        cmocka_unit_test(nonsense_is_told_once),
        cmocka_unit_test(screen_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The scale of the TSC, and the real-time clock's registers as a PC may have them. */
#include "cpu/io.h"
#include "cpu/lapic.h"
#include "cpu/rtc.h"
#include "cpu/time.h"
#include "cpu/trap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* ---- a clock chip ---- */

static struct {
    uint8_t index, registers[128];
    unsigned int updating;     /* readings of status A that still say so */
    unsigned int tick_at_read; /* the seconds go on before this many readings more; 0 = never */
    bool runs_wild;            /* the seconds change at each reading */
} chip;

uint8_t in8(uint16_t port)
{
    if (port != 0x71)
        return 0xff;
    if (chip.index == 0x0a)
        return chip.updating != 0 && chip.updating-- != 0 ? 0x80 : 0;
    if (chip.index == 0 && (chip.runs_wild || (chip.tick_at_read != 0 && --chip.tick_at_read == 0)))
        chip.registers[0]++;
    return chip.registers[chip.index];
}

void out8(uint16_t port, uint8_t value)
{
    if (port == 0x70)
        chip.index = value & 0x7f;
}

/* time.c calibrates by these; no test does. */
uint32_t in32(uint16_t port)
{
    return port;
}

void lapic_timer_set(uint32_t ticks)
{
    (void)ticks;
}

uint32_t lapic_timer_current(void)
{
    return 0;
}

void interrupt_set_handler(uint32_t vector, interrupt_fn handler)
{
    (void)vector;
    (void)handler;
}

static void set(uint8_t seconds, uint8_t minutes, uint8_t hours, uint8_t day, uint8_t month, uint8_t year,
                uint8_t status_b)
{
    memset(&chip, 0, sizeof chip);
    chip.registers[0] = seconds;
    chip.registers[2] = minutes;
    chip.registers[4] = hours;
    chip.registers[7] = day;
    chip.registers[8] = month;
    chip.registers[9] = year;
    chip.registers[11] = status_b;
}

#define BINARY   0x04
#define HOURS_24 0x02

static void dates_are_seconds(void **state)
{
    (void)state;
    set(0, 0, 0, 1, 1, 0, BINARY | HOURS_24);
    assert_int_equal(rtc_read(), 946684800);
    set(59, 59, 23, 29, 2, 24, BINARY | HOURS_24);
    assert_int_equal(rtc_read(), 1709251199);
    set(0, 0, 0, 1, 3, 24, BINARY | HOURS_24);
    assert_int_equal(rtc_read(), 1709251200);
    set(59, 59, 23, 31, 12, 99, BINARY | HOURS_24);
    assert_int_equal(rtc_read(), 4102444799);
}

static void digits_and_hours_of_every_kind(void **state)
{
    (void)state;
    set(0x59, 0x38, 0x21, 0x27, 0x11, 0x26, HOURS_24);
    uint64_t evening = rtc_read();
    assert_int_equal(evening, 1795815539);
    set(0x59, 0x38, 0x09 | 0x80, 0x27, 0x11, 0x26, 0);
    assert_int_equal(rtc_read(), evening);
    set(59, 38, 9 | 0x80, 27, 11, 26, BINARY);
    assert_int_equal(rtc_read(), evening);
    set(0x59, 0x38, 0x12, 0x27, 0x11, 0x26, 0); /* twelve in the morning is midnight */
    assert_int_equal(rtc_read(), evening - 21 * 3600);
    set(0x59, 0x38, 0x12 | 0x80, 0x27, 0x11, 0x26, 0);
    assert_int_equal(rtc_read(), evening - 9 * 3600);
}

static void an_update_is_waited_for(void **state)
{
    (void)state;
    set(10, 0, 0, 1, 1, 0, BINARY | HOURS_24);
    chip.updating = 500;
    assert_int_equal(rtc_read(), 946684810);
    assert_int_equal(chip.updating, 0);
    set(10, 0, 0, 1, 1, 0, BINARY | HOURS_24);
    chip.tick_at_read = 2; /* between the two readings */
    assert_int_equal(rtc_read(), 946684811);
}

static void what_is_no_clock_is_given_up(void **state)
{
    (void)state;
    memset(&chip, 0xff, sizeof chip); /* nothing there: every bit reads as one, for ever updating */
    chip.runs_wild = false;
    chip.tick_at_read = 0;
    assert_int_equal(rtc_read(), 0);
    set(0, 0, 0, 1, 1, 0, BINARY | HOURS_24);
    chip.runs_wild = true;
    assert_int_equal(rtc_read(), 0);
    set(0, 0, 0, 1, 13, 0, BINARY | HOURS_24);
    assert_int_equal(rtc_read(), 0);
    set(0, 0, 24, 1, 1, 0, BINARY | HOURS_24);
    assert_int_equal(rtc_read(), 0);
    set(0, 0, 0, 0, 1, 0, BINARY | HOURS_24);
    assert_int_equal(rtc_read(), 0);
    set(60, 0, 0, 1, 1, 0, BINARY | HOURS_24);
    assert_int_equal(rtc_read(), 0);
}

static void the_scale_fits_the_contract(void **state)
{
    const uint64_t rates[] = {100000, 999999, 1000000, 1000001, 2400000, 3579545, 10000000};

    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct time_scale scale = time_scale_for(rates[i]);
        uint64_t hour = 3600ull * 1000 * rates[i];
        uint64_t ns = time_scaled(&scale, hour);

        assert_true(scale.mul != 0 && scale.shift < 32);
        assert_in_range(ns, 3600000000000 - 36000, 3600000000000); /* 10 in 1,000,000,000, never fast */
        /* Twenty years of it do not wrap. */
        assert_true(time_scaled(&scale, 20ull * 365 * 24 * hour) > 20ull * 365 * 24 * 3599000000000);
    }
    struct time_scale scale = time_scale_for(2000000);
    scale.base = 500;
    assert_int_equal(time_scaled(&scale, 500), 0);
    assert_int_equal(time_scaled(&scale, 2500), 1000);
    uint64_t last = 0;
    for (uint64_t tsc = 500; tsc < 5000; tsc++) {
        uint64_t now = time_scaled(&scale, tsc);
        assert_true(now >= last);
        last = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_are_seconds),           cmocka_unit_test(digits_and_hours_of_every_kind),
        cmocka_unit_test(an_update_is_waited_for),     cmocka_unit_test(what_is_no_clock_is_given_up),
        cmocka_unit_test(the_scale_fits_the_contract),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

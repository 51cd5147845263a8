/* SPDX-License-Identifier: MIT */
/* Serial ports as they are found: good ones, none, and such as never do what they should. */
#include "cpu/serial.h"

#include "cpu/io.h"
#include "lib/log.h"
#include "lib/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COM1       0x3f8
#define COM2       0x2f8
#define WAIT_READS 20000u /* what a port may cost that never empties: 20 ms */

/* The port: which one, or 0 for none; what its line status always says. */
static uint16_t base;
static uint8_t line_status, scratch;
static uint32_t reads, writes;
static char sent[256];
static uint32_t sent_length;
static const char *console;
static log_sink_fn sink;

uint8_t in8(uint16_t port)
{
    reads++;
    if (base == 0 || port < base || port > base + 7)
        return 0xff;
    return port == base + 5 ? line_status : port == base + 7 ? scratch : 'x';
}

void out8(uint16_t port, uint8_t value)
{
    writes++;
    if (base != 0 && port == base + 7)
        scratch = value;
    if (base != 0 && port == base && sent_length < sizeof sent - 1)
        sent[sent_length++] = (char)value;
}

const char *option_value(const char *name)
{
    assert_string_equal(name, "console");
    return console;
}

void log_add_sink(log_sink_fn added)
{
    sink = added;
}

static void start(uint16_t port, uint8_t status)
{
    base = port;
    line_status = status;
    sink = NULL;
    serial_init();
    sent_length = reads = writes = 0;
    memset(sent, 0, sizeof sent);
}

/* serial.c remembers what it found, so that the order matters: what is given up is given up for good. */
static void test_all(void **state)
{
    char text[64];
    (void)state;

    /* Nothing answers there: nobody writes to it, and nobody waits. */
    start(0, 0);
    assert_null(sink);
    assert_int_equal(serial_read(text, sizeof text), 0);
    assert_int_equal(reads + writes, 0);

    /* Asked for none. */
    console = "none";
    start(COM1, 0x60);
    assert_null(sink);
    console = NULL;

    /* The other one. */
    console = "com2";
    start(COM2, 0x60);
    assert_non_null(sink);
    console = NULL;

    /* As it should be: a look at the status for each sixteen characters. */
    start(COM1, 0x60);
    assert_non_null(sink);
    sink(LOG_PLAIN, "first\nand a line of over sixteen characters\n", 44);
    assert_string_equal(sent, "first\r\nand a line of over sixteen characters\r\n");
    assert_in_range(reads, 3, 5);

    /* Says for ever that something has come. */
    start(COM1, 0x61);
    assert_int_equal(serial_read(text, sizeof text), sizeof text);

    /* Never empties: one bounded wait, and none after it. */
    start(COM1, 0x00);
    assert_non_null(sink);
    sink(LOG_PLAIN, "one\ntwo\n", 8);
    assert_int_equal(reads, WAIT_READS);
    for (int i = 0; i < 100; i++)
        sink(LOG_PLAIN, "more\n", 5);
    assert_int_equal(reads, WAIT_READS);
    assert_int_equal(sent_length, 0);
    assert_int_equal(serial_read(text, sizeof text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

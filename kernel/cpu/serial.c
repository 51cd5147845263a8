/* SPDX-License-Identifier: MIT */
#include "cpu/serial.h"

#include "cpu/io.h"
#include "cpu/ops.h"
#include "lib/log.h"
#include "lib/options.h"
#include "lib/string.h"

#include <stdbool.h>

#define COM1 0x3f8
#define COM2 0x2f8

#define DATA        0
#define INTERRUPTS  1
#define FIFO        2
#define LINE        3
#define MODEM       4
#define LINE_STATUS 5
#define SCRATCH     7

#define LINE_8N1   0x03
#define LINE_DLAB  0x80
#define RECEIVED   0x01
#define EMPTY      0x20
#define FIFO_DEPTH 16u

/* A character takes 87 microseconds; a port read about one. A port that never empties is given up. */
#define POLLS_MAX 20000u

static uint16_t port;
static bool dead;

static bool wait_empty(void)
{
    for (uint32_t polls = 0; polls < POLLS_MAX; polls++) {
        if ((in8(port + LINE_STATUS) & EMPTY) != 0)
            return true;
        cpu_pause();
    }
    dead = true;
    return false;
}

static void serial_write(enum log_voice voice, const char *text, size_t length)
{
    (void)voice;
    uint32_t room = 0;
    for (size_t i = 0; i < length && !dead; i++) {
        uint32_t needed = text[i] == '\n' ? 2 : 1;
        if (room < needed) {
            if (!wait_empty())
                return;
            room = FIFO_DEPTH;
        }
        if (text[i] == '\n')
            out8(port + DATA, '\r');
        out8(port + DATA, (uint8_t)text[i]);
        room -= needed;
    }
}

size_t serial_read(char *text, size_t count)
{
    size_t length = 0;

    if (port == 0 || dead)
        return 0;
    while (length < count && (in8(port + LINE_STATUS) & RECEIVED) != 0)
        text[length++] = (char)in8(port + DATA);
    return length;
}

static bool exists(void)
{
    out8(port + SCRATCH, 0x5a);
    if (in8(port + SCRATCH) != 0x5a)
        return false;
    out8(port + SCRATCH, 0xa5);
    return in8(port + SCRATCH) == 0xa5;
}

static void configure(void)
{
    out8(port + INTERRUPTS, 0);
    out8(port + LINE, LINE_DLAB);
    out8(port + DATA, 1); /* divisor 1: 115200 baud */
    out8(port + INTERRUPTS, 0);
    out8(port + LINE, LINE_8N1);
    out8(port + FIFO, 0x07); /* on, both cleared */
    out8(port + MODEM, 0x03);
}

void serial_init(void)
{
    const char *name = option_value("console");
    if (name == NULL || strcmp(name, "com1") == 0)
        port = COM1;
    else if (strcmp(name, "com2") == 0)
        port = COM2;
    else
        return;
    if (!exists()) {
        port = 0;
        return;
    }
    configure();
    log_add_sink(serial_write);
}

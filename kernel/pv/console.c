/* SPDX-License-Identifier: MIT */
/* console_io(cmd, count, buffer): the guest's text, on the hypervisor's console, and what is typed there. */
#include "pv/console.h"

#include "cpu/serial.h"
#include "cpu/time.h"
#include "cpu/trap.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mem/guest_copy.h"
#include "pv/event.h"
#include "pv/guest.h"

/* A serial line takes 11 ms for this much; interrupts are let in after each chunk. */
#define CHUNK 128u

static long console_write(struct cpu_regs *regs, uint32_t count, uint64_t buffer)
{
    char chunk[CHUNK];

    while (count) {
        uint32_t length = count < CHUNK ? count : CHUNK;

        if (copy_from_guest(chunk, buffer, length))
            return -EFAULT;
        log_guest(chunk, length);
        count -= length;
        buffer += length;
        if (count && cpu_preemption_point())
            return hypercall_continue(regs, &(struct hypercall_args){{CONSOLEIO_write, count, buffer}});
    }
    return 0;
}

/* ---- input ---- */

/* At 115200 baud 10 ms are 115 characters; a UART keeps 16 of them, which is fast enough for a person. */
#define POLL_NS 10000000ull

/* Taken from the line and not yet by the guest. What finds no room stays in the UART. */
static char input[256];
static uint32_t input_length;

static void fill(void)
{
    input_length += (uint32_t)serial_read(input + input_length, sizeof input - input_length);
}

static void poll_input(void)
{
    uint32_t before = input_length;

    if (!event_virq_bound(VIRQ_CONSOLE))
        return;
    fill();
    if (input_length != before)
        event_raise_virq(VIRQ_CONSOLE);
    timer_start(poll_input, POLL_NS);
}

void console_input_start(void)
{
    timer_start(poll_input, POLL_NS);
}

static long console_read(uint32_t count, uint64_t buffer)
{
    fill();
    uint32_t length = count < input_length ? count : input_length;
    if (copy_to_guest(buffer, input, length))
        return -EFAULT;
    input_length -= length;
    memmove(input, input + length, input_length);
    return (long)length;
}

long do_console_io(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint32_t command = (uint32_t)args->a[0], count = (uint32_t)args->a[1];

    if (command != CONSOLEIO_write && command != CONSOLEIO_read)
        return -ENOSYS;
    if (count > INT32_MAX)
        return -EINVAL;
    return command == CONSOLEIO_write ? console_write(regs, count, args->a[2])
                                      : console_read(count, args->a[2]);
}

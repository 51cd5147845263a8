/* SPDX-License-Identifier: MIT */
/*
 * Rule: what is typed on the hypervisor's console reaches the guest: VIRQ_CONSOLE says that there is
 * something, console_io's read gives it, each character once and in order.
 *
 * From: guest-abi/hypercalls.md, console_io.
 *
 * Method: the test types a line when the guest says that it is ready. The guest sleeps until it is told, and
 * reads it in pieces of three.
 *
 * Errors: -EFAULT, -EINVAL.
 *
 * run: default input="ready: the quick brown fox" timeout="30"
 */
#include "kit/guest.h"

static const char typed[] = "the quick brown fox\n";

static void errors(void)
{
    EXPECT_RETURN(console_io(CONSOLEIO_read, 0x80000000u, NULL), -EINVAL);
    EXPECT_RETURN(console_io(CONSOLEIO_read, 10, NULL), 0); /* nothing to give */
    EXPECT_RETURN(console_io(CONSOLEIO_read, 0, NULL), 0);
}

void guest_main(void)
{
    char text[sizeof(typed)] = {0};
    size_t length = 0;
    EXPECT_RETURN(events_init(), 0);
    errors();
    long port = event_bind_virq(VIRQ_CONSOLE);
    EXPECT(port > 0, "VIRQ_CONSOLE: %ld", port);
    printk("ready\n");
    while (length < sizeof(typed) - 1) {
        EXPECT_RETURN(sched_op(SCHEDOP_block, NULL), 0);
        EXPECT(event_count((evtchn_port_t)port) != 0, "it woke without an event");
        EXPECT(length != 0 || console_io(CONSOLEIO_read, 3, NULL) == -EFAULT, "a read to nowhere works");
        for (long got = 1; got > 0 && length < sizeof(typed) - 1; length += (size_t)got) {
            size_t room = sizeof(typed) - 1 - length;
            got = console_io(CONSOLEIO_read, room < 3 ? (uint32_t)room : 3, text + length);
            EXPECT(got >= 0 && got <= 3, "read gave %ld", got);
        }
    }
    EXPECT(memcmp(text, typed, sizeof(typed) - 1) == 0, "it read \"%s\"", text);
    EXPECT_RETURN(console_io(CONSOLEIO_read, 3, text), 0);
    report_success("it reads what is typed");
}

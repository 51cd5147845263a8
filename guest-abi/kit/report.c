/* SPDX-License-Identifier: MIT */
#include "kit/report.h"

#include "kit/console.h"
#include "kit/hypercall.h"

_Noreturn void guest_shutdown(uint32_t reason)
{
    struct sched_shutdown shutdown = {.reason = reason};
    console_flush();
    sched_op(SCHEDOP_shutdown, &shutdown);
    for (;;)
        __asm__ volatile("ud2");
}

static _Noreturn void finish(const char *result, uint32_t reason, const char *format, va_list arguments)
{
    if (format[0]) {
        vprintk(format, arguments);
        printk("\n");
    }
    printk("Test result: %s\n", result);
    guest_shutdown(reason);
}

#define REPORT(function, result, reason)                                                                     \
    _Noreturn void function(const char *format, ...)                                                         \
    {                                                                                                        \
        va_list arguments;                                                                                   \
        va_start(arguments, format);                                                                         \
        finish(result, reason, format, arguments);                                                           \
    }

REPORT(report_success, "SUCCESS", SHUTDOWN_poweroff)
REPORT(report_skip, "SKIP", SHUTDOWN_poweroff)
REPORT(report_error, "ERROR", SHUTDOWN_crash)
REPORT(report_failure, "FAILURE", SHUTDOWN_crash)

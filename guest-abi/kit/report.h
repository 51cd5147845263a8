/* SPDX-License-Identifier: MIT */
/*
 * How a guest ends: it judges itself, prints "Test result: SUCCESS|SKIP|ERROR|FAILURE" and shuts down.
 * Success and skip power off; error (the guest's own fault) and failure (the hypervisor's) report a crash.
 */
#ifndef KIT_REPORT_H
#define KIT_REPORT_H

#include <stdint.h>

#define REPORT_FORMAT __attribute__((format(printf, 1, 2)))

_Noreturn void report_success(const char *format, ...) REPORT_FORMAT;
_Noreturn void report_skip(const char *format, ...) REPORT_FORMAT;
_Noreturn void report_error(const char *format, ...) REPORT_FORMAT;
_Noreturn void report_failure(const char *format, ...) REPORT_FORMAT;

/* Ends the guest without a result line; reason is a SHUTDOWN_* value. */
_Noreturn void guest_shutdown(uint32_t reason);

/* A condition the hypervisor owes the guest: fails with a sentence that says what was seen. */
#define EXPECT(condition, ...)                                                                               \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            report_failure(__VA_ARGS__);                                                                     \
    } while (0)

/* expression must yield value; both are shown when it does not. */
#define EXPECT_RETURN(expression, value)                                                                     \
    do {                                                                                                     \
        long expect_got_ = (long)(expression);                                                               \
        long expect_want_ = (long)(value);                                                                   \
        if (expect_got_ != expect_want_)                                                                     \
            report_failure("%s:%d: %s gave %ld, not %ld", __FILE__, __LINE__, #expression, expect_got_,      \
                           expect_want_);                                                                    \
    } while (0)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's log. Every line starts with "sluice: " and goes to every registered sink.
 * Whatever a guest or a device can trigger goes through a struct log_limit.
 */
#ifndef SLUICE_LIB_LOG_H
#define SLUICE_LIB_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who speaks, and how much it matters. */
enum log_voice {
    LOG_PLAIN,  /* the hypervisor */
    LOG_GUEST,  /* its guest */
    LOG_ALERT,  /* the hypervisor: a refusal and its reason, an end, what a person can do now */
    LOG_FAULT,  /* the hypervisor: a fault of its own */
    LOG_RECORD, /* figures for programs, which no person wants to read */
};

/* A sink takes bytes as they come (lines end in '\n'). At most 4 are kept; further ones are refused. */
typedef void (*log_sink_fn)(enum log_voice voice, const char *text, size_t length);
void log_add_sink(log_sink_fn sink);

/* Writes one line: "sluice: " + message + "\n". Format as kprintf (lib/printf.h). */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same in another voice than LOG_PLAIN. */
void log_say(enum log_voice voice, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes raw bytes without prefix: a line that is too long for log_line(), or a piece of what a guest says.
 */
void log_raw(enum log_voice voice, const char *text, size_t length);

/*
 * Writes the guest's console output. A line that would begin with our own prefix has its blank changed to
 * '|': what says "sluice: " is the hypervisor's word.
 */
void log_guest(const char *text, size_t length);

/*
 * Rate limit of one message kind: the first `burst` lines pass, later ones are counted only.
 * log_limit_pass() says whether to print; log_limit_refill() (from the timer) reports what was
 * suppressed and opens the gate again.
 */
struct log_limit {
    const char *what;
    uint32_t burst;
    uint32_t printed;
    uint64_t suppressed;
};
bool log_limit_pass(struct log_limit *limit);
void log_limit_refill(struct log_limit *limit);

#endif

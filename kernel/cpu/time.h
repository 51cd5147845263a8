/* SPDX-License-Identifier: MIT */
/* Time: the TSC, calibrated once, and one-shot timers on the local APIC. All times in nanoseconds. */
#ifndef SLUICE_CPU_TIME_H
#define SLUICE_CPU_TIME_H

#include <stdint.h>

/*
 * Calibrates the TSC and the local APIC's timer against the ACPI PM timer (port, 0 = none) or the PIT. Call
 * once, after lapic_init() and before any below. When neither clock runs, a fast TSC is assumed, so that no
 * wait ends too early.
 */
void time_init(uint16_t pm_timer_port);

uint64_t time_now_ns(void); /* since time_init(), monotonic */
uint64_t time_tsc_khz(void);

/* How the TSC becomes nanoseconds: ((TSC - base) << shift) * mul >> 32. time_now_ns() is exactly that. */
struct time_scale {
    uint64_t base;
    uint32_t mul;
    uint8_t shift;
};
struct time_scale time_scale(void);
/* The scale of a TSC of that many kHz, at least 1; base is 0. */
struct time_scale time_scale_for(uint64_t khz);
uint64_t time_scaled(const struct time_scale *scale, uint64_t tsc);

/* One-shot timers: fn runs from the timer interrupt, interrupts off, never early. At most 8 are pending. */
typedef void (*timer_fn)(void);
void timer_start(timer_fn fn, uint64_t delay_ns); /* restarts fn if it is pending */
void timer_start_at(timer_fn fn, uint64_t ns); /* the same, at a time of time_now_ns(); a past one is now */
void timer_stop(timer_fn fn);                  /* nothing when it is not pending */

#endif

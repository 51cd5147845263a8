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

/* One-shot timers: fn runs from the timer interrupt, interrupts off. At most 8 are pending. */
typedef void (*timer_fn)(void);
void timer_start(timer_fn fn, uint64_t delay_ns); /* restarts fn if it is pending */

#endif

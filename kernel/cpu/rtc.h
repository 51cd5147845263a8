/* SPDX-License-Identifier: MIT */
/* The CMOS real-time clock, which is taken to keep UTC. */
#ifndef SLUICE_CPU_RTC_H
#define SLUICE_CPU_RTC_H

#include <stdint.h>

/* Seconds since 1970, of the years 2000 to 2099; 0 when the clock does not tell a date. The wait is bounded.
 */
uint64_t rtc_read(void);

#endif

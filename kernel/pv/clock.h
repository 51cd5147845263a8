/* SPDX-License-Identifier: MIT */
/* The guest's clocks: system time, which is time_now_ns(), and wall-clock time, which began with the RTC. */
#ifndef SLUICE_PV_CLOCK_H
#define SLUICE_PV_CLOCK_H

#include "guest-abi/include/sluice/xen.h"

/* Fills both into the shared page; guest.shared and guest.vcpu are set. Once, before the guest runs. */
void clock_init(void);

/*
 * The guest's time of day was secs (since 1970) and nsecs at that system time, in nanoseconds; readers see
 * that it changed. Whatever the guest gives, it is in the guest's own page only.
 */
void clock_set_wall(uint64_t secs, uint32_t nsecs, uint64_t system_time);

/* How the guest computes system time. It never changes, because the scale of the TSC does not. */
struct vcpu_time_info clock_time_info(void);

#endif

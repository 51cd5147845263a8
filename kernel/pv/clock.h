/* SPDX-License-Identifier: MIT */
/* The guest's clocks: system time, which is time_now_ns(), and wall-clock time, which began with the RTC. */
#ifndef SLUICE_PV_CLOCK_H
#define SLUICE_PV_CLOCK_H

#include "guest-abi/include/sluice/xen.h"

/* Fills both into the shared page; guest.shared and guest.vcpu are set. Once, before the guest runs. */
void clock_init(void);

/* How the guest computes system time. It never changes, because the scale of the TSC does not. */
struct vcpu_time_info clock_time_info(void);

#endif

/* SPDX-License-Identifier: MIT */
/* In which state the virtual CPU was for how long, and the guest's copy of that. */
#ifndef SLUICE_PV_RUNSTATE_H
#define SLUICE_PV_RUNSTATE_H

#include "guest-abi/include/sluice/vcpu.h"

/* Enters RUNSTATE_running or RUNSTATE_blocked. The guest's copy is written on the way to running: nobody
 * could look at it before. */
void runstate_enter(int32_t state);

/* Up to now, the present state's time included. */
struct vcpu_runstate_info runstate_now(void);

/* Keeps a copy at that guest virtual address from now on; -EFAULT when it cannot be written. */
long runstate_register(uint64_t address);

#endif

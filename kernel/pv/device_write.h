/* SPDX-License-Identifier: MIT */
/* Stores to device pages that the guest may only read: it asked for more when it mapped them, and was not
 * refused. */
#ifndef SLUICE_PV_DEVICE_WRITE_H
#define SLUICE_PV_DEVICE_WRITE_H

#include "cpu/regs.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * #PF of the guest's kernel at a page that is not writable: true when the page is such a one and the
 * instruction a MOV, which is stepped over. To configuration space it is what the same write by ports is;
 * elsewhere nothing happens.
 */
bool guest_emulate_device_write(struct cpu_regs *regs, uint64_t address);

#endif

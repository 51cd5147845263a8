/* SPDX-License-Identifier: MIT */
/* Stores of the guest's kernel into page tables that it can only read. */
#ifndef SLUICE_PV_PTWR_H
#define SLUICE_PV_PTWR_H

#include "cpu/regs.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * #PF at an 8-byte store of kernel mode to an entry of an L1 table of the guest's: does what mmu_update would
 * and steps over it. False when it is something else, or the entry is not allowed: then the fault is the
 * guest's.
 */
bool guest_emulate_table_write(struct cpu_regs *regs, uint64_t address);

#endif

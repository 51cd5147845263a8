/* SPDX-License-Identifier: MIT */
/* Instructions that ring 3 may not execute, or whose answer the guest must not see raw. */
#ifndef SLUICE_PV_EMULATE_H
#define SLUICE_PV_EMULATE_H

#include "cpu/regs.h"

#include <stdbool.h>

/* #UD at `ud2a; .ascii "xen"; cpuid`: answers by policy and steps over it; false when it is something else.
 */
bool guest_emulate_forced_cpuid(struct cpu_regs *regs);

/* #GP at RDMSR or WRMSR of a segment base, or a read of CR0, CR2, CR3 or CR4; false for anything else. */
bool guest_emulate_privileged(struct cpu_regs *regs);

#endif

/* SPDX-License-Identifier: MIT */
/* What trap.c and iret.c share: the guest's view of its registers, and the way into its handlers. */
#ifndef SLUICE_PV_TRAP_H
#define SLUICE_PV_TRAP_H

#include "cpu/regs.h"

#include <stdbool.h>
#include <stdint.h>

#define RFLAGS_FIXED 0x2u
#define RFLAGS_TF    0x100u
#define RFLAGS_IF    0x200u
#define RFLAGS_IOPL  0x3000u
#define RFLAGS_NT    0x4000u
#define RFLAGS_RF    0x10000u
#define RFLAGS_VM    0x20000u
#define RFLAGS_AC    0x40000u

#define TRAP_INFO_DPL         0x3u
#define TRAP_INFO_MASK_EVENTS 0x4u

uint64_t guest_visible_cs(const struct cpu_regs *regs);
uint64_t guest_visible_rflags(const struct cpu_regs *regs);

/* Goes on at a handler whose frame has been pushed down to `stack`. */
void guest_enter_handler(struct cpu_regs *regs, uint64_t stack, uint16_t cs, uint64_t address,
                         bool mask_events);

#endif

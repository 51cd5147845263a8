/* SPDX-License-Identifier: MIT */
/* What trap.c and iret.c share: the guest's view of its registers, and the way into its handlers. */
#ifndef SLUICE_PV_TRAP_H
#define SLUICE_PV_TRAP_H

#include "cpu/regs.h"
#include "pv/guest.h"

#include <stdbool.h>
#include <stdint.h>

#define RFLAGS_FIXED 0x2u
#define RFLAGS_TF    0x100u
#define RFLAGS_IF    0x200u
#define RFLAGS_DF    0x400u
#define RFLAGS_IOPL  0x3000u
#define RFLAGS_NT    0x4000u
#define RFLAGS_RF    0x10000u
#define RFLAGS_VM    0x20000u
#define RFLAGS_AC    0x40000u

/*
 * Pushes the failsafe callback's frame (rcx, r11, the four selectors, rip, cs, rflags, rsp, ss) onto the
 * guest kernel's stack and goes on there, in kernel mode. False when the stack cannot be written: then the
 * registers are as they were, the mode is the kernel's, and *stack says where the frame would have been.
 */
bool guest_failsafe(struct cpu_regs *regs, const uint64_t selectors[4], uint64_t *stack);

/* SYSCALL of the guest's user mode: its kernel's syscall callback, or #UD when it has none. */
void guest_syscall_from_user(struct cpu_regs *regs);

/* The event callback; when guest_upcall_wanted(). */
void guest_upcall(struct cpu_regs *regs);

/* True when guest_upcall() has something to do: the common answer is no, so it is in line. */
static inline bool guest_upcall_wanted(void)
{
    return guest.vcpu->evtchn_upcall_pending && !guest.vcpu->evtchn_upcall_mask;
}

#endif

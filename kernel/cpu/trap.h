/* SPDX-License-Identifier: MIT */
/*
 * Traps: exceptions, interrupts and SYSCALL, and where each goes.
 *
 * Exceptions in ring 0: a registered fixup (guest copies, the final IRETQ) is taken; anything else is
 * a hypervisor fault: registers, symbolised backtrace, halt. NMI, #DF, #MC and #DB have IST stacks.
 * The hypervisor runs with interrupts off; cpu_preemption_point() is the only place in a hypercall
 * where they are let in.
 */
#ifndef SLUICE_CPU_TRAP_H
#define SLUICE_CPU_TRAP_H

#include "cpu/regs.h"

#include <stdbool.h>
#include <stdint.h>

#define TRAP_DE  0
#define TRAP_DB  1
#define TRAP_NMI 2
#define TRAP_BP  3
#define TRAP_OF  4
#define TRAP_BR  5
#define TRAP_UD  6
#define TRAP_NM  7
#define TRAP_DF  8
#define TRAP_TS  10
#define TRAP_NP  11
#define TRAP_SS  12
#define TRAP_GP  13
#define TRAP_PF  14
#define TRAP_MF  16
#define TRAP_AC  17
#define TRAP_MC  18
#define TRAP_XM  19
#define TRAP_CP  21

/* Vectors 32..255 are interrupts. 0xff is the spurious one. */
#define VECTOR_FIRST_INTERRUPT 32u
#define VECTOR_TIMER           0xf0u
#define VECTOR_IOMMU_FAULT     0xf1u
#define VECTOR_SPURIOUS        0xffu

/*
 * Hooks, declared here and defined in pv/. They may change regs (that is how results and bounces
 * reach the guest) and they may choose not to return (shutdown).
 */
void pv_guest_exception(
    struct cpu_regs *regs); /* exception 0..31 from ring 3, and pv_guest_leave(); CR2 is live */
void pv_guest_syscall(struct cpu_regs *regs);    /* SYSCALL from ring 3 */
void pv_guest_old_call(struct cpu_regs *regs);   /* SYSCALL from 32-bit code, or SYSENTER */
void pv_guest_iret_fault(struct cpu_regs *regs); /* the IRETQ to this frame faulted; regs are the guest's */
/*
 * A #DB of the guest's was overtaken by another one on its way into ring 0, and where the guest was is lost:
 * QEMU's single step onto a watched word does that.
 */
_Noreturn void pv_guest_debug_lost(void);
void pv_guest_leave(struct cpu_regs *regs); /* the last thing before a return to ring 3 from a trap */

/* Interrupt handlers, by vector; a vector without one is counted, logged with a limit, survived. */
typedef void (*interrupt_fn)(uint32_t vector);
void interrupt_set_handler(uint32_t vector, interrupt_fn handler);

/* Installs GDT, TSS, IST stacks, IDT and the SYSCALL MSRs on this CPU. */
void trap_init(void);

/* Lets pending interrupts in, then says whether any work came up that should end a long operation. */
bool cpu_preemption_point(void);

/* Marks that a long operation should yield at its next preemption point (called by handlers). */
void cpu_request_preemption(void);

/* Reports suppressed lines and opens the log limits again; call about every 100 ms. */
void trap_log_refill(void);

/* Stray vectors and NMIs seen so far. */
uint64_t trap_stray_count(void);

/* The error code of the last fault that a fixup took; until the next, CR2 has its address. */
uint64_t trap_fixed_error(void);

/* Lets SYSENTER in; until then the instruction raises #GP, with the place where it stood. */
void cpu_sysenter_enable(void);

/* Leaves for ring 3 with the frame's registers; the guest's CR3 must be loaded. Never returns. */
_Noreturn void cpu_enter_guest(const struct cpu_regs *regs);

#endif

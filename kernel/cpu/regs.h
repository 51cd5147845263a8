/* SPDX-License-Identifier: MIT */
/*
 * The register frame that every entry into the hypervisor leaves on the stack, lowest address first.
 * entry.S depends on these offsets. A SYSCALL entry fills the hardware part itself (vector
 * VECTOR_SYSCALL), so that there is one way out: IRETQ.
 */
#ifndef SLUICE_CPU_REGS_H
#define SLUICE_CPU_REGS_H

#include <stdbool.h>
#include <stdint.h>

struct cpu_regs {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r9, rax, rcx;
    uint64_t rdi, rsi, rdx, r10, r8; /* a hypercall's arguments, in their order */
    uint64_t vector;                 /* 0..255, or one of the VECTOR_SY* below */
    uint64_t error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

#define VECTOR_SYSCALL   0x100u
#define VECTOR_SYSCALL32 0x101u /* from 32-bit code */
#define VECTOR_SYSENTER  0x102u /* rip, rsp and cs are not known */

_Static_assert(sizeof(struct cpu_regs) == 22 * 8, "entry.S depends on it");

/* True when the frame was taken from the guest (ring 3). */
static inline bool regs_from_guest(const struct cpu_regs *regs)
{
    return (regs->cs & 3) == 3;
}

#endif

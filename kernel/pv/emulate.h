/* SPDX-License-Identifier: MIT */
/* Instructions that ring 3 may not execute, or whose answer the guest must not see raw. */
#ifndef SLUICE_PV_EMULATE_H
#define SLUICE_PV_EMULATE_H

#include "cpu/regs.h"
#include "pv/decode.h"

#include <stdbool.h>
#include <stdint.h>

enum emulation {
    EMULATION_REFUSED, /* nothing happened */
    EMULATION_DONE,    /* the guest goes on behind the instruction */
    EMULATION_STAYS,   /* it goes on where RIP is: at the instruction again, or in a handler */
};

/* ---- emulate.c ---- */

/* #UD at `ud2a; .ascii "xen"; cpuid`: answers by policy and steps over it; false when it is something else.
 */
bool guest_emulate_forced_cpuid(struct cpu_regs *regs);

/* #GP at an instruction that is emulated, from a mode that may execute it; false: the #GP is the guest's. */
bool guest_emulate_privileged(struct cpu_regs *regs);

/* Reads and decodes what RIP points at; false when it is nothing that insn_decode() knows. */
bool guest_decode(const struct cpu_regs *regs, struct insn *insn);

/* Where a store goes, whatever address faulted: one over two pages faults at the second. And what it stores,
 * of the operand's size. */
uint64_t guest_operand_address(struct cpu_regs *regs, const struct insn *insn);
uint64_t guest_store_source(struct cpu_regs *regs, const struct insn *insn);

/* The general register of that number, 0 to 15. */
uint64_t *guest_register(struct cpu_regs *regs, uint32_t number);

/* Leaves the emulated instruction of that length behind, single-step exception included. */
void guest_step_over(struct cpu_regs *regs, uint32_t length);

/* ---- cpuid.c ---- */
struct cpuid;
struct cpuid guest_cpuid(uint32_t leaf, uint32_t subleaf);
uint64_t guest_xcr0_offered(void); /* the bits that the guest may set */

/* ---- msr.c, control.c, debugreg.c: false is #GP ---- */
bool guest_msr_read(uint32_t msr, uint64_t *value);
bool guest_msr_write(uint32_t msr, uint64_t value);
bool guest_control_read(uint32_t number, uint64_t *value);
bool guest_control_write(uint32_t number, uint64_t value);
bool guest_xcr_write(uint32_t number, uint64_t value);
bool guest_debug_read(uint32_t number, uint64_t *value);
bool guest_debug_write(uint32_t number, uint64_t value);

/* The guest's #DB: takes the processor's status, which the hypervisor's own #DB would overwrite. */
void guest_debug_caught(void);
/* An emulated instruction was single-stepped: the status says so. */
void guest_debug_stepped(void);
/* The guest's #NM: CR0.TS is cleared before its handler runs. */
void guest_fpu_wanted(void);

/* ---- io.c ---- */
enum emulation guest_io(struct cpu_regs *regs, const struct insn *insn);

/* ---- iopl.c: the virtual I/O privilege level and the user mode's port bitmap ---- */
bool iopl_covers_mode(void);
bool iopl_allows_port(uint16_t port, uint32_t bytes);
long iopl_set(uint64_t argument);
long iopl_set_bitmap(uint64_t argument);

#endif

/* SPDX-License-Identifier: MIT */
/* Exceptions: a trap table for vectors 0 to 31, handlers, and code that is expected to fault. */
#ifndef KIT_TRAP_H
#define KIT_TRAP_H

#include <stdbool.h>
#include <stdint.h>

/* Built by the stubs in start.S. */
struct trap_regs {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss; /* bit 32 of cs: the saved event mask */
};

#define TRAP_DIVIDE     0u
#define TRAP_DEBUG      1u
#define TRAP_BREAKPOINT 3u
#define TRAP_INVALID_OP 6u
#define TRAP_NO_FPU     7u
#define TRAP_PROTECTION 13u
#define TRAP_PAGE_FAULT 14u
#define PF_PRESENT      1u
#define PF_WRITE        2u
#define PF_USER         4u
#define PF_RESERVED     8u
#define PF_INSTRUCTION  16u
#define TRAP_VECTORS    32u

/* What the callbacks below and trap_software_interrupt have in `vector`. */
#define TRAP_EVENT              32u
#define TRAP_SYSCALL            33u
#define TRAP_SYSCALL32          34u
#define TRAP_SYSENTER           35u
#define TRAP_FAILSAFE           36u
#define TRAP_SOFTWARE_INTERRUPT 37u
#define TRAP_KINDS              38u

/* Addresses for callback_register() and set_trap_table(). A handler set for the kind is called. */
extern const char trap_syscall[], trap_syscall32[], trap_sysenter[], trap_failsafe[],
    trap_software_interrupt[], trap_event[];
/* DS, ES, FS and GS as the last failsafe frame had them. */
extern uint64_t trap_failsafe_selectors[4];

/* True when the frame is one of user mode. */
static inline bool trap_from_user(const struct trap_regs *regs)
{
    return (regs->cs & 3) == 3;
}

/* Installs the table. kit_main() has done it before guest_main() runs. 0 or the hypercall's errno. */
long trap_init(void);

/* Called for the vector from now on; changes regs to change where execution goes on. NULL: none. */
void trap_set_handler(uint32_t vector, void (*handler)(struct trap_regs *regs));

struct trap_result {
    bool trapped;
    uint32_t vector, error_code;
    uint64_t rip, address; /* address: CR2 of a page fault */
};

/*
 * Calls function(argument); an exception in it ends it and is described in the result. Not nested.
 * A handler set for the vector is not called.
 */
struct trap_result trap_try(void (*function)(void *argument), void *argument);

/* One access each, by trap_try(): true when it went through. */
bool trap_read_works(const volatile void *address, struct trap_result *result);
bool trap_write_works(volatile void *address, struct trap_result *result);

#endif

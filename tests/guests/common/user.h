/* SPDX-License-Identifier: MIT */
/* Code of the guest's user mode, by its bytes: on a user L4 that shows what the kernel's does. */
#ifndef USER_H
#define USER_H

#include "common/code.h"
#include "common/tables.h"

static _Alignas(16) uint8_t user_stack[4096], entry_stack[16384];
static struct table user_l4;

/* Makes the user L4, and the stack on which the kernel is entered. */
static inline void user_begin(void)
{
    const uint64_t *kernel_l4 = (const uint64_t *)(uintptr_t)start_info->pt_base;
    table_begin(&user_l4);
    for (uint32_t i = 0; i < TABLE_ENTRIES; i++) {
        if (i < 256 || i > 271)
            user_l4.view[i] = kernel_l4[i];
    }
    table_seal(&user_l4);
    EXPECT_RETURN(pin(4, user_l4.mfn), 0);
    EXPECT_RETURN(mmuext(MMUEXT_NEW_USER_BASEPTR, user_l4.mfn, 0), 0);
    EXPECT_RETURN(stack_switch(FLAT_RING3_SS64, hypercall_pointer(entry_stack + sizeof(entry_stack))), 0);
}

static inline void user_enter(void *argument)
{
    const struct code_regs *r = argument;
    __asm__ volatile("push $0xe02b; push %6; push $0x202; push $0xe033; push %7\n\t"
                     "push $0; push $0; push $0; push %0\n\t"
                     "mov $23, %%eax; syscall"
                     :
                     : "r"(r->rax), "b"(r->rbx), "m"(*r), "d"(r->rdx), "S"(r->rsi), "D"(r->rdi),
                       "r"(user_stack + sizeof(user_stack)), "r"(code_area)
                     : "rax", "rcx", "r11", "memory", "cc");
}

/*
 * Runs the bytes in user mode with RBX, RDX, RSI, RDI and RAX given (RCX is 0); behind them is an UD2. So
 * what works ends as #UD at +size, and what does not as its own exception.
 */
static inline struct trap_result user_run(const uint8_t *bytes, uint32_t size, struct code_regs *regs)
{
    memcpy(code_area, bytes, size);
    memcpy(code_area + size, (const uint8_t[]){0x0f, 0x0b}, 2);
    struct trap_result seen = trap_try(user_enter, regs);
    seen.rip -= (uint64_t)(uintptr_t)code_area;
    return seen;
}
#define USER(regs, ...) user_run((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), regs)

static inline bool user_works(struct trap_result seen, uint32_t size)
{
    EXPECT(seen.trapped && (seen.vector == TRAP_INVALID_OP
                                ? seen.rip == size
                                : seen.vector == TRAP_PROTECTION && seen.rip == 0 && seen.error_code == 0),
           "vector %u, error code 0x%x, at +%ld of %u", seen.vector, seen.error_code, (long)seen.rip, size);
    return seen.vector == TRAP_INVALID_OP;
}
/* False: #GP with error code 0, at the instruction. */
#define USER_WORKS(regs, ...) user_works(USER(regs, __VA_ARGS__), sizeof((const uint8_t[]){__VA_ARGS__}))

#endif

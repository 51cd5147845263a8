/* SPDX-License-Identifier: MIT */
/* Instructions by their bytes: run with chosen registers, and what came of them. */
#ifndef CODE_H
#define CODE_H

#include "kit/guest.h"

struct code_regs {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi;
};

#define CODE_MAX 32u
static uint8_t code_area[CODE_MAX + 1];

static inline void code_call(void *argument)
{
    struct code_regs *r = argument;
    __asm__ volatile("call *%6"
                     : "+a"(r->rax), "+b"(r->rbx), "+c"(r->rcx), "+d"(r->rdx), "+S"(r->rsi), "+D"(r->rdi)
                     : "r"(code_area)
                     : "memory", "cc");
}

/* Calls the bytes, a RET behind them. An exception's RIP is relative to their beginning. */
static inline struct trap_result code_run(const uint8_t *bytes, uint32_t size, struct code_regs *regs)
{
    memcpy(code_area, bytes, size);
    code_area[size] = 0xc3;
    struct trap_result seen = trap_try(code_call, regs);
    seen.rip -= (uint64_t)(uintptr_t)code_area;
    return seen;
}
#define CODE(regs, ...) code_run((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), regs)

/* The instruction must be #GP with error code 0, at its own address. */
#define CODE_REFUSED(what, regs, ...)                                                                        \
    do {                                                                                                     \
        struct trap_result refused_ = CODE(regs, __VA_ARGS__);                                               \
        EXPECT(refused_.trapped &&refused_.vector == TRAP_PROTECTION && refused_.error_code == 0 &&          \
                   refused_.rip == 0,                                                                        \
               "%s: trapped %u, vector %u, error code 0x%x, RIP at +%ld", what, refused_.trapped,            \
               refused_.vector, refused_.error_code, (long)refused_.rip);                                    \
    } while (0)

/* The instruction must be carried out. */
#define CODE_WORKS(what, regs, ...)                                                                          \
    do {                                                                                                     \
        struct trap_result worked_ = CODE(regs, __VA_ARGS__);                                                \
        EXPECT(!worked_.trapped, "%s: vector %u, error code 0x%x, RIP at +%ld", what, worked_.vector,        \
               worked_.error_code, (long)worked_.rip);                                                       \
    } while (0)

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The real sources hold instructions that a host program may not execute. The signal that they raise is
 * answered here: what matters to the model is done, the rest is stepped over.
 */
#define _GNU_SOURCE 1 /* names of registers: NOLINT(bugprone-reserved-identifier) */
#include "tests/adversary/native/machine.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

/* Bytes of a ModRM byte with all that belongs to it. */
static uint32_t operand_length(const uint8_t *modrm)
{
    uint32_t mode = *modrm >> 6, base = *modrm & 7, length = 1;

    if (mode == 3)
        return length;
    if (base == 4) {
        base = modrm[1] & 7;
        length++;
    }
    if (mode == 1)
        return length + 1;
    return mode == 2 || base == 5 ? length + 4 : length;
}

/* Bytes of the instruction, which is done; 0: it is none of these. */
static uint32_t two_byte(const uint8_t *code)
{
    switch (code[0]) {
    case 0x06: /* CLTS */
    case 0x08: /* INVD */
    case 0x09: /* WBINVD */
        return 1;
    case 0x00: /* LLDT, LTR */
    case 0x01: /* LGDT, LIDT, INVLPG, SWAPGS, XSETBV */
        return 1 + operand_length(&code[1]);
    default:
        return 0;
    }
}

static uint32_t emulate(const uint8_t *code)
{
    uint32_t prefix = (code[0] & 0xf0) == 0x40, length;

    switch (code[prefix]) {
    case 0xf4: /* HLT */
        machine_halt();
        return 1;
    case 0xfa:
    case 0xfb:
        return 1;
    case 0x8e: /* MOV to a segment register */
        return prefix + 1 + operand_length(&code[prefix + 1]);
    case 0x0f:
        length = two_byte(&code[prefix + 1]);
        return length != 0 ? prefix + 1 + length : 0;
    default:
        return 0;
    }
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint32_t length = emulate((const uint8_t *)(uintptr_t)regs[REG_RIP]);

    if (length == 0)
        machine_fail("signal %d at %p, address %p", signal, (void *)(uintptr_t)regs[REG_RIP], info->si_addr);
    regs[REG_RIP] += length;
}

void privileged_init(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    if (sigaction(SIGSEGV, &action, NULL) != 0 || sigaction(SIGILL, &action, NULL) != 0)
        abort();
}

/* SPDX-License-Identifier: MIT */
/*
 * Rule: fpu_taskswitch(1) sets CR0.TS and fpu_taskswitch(0) clears it; while it is set, the first FPU or SSE
 * instruction raises #NM, and its handler finds TS clear again. CR0 shows it, CLTS and a write of CR0 change
 * it. The vector registers are nobody's but the guest's throughout.
 *
 * From: guest-abi/hypercalls.md, fpu_taskswitch; the x86-64 PV contract.
 *
 * Method: TS by each way, then an instruction of each kind; registers are compared across the exception.
 *
 * Errors: none.
 *
 * run: default
 * run: poor-cpu cpu="qemu64"
 */
#include "common/code.h"

#define CR0_TS 8ul

static uint64_t cr0(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

static void expect_no_fpu(const char *what, struct trap_result seen)
{
    EXPECT(seen.trapped && seen.vector == TRAP_NO_FPU && seen.rip == 0, "%s: trapped %u, vector %u at +%ld",
           what, seen.trapped, seen.vector, (long)seen.rip);
    EXPECT(!(cr0() & CR0_TS), "%s: TS is still set", what);
}

static void every_kind_traps_once(void)
{
    struct code_regs regs = {0};
    EXPECT_RETURN(fpu_taskswitch(1), 0);
    EXPECT(cr0() & CR0_TS, "CR0 0x%lx", cr0());
    expect_no_fpu("fld1", CODE(&regs, 0xd9, 0xe8));
    CODE_WORKS("fninit after it", &regs, 0xdb, 0xe3);

    EXPECT_RETURN(fpu_taskswitch(0x100000000), 0); /* not 0: that is all that counts */
    expect_no_fpu("movaps", CODE(&regs, 0x0f, 0x28, 0xc1));
    CODE_WORKS("movaps after it", &regs, 0x0f, 0x28, 0xc1);

    EXPECT_RETURN(fpu_taskswitch(1), 0);
    expect_no_fpu("fwait", CODE(&regs, 0x9b)); /* CR0.MP is set */

    EXPECT_RETURN(fpu_taskswitch(1), 0);
    EXPECT_RETURN(fpu_taskswitch(1), 0);
    EXPECT_RETURN(fpu_taskswitch(0), 0);
    EXPECT(!(cr0() & CR0_TS), "CR0 0x%lx", cr0());
    CODE_WORKS("fld1 with TS clear", &regs, 0xd9, 0xe8);
    CODE_WORKS("fninit", &regs, 0xdb, 0xe3);
}

static void other_ways_do_it_too(void)
{
    struct code_regs regs = {.rax = cr0() | CR0_TS};
    CODE_WORKS("mov %rax, %cr0", &regs, 0x0f, 0x22, 0xc0);
    expect_no_fpu("fnop", CODE(&regs, 0xd9, 0xd0));
    EXPECT_RETURN(fpu_taskswitch(1), 0);
    CODE_WORKS("clts", &regs, 0x0f, 0x06);
    CODE_WORKS("fnop", &regs, 0xd9, 0xd0);
    EXPECT(!(cr0() & CR0_TS), "CR0 0x%lx", cr0());
}

/* As a kernel does it that saves lazily: the handler returns to the instruction, which then goes through. */
static uint32_t lazy_switches;

static void lazily(struct trap_regs *regs)
{
    (void)regs;
    lazy_switches++;
}

static void registers_stay(void)
{
    static const uint64_t pattern[2] = {0x0123456789abcdef, 0xfedcba9876543210};
    uint64_t seen[2];
    trap_set_handler(TRAP_NO_FPU, lazily);
    __asm__ volatile("movups %0, %%xmm7" : : "m"(pattern) : "memory");
    for (uint32_t i = 0; i < 100; i++) {
        EXPECT_RETURN(fpu_taskswitch(1), 0);
        __asm__ volatile("movups %%xmm7, %0" : "=m"(seen) : : "memory");
        EXPECT(memcmp(seen, pattern, sizeof(seen)) == 0, "XMM7 is 0x%lx%016lx", seen[1], seen[0]);
    }
    trap_set_handler(TRAP_NO_FPU, NULL);
    EXPECT_RETURN(lazy_switches, 100);
}

void guest_main(void)
{
    every_kind_traps_once();
    other_ways_do_it_too();
    registers_stay();
    report_success("lazy FPU switching works");
}

/* SPDX-License-Identifier: MIT */
/*
 * Rule: a slot that is not offered gives -ENOSYS, whatever is in RAX. A hypercall changes RAX, RCX and R11
 * and no other register, unless it was preempted, when its arguments are advanced.
 *
 * From: guest-abi/hypercalls.md, "Making one".
 *
 * Method: every number below 300 that is not offered, and numbers that agree with an offered one in their low
 * bits; then a cheap call with a value in each register.
 *
 * Errors: -ENOSYS.
 *
 * run: default
 */
#include "kit/guest.h"

static const uint64_t offered[] = {0,  1,  2,  3,  4,  5,  7,  8,  9,  10, 12, 13, 14,
                                   15, 17, 18, 21, 23, 24, 25, 26, 29, 30, 32, 33, 57};

static bool is_offered(uint64_t slot)
{
    for (uint32_t i = 0; i < sizeof(offered) / sizeof(offered[0]); i++) {
        if (offered[i] == slot)
            return true;
    }
    return false;
}

static void every_other_slot(void)
{
    for (uint64_t slot = 0; slot < 300; slot++) {
        if (!is_offered(slot))
            EXPECT(hypercall(slot, 0, 0, 0, 0, 0) == -ENOSYS, "slot %lu is not -ENOSYS", slot);
    }
    static const uint64_t odd[] = {
        0xffff,    0x10000, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
        UINT64_MAX};
    for (uint32_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        EXPECT(hypercall(odd[i], 0, 0, 0, 0, 0) == -ENOSYS, "slot 0x%lx is not -ENOSYS", odd[i]);
    for (uint32_t i = 0; i < sizeof(offered) / sizeof(offered[0]); i++) {
        for (uint32_t bit = 8; bit < 64; bit += 8)
            EXPECT(hypercall(offered[i] | 1ul << bit, 0, 0, 0, 0, 0) == -ENOSYS, "slot 0x%lx is not -ENOSYS",
                   offered[i] | 1ul << bit);
    }
}

/* In the order of pushing below. */
__attribute__((used)) static uint64_t kept[12];

static void registers_are_kept(uint64_t slot, long wanted)
{
    long result;
    __asm__ volatile(
        "push %%rbx; push %%rbp\n\t"
        "mov $0x101, %%rbx; mov $0x102, %%rbp; mov $0x103, %%rdi; mov $0x104, %%rsi; mov $0x105, %%rdx\n\t"
        "mov $0x106, %%r8; mov $0x107, %%r9; mov $0x108, %%r10; mov $0x109, %%r12; mov $0x10a, %%r13\n\t"
        "mov $0x10b, %%r14; mov $0x10c, %%r15; xor %%edi, %%edi; syscall\n\t"
        "lea kept(%%rip), %%rcx\n\t"
        "mov %%rbx, 0(%%rcx); mov %%rbp, 8(%%rcx); mov %%rdi, 16(%%rcx); mov %%rsi, 24(%%rcx)\n\t"
        "mov %%rdx, 32(%%rcx); mov %%r8, 40(%%rcx); mov %%r9, 48(%%rcx); mov %%r10, 56(%%rcx)\n\t"
        "mov %%r12, 64(%%rcx); mov %%r13, 72(%%rcx); mov %%r14, 80(%%rcx); mov %%r15, 88(%%rcx)\n\t"
        "pop %%rbp; pop %%rbx"
        : "=a"(result)
        : "0"(slot)
        : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
    EXPECT_RETURN(result, wanted);
    for (uint32_t i = 0; i < 12; i++) {
        uint64_t value = i == 2 ? 0 : 0x101 + i;
        EXPECT(kept[i] == value, "slot %lu: register %u holds 0x%lx, not 0x%lx", slot, i, kept[i], value);
    }
}

void guest_main(void)
{
    every_other_slot();
    registers_are_kept(__HYPERVISOR_xen_version, 0x40011);
    registers_are_kept(63, -ENOSYS);
    report_success("unknown slots are refused and registers kept");
}

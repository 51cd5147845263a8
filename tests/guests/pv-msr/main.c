/* SPDX-License-Identifier: MIT */
/*
 * Rule: RDMSR and WRMSR reach the segment bases; a few others can be read, and written with what they read; a
 * write of the time stamp counter is ignored; everything else is #GP and changes nothing.
 *
 * From: guest-abi/instructions.md; the x86-64 PV contract.
 *
 * Method: each register with good and bad values, then the architectural ranges number by number.
 *
 * Errors: none.
 *
 * run: default
 * run: poor-cpu cpu="qemu64"
 */
#include "common/code.h"

#define MSR_TSC            0x10u
#define MSR_APIC_BASE      0x1bu
#define MSR_FEATURE_LOCK   0x3au
#define MSR_MICROCODE      0x8bu
#define MSR_PLATFORM_INFO  0xceu
#define MSR_MCG_CAP        0x179u
#define MSR_MCG_STATUS     0x17au
#define MSR_MISC_ENABLE    0x1a0u
#define MSR_PAT            0x277u
#define MSR_EFER           0xc0000080u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX        0xc0000103u
#define NOT_CANONICAL      0x0000800000000000ul

static bool read(uint32_t msr, uint64_t *value)
{
    struct code_regs regs = {.rcx = 0xffffffff00000000ul | msr, .rax = UINT64_MAX, .rdx = UINT64_MAX};
    struct trap_result seen = CODE(&regs, 0x0f, 0x32);
    EXPECT(!seen.trapped || (seen.vector == TRAP_PROTECTION && seen.error_code == 0 && seen.rip == 0),
           "rdmsr of 0x%x: vector %u, error code 0x%x", msr, seen.vector, seen.error_code);
    EXPECT(seen.trapped || (regs.rax <= UINT32_MAX && regs.rdx <= UINT32_MAX), "upper halves are not clear");
    *value = regs.rdx << 32 | (uint32_t)regs.rax;
    return !seen.trapped;
}

static bool write(uint32_t msr, uint64_t value)
{
    struct code_regs regs = {.rcx = msr, .rax = 0xabcdul << 32 | (uint32_t)value, .rdx = value >> 32};
    struct trap_result seen = CODE(&regs, 0x0f, 0x30);
    EXPECT(!seen.trapped || (seen.vector == TRAP_PROTECTION && seen.error_code == 0 && seen.rip == 0),
           "wrmsr of 0x%x: vector %u, error code 0x%x", msr, seen.vector, seen.error_code);
    return !seen.trapped;
}

static void segment_bases_are_the_guests(void)
{
    static const uint64_t words[2] = {0x1122334455667788, 0x99aabbccddeeff00};
    static const uint32_t msrs[] = {MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE};
    uint64_t seen, word;
    for (uint32_t i = 0; i < 3; i++) {
        EXPECT(write(msrs[i], hypercall_pointer(words) - i) && read(msrs[i], &seen) &&
                   seen == hypercall_pointer(words) - i,
               "MSR 0x%x says 0x%lx", msrs[i], seen);
        EXPECT(!write(msrs[i], NOT_CANONICAL) && read(msrs[i], &seen) && seen == hypercall_pointer(words) - i,
               "MSR 0x%x takes what is not canonical: 0x%lx", msrs[i], seen);
        EXPECT(write(msrs[i], 0xffff800000000000), "an address of the hypervisor's is no secret");
    }
    EXPECT(write(MSR_FS_BASE, hypercall_pointer(words)), "FS");
    __asm__ volatile("mov %%fs:8, %0" : "=r"(word));
    EXPECT(word == words[1], "fs:8 is 0x%lx", word);
    EXPECT(write(MSR_GS_BASE, hypercall_pointer(words) + 8), "GS");
    __asm__ volatile("mov %%gs:0, %0" : "=r"(word));
    EXPECT(word == words[1], "gs:0 is 0x%lx", word);
    for (uint32_t i = 0; i < 3; i++)
        write(msrs[i], 0);
}

static void a_few_can_be_read(void)
{
    static const struct {
        uint32_t msr;
        uint64_t value;
    } fixed[] = {
        {MSR_APIC_BASE, 0xfee00900},
        {MSR_FEATURE_LOCK, 1},
        {MSR_MICROCODE, 0},
        {MSR_PLATFORM_INFO, 0},
        {MSR_MCG_CAP, 0},
        {MSR_MCG_STATUS, 0},
        {MSR_MISC_ENABLE, 0x1801},
        {MSR_PAT, 0x0000050100070406},
        {MSR_TSC_AUX, 0},
        {MSR_EFER, 0xd01},
    };
    uint64_t seen;
    for (uint32_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        EXPECT(read(fixed[i].msr, &seen) && seen == fixed[i].value, "MSR 0x%x says 0x%lx", fixed[i].msr,
               seen);
        EXPECT(write(fixed[i].msr, fixed[i].value), "MSR 0x%x does not take what it says", fixed[i].msr);
        for (uint32_t bit = 0; bit < 64; bit++)
            EXPECT(!write(fixed[i].msr, fixed[i].value ^ 1ul << bit), "MSR 0x%x, bit %u", fixed[i].msr, bit);
        EXPECT(read(fixed[i].msr, &seen) && seen == fixed[i].value, "MSR 0x%x says 0x%lx now", fixed[i].msr,
               seen);
    }
}

static void time_goes_on(void)
{
    uint64_t before, after;
    EXPECT(read(MSR_TSC, &before) && write(MSR_TSC, 0) && read(MSR_TSC, &after) && after > before,
           "the TSC was 0x%lx and is 0x%lx", before, after);
}

static bool is_known(uint32_t msr)
{
    switch (msr) {
    case MSR_TSC:
    case MSR_APIC_BASE:
    case MSR_FEATURE_LOCK:
    case MSR_MICROCODE:
    case MSR_PLATFORM_INFO:
    case MSR_MCG_CAP:
    case MSR_MCG_STATUS:
    case MSR_MISC_ENABLE:
    case MSR_PAT:
    case MSR_EFER:
    case MSR_FS_BASE:
    case MSR_GS_BASE:
    case MSR_KERNEL_GS_BASE:
    case MSR_TSC_AUX:
        return true;
    default:
        return false;
    }
}

static void the_rest_is_gp(void)
{
    static const uint32_t from[] = {0,          0x800,      0xc80,      0xda0,     0x1d90,
                                    0x40000000, 0xc0000080, 0xc0010000, 0xfffffff0};
    uint64_t seen;
    for (uint32_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
        for (uint32_t msr = from[i]; msr - from[i] < 0x300 && msr >= from[i]; msr++) {
            EXPECT(read(msr, &seen) == is_known(msr), "MSR 0x%x can be read: %u", msr, !is_known(msr));
            EXPECT(is_known(msr) || (!write(msr, 0) && !write(msr, UINT64_MAX)), "MSR 0x%x can be written",
                   msr);
        }
    }
}

void guest_main(void)
{
    segment_bases_are_the_guests();
    a_few_can_be_read();
    time_goes_on();
    the_rest_is_gp();
    report_success("model-specific registers are policy");
}

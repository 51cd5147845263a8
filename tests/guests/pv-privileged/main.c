/* SPDX-License-Identifier: MIT */
/*
 * Rule: a few instructions that ring 3 may not execute are answered by policy: CPUID behind the prefix, the
 * bases of FS and GS by RDMSR and WRMSR, reads of CR0, CR2, CR3 and CR4. Every other one is #GP for the
 * guest, and changes nothing. Nothing the guest prints can pass for a line of the hypervisor's.
 *
 * From: guest-abi/hypercalls.md, set_trap_table and console_io; the x86-64 PV contract.
 *
 * Method: each instruction, once with a good operand and once with a bad one.
 *
 * Errors: none.
 *
 * run: default says="^sluice:\|summary .I am the guest.$"
 * run: poor-cpu cpu="qemu64"
 */
#include "kit/guest.h"

#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define NOT_CANONICAL      0x0000800000000000ul

struct leaf {
    uint32_t a, b, c, d;
};

static struct leaf forced_cpuid(uint32_t number)
{
    struct leaf leaf;
    __asm__ volatile("ud2; .ascii \"xen\"; cpuid"
                     : "=a"(leaf.a), "=b"(leaf.b), "=c"(leaf.c), "=d"(leaf.d)
                     : "0"(number), "2"(0));
    return leaf;
}

static void cpuid_is_policy(void)
{
    struct leaf leaf = forced_cpuid(0x40000000);
    EXPECT(leaf.a >= 0x40000002 && memcmp(&leaf.b, "XenV", 4) == 0 && memcmp(&leaf.c, "MMXe", 4) == 0 &&
               memcmp(&leaf.d, "nVMM", 4) == 0,
           "leaf 0x40000000 says 0x%x 0x%x 0x%x 0x%x", leaf.a, leaf.b, leaf.c, leaf.d);
    EXPECT(forced_cpuid(0x40000001).a == 0x40011, "leaf 0x40000001 says 0x%x", forced_cpuid(0x40000001).a);
    leaf = forced_cpuid(1);
    EXPECT(!(leaf.c & (1u << 5 | 1u << 17 | 1u << 21 | 1u << 24)),
           "VMX, PCID, x2APIC or a deadline timer: 0x%x", leaf.c);
    EXPECT(leaf.c >> 31, "no hypervisor: 0x%x", leaf.c);
    EXPECT(!(leaf.d & (1u << 3 | 1u << 12 | 1u << 13)), "PSE, MTRR or PGE: 0x%x", leaf.d);
    EXPECT(!(forced_cpuid(0x80000001).c & 1u << 2), "SVM");
    EXPECT(forced_cpuid(0).a <= 0xd && forced_cpuid(0x80000000).a <= 0x80000008, "too many leaves");
}

static uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static void segment_bases_are_the_guests(void)
{
    static const uint64_t words[2] = {0x1122334455667788, 0x99aabbccddeeff00};
    static const uint32_t msrs[] = {MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE};
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t before = rdmsr(msrs[i]);
        wrmsr(msrs[i], hypercall_pointer(words) - i);
        EXPECT(rdmsr(msrs[i]) == hypercall_pointer(words) - i, "MSR 0x%x says 0x%lx", msrs[i],
               rdmsr(msrs[i]));
        wrmsr(msrs[i], before);
    }
    uint64_t word;
    wrmsr(MSR_FS_BASE, hypercall_pointer(words));
    __asm__ volatile("mov %%fs:8, %0" : "=r"(word));
    EXPECT(word == words[1], "fs:8 is 0x%lx", word);
    wrmsr(MSR_FS_BASE, 0);
}

static void control_registers_can_be_read(void)
{
    struct pte_place place;
    uint64_t cr0, cr2, cr3, cr4;
    struct trap_result result;
    EXPECT(!trap_read_works((const volatile void *)0x123, &result), "page 0 can be read");
    __asm__ volatile("mov %%cr0, %0; mov %%cr2, %1; mov %%cr3, %2; mov %%cr4, %3"
                     : "=r"(cr0), "=r"(cr2), "=r"(cr3), "=r"(cr4));
    EXPECT((cr0 & 0x80010001) == 0x80010001, "CR0 0x%lx: paging, write protection, protection", cr0);
    EXPECT(cr2 == 0x123, "CR2 0x%lx", cr2);
    EXPECT(page_table_walk(hypercall_pointer(&control_registers_can_be_read), 4, &place) &&
               cr3 == place.table_mfn << PAGE_SHIFT,
           "CR3 0x%lx, the L4 is MFN 0x%lx", cr3, place.table_mfn);
    EXPECT((cr4 & 0x20) && !(cr4 & (1u << 20 | 1u << 21 | 1u << 17 | 1u << 13)), "CR4 0x%lx", cr4);
}

#define REFUSED(name, text)                                                                                  \
    static void name(void *argument)                                                                         \
    {                                                                                                        \
        (void)argument;                                                                                      \
        __asm__ volatile("mov $0x1b, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx; " text                       \
                         :                                                                                   \
                         :                                                                                   \
                         : "rax", "rcx", "rdx", "memory");                                                   \
    }
REFUSED(read_apic_base, "rdmsr")
REFUSED(write_apic_base, "wrmsr")
REFUSED(write_cr0, "mov %%rax, %%cr0")
REFUSED(write_cr3, "mov %%rax, %%cr3")
REFUSED(write_cr4, "mov %%rax, %%cr4")
REFUSED(read_cr8, "mov %%cr8, %%rax")
REFUSED(halt, "hlt")
REFUSED(invalidate_page, "invlpg (%%rax)")
REFUSED(write_back, "wbinvd")
REFUSED(load_task, "ltr %%ax")
REFUSED(swap_gs, "swapgs")
REFUSED(clear_ts, "clts")
REFUSED(read_debug, "mov %%dr7, %%rax")
REFUSED(system_return, "sysretq")

static void bad_base(void *argument)
{
    wrmsr(MSR_GS_BASE, NOT_CANONICAL);
    (void)argument;
}

static void the_rest_is_gp(void)
{
    static void (*const refused[])(void *) = {read_apic_base, write_apic_base, write_cr0, write_cr3,
                                              write_cr4,      read_cr8,        halt,      invalidate_page,
                                              write_back,     load_task,       swap_gs,   clear_ts,
                                              read_debug,     system_return,   bad_base};
    for (uint32_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct trap_result result = trap_try(refused[i], NULL);
        EXPECT(result.trapped && result.vector == TRAP_PROTECTION && result.error_code == 0,
               "instruction %u: trapped %d, vector %u, error code 0x%x", i, result.trapped, result.vector,
               result.error_code);
    }
}

void guest_main(void)
{
    cpuid_is_policy();
    segment_bases_are_the_guests();
    control_registers_can_be_read();
    the_rest_is_gp();
    printk("sluice: summary \"I am the guest\"\n");
    report_success("the privileged instructions are as the contract has them");
}

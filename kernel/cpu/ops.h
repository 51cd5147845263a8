/* SPDX-License-Identifier: MIT */
/* Single instructions that C has no words for. */
#ifndef SLUICE_CPU_OPS_H
#define SLUICE_CPU_OPS_H

#include <stdint.h>

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpu_id(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid id;
    __asm__ volatile("cpuid"
                     : "=a"(id.eax), "=b"(id.ebx), "=c"(id.ecx), "=d"(id.edx)
                     : "0"(leaf), "2"(subleaf));
    return id;
}

static inline uint64_t tsc_read(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/* With what IA32_TSC_AUX holds; only where CPUID has RDTSCP. */
static inline uint64_t tsc_read_aux(uint32_t *aux)
{
    uint32_t low, high;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(*aux) : : "memory");
    return (uint64_t)high << 32 | low;
}

#define CR0_TS      (1ull << 3)
#define DR6_NOTHING 0xffff0ff0ull
#define DR7_NOTHING 0x400ull

/* What ring 3 may not do. A host test supplies these as functions of its model: tests/unit/fakes/cpu.c. */
#ifdef SLUICE_HOST_TEST

#define CPU_REGISTER(name)                                                                                   \
    uint64_t name##_read(void);                                                                              \
    void name##_write(uint64_t value)
CPU_REGISTER(cr0);
CPU_REGISTER(cr2);
CPU_REGISTER(cr3);
CPU_REGISTER(cr4);
CPU_REGISTER(dr0);
CPU_REGISTER(dr1);
CPU_REGISTER(dr2);
CPU_REGISTER(dr3);
CPU_REGISTER(dr6);
CPU_REGISTER(dr7);
uint64_t msr_read(uint32_t msr);
void msr_write(uint32_t msr, uint64_t value);
void xcr0_write(uint64_t value);
uint32_t access_rights(uint16_t selector);
uint32_t segment_limit(uint16_t selector);

#else

static inline uint64_t msr_read(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void msr_write(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

#define CPU_REGISTER(name)                                                                                   \
    static inline uint64_t name##_read(void)                                                                 \
    {                                                                                                        \
        uint64_t value;                                                                                      \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(value) : : "memory");                                  \
        return value;                                                                                        \
    }                                                                                                        \
    static inline void name##_write(uint64_t value)                                                          \
    {                                                                                                        \
        __asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory");                                      \
    }
CPU_REGISTER(cr0)
CPU_REGISTER(cr2)
CPU_REGISTER(cr3)
CPU_REGISTER(cr4)
CPU_REGISTER(dr0)
CPU_REGISTER(dr1)
CPU_REGISTER(dr2)
CPU_REGISTER(dr3)
CPU_REGISTER(dr6)
CPU_REGISTER(dr7)

static inline void xcr0_write(uint64_t value)
{
    __asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

/* Bits 8 to 23 of the descriptor's upper half, as LAR has them; 0 when there is no such segment. */
static inline uint32_t access_rights(uint16_t selector)
{
    uint32_t rights = 0;
    __asm__ volatile("lar %1, %0" : "+r"(rights) : "r"((uint32_t)selector) : "cc");
    return rights;
}

/* The last byte of the segment; 0 when there is no such segment. */
static inline uint32_t segment_limit(uint16_t selector)
{
    uint32_t limit = 0;
    __asm__ volatile("lsl %1, %0" : "+r"(limit) : "r"((uint32_t)selector) : "cc");
    return limit;
}

#endif

/* DR0 to DR3. */
static inline uint64_t dr_read(uint32_t number)
{
    return number == 0 ? dr0_read() : number == 1 ? dr1_read() : number == 2 ? dr2_read() : dr3_read();
}

static inline void dr_write(uint32_t number, uint64_t address)
{
    (number == 0 ? dr0_write : number == 1 ? dr1_write : number == 2 ? dr2_write : dr3_write)(address);
}

static inline void cpu_pause(void)
{
    __asm__ volatile("pause" : : : "memory");
}

/* For ever, with nothing but NMI and SMI able to interrupt. */
_Noreturn static inline void cpu_halt_for_ever(void)
{
    for (;;)
        __asm__ volatile("cli\n\thlt" : : : "memory");
}

#define MSR_APIC_BASE      0x1bu
#define MSR_SYSENTER_CS    0x174u
#define MSR_SYSENTER_ESP   0x175u
#define MSR_SYSENTER_EIP   0x176u
#define MSR_MCG_STATUS     0x17au
#define MSR_PAT            0x277u
#define MSR_EFER           0xc0000080u
#define MSR_STAR           0xc0000081u
#define MSR_LSTAR          0xc0000082u
#define MSR_CSTAR          0xc0000083u
#define MSR_SFMASK         0xc0000084u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u

#endif

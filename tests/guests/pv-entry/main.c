/* SPDX-License-Identifier: MIT */
/*
 * Rule: whatever way of entering the hypervisor a guest contrives, it gets an exception of its own or
 * nothing, and its registers come back: every software interrupt, SYSCALL and SYSENTER from 64-bit and 32-bit
 * code, SYSCALL in the shadow of MOV SS and with any flag set, far transfers to any selector, non-canonical
 * targets, vector state across entries, alignment and numeric exceptions.
 *
 * From: docs/architecture.md, "When something goes wrong"; guest-abi/hypercalls.md.
 *
 * Method: one attempt each, under trap_try(); a hypercall after each group shows that the hypervisor is well.
 *
 * Errors: none.
 *
 * virt-base: 0x10000000
 *
 * run: default
 * run: qemu64 cpu="qemu64"
 * run: smap-off cpu="max,-smap"
 */
#include "kit/guest.h"

#define TRAP_OVERFLOW  4u
#define TRAP_SEGMENT   11u
#define TRAP_STACK     12u
#define TRAP_X87       16u
#define TRAP_ALIGNMENT 17u
#define TRAP_SIMD      19u

static void still_well(void)
{
    EXPECT_RETURN(xen_version(XENVER_version, NULL), 0x40011);
}

/* ---- software interrupts ---- */

__asm__(".pushsection .text\n"
        ".balign 16\n"
        "int_table:\n" /* 4 bytes each: int $n; ret; nop */
        ".altmacro\n"
        ".macro int_entry n\n .byte 0xcd, \\n, 0xc3, 0x90\n .endm\n"
        ".set int_n, 0\n"
        ".rept 256\n int_entry %int_n\n .set int_n, int_n + 1\n .endr\n"
        ".noaltmacro\n"
        ".popsection\n");
extern const char int_table[];

static void software_interrupt(void *vector)
{
    void (*entry)(void) = (void (*)(void))((uint64_t)int_table + 4 * (uint64_t)vector);
    entry();
}

static void every_software_interrupt(void)
{
    for (uint64_t vector = 0; vector < 256; vector++) {
        struct trap_result seen = trap_try(software_interrupt, (void *)vector);
        uint32_t wanted =
            vector == TRAP_BREAKPOINT || vector == TRAP_OVERFLOW ? (uint32_t)vector : TRAP_PROTECTION;
        EXPECT(seen.trapped && seen.vector == wanted, "int $%lu: trapped %u, vector %u", vector, seen.trapped,
               seen.vector);
    }
    still_well();
}

/* ---- system calls of other kinds ---- */

static void sysenter(void *unused)
{
    (void)unused;
    __asm__ volatile("sysenter" : : : "memory");
}

/* Goes to 32-bit code in this low image, which makes its system call; the exception ends it. */
#define FROM_32_BIT_CODE(name, instruction)                                                                  \
    static void name(void *unused)                                                                           \
    {                                                                                                        \
        (void)unused;                                                                                        \
        __asm__ volatile("push $0xe023\n\t"                                                                  \
                         "lea 1f(%%rip), %%rax\n\t"                                                          \
                         "push %%rax\n\t"                                                                    \
                         "lretq\n\t"                                                                         \
                         ".code32\n"                                                                         \
                         "1: xor %%eax, %%eax\n\t" instruction "\n\t"                                        \
                         "ud2\n\t"                                                                           \
                         ".code64"                                                                           \
                         :                                                                                   \
                         :                                                                                   \
                         : "rax", "rcx", "rdx", "r11", "memory");                                            \
    }
FROM_32_BIT_CODE(syscall_32, ".byte 0x0f, 0x05")
FROM_32_BIT_CODE(sysenter_32, "sysenter")
FROM_32_BIT_CODE(int_80_32, "int $0x80")
FROM_32_BIT_CODE(into_32, "mov $0x7fffffff, %%ecx; add $1, %%ecx; into")

static void other_system_calls(void)
{
    struct trap_result seen = trap_try(sysenter, NULL);
    EXPECT(seen.trapped && (seen.vector == TRAP_INVALID_OP || seen.vector == TRAP_PROTECTION),
           "sysenter: trapped %u, vector %u", seen.trapped, seen.vector);
    seen = trap_try(syscall_32, NULL);
    EXPECT(seen.trapped && seen.vector == TRAP_INVALID_OP, "syscall from 32-bit code: trapped %u, vector %u",
           seen.trapped, seen.vector);
    const uint8_t *at = (const uint8_t *)seen.rip;
    EXPECT(at[0] == 0x0f && at[1] == 0x05, "its RIP is 0x%lx, which is not the syscall", seen.rip);
    seen = trap_try(sysenter_32, NULL);
    EXPECT(seen.trapped && (seen.vector == TRAP_INVALID_OP || seen.vector == TRAP_PROTECTION),
           "sysenter from 32-bit code: trapped %u, vector %u", seen.trapped, seen.vector);
    seen = trap_try(int_80_32, NULL);
    EXPECT(seen.trapped && seen.vector == TRAP_PROTECTION,
           "int $0x80 from 32-bit code: trapped %u, vector %u", seen.trapped, seen.vector);
    seen = trap_try(into_32, NULL);
    EXPECT(seen.trapped && seen.vector == TRAP_OVERFLOW, "into: trapped %u, vector %u", seen.trapped,
           seen.vector);
    still_well();
}

/* ---- SYSCALL in odd states ---- */

static uint32_t steps;

static void count_step(struct trap_regs *regs)
{
    steps++;
    regs->rflags &= ~0x100ul;
}

/* A #DB that MOV SS has put off must not be taken with the hypervisor half entered. */
static void in_the_shadow_of_mov_ss(void)
{
    long version;
    trap_set_handler(TRAP_DEBUG, count_step);
    __asm__ volatile("mov %%ss, %%ecx\n\t"
                     "pushfq; orl $0x100, (%%rsp); popfq\n\t"
                     "mov %%ecx, %%ss\n\t"
                     "syscall\n\t"
                     "nop; nop"
                     : "=a"(version)
                     : "0"((long)__HYPERVISOR_xen_version), "D"((long)XENVER_version)
                     : "rcx", "r11", "memory", "cc");
    trap_set_handler(TRAP_DEBUG, NULL);
    EXPECT_RETURN(version, 0x40011);
    __asm__ volatile("pushfq; andl $~0x100, (%%rsp); popfq" : : : "memory", "cc");
}

static void with_every_flag(void)
{
    for (uint32_t bit = 0; bit < 22; bit++) {
        if (bit == 8) /* TF: above */
            continue;
        long version;
        uint64_t after;
        __asm__ volatile("pushfq; orq %3, (%%rsp); popfq\n\t"
                         "syscall\n\t"
                         "pushfq; pop %1\n\t"
                         "push $2; popfq"
                         : "=a"(version), "=&r"(after)
                         : "0"((long)__HYPERVISOR_xen_version), "r"(1ul << bit), "D"((long)XENVER_version)
                         : "rcx", "r11", "memory", "cc");
        EXPECT_RETURN(version, 0x40011);
        EXPECT((after & 0x3200) == 0x200, "RFLAGS are 0x%lx after flag bit %u", after, bit);
    }
}

static void undefined_with_flags(void *flags)
{
    __asm__ volatile("push %0; popfq; ud2" : : "r"(flags) : "memory", "cc");
}

static void with_odd_segments(void)
{
    __asm__ volatile("mov %w0, %%ds; mov %w1, %%es; mov %w0, %%fs; mov %w1, %%gs" : : "r"(0u), "r"(0xe02bu));
    still_well();
    __asm__ volatile("mov %w0, %%ds; mov %w0, %%es; mov %w0, %%fs; mov %w0, %%gs" : : "r"(0u));
}

static void odd_states(void)
{
    in_the_shadow_of_mov_ss();
    with_every_flag();
    static const uint64_t flags[] = {0x4002, 0x402, 0x40002, 0x44402, 0x244ed7};
    for (uint32_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct trap_result seen = trap_try(undefined_with_flags, (void *)flags[i]);
        __asm__ volatile("push $2; popfq" : : : "memory", "cc");
        EXPECT(seen.trapped && seen.vector == TRAP_INVALID_OP, "ud2 with RFLAGS 0x%lx: trapped %u, vector %u",
               flags[i], seen.trapped, seen.vector);
    }
    with_odd_segments();
}

/* ---- far transfers and targets that are no addresses ---- */

static void far_return(void *selector)
{
    __asm__ volatile("push %0; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:"
                     :
                     : "r"(selector)
                     : "rax", "memory");
}

static void load_data_segment(void *selector)
{
    __asm__ volatile("mov %w0, %%fs" : : "r"(selector) : "memory");
}

static void interrupt_return(void *selector)
{
    __asm__ volatile("mov %%rsp, %%rcx; push $0xe02b; push %%rcx; pushfq; push %0; lea 1f(%%rip), %%rax;"
                     "push %%rax; iretq; 1:"
                     :
                     : "r"(selector)
                     : "rax", "rcx", "memory");
}

static void jump(void *address)
{
    __asm__ volatile("jmp *%0" : : "r"(address) : "memory");
}

static void far_return_to(void *address)
{
    __asm__ volatile("push $0xe033; push %0; lretq" : : "r"(address) : "memory");
}

static void read_by_rbp(void *address)
{
    __asm__ volatile("push %%rbp; mov %0, %%rbp; mov (%%rbp), %%rax; pop %%rbp"
                     :
                     : "r"(address)
                     : "rax", "memory");
}

static void selectors(void)
{
    static const uint16_t bad[] = {0x0008, 0x000b, 0x0010, 0x0007, 0xdff8, 0xdffb, 0xe000, 0xe003, 0xe008,
                                   0xe00b, 0xe010, 0xe013, 0xe018, 0xe01b, 0xe03b, 0xe040, 0xe043, 0xe048,
                                   0xe04b, 0xe050, 0xeff8, 0xeffb, 0xf003, 0xfff8, 0xffff};
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        void *selector = (void *)(uint64_t)bad[i];
        struct trap_result seen = trap_try(far_return, selector);
        EXPECT(seen.trapped && (seen.vector == TRAP_PROTECTION || seen.vector == TRAP_SEGMENT),
               "lret to selector 0x%x: trapped %u, vector %u", bad[i], seen.trapped, seen.vector);
        seen = trap_try(interrupt_return, selector);
        EXPECT(seen.trapped && (seen.vector == TRAP_PROTECTION || seen.vector == TRAP_SEGMENT),
               "iretq to selector 0x%x: trapped %u, vector %u", bad[i], seen.trapped, seen.vector);
        if (bad[i] > 3) {
            seen = trap_try(load_data_segment, selector);
            EXPECT(seen.trapped && (seen.vector == TRAP_PROTECTION || seen.vector == TRAP_SEGMENT),
                   "fs = 0x%x: trapped %u, vector %u", bad[i], seen.trapped, seen.vector);
        }
    }
    EXPECT(!trap_try(far_return, (void *)0xe033ul).trapped, "lret to 0xe033 trapped");
    EXPECT(!trap_try(interrupt_return, (void *)0xe033ul).trapped, "iretq to 0xe033 trapped");
    still_well();
}

static void addresses(void)
{
    static const uint64_t bad[] = {0x0000800000000000, 0xffff7fffffffffff, 0x8000000000000000,
                                   0x7fffffffffffffff, 0xffff800000000000, 0xffff82d080200000,
                                   0xffff830000000000, 0xffff87fffffffff0, 0x00007fffffffffff};
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        void *address = (void *)bad[i];
        struct trap_result seen = trap_try(jump, address);
        EXPECT(seen.trapped && (seen.vector == TRAP_PROTECTION || seen.vector == TRAP_PAGE_FAULT),
               "jump to 0x%lx: trapped %u, vector %u", bad[i], seen.trapped, seen.vector);
        seen = trap_try(far_return_to, address);
        EXPECT(seen.trapped && (seen.vector == TRAP_PROTECTION || seen.vector == TRAP_PAGE_FAULT),
               "lret to 0x%lx: trapped %u, vector %u", bad[i], seen.trapped, seen.vector);
    }
    struct trap_result seen = trap_try(read_by_rbp, (void *)0x8000000000000000ul);
    EXPECT(seen.trapped && (seen.vector == TRAP_STACK || seen.vector == TRAP_PROTECTION),
           "a stack access at no address: trapped %u, vector %u", seen.trapped, seen.vector);
    still_well();
}

/* ---- vector state and its exceptions ---- */

static void vector_state_survives(void)
{
    uint64_t before[2] = {0x0123456789abcdef, 0xfedcba9876543210}, after[2] = {0, 0};
    uint32_t mxcsr_before = 0x7f80, mxcsr_after = 0;
    uint16_t control_before = 0x27f, control_after = 0;
    __asm__ volatile("movups %3, %%xmm0; movups %3, %%xmm15; ldmxcsr %4; fldcw %5\n\t"
                     "mov $17, %%eax; xor %%edi, %%edi; syscall\n\t"
                     "int3\n\t"
                     "movups %%xmm15, %0; stmxcsr %1; fnstcw %2; fninit"
                     : "=m"(after), "=m"(mxcsr_after), "=m"(control_after)
                     : "m"(before), "m"(mxcsr_before), "m"(control_before)
                     : "rax", "rcx", "rdi", "r11", "memory");
    EXPECT(after[0] == before[0] && after[1] == before[1], "xmm15 became 0x%lx 0x%lx", after[0], after[1]);
    EXPECT_RETURN(mxcsr_after, mxcsr_before);
    EXPECT_RETURN(control_after, control_before);
}

static void step_over(struct trap_regs *regs)
{
    (void)regs; /* RIP is behind the int3 already */
}

static void simd_division(void *unused)
{
    uint32_t unmasked = 0x1d00; /* division by zero */
    (void)unused;
    __asm__ volatile(
        "ldmxcsr %0; xorps %%xmm1, %%xmm1; mov $1, %%eax; cvtsi2ss %%eax, %%xmm0; divss %%xmm1, %%xmm0"
        :
        : "m"(unmasked)
        : "rax", "memory");
}

static void x87_division(void *unused)
{
    uint16_t unmasked = 0x37b;
    (void)unused;
    __asm__ volatile("fninit; fldcw %0; fldz; fld1; fdivp; fwait" : : "m"(unmasked) : "memory");
}

static void misaligned(void *address)
{
    __asm__ volatile("pushfq; orl $0x40000, (%%rsp); popfq; mov (%0), %%rax; push $2; popfq"
                     :
                     : "r"(address)
                     : "rax", "memory", "cc");
}

static void numeric_exceptions(void)
{
    static const uint64_t words[2];
    uint32_t mxcsr = 0x1f80;
    struct trap_result seen = trap_try(simd_division, NULL);
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    /* QEMU's TCG has no unmasked SIMD exceptions. */
    EXPECT(!seen.trapped || seen.vector == TRAP_SIMD, "a SIMD division: vector %u", seen.vector);
    seen = trap_try(x87_division, NULL);
    __asm__ volatile("fninit");
    EXPECT(seen.trapped && seen.vector == TRAP_X87, "an x87 division: trapped %u, vector %u", seen.trapped,
           seen.vector);
    seen = trap_try(misaligned, (char *)words + 1);
    __asm__ volatile("push $2; popfq" : : : "memory", "cc");
    EXPECT(!seen.trapped || (seen.vector == TRAP_ALIGNMENT && seen.error_code == 0),
           "a misaligned access under AC: vector %u, error code 0x%x", seen.vector, seen.error_code);
    still_well();
}

void guest_main(void)
{
    every_software_interrupt();
    other_system_calls();
    odd_states();
    selectors();
    addresses();
    trap_set_handler(TRAP_BREAKPOINT, step_over);
    vector_state_survives();
    trap_set_handler(TRAP_BREAKPOINT, NULL);
    numeric_exceptions();
    report_success("every way in led back out");
}

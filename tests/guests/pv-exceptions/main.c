/* SPDX-License-Identifier: MIT */
/*
 * Rule: exceptions of the guest reach its handlers with the contract's frame: error code where there is one,
 * with the U bit of page faults clear; the address in CR2's word; privileged instructions give #GP, never
 * more. RFLAGS after iret are the guest's own, but IOPL stays 0 and interrupts stay on in the machine.
 *
 * From: guest-abi/hypercalls.md, set_trap_table and iret.
 *
 * Method: one instruction for each exception; privileged instructions one by one; iret frames with every
 * flag.
 *
 * Errors: -EINVAL a handler's address that is not canonical; the entries before it stay set.
 *
 * run: default
 * run: no-smap cpu="max,-smap"
 * run: qemu64 cpu="qemu64"
 */
#include "kit/guest.h"

#define INSTRUCTION(name, text)                                                                              \
    static void name(void *unused)                                                                           \
    {                                                                                                        \
        (void)unused;                                                                                        \
        __asm__ volatile(text : : : "rax", "rcx", "rdx", "memory", "cc");                                    \
    }

INSTRUCTION(undefined, "ud2")
INSTRUCTION(divide, "xor %%eax, %%eax; xor %%edx, %%edx; xor %%ecx, %%ecx; div %%ecx")
INSTRUCTION(breakpoint, "int3")
INSTRUCTION(read_nowhere, "mov 0x10, %%rax")
INSTRUCTION(write_nowhere, "movq $0, 0x18")
INSTRUCTION(read_noncanonical, "movabs $0x8000000000000000, %%rax; mov (%%rax), %%rax")
INSTRUCTION(halt, "hlt")
INSTRUCTION(load_cr3, "mov $0x1000, %%eax; mov %%rax, %%cr3")
INSTRUCTION(load_cr0, "xor %%eax, %%eax; mov %%rax, %%cr0")
INSTRUCTION(load_cr4, "xor %%eax, %%eax; mov %%rax, %%cr4")
INSTRUCTION(load_gdt, "lgdt (%%rsp)")
INSTRUCTION(load_idt, "lidt (%%rsp)")
INSTRUCTION(load_tr, "mov $8, %%eax; ltr %%ax")
INSTRUCTION(load_ldt, "mov $8, %%eax; lldt %%ax")
INSTRUCTION(swap_gs, "swapgs")
INSTRUCTION(invalidate, "invlpg (%%rsp)")
INSTRUCTION(read_star, "mov $0xc0000081, %%ecx; rdmsr")
INSTRUCTION(write_lstar, "mov $0xc0000082, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx; wrmsr")
INSTRUCTION(write_apic_base, "mov $0x1b, %%ecx; xor %%eax, %%eax; xor %%edx, %%edx; wrmsr")
INSTRUCTION(closed_gate, "int $0x20")
INSTRUCTION(closed_page_fault_gate, "int $14")
INSTRUCTION(legacy_system_call, "int $0x80")
INSTRUCTION(return_from_system_call, "sysretq")
INSTRUCTION(load_ring_0_selector, "mov $0x10, %%eax; mov %%ax, %%ss")

static struct trap_result expect_vector(void (*function)(void *), uint32_t vector, const char *what)
{
    struct trap_result seen = trap_try(function, NULL);
    EXPECT(seen.trapped && seen.vector == vector, "%s: trapped %u, vector %u (error code 0x%x), not %u", what,
           seen.trapped, seen.vector, seen.error_code, vector);
    return seen;
}

static void plain_exceptions(void)
{
    expect_vector(undefined, TRAP_INVALID_OP, "ud2");
    expect_vector(divide, TRAP_DIVIDE, "div");
    expect_vector(breakpoint, TRAP_BREAKPOINT, "int3");
    struct trap_result fault = expect_vector(read_nowhere, TRAP_PAGE_FAULT, "a read of page 0");
    EXPECT(fault.error_code == 0 && fault.address == 0x10, "error code 0x%x, address 0x%lx", fault.error_code,
           fault.address);
    fault = expect_vector(write_nowhere, TRAP_PAGE_FAULT, "a write to page 0");
    EXPECT(fault.error_code == PF_WRITE && fault.address == 0x18, "error code 0x%x, address 0x%lx",
           fault.error_code, fault.address);
    expect_vector(read_noncanonical, TRAP_PROTECTION, "a read of no canonical address");
}

static void privileged_instructions(void)
{
    static const struct {
        const char *what;
        void (*function)(void *);
    } all[] = {
        {"hlt", halt},
        {"mov to cr3", load_cr3},
        {"mov to cr0", load_cr0},
        {"mov to cr4", load_cr4},
        {"lgdt", load_gdt},
        {"lidt", load_idt},
        {"ltr", load_tr},
        {"lldt", load_ldt},
        {"swapgs", swap_gs},
        {"invlpg", invalidate},
        {"rdmsr of STAR", read_star},
        {"wrmsr of LSTAR", write_lstar},
        {"wrmsr of APIC_BASE", write_apic_base},
        {"sysret", return_from_system_call},
        {"a ring 0 selector into ss", load_ring_0_selector},
    };
    for (uint32_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        expect_vector(all[i].function, TRAP_PROTECTION, all[i].what);
}

static void software_interrupts(void)
{
    struct trap_result fault = expect_vector(closed_gate, TRAP_PROTECTION, "int $0x20 without a handler");
    EXPECT_RETURN(fault.error_code, 0x20 * 8 + 2);
    fault = expect_vector(closed_page_fault_gate, TRAP_PROTECTION, "int $14 through a closed gate");
    EXPECT_RETURN(fault.error_code, 14 * 8 + 2);
    fault = expect_vector(legacy_system_call, TRAP_PROTECTION, "int $0x80 without a handler");
    EXPECT_RETURN(fault.error_code, 0x80 * 8 + 2);
}

static uint64_t flags_after_iret(uint64_t flags)
{
    uint64_t seen;
    __asm__ volatile("mov %%rsp, %%rcx\n\t"
                     "push $0xe02b; push %%rcx; push %1; push $0xe030; lea 1f(%%rip), %%rax; push %%rax\n\t"
                     "push $0; push $0; push $0; push $0\n\t"
                     "mov $23, %%eax; syscall\n\t"
                     "1: pushfq; pop %0"
                     : "=&r"(seen)
                     : "r"(flags)
                     : "rax", "rcx", "r11", "memory", "cc");
    return seen;
}

static void flags_are_cleaned(void)
{
    const uint64_t own = 0x44cd5; /* CF PF AF ZF SF DF OF NT AC */
    for (uint32_t bit = 0; bit < 22; bit++) {
        if (bit == 8) /* TF would trap */
            continue;
        uint64_t seen = flags_after_iret(1ul << bit);
        uint64_t wanted = (1ul << bit & (own | 1ul << 21)) | 0x202;
        EXPECT(seen == wanted, "iret with flag bit %u: RFLAGS are 0x%lx, not 0x%lx", bit, seen, wanted);
        EXPECT_RETURN(shared_info->vcpu_info[0].evtchn_upcall_mask, bit != 9);
    }
    EXPECT_RETURN(flags_after_iret(0x3202), 0x202); /* no IOPL */
    EXPECT_RETURN(flags_after_iret(UINT64_MAX & ~0x100ul) & 0x3000, 0);
    flags_after_iret(0x202);
}

static uint32_t single_steps;

static void count_step(struct trap_regs *regs)
{
    if (++single_steps == 3)
        regs->rflags &= ~0x100ul;
}

static void single_step(void)
{
    trap_set_handler(TRAP_DEBUG, count_step);
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop; nop; nop" : : : "memory", "cc");
    trap_set_handler(TRAP_DEBUG, NULL);
    EXPECT_RETURN(single_steps, 3);
    /* A step that ends in SYSCALL must not step the hypervisor. */
    single_steps = 2;
    trap_set_handler(TRAP_DEBUG, count_step);
    long version;
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; syscall; nop"
                     : "=a"(version)
                     : "0"((long)__HYPERVISOR_xen_version), "D"(0ul)
                     : "rcx", "r11", "memory", "cc");
    trap_set_handler(TRAP_DEBUG, NULL);
    EXPECT_RETURN(version, 0x40011);
}

/* Counts, and goes back by IRETQ. */
__asm__(".pushsection .text\n"
        "counting_handler: incl interrupts_counted(%rip)\n"
        " pop %rcx\n pop %r11\n orl $3, 8(%rsp)\n iretq\n"
        ".popsection");
extern const char counting_handler[];
uint32_t interrupts_counted;

static void handlers_that_cannot_be(void)
{
    static const uint64_t addresses[] = {1ul << 47, 1ul << 63, ~(1ul << 47)};
    for (uint32_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct trap_info table[] = {
            {.vector = 200, .flags = 3, .cs = 0xe033, .address = hypercall_pointer(counting_handler)},
            {.vector = 201, .flags = 3, .cs = 0xe033, .address = addresses[i]},
            {0}};
        EXPECT_RETURN(set_trap_table(table), -EINVAL);
    }
    __asm__ volatile("int $200" : : : "memory", "cc");
    EXPECT_RETURN(interrupts_counted, 1);
}

void guest_main(void)
{
    plain_exceptions();
    privileged_instructions();
    software_interrupts();
    flags_are_cleaned();
    single_step();
    handlers_that_cannot_be();
    report_success("exceptions come back as they should");
}

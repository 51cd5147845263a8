/* SPDX-License-Identifier: MIT */
/*
 * Rule: 32-bit code of user mode has its system calls: SYSCALL goes to the syscall32 callback, SYSENTER to
 * the sysenter callback, int $0x80 to its gate. Without a callback they are #UD and #GP of user mode. In the
 * kernel the first two stay exceptions: SYSENTER there loses RIP and RSP, and its frame goes to the stack of
 * stack_switch. Flags that SYSENTER leaves on (TF, NT, AC) are the guest's alone. Ports that are open to user
 * mode are open to its 32-bit code under any selector whose segment begins at 0.
 *
 * From: guest-abi/modes.md, guest-abi/instructions.md. On processors where SYSENTER does not exist in 64-bit
 * mode (AMD) it is #UD.
 *
 * Method: 32-bit code in a low image, run in user mode.
 *
 * Errors: none.
 *
 * virt-base: 0x10000000
 *
 * run: default
 * run: intel cpu="max,vendor=GenuineIntel"
 * run: no-smap cpu="max,vendor=GenuineIntel,-smap"
 * run: qemu64 cpu="qemu64"
 */
#include "common/tables.h"
#include "kit/user.h"

#define RFLAGS_TF 0x100ul
#define RFLAGS_IF 0x200ul
#define RFLAGS_NT 0x4000ul
#define RFLAGS_AC 0x40000ul
#define USER_ASM(name, bits, text)                                                                           \
    __asm__(".pushsection .text\n" #name ": .code" #bits "\n" text "\n.code64\n.popsection");                \
    extern const char name[]
USER_ASM(syscall_32, 32, ".byte 0x0f, 0x05; ud2");
USER_ASM(sysenter_32, 32, "sysenter; ud2");
USER_ASM(sysenter_64, 64, "sysenter; ud2");
USER_ASM(int_80, 32, "int $0x80; ud2");
USER_ASM(ud2_32, 32, "mov $0x12345678, %eax; push %eax; pop %ecx; ud2_at: ud2");
extern const char ud2_at[];

static uint64_t user_stack[512], kernel_stack[1024];

static struct trap_regs regs_for(const char *code, uint16_t cs)
{
    struct trap_regs regs = user_regs(code, user_stack + 512);
    regs.cs = cs;
    return regs;
}

static struct trap_regs run(const char *code, uint16_t cs)
{
    struct trap_regs regs = regs_for(code, cs);
    return user_run(&regs);
}

static bool has_sysenter_64(void)
{
    uint32_t a = 0, b, c, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    return b == 0x756e6547; /* Genu */
}

static void code_of_32_bits_runs(void)
{
    struct trap_regs seen = run(ud2_32, FLAT_RING3_CS32);
    EXPECT(seen.vector == TRAP_INVALID_OP && seen.rip == hypercall_pointer(ud2_at) &&
               seen.cs == FLAT_RING3_CS32 && seen.rax == 0x12345678 && seen.rcx == 0x12345678,
           "vector %lu, RIP 0x%lx, CS 0x%lx, RAX 0x%lx", seen.vector, seen.rip, seen.cs, seen.rax);
}

static void without_callbacks(void)
{
    struct trap_regs seen = run(syscall_32, FLAT_RING3_CS32);
    EXPECT(seen.vector == TRAP_INVALID_OP && seen.rip == hypercall_pointer(syscall_32),
           "syscall: vector %lu, RIP 0x%lx", seen.vector, seen.rip);
    seen = run(sysenter_32, FLAT_RING3_CS32);
    EXPECT((seen.vector == TRAP_PROTECTION || seen.vector == TRAP_INVALID_OP) &&
               seen.rip == hypercall_pointer(sysenter_32),
           "sysenter: vector %lu, RIP 0x%lx", seen.vector, seen.rip);
}

static void syscall32(void)
{
    EXPECT_RETURN(callback_register(CALLBACKTYPE_syscall32, 0, trap_syscall32), 0);
    struct trap_regs regs = regs_for(syscall_32, FLAT_RING3_CS32), seen;
    regs.rsp = 0xfffffff1;
    seen = user_run(&regs);
    EXPECT(seen.vector == TRAP_SYSCALL32 && seen.rip == hypercall_pointer(syscall_32) + 2 &&
               seen.rsp == 0xfffffff1 && seen.cs == FLAT_RING3_CS32 && seen.ss == FLAT_RING3_SS64,
           "vector %lu, RIP 0x%lx, RSP 0x%lx, CS 0x%lx", seen.vector, seen.rip, seen.rsp, seen.cs);
}

static void software_interrupt(void)
{
    const struct trap_info gates[] = {{0x80, 3, FLAT_RING3_CS64, hypercall_pointer(trap_software_interrupt)},
                                      {0}};
    EXPECT_RETURN(set_trap_table(gates), 0);
    struct trap_regs seen = run(int_80, FLAT_RING3_CS32);
    EXPECT(seen.vector == TRAP_SOFTWARE_INTERRUPT && seen.rip == hypercall_pointer(int_80) + 2 &&
               seen.cs == FLAT_RING3_CS32,
           "vector %lu, RIP 0x%lx, CS 0x%lx", seen.vector, seen.rip, seen.cs);
}

/* Where it was is lost: RIP, RSP and CS are for the guest to know. */
static void sysenter_comes(const char *code, uint16_t cs, uint64_t flags)
{
    struct trap_regs regs = regs_for(code, cs), seen;
    regs.rflags |= flags;
    regs.rbp = 0x77;
    seen = user_run(&regs);
    EXPECT(seen.vector == TRAP_SYSENTER && seen.rip == 0 && seen.rsp == 0 && seen.cs == 3 &&
               seen.ss == FLAT_RING3_SS64 && seen.rbp == 0x77,
           "vector %lu, RIP 0x%lx, RSP 0x%lx, CS 0x%lx", seen.vector, seen.rip, seen.rsp, seen.cs);
    EXPECT((seen.rflags & (RFLAGS_TF | RFLAGS_IF)) == ((flags & RFLAGS_TF) | RFLAGS_IF), "RFLAGS 0x%lx",
           seen.rflags);
    EXPECT_RETURN(xen_version(XENVER_version, NULL), 0x40011);
}

static void sysenter(void)
{
    EXPECT_RETURN(callback_register(CALLBACKTYPE_sysenter, 0, trap_sysenter), 0);
    const uint64_t flags[] = {0, RFLAGS_TF, RFLAGS_AC, RFLAGS_TF | RFLAGS_AC, 0xcd5};
    for (uint32_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        sysenter_comes(sysenter_32, FLAT_RING3_CS32, flags[i]);
        if (has_sysenter_64())
            sysenter_comes(sysenter_64, FLAT_RING3_CS64, flags[i]);
    }
    if (!has_sysenter_64())
        EXPECT_RETURN(run(sysenter_64, FLAT_RING3_CS64).vector, TRAP_INVALID_OP);
}

/* NT set by POPF in user mode; no iret carries it. */
USER_ASM(sysenter_nt, 32, "pushf; orl $0x4000, (%esp); popf; sysenter; ud2");
static void sysenter_with_nested_task(void)
{
    struct trap_regs seen = run(sysenter_nt, FLAT_RING3_CS32);
    EXPECT(seen.vector == TRAP_SYSENTER && seen.rflags & RFLAGS_NT, "NT: vector %lu, RFLAGS 0x%lx",
           seen.vector, seen.rflags);
}

USER_ASM(port_32, 32, "inb $0x80, %al; port_done: ud2");
extern const char port_done[];
static void ports(void)
{
    static const uint64_t code_at_0 = 0x00cffa000000ffff, code_at_4096 = 0x00cffa001000ffff;
    struct physdev_set_iopl all = {3}, kernel = {1};
    struct table gdt;
    table_begin(&gdt);
    gdt.view[4] = code_at_0;
    gdt.view[5] = code_at_4096;
    table_seal(&gdt);
    EXPECT_RETURN(set_gdt(&gdt.mfn, 512), 0);

    static const uint16_t selectors[] = {FLAT_RING3_CS32, 0x23};
    for (uint32_t i = 0; i < 2; i++) {
        EXPECT_RETURN(physdev_op(PHYSDEVOP_set_iopl, &all), 0);
        struct trap_regs seen = run(port_32, selectors[i]);
        EXPECT(seen.vector == TRAP_INVALID_OP && seen.rip == hypercall_pointer(port_done),
               "selector 0x%x: vector %lu, RIP 0x%lx", selectors[i], seen.vector, seen.rip);
        EXPECT_RETURN(physdev_op(PHYSDEVOP_set_iopl, &kernel), 0);
        seen = run(port_32, selectors[i]);
        EXPECT(seen.vector == TRAP_PROTECTION && seen.rip == hypercall_pointer(port_32),
               "selector 0x%x, closed: vector %lu, RIP 0x%lx", selectors[i], seen.vector, seen.rip);
    }
    EXPECT_RETURN(physdev_op(PHYSDEVOP_set_iopl, &all), 0);
    struct trap_regs seen = run(port_32 - 4096, 0x2b);
    EXPECT(seen.vector == TRAP_PROTECTION && seen.rip == hypercall_pointer(port_32) - 4096,
           "a segment at 4096: vector %lu, RIP 0x%lx", seen.vector, seen.rip);
    EXPECT_RETURN(set_gdt(NULL, 0), 0);
}

static void sysenter_of_the_kernel(void *unused)
{
    (void)unused;
    __asm__ volatile("push $0xe023; lea 1f(%%rip), %%rax; push %%rax; lretq\n\t"
                     ".code32\n1: sysenter; ud2\n.code64"
                     :
                     :
                     : "rax", "memory");
}

static void syscall_of_the_kernel(void *unused)
{
    (void)unused;
    __asm__ volatile("push $0xe023; lea 1f(%%rip), %%rax; push %%rax; lretq\n\t"
                     ".code32\n1: .byte 0x0f, 0x05; ud2\n.code64"
                     :
                     :
                     : "rax", "rcx", "r11", "memory");
}

static void the_kernel_has_neither(void)
{
    EXPECT_RETURN(trap_try(syscall_of_the_kernel, NULL).vector, TRAP_INVALID_OP);
    EXPECT_RETURN(stack_switch(FLAT_RING3_SS64, hypercall_pointer(kernel_stack + 1024)), 0);
    struct trap_result seen = trap_try(sysenter_of_the_kernel, NULL);
    EXPECT(seen.vector == TRAP_PROTECTION && seen.error_code == 0 && seen.rip == 0, "vector %u, RIP 0x%lx",
           seen.vector, seen.rip);
}

void guest_main(void)
{
    EXPECT_RETURN(user_mode_init(), 0);
    code_of_32_bits_runs();
    without_callbacks();
    syscall32();
    software_interrupt();
    sysenter();
    sysenter_with_nested_task();
    ports();
    the_kernel_has_neither();
    report_success("32-bit code has its system calls and ports");
}

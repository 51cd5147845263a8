/* SPDX-License-Identifier: MIT */
/*
 * Rule: debug registers are the guest's, by hypercall and by MOV, but no breakpoint lies in the hypervisor's
 * addresses, none is on a port, and general detect stays off. #DB comes with DR6 as the processor left it. A
 * breakpoint of the guest's never stops the hypervisor, nor a call it makes.
 *
 * From: guest-abi/hypercalls.md, set_debugreg; guest-abi/instructions.md; hardening, "ENTRY".
 *
 * Method: every register with good and bad values; breakpoints on code, on data, on what the hypervisor
 * copies, on its own exception frames, in the shadow of MOV SS; a handler that is interrupted again and
 * again.
 *
 * Errors: -ENODEV registers 4, 5 and above 7; -EPERM the value is refused.
 *
 * run: default
 * run: poor-cpu cpu="qemu64"
 */
#include "common/code.h"

#define DR6_NOTHING 0xffff0ff0l
#define DR7_NOTHING 0x400l

#define EXECUTE                    0ul
#define WRITE                      1ul
#define PORT                       2ul
#define ACCESS                     3ul
#define BYTES_1                    0ul
#define BYTES_4                    3ul
#define BYTES_8                    2ul
/* Breakpoint n, locally enabled. */
#define BREAKPOINT(n, kind, bytes) (1ul << 2 * (n) | ((kind) | (bytes) << 2) << (16 + 4 * (n)))

static struct code_regs regs;

static void clear(void)
{
    EXPECT_RETURN(set_debugreg(7, 0), 0);
    EXPECT_RETURN(set_debugreg(6, 0), 0);
}

/* ---- values ---- */

static void addresses_are_checked(void)
{
    static const uint64_t good[] = {0, 1, 0x00007fffffffffff, HYPERVISOR_VIRT_END, UINT64_MAX};
    static const uint64_t bad[] = {HYPERVISOR_VIRT_START, HYPERVISOR_VIRT_END - 1, 0xffff82d080200000,
                                   0xffff830000000000,    0x0000800000000000,      0xffff7fffffffffff};
    for (uint32_t n = 0; n < 4; n++) {
        EXPECT_RETURN(get_debugreg(n), 0);
        for (uint32_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
            EXPECT_RETURN(set_debugreg(n, good[i]), 0);
            EXPECT_RETURN(get_debugreg(n), good[i]);
        }
        EXPECT_RETURN(set_debugreg(n, 0x1000 + n), 0);
        for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
            EXPECT_RETURN(set_debugreg(n, bad[i]), -EPERM);
        EXPECT_RETURN(get_debugreg(n), 0x1000 + n);
    }
}

static void control_is_checked(void)
{
    for (uint32_t n = 0; n < 4; n++) {
        EXPECT_RETURN(set_debugreg(7, BREAKPOINT(n, PORT, BYTES_1)), -EPERM);
        EXPECT_RETURN(set_debugreg(7, PORT << (16 + 4 * n)), -EPERM); /* not enabled yet */
        EXPECT_RETURN(set_debugreg(7, BREAKPOINT(n, EXECUTE, BYTES_4)), -EPERM);
        EXPECT_RETURN(set_debugreg(7, BREAKPOINT(n, WRITE, BYTES_8) & ~0xfful), 0);
    }
    EXPECT_RETURN(set_debugreg(7, 1ul << 13), -EPERM);
    EXPECT_RETURN(set_debugreg(7, 1ul << 32), -EPERM);
    EXPECT_RETURN(set_debugreg(7, UINT64_MAX), -EPERM);
    EXPECT_RETURN(set_debugreg(7, 0xdb00), 0); /* reserved bits, and the exact ones */
    EXPECT_RETURN(get_debugreg(7), 0x700);
    clear();
    EXPECT_RETURN(get_debugreg(7), DR7_NOTHING);
    EXPECT_RETURN(set_debugreg(6, 0xffffffff), 0);
    EXPECT_RETURN(get_debugreg(6), 0xffffefff);
    EXPECT_RETURN(set_debugreg(6, 1ul << 32), -EPERM);
    clear();
    EXPECT_RETURN(get_debugreg(6), DR6_NOTHING);
}

static void other_numbers(void)
{
    static const uint32_t none[] = {4, 5, 8, 15, UINT32_MAX};
    for (uint32_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        EXPECT_RETURN(set_debugreg(none[i], 0), -ENODEV);
        EXPECT_RETURN(get_debugreg(none[i]), -ENODEV);
    }
}

static void moves_do_the_same(void)
{
    regs.rax = 0x123456;
    CODE_WORKS("mov %rax, %dr2", &regs, 0x0f, 0x23, 0xd0);
    EXPECT_RETURN(get_debugreg(2), 0x123456);
    CODE_WORKS("mov %dr2, %rbx", &regs, 0x0f, 0x21, 0xd3);
    EXPECT(regs.rbx == 0x123456, "DR2 0x%lx", regs.rbx);
    CODE_WORKS("mov %dr7, %rcx", &regs, 0x0f, 0x21, 0xf9);
    EXPECT(regs.rcx == DR7_NOTHING, "DR7 0x%lx", regs.rcx);
    CODE_WORKS("mov %dr6, %rcx", &regs, 0x0f, 0x21, 0xf1);
    EXPECT(regs.rcx == DR6_NOTHING, "DR6 0x%lx", regs.rcx);
    regs.rax = HYPERVISOR_VIRT_START;
    CODE_REFUSED("mov of the hypervisor's address to %dr0", &regs, 0x0f, 0x23, 0xc0);
    regs.rax = 1ul << 13;
    CODE_REFUSED("general detect", &regs, 0x0f, 0x23, 0xf8);
    CODE_REFUSED("mov %dr4, %rax", &regs, 0x0f, 0x21, 0xe0);
    CODE_REFUSED("mov %rax, %dr5", &regs, 0x0f, 0x23, 0xe8);
    CODE_REFUSED("mov %dr8, %rax", &regs, 0x44, 0x0f, 0x21, 0xc0);
}

/* ---- breakpoints ---- */

static void on_code(void)
{
    EXPECT_RETURN(set_debugreg(1, hypercall_pointer(code_area) + 1), 0);
    EXPECT_RETURN(set_debugreg(7, BREAKPOINT(1, EXECUTE, BYTES_1)), 0);
    struct trap_result seen = CODE(&regs, 0x90, 0x90);
    EXPECT(seen.trapped && seen.vector == TRAP_DEBUG && seen.rip == 1, "trapped %u, vector %u at +%ld",
           seen.trapped, seen.vector, (long)seen.rip);
    EXPECT_RETURN(get_debugreg(6), DR6_NOTHING | 2);
    clear();
}

static _Alignas(16) uint64_t watched[2];

static void on_data(void)
{
    EXPECT_RETURN(set_debugreg(0, hypercall_pointer(watched)), 0);
    EXPECT_RETURN(set_debugreg(7, BREAKPOINT(0, WRITE, BYTES_8)), 0);
    regs = (struct code_regs){.rdi = hypercall_pointer(watched)};
    CODE_WORKS("a read", &regs, 0x8b, 0x07);
    struct trap_result seen = CODE(&regs, 0x89, 0x47, 0x04, 0x90); /* mov %eax, 4(%rdi); nop */
    EXPECT(seen.trapped && seen.vector == TRAP_DEBUG && seen.rip == 3, "trapped %u, vector %u at +%ld",
           seen.trapped, seen.vector, (long)seen.rip);
    EXPECT_RETURN(get_debugreg(6), DR6_NOTHING | 1);
    clear();
}

/* ---- and the hypervisor ---- */

static uint32_t debug_exceptions;

static void count(struct trap_regs *at)
{
    (void)at;
    debug_exceptions++;
}

static void in_what_the_hypervisor_copies(void)
{
    static _Alignas(16) char text[16];
    EXPECT_RETURN(set_debugreg(3, hypercall_pointer(text)), 0);
    EXPECT_RETURN(set_debugreg(7, BREAKPOINT(3, ACCESS, BYTES_8)), 0);
    trap_set_handler(TRAP_DEBUG, count);
    debug_exceptions = 0;
    EXPECT_RETURN(xen_version(XENVER_extraversion, text), 0);
    EXPECT_RETURN(console_io(CONSOLEIO_write, 0, text), 0);
    EXPECT_RETURN(debug_exceptions, 0); /* the hypervisor's accesses are not the guest's */
    clear();
    EXPECT(text[0], "no text");
    trap_set_handler(TRAP_DEBUG, NULL);
}

/* The frame of the exception goes where the breakpoint is. */
static void in_the_exception_frame(void)
{
    uint64_t stack;
    __asm__ volatile("mov %%rsp, %0" : "=r"(stack));
    trap_set_handler(TRAP_DEBUG, count); /* the guest's own stack accesses */
    for (uint64_t offset = 0; offset < 0x200; offset += 8) {
        EXPECT_RETURN(set_debugreg(2, (stack & ~0xful) - 0x200 + offset), 0);
        EXPECT_RETURN(set_debugreg(7, BREAKPOINT(2, WRITE, BYTES_8)), 0);
        struct trap_result seen = CODE(&regs, 0x0f, 0x0b);
        EXPECT(seen.trapped && (seen.vector == TRAP_INVALID_OP || seen.vector == TRAP_DEBUG), "vector %u",
               seen.vector);
        EXPECT_RETURN(set_debugreg(7, 0), 0);
    }
    trap_set_handler(TRAP_DEBUG, NULL);
    clear();
}

#define SHADOW(name, text)                                                                                   \
    static void name(void *selector)                                                                         \
    {                                                                                                        \
        __asm__ volatile("mov (%0), %%ss; " text                                                             \
                         :                                                                                   \
                         : "r"(selector), "a"((long)__HYPERVISOR_xen_version), "D"(0ul)                      \
                         : "rcx", "r11", "memory");                                                          \
    }
SHADOW(shadow_syscall, "syscall")
SHADOW(shadow_breakpoint, "int3")
SHADOW(shadow_interrupt, "int $0x80")
SHADOW(shadow_undefined, "ud2")
SHADOW(shadow_privileged, "cli")
SHADOW(shadow_port, "in $0x71, %%al")
SHADOW(shadow_debug, ".byte 0xf1")

static void in_the_shadow_of_mov_ss(void)
{
    static _Alignas(8) uint16_t selector = FLAT_RING3_SS64;
    static void (*const shadows[])(void *) = {shadow_syscall,   shadow_breakpoint, shadow_interrupt,
                                              shadow_undefined, shadow_privileged, shadow_port,
                                              shadow_debug};
    EXPECT_RETURN(set_debugreg(0, hypercall_pointer(&selector)), 0);
    for (uint32_t i = 0; i < sizeof(shadows) / sizeof(shadows[0]); i++) {
        EXPECT_RETURN(set_debugreg(7, BREAKPOINT(0, ACCESS, BYTES_1)), 0);
        trap_try(shadows[i], &selector);
        clear();
        EXPECT_RETURN(xen_version(XENVER_version, NULL), 0x40011);
    }
}

/* The handler comes back to the instruction that is stopped at, until it has had enough. */
static void stop_after_many(struct trap_regs *at)
{
    (void)at;
    if (++debug_exceptions == 1000)
        set_debugreg(7, 0);
}

static void again_and_again(void)
{
    debug_exceptions = 0;
    trap_set_handler(TRAP_DEBUG, stop_after_many);
    EXPECT_RETURN(set_debugreg(0, hypercall_pointer(code_area)), 0);
    EXPECT_RETURN(set_debugreg(7, BREAKPOINT(0, EXECUTE, BYTES_1)), 0);
    memcpy(code_area, (const uint8_t[]){0x90, 0xc3}, 2);
    code_call(&regs);
    EXPECT(debug_exceptions > 0 && debug_exceptions <= 1000, "%u exceptions", debug_exceptions);
    trap_set_handler(TRAP_DEBUG, NULL);
    clear();
}

void guest_main(void)
{
    EXPECT_RETURN(get_debugreg(6), DR6_NOTHING);
    EXPECT_RETURN(get_debugreg(7), DR7_NOTHING);
    addresses_are_checked();
    control_is_checked();
    other_numbers();
    moves_do_the_same();
    on_code();
    on_data();
    in_what_the_hypervisor_copies();
    in_the_exception_frame();
    in_the_shadow_of_mov_ss();
    again_and_again();
    report_success("debug registers are the guest's, and only the guest's");
}

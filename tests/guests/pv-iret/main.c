/* SPDX-License-Identifier: MIT */
/*
 * Rule: iret makes its frame the guest's registers, in kernel mode when CS has any RPL but 3, in user mode
 * when it is 3. What privilege guards is not taken from the frame: RPL of both selectors, IOPL, VM,
 * VIF, VIP, and IF of the machine. The event mask follows IF of the frame. A frame that the processor refuses
 * goes to the failsafe callback, with the selectors of DS, ES, FS and GS, in the mode it would have gone to.
 *
 * From: guest-abi/hypercalls.md and guest-abi/modes.md. Advisory 7 and its kin: a return that faults.
 *
 * Method: frames to a place that reports what it finds; frames that name what is not there.
 *
 * Errors: none.
 *
 * run: default
 * run: no-smap cpu="max,-smap"
 * run: qemu64 cpu="qemu64"
 * run: intel cpu="max,vendor=GenuineIntel"
 */
#include "common/tables.h"
#include "kit/user.h"

#define OWN_FLAGS 0x2448d5ul /* of those a frame may set, without TF, DF and IF; NT, AC and ID */

/* Not static: the code below names them. */
struct iret_context frame;
static uint64_t stack[512];
uint64_t saved_rsp;
struct {
    uint64_t rax, rcx, r11, rsp, rflags, cs, ss;
} seen;

/* The frame's target, in kernel mode: notes what it finds and goes back to kernel_iret()'s caller. */
__asm__(".pushsection .text\n"
        "kernel_iret:\n push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        " mov %rsp, saved_rsp(%rip)\n lea frame(%rip), %rsp\n mov $23, %eax\n syscall\n ud2\n"
        "target:\n mov %rax, seen(%rip)\n mov %rcx, seen + 8(%rip)\n mov %r11, seen + 16(%rip)\n"
        " mov %rsp, seen + 24(%rip)\n mov saved_rsp(%rip), %rsp\n pushfq\n pop seen + 32(%rip)\n"
        " mov %cs, %eax\n mov %rax, seen + 40(%rip)\n mov %ss, %eax\n mov %rax, seen + 48(%rip)\n"
        " push $2\n popfq\n pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n ret\n"
        ".popsection");
extern const char target[];
extern void kernel_iret(void);

__asm__(".pushsection .text\nuser_target: syscall\n.popsection");
extern const char user_target[];

static void frame_is(uint64_t rip, uint64_t cs, uint64_t rflags, uint64_t rsp, uint64_t ss)
{
    frame = (struct iret_context){0xaaa, 0x111, 0xccc, 0, rip, cs, rflags, rsp, ss};
}

/* ---- to kernel mode ---- */

static void to_the_kernel(void)
{
    const uint64_t selectors[] = {0xe030, 0xe031, 0xe032};
    for (uint32_t i = 0; i < 3; i++) {
        frame_is(hypercall_pointer(target), selectors[i] | 0x12345678ul << 32, 0x202,
                 hypercall_pointer(stack + 100) + 1, 0xe028);
        kernel_iret();
        EXPECT(seen.rax == 0xaaa && seen.rcx == 0xccc && seen.r11 == 0x111, "RAX 0x%lx, RCX 0x%lx, R11 0x%lx",
               seen.rax, seen.rcx, seen.r11);
        EXPECT(seen.rsp == frame.rsp && seen.cs == FLAT_RING3_CS64 && seen.ss == FLAT_RING3_SS64 &&
                   seen.rflags == 0x202,
               "RSP 0x%lx, CS 0x%lx, SS 0x%lx, RFLAGS 0x%lx", seen.rsp, seen.cs, seen.ss, seen.rflags);
    }
    frame.flags = VGCF_in_syscall;
    kernel_iret();
    EXPECT(seen.rax == 0xaaa && seen.rcx == frame.rip && seen.r11 == 0x202,
           "in a system call: RCX 0x%lx, R11 0x%lx", seen.rcx, seen.r11);
    frame.flags = UINT64_MAX & ~(uint64_t)VGCF_in_syscall; /* no other flag means anything */
    kernel_iret();
    EXPECT(seen.rcx == 0xccc && seen.r11 == 0x111, "odd flags: RCX 0x%lx, R11 0x%lx", seen.rcx, seen.r11);
}

static void the_mask_follows(void)
{
    for (uint64_t interrupts = 0; interrupts <= 0x200; interrupts += 0x200) {
        frame_is(hypercall_pointer(target), 0xe030, interrupts, hypercall_pointer(stack + 100), 0xe028);
        kernel_iret();
        EXPECT(seen.rflags == 0x202, "RFLAGS 0x%lx", seen.rflags);
        EXPECT_RETURN(shared_info->vcpu_info[0].evtchn_upcall_mask, interrupts == 0);
    }
}

/* ---- to user mode ---- */

static void to_user_mode(void)
{
    struct trap_regs regs = user_regs(user_target, stack + 512), back;
    regs.ss = 0xe028;
    for (uint32_t bit = 0; bit < 64; bit++) {
        if (bit == 8) /* TF: pv-user-mode */
            continue;
        regs.rflags = 1ul << bit;
        back = user_run(&regs);
        uint64_t wanted = (regs.rflags & (OWN_FLAGS | 0x600)) | 2;
        EXPECT(back.vector == TRAP_SYSCALL && back.rflags == wanted && back.ss == FLAT_RING3_SS64,
               "bit %u: vector %lu, RFLAGS 0x%lx, not 0x%lx, SS 0x%lx", bit, back.vector, back.rflags, wanted,
               back.ss);
        EXPECT(back.cs >> 32 == (bit != 9), "bit %u: the slot of CS has 0x%lx", bit, back.cs);
    }
}

/* ---- what the processor refuses ---- */

static const struct {
    const char *what;
    uint64_t rip, cs, ss;
} refused[] = {
    {"a RIP that is not canonical", 0x800000000000, FLAT_RING3_CS64, FLAT_RING3_SS64},
    {"another", 0x7fffffffffffffff, FLAT_RING3_CS64, FLAT_RING3_SS64},
    {"ring 0's code", 1, 0xe008, FLAT_RING3_SS64},
    {"data as code", 1, FLAT_RING3_SS64, FLAT_RING3_SS64},
    {"a task state as code", 1, 0xe040, FLAT_RING3_SS64},
    {"no code", 1, 0, FLAT_RING3_SS64},
    {"code beyond the GDT", 1, 0xf000, FLAT_RING3_SS64},
    {"code in no LDT", 1, 0xe034, FLAT_RING3_SS64},
    {"ring 0's data as stack", 1, FLAT_RING3_CS64, 0xe010},
    {"code as stack", 1, FLAT_RING3_CS64, FLAT_RING3_CS32},
    {"no stack", 1, FLAT_RING3_CS64, 0},
    {"a stack that is not there", 1, FLAT_RING3_CS64, 0x1000},
};

static void kernel_frame(void *index)
{
    uint64_t i = (uint64_t)index, here;
    __asm__ volatile("lea -1024(%%rsp), %0" : "=r"(here));
    frame_is(refused[i].rip == 1 ? hypercall_pointer(target) : refused[i].rip, refused[i].cs & ~3ul, 0x202,
             here, refused[i].ss);
    kernel_iret();
}

static void refusals(void)
{
    __asm__ volatile("mov %w0, %%ds; mov %w0, %%fs" : : "r"(FLAT_RING3_SS64));
    for (uint64_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        trap_failsafe_selectors[0] = trap_failsafe_selectors[2] = 0;
        struct trap_result caught = trap_try(kernel_frame, (void *)i);
        EXPECT(caught.trapped && caught.vector == TRAP_FAILSAFE && caught.rip == frame.rip,
               "%s, kernel mode: trapped %u, vector %u, RIP 0x%lx", refused[i].what, caught.trapped,
               caught.vector, caught.rip);
        EXPECT(trap_failsafe_selectors[0] == FLAT_RING3_SS64 && trap_failsafe_selectors[1] == 0 &&
                   trap_failsafe_selectors[2] == FLAT_RING3_SS64 && trap_failsafe_selectors[3] == 0,
               "the selectors are 0x%lx 0x%lx 0x%lx 0x%lx", trap_failsafe_selectors[0],
               trap_failsafe_selectors[1], trap_failsafe_selectors[2], trap_failsafe_selectors[3]);

        struct trap_regs regs = user_regs(user_target, stack + 512), back;
        regs.rip = refused[i].rip == 1 ? regs.rip : refused[i].rip;
        regs.cs = refused[i].cs | 3;
        regs.ss = refused[i].ss;
        regs.rbx = i;
        back = user_run(&regs);
        EXPECT(back.vector == TRAP_FAILSAFE && back.rip == regs.rip && back.cs == regs.cs &&
                   back.rsp == regs.rsp && back.rbx == i,
               "%s, user mode: vector %lu, RIP 0x%lx, CS 0x%lx", refused[i].what, back.vector, back.rip,
               back.cs);
    }
    __asm__ volatile("mov %w0, %%ds; mov %w0, %%fs" : : "r"(0));
}

/* An address of the hypervisor's is one the guest may name and not use. */
static void to_the_hypervisor(void)
{
    struct trap_regs regs = user_regs((const void *)0xffff82d080200000, stack + 512), back;
    back = user_run(&regs);
    EXPECT(back.vector == TRAP_PAGE_FAULT && back.rip == regs.rip && back.error_code & PF_USER,
           "vector %lu, RIP 0x%lx, error code 0x%lx", back.vector, back.rip, back.error_code);
}

void guest_main(void)
{
    EXPECT_RETURN(user_mode_init(), 0);
    to_the_kernel();
    the_mask_follows();
    to_user_mode();
    refusals();
    to_the_hypervisor();
    report_success("iret goes where it may, and says where it may not");
}

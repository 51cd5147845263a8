/* SPDX-License-Identifier: MIT */
/*
 * Rule: a return with RFLAGS.RF goes on at an instruction with a breakpoint on it, which does not fire again
 * for that one time. An interrupt instruction leaves RF clear.
 *
 * From: guest-abi/hypercalls.md, iret; Intel SDM volume 3, "Resume Flag".
 *
 * Method: a breakpoint on an instruction of user mode; return to it with RF, three times.
 *
 * Errors: none.
 *
 * run: default
 */
#include "common/tables.h"
#include "kit/user.h"

#define RF 0x10000ul

static uint64_t stack[512];
__asm__(".pushsection .text\nuser_target: nop\n int $0x80\nuser_behind: nop\n syscall\n.popsection");
extern const char user_target[], user_behind[];

static struct trap_regs returned_with_rf(struct trap_regs regs)
{
    regs.rflags |= RF;
    regs.cs &= 0xffff;
    return user_run(&regs);
}

void guest_main(void)
{
    struct trap_info gate[2] = {{.vector = 0x80,
                                 .flags = 3,
                                 .cs = FLAT_RING3_CS64,
                                 .address = hypercall_pointer(trap_software_interrupt)}};
    EXPECT_RETURN(user_mode_init(), 0);
    EXPECT_RETURN(set_trap_table(gate), 0);
    for (int i = 0; i < 3; i++) {
        EXPECT_RETURN(set_debugreg(0, hypercall_pointer(user_target)), 0);
        EXPECT_RETURN(set_debugreg(7, 1), 0);
        struct trap_regs regs = user_regs(user_target, stack + 512), back = user_run(&regs);
        EXPECT(back.vector == TRAP_DEBUG && back.rip == hypercall_pointer(user_target),
               "the breakpoint: vector %lu at 0x%lx", back.vector, back.rip);
        back = returned_with_rf(back);
        EXPECT(back.vector == 37 && back.rip == hypercall_pointer(user_behind),
               "beyond it: vector %lu at 0x%lx", back.vector, back.rip);
        EXPECT(!(back.rflags & RF), "RF is set behind an interrupt instruction");
        EXPECT_RETURN(set_debugreg(0, hypercall_pointer(user_behind)), 0);
        back.cs &= 0xffff;
        back = user_run(&back);
        EXPECT(back.vector == TRAP_DEBUG && back.rip == hypercall_pointer(user_behind),
               "the breakpoint behind it: vector %lu at 0x%lx", back.vector, back.rip);
    }
    EXPECT_RETURN(set_debugreg(7, 0), 0);
    report_success("RF steps over a breakpoint, once");
}

/* SPDX-License-Identifier: MIT */
/* The iret hypercall, and what happens when the way back into the guest is barred. */
#include "cpu/trap.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/guest.h"
#include "pv/hypercall.h"
#include "pv/trap.h"

/* Bits a guest may set: the arithmetic flags, TF, DF, NT, RF, AC and ID. IOPL, VM, VIF and VIP are not its.
 */
#define RFLAGS_GUEST 0x254dd5u

static bool returns_to_kernel(const struct iret_context *frame)
{
    /* Filled by a copy in assembler. NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
    return (frame->cs & 3) != 3;
}

long do_iret(struct cpu_regs *regs, const struct hypercall_args *args)
{
    struct iret_context frame;

    (void)args;
    if (get_guest_words((uint64_t *)&frame, regs->rsp, sizeof frame / sizeof(uint64_t)))
        guest_crash(regs, "its iret frame at 0x%llx cannot be read", (unsigned long long)regs->rsp);
    if (!returns_to_kernel(&frame) && guest.user_l4_mfn == 0)
        guest_crash(regs, "iret to user mode (cs 0x%llx), but no user page table is set",
                    (unsigned long long)frame.cs);

    regs->rip = frame.rip;
    regs->cs = (frame.cs & 0xffff) | 3;
    regs->rflags = (frame.rflags & RFLAGS_GUEST) | RFLAGS_IF | RFLAGS_FIXED;
    regs->rsp = frame.rsp;
    regs->ss = (frame.ss & 0xffff) | 3;
    if (frame.flags & VGCF_in_syscall) {
        regs->rcx = frame.rip; /* what SYSRET leaves in them */
        regs->r11 = regs->rflags;
    } else {
        regs->rcx = frame.rcx;
        regs->r11 = frame.r11;
    }
    guest.vcpu->evtchn_upcall_mask = !(frame.rflags & RFLAGS_IF);
    if (!returns_to_kernel(&frame))
        guest_to_user();

    /* A processor may fault on such a RIP either side of the privilege change; ask it neither. */
    if (!address_is_canonical(frame.rip)) {
        regs->rax = frame.rax;
        pv_guest_iret_fault(regs);
        return (long)regs->rax;
    }
    return (long)frame.rax;
}

/* ---- the failsafe callback ---- */

static uint64_t read_selector(unsigned int index)
{
    uint16_t selector = 0;

    switch (index) {
    case 0:
        __asm__ volatile("mov %%ds, %0" : "=r"(selector));
        break;
    case 1:
        __asm__ volatile("mov %%es, %0" : "=r"(selector));
        break;
    case 2:
        __asm__ volatile("mov %%fs, %0" : "=r"(selector));
        break;
    default:
        __asm__ volatile("mov %%gs, %0" : "=r"(selector));
        break;
    }
    return selector;
}

void pv_guest_iret_fault(struct cpu_regs *regs)
{
    if (!guest.callbacks[CALLBACKTYPE_failsafe])
        guest_crash(
            regs, "cannot return to rip 0x%llx, cs 0x%llx, ss 0x%llx, and no failsafe callback is set",
            (unsigned long long)regs->rip, (unsigned long long)regs->cs, (unsigned long long)regs->ss);

    const uint64_t selectors[4] = {read_selector(0), read_selector(1), read_selector(2), read_selector(3)};
    uint64_t stack;

    if (!guest_failsafe(regs, selectors, &stack))
        guest_crash(regs, "cannot return to rip 0x%llx, and the stack at 0x%llx cannot take a failsafe frame",
                    (unsigned long long)regs->rip, (unsigned long long)stack);
}

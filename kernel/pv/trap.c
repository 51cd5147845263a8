/* SPDX-License-Identifier: MIT */
/*
 * The guest's exceptions: emulated, or reflected to the handler it gave to set_trap_table. What it sees is
 * the contract's bounce frame on its own stack. When there is no handler or no stack, the guest is stopped
 * with a sentence; nothing here loops.
 */
#include "cpu/trap.h"
#include "cpu/ops.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/emulate.h"
#include "pv/guest.h"
#include "pv/ptwr.h"
#include "pv/trap.h"

#define RFLAGS_CLEARED_ON_ENTRY (RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | RFLAGS_AC)

#define PF_PRESENT      0x1u
#define PF_WRITE        0x2u
#define PF_USER         0x4u
#define ERROR_EXTERNAL  0x1u
#define ERROR_IDT       0x2u
#define ERROR_TYPE_MASK 0x7u

#define FRAME_WORDS 7u /* without extras */
#define EXTRAS_MAX  4u

#define INT_OPCODE 0xcdu
#define INT_BYTES  2u

#define ENTRIES_PER_PREEMPTION_POINT 16u

static const char *exception_name(uint32_t vector)
{
    static const char *const names[] = {
        [TRAP_DE] = "#DE divide error",
        [TRAP_DB] = "#DB debug",
        [TRAP_NMI] = "NMI",
        [TRAP_BP] = "#BP breakpoint",
        [TRAP_OF] = "#OF overflow",
        [TRAP_BR] = "#BR bound range",
        [TRAP_UD] = "#UD invalid opcode",
        [TRAP_NM] = "#NM no FPU",
        [TRAP_DF] = "#DF double fault",
        [TRAP_TS] = "#TS invalid TSS",
        [TRAP_NP] = "#NP segment absent",
        [TRAP_SS] = "#SS stack fault",
        [TRAP_GP] = "#GP general protection",
        [TRAP_PF] = "#PF page fault",
        [TRAP_MF] = "#MF x87 error",
        [TRAP_AC] = "#AC alignment check",
        [TRAP_MC] = "#MC machine check",
        [TRAP_XM] = "#XM SIMD error",
        [TRAP_CP] = "#CP control protection",
    };

    if (vector < sizeof names / sizeof names[0] && names[vector])
        return names[vector];
    return "an interrupt gate";
}

static bool has_error_code(uint32_t vector)
{
    const uint32_t with_code = 1u << TRAP_DF | 1u << TRAP_TS | 1u << TRAP_NP | 1u << TRAP_SS | 1u << TRAP_GP |
                               1u << TRAP_PF | 1u << TRAP_AC | 1u << TRAP_CP;

    return vector < 32 && (with_code >> vector & 1);
}

/* ---- the bounce frame ---- */

/* How the guest sees a code selector: kernel mode has RPL 0, and the upcall mask rides in bits 32 to 39. */
uint64_t guest_visible_cs(const struct cpu_regs *regs)
{
    uint64_t selector = guest.in_user ? regs->cs & 0xffff : regs->cs & 0xfffc;

    return selector | (uint64_t)guest.vcpu->evtchn_upcall_mask << 32;
}

/* The guest's interrupt flag is its upcall mask; the machine's is always set in ring 3. */
uint64_t guest_visible_rflags(const struct cpu_regs *regs)
{
    uint64_t rflags = regs->rflags & ~(uint64_t)(RFLAGS_IF | RFLAGS_IOPL);

    return guest.vcpu->evtchn_upcall_mask ? rflags : rflags | RFLAGS_IF;
}

/* In line, so that in each kind of frame the words have fixed places. */
__attribute__((always_inline)) static inline bool
push_frame(struct cpu_regs *regs, const struct bounce *bounce, uint32_t extras, uint64_t *stack)
{
    uint64_t frame[FRAME_WORDS + EXTRAS_MAX];
    uint64_t *interrupted = &frame[2 + extras];
    uint64_t top = regs->rsp;

    frame[0] = regs->rcx;
    frame[1] = regs->r11;
    for (uint32_t i = 0; i < extras; i++)
        frame[2 + i] = bounce->extra[i];
    interrupted[0] = regs->rip;
    interrupted[1] = guest_visible_cs(regs);
    interrupted[2] = guest_visible_rflags(regs);
    interrupted[3] = regs->rsp;
    interrupted[4] = regs->ss;
    if (guest.in_user) {
        top = guest.kernel_sp;
        guest_to_kernel();
    }
    *stack = (top & ~0xfull) - (FRAME_WORDS + extras) * sizeof frame[0];
    if (put_guest_words(*stack, frame, FRAME_WORDS + extras))
        return false;

    regs->rip = bounce->address;
    regs->cs = bounce->cs | 3; /* RPL 0 would be a return to ring 0 */
    regs->rsp = *stack;
    regs->ss = FLAT_RING3_SS64;
    regs->rflags &= ~(uint64_t)RFLAGS_CLEARED_ON_ENTRY;
    if (bounce->mask_events)
        guest.vcpu->evtchn_upcall_mask = 1;
    return true;
}

bool guest_bounce_to(struct cpu_regs *regs, const struct bounce *bounce, uint64_t *stack)
{
    if (bounce->extra_count == 0)
        return push_frame(regs, bounce, 0, stack);
    return bounce->extra_count == 1 ? push_frame(regs, bounce, 1, stack)
                                    : push_frame(regs, bounce, EXTRAS_MAX, stack);
}

void guest_bounce(struct cpu_regs *regs, uint32_t vector, bool error_code_present, uint32_t error_code)
{
    const struct trap_info *handler = &guest.traps[vector & 0xff];
    struct bounce bounce = {
        .address = handler->address,
        .cs = handler->cs,
        .mask_events = handler->flags & TRAP_INFO_MASK_EVENTS,
        .extra_count = error_code_present,
        .extra = {error_code},
    };
    uint64_t stack;

    if (!handler->address)
        guest_crash(regs, "%s (vector %u, error code 0x%x) and no handler for it", exception_name(vector),
                    vector, error_code_present ? error_code : 0);
    if (!guest_bounce_to(regs, &bounce, &stack))
        guest_crash(regs, "%s (vector %u, error code 0x%x) and its stack at 0x%llx cannot be written",
                    exception_name(vector), vector, error_code_present ? error_code : 0,
                    (unsigned long long)stack);
}

/* ---- system calls of user mode ---- */

#define SYSCALL_BYTES 2u

static void system_call(struct cpu_regs *regs, uint32_t type)
{
    struct bounce bounce = {
        .address = guest.callbacks[type],
        .cs = FLAT_RING3_CS64,
        .mask_events = guest.callback_flags[type] & CALLBACKF_mask_events,
    };
    uint64_t stack;

    if (!guest_bounce_to(regs, &bounce, &stack))
        guest_crash(regs, "a system call, and the stack at 0x%llx cannot be written",
                    (unsigned long long)stack);
}

static void undefined_syscall(struct cpu_regs *regs)
{
    regs->rip -= SYSCALL_BYTES;
    guest_bounce(regs, TRAP_UD, false, 0);
}

void guest_syscall_from_user(struct cpu_regs *regs)
{
    if (guest.callbacks[CALLBACKTYPE_syscall])
        system_call(regs, CALLBACKTYPE_syscall);
    else
        undefined_syscall(regs);
}

/* A kernel that executes SYSENTER loses its stack pointer by it; what is known is the one for user mode. */
static void sysenter_refused(struct cpu_regs *regs)
{
    if (!guest.in_user)
        regs->rsp = guest.kernel_sp;
    guest_bounce(regs, TRAP_GP, true, 0);
}

void pv_guest_old_call(struct cpu_regs *regs)
{
    bool sysenter = regs->vector == VECTOR_SYSENTER;
    uint32_t type = sysenter ? CALLBACKTYPE_sysenter : CALLBACKTYPE_syscall32;

    regs->rflags |= RFLAGS_IF;
    if (guest.in_user && guest.callbacks[type])
        system_call(regs, type);
    else if (sysenter)
        sysenter_refused(regs);
    else
        undefined_syscall(regs);
    pv_guest_leave(regs);
}

/* ---- events ---- */

void guest_upcall(struct cpu_regs *regs)
{
    struct bounce bounce = {
        .address = guest.callbacks[CALLBACKTYPE_event],
        .cs = FLAT_RING3_CS64,
    };
    uint64_t stack;

    if (!guest_upcall_wanted() || !bounce.address)
        return;
    if (!guest_bounce_to(regs, &bounce, &stack))
        guest_crash(regs, "an event, and the stack at 0x%llx cannot be written", (unsigned long long)stack);
    guest.vcpu->evtchn_upcall_mask = 1; /* after the frame, which has what it was */
}

void pv_guest_leave(struct cpu_regs *regs)
{
    if (guest_upcall_wanted())
        guest_upcall(regs);
}

/* ---- exceptions ---- */

/* As in the contract, a guest kernel counts as ring 1 towards the privilege level of its own gates. */
static bool may_call_gate(uint8_t vector)
{
    return (guest.traps[vector].flags & TRAP_INFO_DPL) >= (guest.in_user ? 3 : 1);
}

/*
 * The IDT has no gates that ring 3 may call but #BP and #OF, so `int n` arrives as #GP that names the gate.
 * The vector is read from the instruction: QEMU 7.2 doubles it in the error code.
 */
static bool reflect_software_interrupt(struct cpu_regs *regs)
{
    uint8_t code[INT_BYTES];

    if ((regs->error_code & ERROR_TYPE_MASK) != ERROR_IDT)
        return false;
    if (copy_from_guest(code, regs->rip, sizeof code) || code[0] != INT_OPCODE)
        return false;
    if (!may_call_gate(code[1])) {
        guest_bounce(regs, TRAP_GP, true, code[1] * 8u | ERROR_IDT);
        return true;
    }
    regs->rip += INT_BYTES;
    guest_bounce(regs, code[1], false, 0);
    return true;
}

static void general_protection(struct cpu_regs *regs)
{
    if (regs->error_code == 0 && guest_emulate_privileged(regs))
        return;
    if (reflect_software_interrupt(regs))
        return;
    guest_bounce(regs, TRAP_GP, true, (uint32_t)regs->error_code);
}

static bool is_write_to_read_only(const struct cpu_regs *regs)
{
    return !guest.in_user && regs->error_code == (PF_PRESENT | PF_WRITE | PF_USER);
}

static void page_fault(struct cpu_regs *regs)
{
    uint64_t address = cr2_read();

    if (is_write_to_read_only(regs) && guest_emulate_table_write(regs, address))
        return;
    if (!guest.traps[TRAP_PF].address)
        guest_crash(regs, "#PF page fault at address 0x%llx (error code 0x%x) and no handler for it",
                    (unsigned long long)address, (uint32_t)regs->error_code);
    guest.vcpu->arch.cr2 = address;
    /* The guest's kernel runs in ring 3 too; it must not look like user code to itself. */
    guest_bounce(regs, TRAP_PF, true, (uint32_t)regs->error_code & ~(guest.in_user ? 0 : PF_USER));
}

void pv_guest_exception(struct cpu_regs *regs)
{
    uint32_t vector = (uint32_t)regs->vector;

    switch (vector) {
    case TRAP_GP:
        general_protection(regs);
        return;
    case TRAP_PF:
        page_fault(regs);
        return;
    case TRAP_UD:
        if (guest_emulate_forced_cpuid(regs))
            return;
        break;
    case TRAP_DB:
        guest_debug_caught();
        break;
    case TRAP_NM:
        guest_fpu_wanted();
        break;
    default:
        break;
    }
    guest_bounce(regs, vector, has_error_code(vector), (uint32_t)regs->error_code);
}

/* ---- set_trap_table(array), stack_switch(ss, sp) ---- */

long do_set_trap_table(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint64_t address = args->a[0];

    if (!address) {
        for (size_t i = 0; i < sizeof guest.traps / sizeof guest.traps[0]; i++)
            guest.traps[i] = (struct trap_info){0};
        return 0;
    }
    for (uint32_t done = 1;; done++, address += sizeof(struct trap_info)) {
        struct trap_info entry;

        if (copy_from_guest(&entry, address, sizeof entry))
            return -EFAULT;
        if (!entry.address)
            return 0;
        if (!address_is_canonical(entry.address))
            return -EINVAL;
        entry.cs |= 3;
        guest.traps[entry.vector] = entry;
        if (done % ENTRIES_PER_PREEMPTION_POINT == 0 && cpu_preemption_point())
            return hypercall_continue(regs, &(struct hypercall_args){{address + sizeof entry}});
    }
}

long do_stack_switch(struct cpu_regs *regs, const struct hypercall_args *args)
{
    (void)regs;
    guest.kernel_sp = args->a[1]; /* the stack segment is the flat one, whatever a[0] says */
    return 0;
}

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
#include "pv/device_write.h"
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
static inline uint64_t guest_visible_cs(const struct cpu_regs *regs)
{
    uint64_t selector = guest.in_user ? regs->cs & 0xffff : regs->cs & 0xfffc;

    return selector | (uint64_t)guest.vcpu->evtchn_upcall_mask << 32;
}

/* The guest's interrupt flag is its upcall mask; the machine's is always set in ring 3. */
static inline uint64_t guest_visible_rflags(const struct cpu_regs *regs)
{
    uint64_t rflags = regs->rflags & ~(uint64_t)(RFLAGS_IF | RFLAGS_IOPL);

    return guest.vcpu->evtchn_upcall_mask ? rflags : rflags | RFLAGS_IF;
}

/* The kernel's stack: from user mode it is the one that stack_switch named. */
static inline uint64_t frame_top(const struct cpu_regs *regs)
{
    return (guest.in_user ? guest.kernel_sp : regs->rsp) & ~0xfull;
}

/* In line, so that in each kind of frame the words have fixed places. */
__attribute__((always_inline)) static inline bool push_frame(struct cpu_regs *regs, uint64_t stack,
                                                             const uint64_t *extra, const uint32_t extras)
{
    uint64_t cs = guest_visible_cs(regs), rflags = guest_visible_rflags(regs);

    if (guest.in_user)
        guest_to_kernel();
    if (!in_guest(stack, (FRAME_WORDS + extras) * sizeof(uint64_t)))
        return false;
    open_guest();
    PUT_GUEST_WORD(stack, 0, regs->rcx, fault);
    PUT_GUEST_WORD(stack, 1, regs->r11, fault);
    if (extras > 0)
        PUT_GUEST_WORD(stack, 2, extra[0], fault);
    if (extras > 1) {
        PUT_GUEST_WORD(stack, 3, extra[1], fault);
        PUT_GUEST_WORD(stack, 4, extra[2], fault);
        PUT_GUEST_WORD(stack, 5, extra[3], fault);
    }
    stack += extras * sizeof(uint64_t);
    PUT_GUEST_WORD(stack, 2, regs->rip, fault);
    PUT_GUEST_WORD(stack, 3, cs, fault);
    PUT_GUEST_WORD(stack, 4, rflags, fault);
    PUT_GUEST_WORD(stack, 5, regs->rsp, fault);
    PUT_GUEST_WORD(stack, 6, regs->ss, fault);
    close_guest();
    return true;
fault:
    close_guest();
    return false;
}

/* Goes on at a handler whose frame is at the stack. */
static inline void enter_handler(struct cpu_regs *regs, uint64_t address, uint16_t cs, uint64_t stack,
                                 bool mask_events)
{
    regs->rip = address;
    regs->cs = cs | 3; /* RPL 0 would be a return to ring 0 */
    regs->rsp = stack;
    regs->ss = FLAT_RING3_SS64;
    regs->rflags &= ~(uint64_t)RFLAGS_CLEARED_ON_ENTRY;
    if (mask_events)
        guest.vcpu->evtchn_upcall_mask = 1;
}

__attribute__((always_inline)) static inline bool callback(struct cpu_regs *regs, uint32_t type,
                                                           const uint64_t *extra, uint64_t *stack)
{
    const uint32_t extras = extra ? EXTRAS_MAX : 0;

    *stack = frame_top(regs) - (FRAME_WORDS + extras) * sizeof(uint64_t);
    if (!push_frame(regs, *stack, extra, extras))
        return false;
    enter_handler(regs, guest.callbacks[type], FLAT_RING3_CS64, *stack,
                  guest.callback_flags[type] & CALLBACKF_mask_events);
    return true;
}

bool guest_failsafe(struct cpu_regs *regs, const uint64_t selectors[4], uint64_t *stack)
{
    return callback(regs, CALLBACKTYPE_failsafe, selectors, stack);
}

/* What an exception ends in when there is no handler, or no room for its frame. */
static _Noreturn __attribute__((noinline, cold)) void
undelivered(const struct cpu_regs *regs, uint32_t vector, uint32_t error_code, uint64_t stack)
{
    if (!guest.traps[vector & 0xff].address)
        guest_crash(regs, "%s (vector %u, error code 0x%x) and no handler for it", exception_name(vector),
                    vector, error_code);
    guest_crash(regs, "%s (vector %u, error code 0x%x) and its stack at 0x%llx cannot be written",
                exception_name(vector), vector, error_code, (unsigned long long)stack);
}

__attribute__((always_inline)) static inline void bounce(struct cpu_regs *regs, uint32_t vector,
                                                         const uint64_t *code)
{
    const struct trap_info *handler = &guest.traps[vector & 0xff];
    const uint32_t extras = code ? 1 : 0;
    uint64_t stack = frame_top(regs) - (FRAME_WORDS + extras) * sizeof(uint64_t);

    if (!handler->address || !push_frame(regs, stack, code, extras))
        undelivered(regs, vector, code ? (uint32_t)*code : 0, stack);
    enter_handler(regs, handler->address, handler->cs, stack, handler->flags & TRAP_INFO_MASK_EVENTS);
}

void guest_bounce(struct cpu_regs *regs, uint32_t vector, bool error_code_present, uint32_t error_code)
{
    uint64_t code = error_code;

    if (error_code_present)
        bounce(regs, vector, &code);
    else
        bounce(regs, vector, NULL);
}

/* ---- system calls of user mode ---- */

#define SYSCALL_BYTES 2u

__attribute__((always_inline)) static inline void system_call(struct cpu_regs *regs, uint32_t type)
{
    uint64_t stack;

    if (!callback(regs, type, NULL, &stack))
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
    uint64_t stack;

    if (!guest.callbacks[CALLBACKTYPE_event])
        return;
    if (!callback(regs, CALLBACKTYPE_event, NULL, &stack))
        guest_crash(regs, "an event, and the stack at 0x%llx cannot be written", (unsigned long long)stack);
    guest.vcpu->evtchn_upcall_mask = 1;
}

void pv_guest_debug_lost(void)
{
    guest_crash(
        &(struct cpu_regs){0},
        "two debug exceptions at once (a single step onto a watched word?), and where it was is lost");
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
    regs->rflags &= ~(uint64_t)RFLAGS_RF; /* it came as a fault, but stands for a trap */
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

static _Noreturn __attribute__((noinline, cold)) void no_page_fault_handler(const struct cpu_regs *regs,
                                                                            uint64_t address)
{
    guest_crash(regs, "#PF page fault at address 0x%llx (error code 0x%x) and no handler for it",
                (unsigned long long)address, (uint32_t)regs->error_code);
}

static inline void page_fault(struct cpu_regs *regs)
{
    uint64_t address = cr2_read(), code;

    if (is_write_to_read_only(regs) &&
        (guest_emulate_table_write(regs, address) || guest_emulate_device_write(regs, address)))
        return;
    if (!guest.traps[TRAP_PF].address)
        no_page_fault_handler(regs, address);
    guest.vcpu->arch.cr2 = address;
    /* The guest's kernel runs in ring 3 too; it must not look like user code to itself. */
    code = (uint32_t)regs->error_code & ~(guest.in_user ? 0 : PF_USER);
    bounce(regs, TRAP_PF, &code);
}

__attribute__((noinline)) static void other_exception(struct cpu_regs *regs, uint32_t vector)
{
    switch (vector) {
    case TRAP_GP:
        general_protection(regs);
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

void pv_guest_exception(struct cpu_regs *regs)
{
    if (regs->vector == TRAP_PF)
        page_fault(regs);
    else
        other_exception(regs, (uint32_t)regs->vector);
    if (guest_upcall_wanted())
        guest_upcall(regs);
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

/* SPDX-License-Identifier: MIT */
#include "cpu/trap.h"

#include "cpu/descriptors.h"
#include "cpu/features.h"
#include "cpu/lapic.h"
#include "cpu/ops.h"
#include "cpu/panic.h"
#include "cpu/stack.h"
#include "lib/log.h"
#include "lib/string.h"

#define VECTORS      256u
#define REFILL_CALLS 50u /* of trap_log_refill(): five seconds */

#define SFMASK_FLAGS                                                                                         \
    (1u << 8 | 1u << 9 | 1u << 10 | 3u << 12 | 1u << 14 | 1u << 16 | 1u << 18) /* TF IF DF IOPL NT RF AC */

#define MCG_RIPV 0x1u

/* entry.S */
extern const int32_t trap_stub_offsets[];
extern const char syscall_entry[], syscall32_entry[], sysenter_entry[], leave_iret[];
_Noreturn void enter_with(const struct cpu_regs *regs);
struct cpu_regs *trap_dispatch(struct cpu_regs *regs);

/* link.ld: an instruction that may fault, and where to go on; both relative to their own place. */
struct fixup {
    int32_t instruction;
    int32_t target;
};
extern const struct fixup __ex_table_start[], __ex_table_end[];

static interrupt_fn handlers[VECTORS];
static uint64_t stray_count;
static uint64_t fixed_error;
static volatile bool preemption_wanted;

static struct log_limit stray_limit = {.what = "stray interrupts", .burst = 8};

/* ---- interrupts ---- */

void interrupt_set_handler(uint32_t vector, interrupt_fn handler)
{
    if (vector < VECTORS)
        handlers[vector] = handler;
}

uint64_t trap_stray_count(void)
{
    return stray_count;
}

void trap_log_refill(void)
{
    static uint32_t calls;
    if (++calls % REFILL_CALLS == 0)
        log_limit_refill(&stray_limit);
}

static void stray(const char *what, uint64_t vector)
{
    stray_count++;
    if (log_limit_pass(&stray_limit))
        log_line("%s (vector 0x%02llx): nobody expected it; counted and ignored", what,
                 (unsigned long long)vector);
}

static void interrupt(uint64_t vector)
{
    /* The local APIC's own spurious interrupt, and one that went away again, are not in service. */
    bool in_service = lapic_in_service((uint32_t)vector);

    if (handlers[vector] != NULL)
        handlers[vector]((uint32_t)vector);
    else if (vector != VECTOR_SPURIOUS || in_service)
        stray("stray interrupt", vector);
    if (in_service)
        lapic_eoi();
}

/*
 * True when what looks like an exception was sent by a device. A real APIC takes vectors from 16 on; QEMU's
 * takes all. Nothing is in service while the guest runs, so a real exception cannot be mistaken.
 */
static bool is_interrupt(const struct cpu_regs *regs)
{
    return regs->vector >= VECTOR_FIRST_INTERRUPT || lapic_in_service((uint32_t)regs->vector);
}

bool cpu_preemption_point(void)
{
    /* STI holds interrupts off for one more instruction. */
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
    bool wanted = preemption_wanted;
    preemption_wanted = false;
    return wanted;
}

void cpu_request_preemption(void)
{
    preemption_wanted = true;
}

/* ---- what cannot be held off ---- */

static void non_maskable(const struct cpu_regs *regs)
{
    /* In ring 0 the log may be in the middle of a line. */
    if (regs_from_guest(regs))
        stray("non-maskable interrupt", TRAP_NMI);
    else
        stray_count++;
}

static void machine_check(const struct cpu_regs *regs)
{
    uint64_t status = msr_read(MSR_MCG_STATUS);
    if ((status & MCG_RIPV) == 0)
        panic(regs, "machine check, and the CPU cannot go on: MCG_STATUS 0x%llx", (unsigned long long)status);
    msr_write(MSR_MCG_STATUS, 0);
    if (regs_from_guest(regs))
        stray("machine check", TRAP_MC);
    else
        stray_count++;
}

static _Noreturn void double_fault(const struct cpu_regs *regs)
{
    const char *stack = stack_guard_hit(cr2_read());
    if (stack == NULL)
        stack = stack_guard_hit(regs->rsp);
    if (stack != NULL)
        panic(regs, "stack overflow: the %s stack ran into its guard page", stack);
    panic(regs, "double fault");
}

/* ---- exceptions in ring 0 ---- */

static bool take_fixup(struct cpu_regs *regs)
{
    for (const struct fixup *fixup = __ex_table_start; fixup < __ex_table_end; fixup++) {
        if ((uint64_t)(uintptr_t)&fixup->instruction + (uint64_t)fixup->instruction == regs->rip) {
            regs->rip = (uint64_t)(uintptr_t)&fixup->target + (uint64_t)fixup->target;
            fixed_error = regs->error_code;
            return true;
        }
    }
    return false;
}

uint64_t trap_fixed_error(void)
{
    return fixed_error;
}

/*
 * The last IRETQ refused the guest's frame. The registers are the guest's already; the frame is where
 * RSP points. Both are put together again at the top of the main stack, which nothing else uses now.
 */
static struct cpu_regs *refused_iret(const struct cpu_regs *regs)
{
    struct cpu_regs whole = *regs;
    struct cpu_regs *top = (struct cpu_regs *)(uintptr_t)stack_top(STACK_MAIN) - 1;

    memcpy(&whole.rip, (const void *)(uintptr_t)regs->rsp, 5 * sizeof(uint64_t));
    *top = whole;
    pv_guest_iret_fault(top);
    return top;
}

static bool is_refused_iret(const struct cpu_regs *regs)
{
    const uint64_t *frame = (const uint64_t *)(uintptr_t)regs->rsp;
    return regs->rip == (uint64_t)(uintptr_t)leave_iret && (frame[1] & 3) == 3;
}

static const char *exception_name(uint64_t vector)
{
    static const char *const names[] = {
        [TRAP_DE] = "divide error (#DE)",
        [TRAP_DB] = "debug (#DB)",
        [TRAP_BP] = "breakpoint (#BP)",
        [TRAP_OF] = "overflow (#OF)",
        [TRAP_BR] = "bound range (#BR)",
        [TRAP_UD] = "invalid opcode (#UD)",
        [TRAP_NM] = "no FPU (#NM)",
        [TRAP_DF] = "double fault (#DF)",
        [TRAP_TS] = "invalid TSS (#TS)",
        [TRAP_NP] = "segment not present (#NP)",
        [TRAP_SS] = "stack fault (#SS)",
        [TRAP_GP] = "general protection (#GP)",
        [TRAP_PF] = "page fault (#PF)",
        [TRAP_MF] = "FPU error (#MF)",
        [TRAP_AC] = "alignment check (#AC)",
        [TRAP_XM] = "SIMD error (#XM)",
        [TRAP_CP] = "control protection (#CP)",
    };
    if (vector < sizeof(names) / sizeof(names[0]) && names[vector] != NULL)
        return names[vector];
    return "reserved exception";
}

static uint64_t stub_address(uint32_t vector)
{
    return (uint64_t)(uintptr_t)trap_stub_offsets + (uint64_t)trap_stub_offsets[vector];
}

static struct cpu_regs *exception_in_ring0(struct cpu_regs *regs)
{
    if (regs->vector == TRAP_DB) {
        if (regs->rip == stub_address(TRAP_DB))
            pv_guest_debug_lost();
        /* Put off by the guest's MOV SS until it had entered ring 0, a step of its SYSENTER, or a breakpoint
         * of its in a guest copy. */
        dr6_write(DR6_NOTHING);
        return regs;
    }
    if (is_refused_iret(regs))
        return refused_iret(regs);
    if (take_fixup(regs))
        return regs;
    if (regs->vector == TRAP_PF)
        panic(regs, "hypervisor fault: page fault (#PF) at address 0x%016llx, error code 0x%llx",
              (unsigned long long)cr2_read(), (unsigned long long)regs->error_code);
    panic(regs, "hypervisor fault: %s, error code 0x%llx", exception_name(regs->vector),
          (unsigned long long)regs->error_code);
}

/* ---- entry ---- */

#define NOT_THE_GUESTS (1u << TRAP_NMI | 1u << TRAP_DF | 1u << TRAP_MC)

static inline bool is_guest_exception(uint64_t vector)
{
    return vector < VECTOR_FIRST_INTERRUPT && (NOT_THE_GUESTS >> vector & 1) == 0 &&
           !lapic_in_service((uint32_t)vector);
}

__attribute__((noinline)) static struct cpu_regs *other_trap(struct cpu_regs *regs)
{
    if (is_interrupt(regs))
        interrupt(regs->vector);
    else if (regs->vector == TRAP_NMI)
        non_maskable(regs);
    else if (regs->vector == TRAP_DF)
        double_fault(regs);
    else if (regs->vector == TRAP_MC)
        machine_check(regs);
    else
        regs = exception_in_ring0(regs);
    /* Not from the stacks of an NMI or a machine check: a #DB in a guest copy would let the next one in. */
    if (regs_from_guest(regs) && regs->vector != TRAP_NMI && regs->vector != TRAP_MC)
        pv_guest_leave(regs);
    return regs;
}

/* Called by entry.S; the frame it returns is the one to leave with. */
struct cpu_regs *trap_dispatch(struct cpu_regs *regs)
{
    if (cpu_features.smap)
        __asm__ volatile("clac" : : : "memory");

    if (!regs_from_guest(regs) || !is_guest_exception(regs->vector))
        return other_trap(regs);
    pv_guest_exception(regs);
    return regs;
}

static void syscall_init(void)
{
    msr_write(MSR_EFER, msr_read(MSR_EFER) | 1);
    /* SYSRET is never used; its half is what it would load. */
    msr_write(MSR_STAR, (uint64_t)SELECTOR_USER32 << 48 | (uint64_t)SELECTOR_CODE << 32);
    msr_write(MSR_LSTAR, (uint64_t)(uintptr_t)syscall_entry);
    msr_write(MSR_CSTAR, (uint64_t)(uintptr_t)syscall32_entry);
    msr_write(MSR_SFMASK, SFMASK_FLAGS);
    msr_write(MSR_SYSENTER_CS, 0);
    msr_write(MSR_SYSENTER_ESP, stack_top(STACK_MAIN));
    msr_write(MSR_SYSENTER_EIP, (uint64_t)(uintptr_t)sysenter_entry);
}

void cpu_sysenter_enable(void)
{
    msr_write(MSR_SYSENTER_CS, SELECTOR_CODE);
}

void trap_init(void)
{
    descriptors_init();
    syscall_init();
    dr7_write(DR7_NOTHING);
    dr6_write(DR6_NOTHING);
    for (uint32_t i = 0; i < 4; i++)
        dr_write(i, 0); /* the guest may enable what it has not set */
}

void cpu_enter_guest(const struct cpu_regs *regs)
{
    static const uint32_t default_mxcsr = 0x1f80;

    __asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(default_mxcsr));
    msr_write(MSR_FS_BASE, 0);
    msr_write(MSR_GS_BASE, 0);
    msr_write(MSR_KERNEL_GS_BASE, 0);
    enter_with(regs);
}

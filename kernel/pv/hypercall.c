/* SPDX-License-Identifier: MIT */
/* From SYSCALL to handler and back. The null call is the yardstick: keep this path short. */
#include "pv/hypercall.h"
#include "cpu/trap.h"
#include "guest-abi/include/sluice/errno.h"
#include "guest-abi/include/sluice/iommu_op.h"
#include "pv/guest.h"
#include "pv/trap.h"

#include <stddef.h>

/* Length of the SYSCALL instruction: what a continuation steps back over. */
#define SYSCALL_BYTES 2u

typedef long (*hypercall_fn)(struct cpu_regs *regs, const struct hypercall_args *args);

static long do_nothing(struct cpu_regs *regs, const struct hypercall_args *args)
{
    (void)regs;
    (void)args;
    guest.hypercalls_unknown++;
    return -ENOSYS;
}

/* Every slot has a handler, so that a call need not ask. */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winitializer-overrides"
static const hypercall_fn handlers[HYPERCALL_SLOTS] = {
    [0 ... HYPERCALL_SLOTS - 1] = do_nothing,
    [__HYPERVISOR_set_trap_table] = do_set_trap_table,
    [__HYPERVISOR_mmu_update] = do_mmu_update,
    [__HYPERVISOR_set_gdt] = do_set_gdt,
    [__HYPERVISOR_stack_switch] = do_stack_switch,
    [__HYPERVISOR_fpu_taskswitch] = do_fpu_taskswitch,
    [__HYPERVISOR_set_debugreg] = do_set_debugreg,
    [__HYPERVISOR_get_debugreg] = do_get_debugreg,
    [__HYPERVISOR_update_descriptor] = do_update_descriptor,
    [__HYPERVISOR_set_callbacks] = do_set_callbacks,
    [__HYPERVISOR_platform_op] = do_platform_op,
    [__HYPERVISOR_memory_op] = do_memory_op,
    [__HYPERVISOR_multicall] = do_multicall,
    [__HYPERVISOR_update_va_mapping] = do_update_va_mapping,
    [__HYPERVISOR_set_timer_op] = do_set_timer_op,
    [__HYPERVISOR_xen_version] = do_xen_version,
    [__HYPERVISOR_console_io] = do_console_io,
    [__HYPERVISOR_vm_assist] = do_vm_assist,
    [__HYPERVISOR_iret] = do_iret,
    [__HYPERVISOR_set_segment_base] = do_set_segment_base,
    [__HYPERVISOR_vcpu_op] = do_vcpu_op,
    [__HYPERVISOR_mmuext_op] = do_mmuext_op,
    [__HYPERVISOR_sched_op] = do_sched_op,
    [__HYPERVISOR_callback_op] = do_callback_op,
    [__HYPERVISOR_event_channel_op] = do_event_channel_op,
    [__HYPERVISOR_physdev_op] = do_physdev_op,
    [__HYPERVISOR_iommu_op] = do_iommu_op,
};
#pragma clang diagnostic pop

bool hypercall_is_known(uint32_t slot)
{
    return handlers[slot] != do_nothing;
}

bool hypercall_was_long;

long hypercall_dispatch(struct cpu_regs *regs, uint64_t slot, const struct hypercall_args *args)
{
    if (slot >= HYPERCALL_SLOTS)
        return do_nothing(regs, args);
    guest.hypercalls[slot]++;
    return handlers[slot](regs, args);
}

_Static_assert(offsetof(struct cpu_regs, rsi) == offsetof(struct cpu_regs, rdi) + 8 &&
                   offsetof(struct cpu_regs, rdx) == offsetof(struct cpu_regs, rdi) + 16 &&
                   offsetof(struct cpu_regs, r10) == offsetof(struct cpu_regs, rdi) + 24 &&
                   offsetof(struct cpu_regs, r8) == offsetof(struct cpu_regs, rdi) + 32,
               "the arguments are used where the entry saved them");

/* What is no hypercall: a slot that is beyond all of them, or a system call of user mode. */
__attribute__((noinline, cold)) static void other_syscall(struct cpu_regs *regs)
{
    if (guest.in_user)
        guest_syscall_from_user(regs);
    else
        regs->rax = (uint64_t)do_nothing(regs, NULL);
}

void pv_guest_syscall(struct cpu_regs *regs)
{
    const struct hypercall_args *args = (const struct hypercall_args *)(const void *)&regs->rdi;
    uint64_t slot = regs->rax;

    if (slot < guest.slots) {
        guest.hypercalls[slot]++;
        regs->rax = (uint64_t)handlers[slot](regs, args);
    } else {
        other_syscall(regs);
    }
    if (guest_upcall_wanted())
        guest_upcall(regs);
}

long hypercall_continue(struct cpu_regs *regs, const struct hypercall_args *args)
{
    guest.continuations++;
    if (multicall_continue(args))
        return 0;

    regs->rdi = args->a[0];
    regs->rsi = args->a[1];
    regs->rdx = args->a[2];
    regs->r10 = args->a[3];
    regs->r8 = args->a[4];
    regs->rip -= SYSCALL_BYTES;
    return (long)regs->rax; /* still the number of this call */
}

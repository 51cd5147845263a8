/* SPDX-License-Identifier: MIT */
/*
 * multicall(entries, count): several hypercalls for one SYSCALL. Each entry is copied in once; its result
 * is written back before the next one starts. A call inside that wants to go on later has its advanced
 * arguments written into its entry, and the multicall itself starts again at that entry.
 */
#include "cpu/trap.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/guest_copy.h"
#include "pv/guest.h"
#include "pv/hypercall.h"

#define ENTRIES_PER_PREEMPTION_POINT 8u

static struct {
    bool running;
    bool continued; /* the running entry called hypercall_continue() */
    struct hypercall_args args;
} state;

bool multicall_running(void)
{
    return state.running;
}

bool multicall_continue(const struct hypercall_args *args)
{
    if (!state.running)
        return false;
    state.continued = true;
    state.args = *args;
    return true;
}

/* iret replaces the registers that a multicall's own return needs; a multicall inside one has no end. */
static bool may_be_inside(uint64_t op)
{
    return op != __HYPERVISOR_iret && op != __HYPERVISOR_multicall;
}

static long run_entry(struct cpu_regs *regs, const struct multicall_entry *entry)
{
    struct hypercall_args args;

    state.continued = false;
    if (!may_be_inside(entry->op))
        return -EINVAL;
    for (unsigned int i = 0; i < 5; i++)
        args.a[i] = entry->args[i];

    state.running = true;
    long result = hypercall_dispatch(regs, entry->op, &args);
    state.running = false;
    return result;
}

static long start_again_at(struct cpu_regs *regs, uint64_t entries, uint32_t count)
{
    return hypercall_continue(regs, &(struct hypercall_args){{entries, count}});
}

long do_multicall(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint64_t address = args->a[0];
    uint32_t count = (uint32_t)args->a[1];

    for (uint32_t done = 0; done < count; done++, address += sizeof(struct multicall_entry)) {
        struct multicall_entry entry;

        if (done && done % ENTRIES_PER_PREEMPTION_POINT == 0 && cpu_preemption_point())
            return start_again_at(regs, address, count - done);
        if (copy_from_guest(&entry, address, sizeof entry))
            return -EFAULT;

        long result = run_entry(regs, &entry);

        if (state.continued) {
            if (copy_to_guest(address + offsetof(struct multicall_entry, args), state.args.a,
                              sizeof state.args.a))
                return -EFAULT;
            return start_again_at(regs, address, count - done);
        }
        if (put_guest_u64(address + offsetof(struct multicall_entry, result), (uint64_t)result))
            return -EFAULT;
    }
    return 0;
}

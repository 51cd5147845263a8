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

/* The arguments are used where they were copied to. */
_Static_assert(sizeof(((struct multicall_entry *)0)->args) >= sizeof(struct hypercall_args) &&
                   sizeof(struct multicall_entry) == 8 * sizeof(uint64_t),
               "an entry is read as eight words");

static inline long run_entry(struct cpu_regs *regs, const struct multicall_entry *entry)
{
    if (entry->op == __HYPERVISOR_multicall)
        return -EINVAL; /* one inside another has no end */
    state.running = true;
    long result = hypercall_dispatch(regs, entry->op, (const struct hypercall_args *)entry->args);
    state.running = false;
    return result;
}

static long start_again_at(struct cpu_regs *regs, uint64_t entries, uint32_t count)
{
    return hypercall_continue(regs, &(struct hypercall_args){{entries, count}});
}

static inline bool must_ask(uint32_t done)
{
    bool was_long = hypercall_was_long;

    hypercall_was_long = false;
    return was_long || done % ENTRIES_PER_PREEMPTION_POINT == 0;
}

long do_multicall(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint64_t address = args->a[0];
    uint32_t count = (uint32_t)args->a[1];

    for (uint32_t done = 0; done < count; done++, address += sizeof(struct multicall_entry)) {
        struct multicall_entry entry;

        if (done && must_ask(done) && cpu_preemption_point())
            return start_again_at(regs, address, count - done);
        if (get_guest_words8(&entry.op, address))
            return -EFAULT;
        /* Filled in assembler. NOLINTNEXTLINE(clang-analyzer-core.*) */
        if (entry.op == __HYPERVISOR_iret) /* the rest would run for user mode; the frame has the result */
            return hypercall_dispatch(regs, entry.op, args);

        long result = run_entry(regs, &entry);

        if (state.continued) {
            state.continued = false;
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

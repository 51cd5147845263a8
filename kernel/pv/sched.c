/* SPDX-License-Identifier: MIT */
/* sched_op(cmd, argument): giving up the CPU, for a while or for good. */
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"
#include "mem/guest_copy.h"
#include "pv/guest.h"

static void wait_for_interrupt(void)
{
    /* STI takes effect after the next instruction, so no interrupt slips in before the HLT. */
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}

/* There are no event channels to wake the guest: any interrupt of the machine ends the wait. */
static long block(void)
{
    guest.vcpu->evtchn_upcall_mask = 0;
    wait_for_interrupt();
    return 0;
}

static const char *shutdown_reason_name(uint32_t reason)
{
    switch (reason) {
    case SHUTDOWN_reboot:
        return "asked for a reboot";
    case SHUTDOWN_suspend:
        return "asked to be suspended";
    case SHUTDOWN_crash:
        return "reported that it crashed";
    case SHUTDOWN_watchdog:
        return "reported that its watchdog fired";
    default:
        return "shut down for a reason without a name";
    }
}

static long shutdown(uint64_t argument)
{
    struct sched_shutdown request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (request.reason == SHUTDOWN_poweroff) {
        log_line("the guest switched itself off");
        machine_stop(STOP_GUEST_POWEROFF);
    }
    log_line("the guest %s (reason %u)", shutdown_reason_name(request.reason), request.reason);
    machine_stop(STOP_GUEST_FAILED);
}

long do_sched_op(struct cpu_regs *regs, const struct hypercall_args *args)
{
    (void)regs;
    switch ((uint32_t)args->a[0]) {
    case SCHEDOP_yield:
        return 0; /* nobody else wants the CPU */
    case SCHEDOP_block:
        return block();
    case SCHEDOP_shutdown:
        return shutdown(args->a[1]);
    default:
        return -ENOSYS;
    }
}

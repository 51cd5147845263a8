/* SPDX-License-Identifier: MIT */
/* sched_op(cmd, argument): giving up the CPU, for a while or for good. */
#include "cpu/time.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"
#include "mem/guest_copy.h"
#include "pv/event.h"
#include "pv/guest.h"
#include "pv/runstate.h"
#include "pv/trap.h"

static void wait_for_interrupt(void)
{
    /* STI takes effect after the next instruction, so no interrupt slips in before the HLT. */
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}

static long block(void)
{
    guest.vcpu->evtchn_upcall_mask = 0;
    runstate_enter(RUNSTATE_blocked);
    while (!guest_upcall_wanted())
        wait_for_interrupt();
    runstate_enter(RUNSTATE_running);
    return 0;
}

/* ---- poll ---- */

/* The timer's interrupt is what wakes; there is nothing more to do. */
static void poll_timeout(void)
{
}

static bool any_pending(const uint32_t *ports, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (event_pending(ports[i]))
            return true;
    }
    return false;
}

static bool has_passed(uint64_t time)
{
    return time != 0 && time_now_ns() >= time;
}

static long poll(uint64_t argument)
{
    struct sched_poll request;
    uint32_t ports[SCHED_POLL_PORTS_MAX];

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (request.nr_ports > SCHED_POLL_PORTS_MAX)
        return -EINVAL;
    if (copy_from_guest(ports, request.ports, request.nr_ports * sizeof ports[0]))
        return -EFAULT;
    for (uint32_t i = 0; i < request.nr_ports; i++) {
        if (ports[i] >= EVTCHN_2L_NR_CHANNELS)
            return -EINVAL;
    }

    runstate_enter(RUNSTATE_blocked);
    if (request.timeout != 0)
        timer_start_at(poll_timeout, request.timeout);
    while (!any_pending(ports, request.nr_ports) && !guest_upcall_wanted() && !has_passed(request.timeout))
        wait_for_interrupt();
    timer_stop(poll_timeout);
    runstate_enter(RUNSTATE_running);
    return 0;
}

/* ---- shutdown ---- */

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
    log_say(LOG_ALERT, "the guest %s (reason %u)", shutdown_reason_name(request.reason), request.reason);
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
    case SCHEDOP_poll:
        return poll(args->a[1]);
    default:
        return -ENOSYS;
    }
}

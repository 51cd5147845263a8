/* SPDX-License-Identifier: MIT */
/* vcpu_op(command, virtual CPU, argument) and set_timer_op(time), for the one virtual CPU there is. */
#include "cpu/time.h"
#include "guest-abi/include/sluice/errno.h"
#include "guest-abi/include/sluice/vcpu.h"
#include "lib/log.h"
#include "mem/frame.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/clock.h"
#include "pv/event.h"
#include "pv/guest.h"
#include "pv/runstate.h"
#include "pv/types.h"

/* ---- timers: all of them raise VIRQ_TIMER ---- */

#define PERIOD_MIN_NS 1000000ull
#define PERIOD_MAX_NS (UINT64_MAX >> 2)

static uint64_t period_ns, next_period;

static void singleshot_fires(void)
{
    event_raise_virq(VIRQ_TIMER);
}

/* Keeps to the beat; beats that were missed are one. */
static void period_ends(void)
{
    uint64_t now = time_now_ns();

    event_raise_virq(VIRQ_TIMER);
    next_period += period_ns;
    if (next_period <= now)
        next_period = now + period_ns;
    timer_start_at(period_ends, next_period);
}

static long set_periodic_timer(uint64_t argument)
{
    struct vcpu_set_periodic_timer request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (request.period_ns < PERIOD_MIN_NS || request.period_ns > PERIOD_MAX_NS)
        return -EINVAL;
    period_ns = request.period_ns;
    next_period = time_now_ns() + period_ns;
    timer_start_at(period_ends, next_period);
    return 0;
}

static long set_singleshot_timer(uint64_t argument)
{
    struct vcpu_set_singleshot_timer request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if ((request.flags & VCPU_SSHOTTMR_future) && request.timeout_abs_ns < time_now_ns())
        return -ETIME;
    timer_start_at(singleshot_fires, request.timeout_abs_ns);
    return 0;
}

long do_set_timer_op(struct cpu_regs *regs, const struct hypercall_args *args)
{
    (void)regs;
    if (args->a[0] == 0)
        timer_stop(singleshot_fires);
    else
        timer_start_at(singleshot_fires, args->a[0]);
    return 0;
}

/* ---- where the guest wants its information ---- */

static bool is_moved(void)
{
    return guest.vcpu != &guest.shared->vcpu_info[0];
}

/* The reference is kept for ever: what the hypervisor writes to must never become a page table. */
static long register_vcpu_info(uint64_t argument)
{
    struct vcpu_register_vcpu_info request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (request.offset > FRAME_SIZE - sizeof *guest.vcpu ||
        request.offset % _Alignof(struct vcpu_info) != 0 || is_moved())
        return -EINVAL;
    struct frame *frame = frame_of(request.mfn);
    if (frame == NULL || frame_get_type(frame, FRAME_TYPE_WRITABLE) != 0)
        return -EINVAL;

    uint8_t *page = phys_to_virt(request.mfn << FRAME_SHIFT);
    struct vcpu_info *moved = (struct vcpu_info *)(void *)(page + request.offset);
    *moved = *guest.vcpu;
    moved->time = clock_time_info();
    guest.vcpu = moved;
    return 0;
}

static long register_runstate(uint64_t argument)
{
    struct vcpu_register_memory_area request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    return runstate_register(request.address);
}

/* Written once: it never changes. Address 0 takes a registration back, so there is nothing to write. */
static long register_time(uint64_t argument)
{
    struct vcpu_register_memory_area request;
    struct vcpu_time_info info = clock_time_info();

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (request.address == 0)
        return 0;
    return copy_to_guest(request.address, &info, sizeof info) ? -EFAULT : 0;
}

static long get_runstate_info(uint64_t argument)
{
    struct vcpu_runstate_info info = runstate_now();

    return copy_to_guest(argument, &info, sizeof info) ? -EFAULT : 0;
}

/* ---- the call ---- */

static _Noreturn void last_one_goes_down(void)
{
    log_line("the guest took its only virtual CPU down: it switched itself off");
    machine_stop(STOP_GUEST_POWEROFF);
}

long do_vcpu_op(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint64_t argument = args->a[2];

    if ((uint32_t)args->a[1] != 0)
        return -ENOENT;
    switch ((uint32_t)args->a[0]) {
    case VCPUOP_initialise:
        return -EEXIST;
    case VCPUOP_up:
        return 0;
    case VCPUOP_down:
        last_one_goes_down();
    case VCPUOP_is_up:
        return 1;
    case VCPUOP_get_runstate_info:
        return get_runstate_info(argument);
    case VCPUOP_register_runstate_memory_area:
        return register_runstate(argument);
    case VCPUOP_set_periodic_timer:
        return set_periodic_timer(argument);
    case VCPUOP_stop_periodic_timer:
        timer_stop(period_ends);
        return 0;
    case VCPUOP_set_singleshot_timer:
        return set_singleshot_timer(argument);
    case VCPUOP_stop_singleshot_timer:
        timer_stop(singleshot_fires);
        return 0;
    case VCPUOP_register_vcpu_info:
        return types_owed() && !types_settle() ? hypercall_continue(regs, args)
                                               : register_vcpu_info(argument);
    case VCPUOP_register_vcpu_time_memory_area:
        return register_time(argument);
    default:
        return -ENOSYS;
    }
}

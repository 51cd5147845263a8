/* SPDX-License-Identifier: MIT */
/*
 * Rule: SCHEDOP_block lets events in and returns when one is pending, at once when one is; SCHEDOP_poll
 * returns when one of its ports is pending, masked or not, when an upcall is due, or when its time has come.
 * The time slept shows in the runstate.
 *
 * From: guest-abi/hypercalls.md, sched_op; guest-abi/events.md.
 *
 * Method: each is slept in and woken by a timer, and called when there is nothing to wait for.
 *
 * Errors: -EFAULT, -EINVAL, -ENOSYS.
 *
 * run: default
 */
#include "kit/guest.h"
#include "kit/time.h"

#define MS 1000000ul

static evtchn_port_t timer;
static struct vcpu_runstate_info runstate;

static long poll(const evtchn_port_t *ports, uint32_t count, uint64_t timeout)
{
    struct sched_poll request = {.ports = hypercall_pointer(ports), .nr_ports = count, .timeout = timeout};
    return sched_op(SCHEDOP_poll, &request);
}

static void commands(void)
{
    EXPECT_RETURN(sched_op(SCHEDOP_yield, NULL), 0);
    EXPECT_RETURN(sched_op(SCHEDOP_poll, NULL), -EFAULT);
    EXPECT_RETURN(sched_op(SCHEDOP_shutdown, NULL), -EFAULT);
    for (uint32_t command = SCHEDOP_poll + 1; command < 20; command++)
        EXPECT_RETURN(sched_op(command, NULL), -ENOSYS);
}

static void block_wakes(void)
{
    uint64_t then = system_time_ns() + 5 * MS;
    events_hold();
    EXPECT_RETURN(set_timer_op(then), 0);
    EXPECT_RETURN(sched_op(SCHEDOP_block, NULL), 0);
    EXPECT(event_count(timer) == 1, "%u events", event_count(timer));
    EXPECT(vcpu_info->evtchn_upcall_mask == 0, "a block leaves events masked");
    EXPECT(system_time_ns() >= then, "it woke %lu ns before its only event", then - system_time_ns());
    EXPECT(runstate.state == RUNSTATE_running && runstate.state_entry_time >= then, "state %d since %lu",
           runstate.state, runstate.state_entry_time);
}

static void block_does_not_sleep_on_a_pending_event(void)
{
    events_hold();
    struct evtchn_bind_ipi request = {0};
    EXPECT_RETURN(event_channel_op(EVTCHNOP_bind_ipi, &request), 0);
    EXPECT_RETURN(event_channel_op(EVTCHNOP_send, &(struct evtchn_port_op){request.port}), 0);
    EXPECT(event_count(request.port) == 0, "it came while events were held");
    EXPECT_RETURN(sched_op(SCHEDOP_block, NULL), 0); /* nothing else would ever end it */
    EXPECT(event_count(request.port) == 1, "%u events", event_count(request.port));
}

static void poll_by_time(void)
{
    uint64_t then = system_time_ns() + 3 * MS;
    uint64_t blocked = runstate.time[RUNSTATE_blocked];
    EXPECT_RETURN(poll(NULL, 0, then), 0);
    EXPECT(system_time_ns() >= then, "it woke early");
    EXPECT(runstate.time[RUNSTATE_blocked] > blocked, "no time is said to have been slept");
    EXPECT_RETURN(poll(NULL, 0, 1), 0);
}

static void poll_by_port(void)
{
    static evtchn_port_t many[SCHED_POLL_PORTS_MAX];
    event_mask(timer);
    uint32_t count = event_count(timer);
    uint64_t then = system_time_ns() + 4 * MS;
    EXPECT_RETURN(set_timer_op(then), 0);
    many[SCHED_POLL_PORTS_MAX - 1] = timer; /* the last of them */
    EXPECT_RETURN(poll(many, SCHED_POLL_PORTS_MAX, 0), 0);
    EXPECT(event_is_pending(timer) && event_count(timer) == count, "pending %u, %u upcalls",
           event_is_pending(timer), event_count(timer) - count);
    EXPECT(system_time_ns() >= then, "it woke early");
    EXPECT_RETURN(poll(&timer, 1, 0), 0); /* it still is */
    event_clear(timer);
    EXPECT_RETURN(event_channel_op(EVTCHNOP_unmask, &(struct evtchn_port_op){timer}), 0);
}

/* Polls for nothing that will ever be: the upcall of another event ends it. */
static void poll_by_upcall(void)
{
    evtchn_port_t never = 4095;
    uint32_t count = event_count(timer);
    EXPECT_RETURN(set_timer_op(system_time_ns() + 2 * MS), 0);
    EXPECT_RETURN(poll(&never, 1, 0), 0);
    EXPECT(event_count(timer) == count + 1, "%u upcalls", event_count(timer) - count);
}

static void poll_errors(void)
{
    static evtchn_port_t ports[SCHED_POLL_PORTS_MAX + 1];
    EXPECT_RETURN(poll(ports, SCHED_POLL_PORTS_MAX + 1, 1), -EINVAL);
    EXPECT_RETURN(poll(ports, UINT32_MAX, 1), -EINVAL);
    EXPECT_RETURN(poll(NULL, 1, 1), -EFAULT);
    ports[2] = 4096;
    EXPECT_RETURN(poll(ports, 3, 1), -EINVAL);
    ports[2] = UINT32_MAX;
    EXPECT_RETURN(poll(ports, 3, 1), -EINVAL);
    EXPECT_RETURN(poll(ports, 2, 1), 0);
}

static void sleeping_inside_a_multicall(void)
{
    uint32_t count = event_count(timer);
    struct multicall_entry entries[] = {
        {.op = __HYPERVISOR_set_timer_op, .result = 99, .args = {system_time_ns() + 2 * MS}},
        {.op = __HYPERVISOR_sched_op, .result = 99, .args = {SCHEDOP_block}},
        {.op = __HYPERVISOR_xen_version, .result = 99, .args = {XENVER_version}},
    };
    EXPECT_RETURN(multicall(entries, 3), 0);
    EXPECT(entries[0].result == 0 && entries[1].result == 0 && entries[2].result == 0x40011, "%ld, %ld, %ld",
           entries[0].result, entries[1].result, entries[2].result);
    EXPECT(event_count(timer) == count + 1, "%u upcalls", event_count(timer) - count);
}

void guest_main(void)
{
    EXPECT_RETURN(events_init(), 0);
    long port = event_bind_virq(VIRQ_TIMER);
    EXPECT(port > 0, "VIRQ_TIMER: %ld", port);
    timer = (evtchn_port_t)port;
    struct vcpu_register_memory_area area = {hypercall_pointer(&runstate)};
    EXPECT_RETURN(vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area), 0);
    commands();
    block_wakes();
    block_does_not_sleep_on_a_pending_event();
    poll_by_time();
    poll_by_port();
    poll_by_upcall();
    poll_errors();
    sleeping_inside_a_multicall();
    report_success("it sleeps and wakes");
}

/* SPDX-License-Identifier: MIT */
/*
 * Rule: system time is there at the first instruction, is the same wherever it is read, never goes back, and
 * is the hypervisor's: no timer of it fires early. Wall-clock time is the machine's until platform_op sets
 * it. Timers raise VIRQ_TIMER.
 *
 * From: guest-abi/events.md, "Time" and "Timers"; the x86-64 PV contract.
 *
 * Method: both clocks are read and compared with what the hypervisor and the real-time clock say; each timer
 * is set, stopped, set in the past, and set wrongly. Nothing here depends on how long anything takes.
 *
 * Errors: -EFAULT, -EINVAL, -ETIME, -ENOENT.
 *
 * run: default
 * run: poor-cpu cpu="qemu64"
 */
#include "kit/guest.h"
#include "kit/pci.h"
#include "kit/time.h"

#define MS  1000000ul
#define DAY 86400ul

static evtchn_port_t timer;

static long periodic(uint64_t period)
{
    return vcpu_op(VCPUOP_set_periodic_timer, 0, &(struct vcpu_set_periodic_timer){period});
}

static long singleshot(uint64_t time, uint32_t flags)
{
    return vcpu_op(VCPUOP_set_singleshot_timer, 0, &(struct vcpu_set_singleshot_timer){time, flags});
}

/* Sleeps until the timer's port has been seen that often; the time then. */
static uint64_t wait_for(uint32_t count)
{
    while (event_count(timer) < count)
        EXPECT_RETURN(sched_op(SCHEDOP_block, NULL), 0);
    return system_time_ns();
}

static void clock_is_set(void)
{
    const struct vcpu_time_info *time = &vcpu_info->time;
    EXPECT(time->version != 0 && !(time->version & 1), "version %u", time->version);
    EXPECT(time->tsc_to_system_mul != 0 && time->tsc_shift > -32 && time->tsc_shift < 32, "scale %u, %d",
           time->tsc_to_system_mul, time->tsc_shift);
    EXPECT(time->tsc_timestamp <= rdtsc(), "the clock starts in the future");
    EXPECT(time->flags & PVCLOCK_TSC_STABLE, "flags 0x%x", time->flags);
    uint64_t last = system_time_ns();
    EXPECT(last != 0, "it is time 0");
    for (uint32_t i = 0; i < 1000; i++) {
        uint64_t now = system_time_ns();
        EXPECT(now >= last, "time went back from %lu to %lu", last, now);
        last = now;
    }
}

/* The hypervisor's own reading lies between two of ours. */
static void clock_is_the_hypervisors(void)
{
    struct vcpu_runstate_info info;
    uint64_t before = system_time_ns();
    EXPECT_RETURN(vcpu_op(VCPUOP_get_runstate_info, 0, &info), 0);
    uint64_t after = system_time_ns(), its = 0;
    for (uint32_t i = 0; i < 4; i++)
        its += info.time[i];
    EXPECT(its >= before && its <= after, "time %lu for it, %lu to %lu for the guest", its, before, after);
}

static uint8_t cmos(uint8_t index)
{
    port_write(0x70, 1, index);
    return (uint8_t)port_read(0x71, 1);
}

static uint64_t bcd(uint8_t value)
{
    return (uint64_t)(value >> 4) * 10 + (value & 0xf);
}

/* By the date alone, and generously: a day. Status B says binary or BCD, and QEMU's is BCD. */
static void wall_clock_is_the_machines(void)
{
    EXPECT(!(shared_info->wc_version & 1) && shared_info->wc_version != 0, "version %u",
           shared_info->wc_version);
    EXPECT(shared_info->wc_nsec < 1000000000, "%u ns", shared_info->wc_nsec);
    uint64_t seconds =
        ((uint64_t)shared_info->wc_sec_hi << 32 | shared_info->wc_sec) + system_time_ns() / 1000000000;
    if (cmos(0x0b) & 4)
        report_error("the real-time clock does not count in BCD");
    static const uint16_t before_month[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    uint64_t year = bcd(cmos(9)), month = bcd(cmos(8)), day = bcd(cmos(7));
    uint64_t days = 10957 + year * 365 + (year + 3) / 4 + before_month[month - 1] +
                    (month > 2 && year % 4 == 0) + day - 1;
    EXPECT(seconds >= days * DAY - DAY && seconds < days * DAY + 2 * DAY,
           "the wall clock says %lu, the machine day %lu", seconds, days);
}

static uint64_t wall_clock_at_0(void)
{
    return ((uint64_t)shared_info->wc_sec_hi << 32 | shared_info->wc_sec) * 1000000000 + shared_info->wc_nsec;
}

static void wall_clock_is_set(void)
{
    struct xen_platform_op request = {.cmd = XENPF_settime64, .interface_version = XENPF_INTERFACE_VERSION};
    uint32_t version = shared_info->wc_version;
    request.u.settime64 = (struct xenpf_settime64){.secs = 6000000000, .nsecs = 7, .system_time = 1000000008};
    EXPECT_RETURN(platform_op(&request), 0);
    EXPECT(wall_clock_at_0() == 5999999998999999999 && shared_info->wc_nsec < 1000000000, "it is %lu",
           wall_clock_at_0());
    EXPECT(shared_info->wc_version != version && !(shared_info->wc_version & 1), "version %u after %u",
           shared_info->wc_version, version);

    request.u.settime64.mbz = 1;
    version = shared_info->wc_version;
    EXPECT_RETURN(platform_op(&request), -EINVAL);
    EXPECT_RETURN(shared_info->wc_version, version);

    request.cmd = XENPF_settime32;
    request.u.settime32 = (struct xenpf_settime32){.secs = 1700000000, .nsecs = 999999999};
    EXPECT_RETURN(platform_op(&request), 0);
    EXPECT(wall_clock_at_0() == 1700000000999999999, "it is %lu", wall_clock_at_0());
}

static void singleshot_timers(void)
{
    uint32_t count = event_count(timer);
    uint64_t then = system_time_ns() + 5 * MS;
    EXPECT_RETURN(singleshot(then, VCPU_SSHOTTMR_future), 0);
    uint64_t now = wait_for(count + 1);
    EXPECT(now >= then, "it fired %lu ns early", then - now);

    then = system_time_ns() + 3 * MS;
    EXPECT_RETURN(set_timer_op(then), 0);
    now = wait_for(count + 2);
    EXPECT(now >= then, "set_timer_op fired %lu ns early", then - now);

    EXPECT_RETURN(singleshot(1, VCPU_SSHOTTMR_future), -ETIME);
    EXPECT_RETURN(singleshot(1, 0), 0); /* at once */
    wait_for(count + 3);

    /* Of two that are set only the later one counts; one that is stopped does not fire at all. */
    EXPECT_RETURN(singleshot(system_time_ns() + 2 * MS, 0), 0);
    EXPECT_RETURN(singleshot(system_time_ns() + 4 * MS, 0), 0);
    wait_for(count + 4);
    EXPECT_RETURN(set_timer_op(system_time_ns() + 50 * MS), 0);
    EXPECT_RETURN(vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
    EXPECT_RETURN(set_timer_op(system_time_ns() + 50 * MS), 0);
    EXPECT_RETURN(set_timer_op(0), 0);
    struct sched_poll sleep = {.timeout = system_time_ns() + 100 * MS};
    EXPECT_RETURN(sched_op(SCHEDOP_poll, &sleep), 0);
    EXPECT(event_count(timer) == count + 4, "%u events of timers that were stopped",
           event_count(timer) - count - 4);
    EXPECT_RETURN(singleshot(UINT64_MAX, VCPU_SSHOTTMR_future), 0);
    EXPECT_RETURN(vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
}

static void periodic_timers(void)
{
    uint32_t count = event_count(timer);
    uint64_t start = system_time_ns();
    EXPECT_RETURN(periodic(MS), 0);
    for (uint32_t i = 1; i <= 5; i++) {
        uint64_t now = wait_for(count + i);
        EXPECT(now >= start + i * MS, "beat %u came %lu ns early", i, start + i * MS - now);
    }
    EXPECT_RETURN(vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
    count = event_count(timer);
    struct sched_poll sleep = {.timeout = system_time_ns() + 20 * MS};
    EXPECT_RETURN(sched_op(SCHEDOP_poll, &sleep), 0);
    EXPECT(event_count(timer) == count, "%u beats after the last", event_count(timer) - count);
    EXPECT_RETURN(vcpu_op(VCPUOP_stop_periodic_timer, 0, NULL), 0);
}

/* The interrupt of one timer must not bring another. */
static void two_timers(void)
{
    uint32_t count = event_count(timer);
    uint64_t then = system_time_ns() + 50 * MS;
    EXPECT_RETURN(set_timer_op(then), 0);
    for (uint32_t i = 1; i <= 10; i++) {
        struct sched_poll sleep = {.timeout = then - 50 * MS + i * MS};
        EXPECT_RETURN(sched_op(SCHEDOP_poll, &sleep), 0);
    }
    EXPECT(event_count(timer) == count || system_time_ns() >= then, "it fired %lu ns early",
           then - system_time_ns());
    uint64_t now = wait_for(count + 1);
    EXPECT(now >= then, "it fired %lu ns early", then - now);
}

static void errors(void)
{
    EXPECT_RETURN(periodic(MS - 1), -EINVAL);
    EXPECT_RETURN(periodic(0), -EINVAL);
    EXPECT_RETURN(periodic((UINT64_MAX >> 2) + 1), -EINVAL);
    EXPECT_RETURN(periodic(UINT64_MAX), -EINVAL);
    EXPECT_RETURN(vcpu_op(VCPUOP_set_periodic_timer, 0, NULL), -EFAULT);
    EXPECT_RETURN(vcpu_op(VCPUOP_set_singleshot_timer, 0, NULL), -EFAULT);
    EXPECT_RETURN(vcpu_op(VCPUOP_set_singleshot_timer, 1, NULL), -ENOENT);
    EXPECT_RETURN(vcpu_op(VCPUOP_stop_singleshot_timer, 1, NULL), -ENOENT);
}

/* The upcall comes while the guest computes, not only while it sleeps. */
static void a_running_guest_is_interrupted(void)
{
    uint32_t count = event_count(timer);
    EXPECT_RETURN(singleshot(system_time_ns() + MS, 0), 0);
    while (event_count(timer) == count)
        __asm__ volatile("pause");
}

void guest_main(void)
{
    clock_is_set();
    clock_is_the_hypervisors();
    wall_clock_is_the_machines();
    wall_clock_is_set();
    EXPECT_RETURN(events_init(), 0);
    long port = event_bind_virq(VIRQ_TIMER);
    EXPECT(port > 0, "VIRQ_TIMER: %ld", port);
    timer = (evtchn_port_t)port;
    events_allow();
    singleshot_timers();
    periodic_timers();
    two_timers();
    errors();
    a_running_guest_is_interrupted();
    report_success("the clocks are right and the timers too");
}

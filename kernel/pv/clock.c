/* SPDX-License-Identifier: MIT */
#include "pv/clock.h"

#include "cpu/rtc.h"
#include "cpu/time.h"
#include "lib/log.h"
#include "pv/guest.h"

#define NS_PER_S 1000000000ull

/* Even and not 0: the contents are valid, and no reader has to try again. */
#define STABLE_VERSION 2u

struct vcpu_time_info clock_time_info(void)
{
    struct time_scale scale = time_scale();

    return (struct vcpu_time_info){
        .version = STABLE_VERSION,
        .tsc_timestamp = scale.base,
        .tsc_to_system_mul = scale.mul,
        .tsc_shift = (int8_t)scale.shift,
        .flags = PVCLOCK_TSC_STABLE,
    };
}

/* The guest may be reading where it was interrupted: the version tells it to begin again. */
static void publish_wall(uint64_t at_system_time_0)
{
    static uint32_t version;

    version += STABLE_VERSION;
    guest.shared->wc_sec = (uint32_t)(at_system_time_0 / NS_PER_S);
    guest.shared->wc_sec_hi = (uint32_t)(at_system_time_0 / NS_PER_S >> 32);
    guest.shared->wc_nsec = (uint32_t)(at_system_time_0 % NS_PER_S);
    guest.shared->wc_version = version;
}

void clock_set_wall(uint64_t secs, uint32_t nsecs, uint64_t system_time)
{
    publish_wall(secs * NS_PER_S + nsecs - system_time);
}

void clock_init(void)
{
    uint64_t seconds = rtc_read();
    uint64_t since = time_now_ns();

    guest.vcpu->time = clock_time_info();
    if (seconds == 0)
        log_line("time: the real-time clock tells no date: the guest's wall clock starts in 1970");
    publish_wall(seconds * NS_PER_S > since ? seconds * NS_PER_S - since : 0);
}

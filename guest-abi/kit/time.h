/* SPDX-License-Identifier: MIT */
/* System time, deadlines for polling, and the time-stamp counter. */
#ifndef KIT_TIME_H
#define KIT_TIME_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

/* Nanoseconds, by the time-stamp counter and what vcpu_info says of it. */
uint64_t system_time_ns(void);

/* A point ms milliseconds from now. */
uint64_t deadline_after(uint64_t ms);

/* Whether it has passed. For the body of a polling loop. */
bool deadline_passed(uint64_t deadline);

/*
 * How far the counter goes in one instruction, where it counts instructions and nothing else (QEMU's
 * -icount); 0 where it tells time.
 */
uint64_t ticks_per_instruction(void);

/* What a device may take: virtual time can run ahead of disk I/O that really happens. */
#define DEVICE_DEADLINE_MS 120000u

#endif

/* SPDX-License-Identifier: MIT */
/* The time-stamp counter: deadlines for polling, and counting. */
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

/*
 * A point ms milliseconds from now. The rate comes from the shared information page; where the hypervisor
 * does not tell it, 4 GHz is taken, so that a deadline is never early.
 */
uint64_t deadline_after(uint64_t ms);

/* Whether it has passed. For the body of a polling loop. */
bool deadline_passed(uint64_t deadline);

/*
 * How far the counter goes in one instruction, where it counts instructions and nothing else (QEMU's
 * -icount); 0 where it tells time.
 */
uint64_t ticks_per_instruction(void);

/* What a device may take: virtual time can run ahead of disk I/O that really happens. */
#define DEVICE_DEADLINE_MS 30000u

#endif

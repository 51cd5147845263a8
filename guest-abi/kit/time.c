/* SPDX-License-Identifier: MIT */
#include "kit/time.h"

#include "kit/memory.h"

uint64_t system_time_ns(void)
{
    const volatile struct vcpu_time_info *time = &vcpu_info->time;
    uint32_t version;
    uint64_t ns;
    do {
        version = time->version;
        uint64_t ticks = rdtsc() - time->tsc_timestamp;
        /* signed: a fast counter may be shifted right */
        ticks = time->tsc_shift < 0 ? ticks >> -time->tsc_shift : ticks << time->tsc_shift;
        ns = time->system_time + (uint64_t)((unsigned __int128)ticks * time->tsc_to_system_mul >> 32);
    } while (version & 1 || version != time->version);
    return ns;
}

/* What 2 * rounds instructions and reading the counter take. One copy of it, so that differences are exact.
 */
__attribute__((noinline)) static uint64_t ticks_of_loop(uint64_t rounds)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t left = rounds, start = rdtsc();
        __asm__ volatile("1: dec %0; jnz 1b" : "+r"(left));
        uint64_t ticks = rdtsc() - start;
        least = ticks < least ? ticks : least;
    }
    return least;
}

uint64_t ticks_per_instruction(void)
{
    uint64_t once = ticks_of_loop(1000) - ticks_of_loop(500),
             twice = ticks_of_loop(2000) - ticks_of_loop(1000);
    return once % 1000 == 0 && twice == 2 * once && once >= 2000 ? once / 1000 : 0;
}

uint64_t deadline_after(uint64_t ms)
{
    return system_time_ns() + ms * 1000000;
}

bool deadline_passed(uint64_t deadline)
{
    __asm__ volatile("pause");
    return system_time_ns() >= deadline;
}

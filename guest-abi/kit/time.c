/* SPDX-License-Identifier: MIT */
#include "kit/time.h"

#include "kit/memory.h"

#define TICKS_PER_MS_UNKNOWN 4000000u

static uint64_t ticks_per_ms(void)
{
    if (!shared_info)
        return TICKS_PER_MS_UNKNOWN;
    /* nanoseconds = (ticks << shift) * mul >> 32 */
    const struct vcpu_time_info *time = &shared_info->vcpu_info[0].time;
    uint64_t mul = time->tsc_to_system_mul;
    int32_t shift = (int32_t)time->tsc_shift; /* signed: a slow counter shifts right */
    if (!mul || shift < -31 || shift > 31)
        return TICKS_PER_MS_UNKNOWN;
    uint64_t shifted = (1000000ul << 32) / mul;
    return shift < 0 ? shifted << -shift : shifted >> shift;
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
    return rdtsc() + ms * ticks_per_ms();
}

bool deadline_passed(uint64_t deadline)
{
    __asm__ volatile("pause");
    return (int64_t)(rdtsc() - deadline) >= 0;
}

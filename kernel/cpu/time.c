/* SPDX-License-Identifier: MIT */
#include "cpu/time.h"

#include "cpu/io.h"
#include "cpu/lapic.h"
#include "cpu/ops.h"
#include "cpu/trap.h"
#include "lib/log.h"

#include <stdbool.h>
#include <stddef.h>

#define TIMERS_MAX   8u
#define DELAY_MAX_NS 1000000000ull

#define PM_TIMER_HZ   3579545u
#define PM_TIMER_MASK 0xffffffu           /* 24 bits wide everywhere */
#define PM_TICKS      (PM_TIMER_HZ / 200) /* 5 ms */

#define PIT_HZ      1193182u
#define PIT_TICKS   (PIT_HZ / 200)
#define PIT_CHANNEL 0x42
#define PIT_COMMAND 0x43
#define PIT_GATE    0x61 /* bit 0 gate of channel 2, bit 1 speaker, bit 5 its output */

#define POLLS_MAX 1000000u /* a port read takes about a microsecond on a PC */

#define KHZ_LOWEST  100000u
#define KHZ_HIGHEST 10000000u
#define KHZ_ASSUMED 5000000u

static uint64_t tsc_khz = KHZ_ASSUMED;
static struct time_scale tsc_scale;
static uint64_t lapic_khz; /* 0: the timer does not run */

static struct {
    timer_fn fn; /* NULL: free */
    uint64_t deadline;
} timers[TIMERS_MAX];

/* ---- calibration ---- */

/* Waits 5 ms by the clock, bounded; the length in microseconds, or 0 when it does not run. */
static uint64_t wait_pm_timer(uint16_t port)
{
    uint32_t start = in32(port);
    for (uint32_t polls = 0; polls < POLLS_MAX; polls++) {
        uint32_t ticks = (in32(port) - start) & PM_TIMER_MASK;
        if (ticks >= PM_TICKS)
            return (uint64_t)ticks * 1000000 / PM_TIMER_HZ;
    }
    return 0;
}

static uint64_t wait_pit(void)
{
    uint8_t gate = in8(PIT_GATE) & 0xfc;

    out8(PIT_GATE, gate | 1);
    out8(PIT_COMMAND, 0xb0); /* channel 2, both bytes, one shot */
    out8(PIT_CHANNEL, PIT_TICKS & 0xff);
    out8(PIT_CHANNEL, PIT_TICKS >> 8);
    for (uint32_t polls = 0; polls < POLLS_MAX; polls++) {
        if ((in8(PIT_GATE) & 0x20) != 0) {
            out8(PIT_GATE, gate);
            /* With no PIT the port reads all ones at once. */
            return polls < 16 ? 0 : (uint64_t)PIT_TICKS * 1000000 / PIT_HZ;
        }
    }
    out8(PIT_GATE, gate);
    return 0;
}

struct span {
    uint64_t tsc;
    uint32_t lapic;
    uint64_t microseconds;
};

static struct span measure(uint16_t pm_timer_port)
{
    struct span span;
    lapic_timer_set(UINT32_MAX);
    uint32_t lapic_start = lapic_timer_current();
    uint64_t start = tsc_read();
    span.microseconds = pm_timer_port != 0 ? wait_pm_timer(pm_timer_port) : wait_pit();
    span.tsc = tsc_read() - start;
    span.lapic = lapic_start - lapic_timer_current();
    lapic_timer_set(0);
    return span;
}

static bool calibrate(uint16_t pm_timer_port, const char *clock)
{
    struct span span = measure(pm_timer_port);
    if (span.microseconds == 0) {
        log_line("time: the %s does not run", clock);
        return false;
    }
    uint64_t khz = span.tsc * 1000 / span.microseconds;
    if (khz < KHZ_LOWEST || khz > KHZ_HIGHEST) {
        log_line("time: by the %s the TSC would run at %llu kHz, which cannot be", clock,
                 (unsigned long long)khz);
        return false;
    }
    tsc_khz = khz;
    lapic_khz = (uint64_t)span.lapic * 1000 / span.microseconds;
    log_line("time: TSC %llu.%03llu MHz, local APIC timer %llu kHz, by the %s",
             (unsigned long long)khz / 1000, (unsigned long long)khz % 1000, (unsigned long long)lapic_khz,
             clock);
    return true;
}

static void timer_interrupt(uint32_t vector);

void time_init(uint16_t pm_timer_port)
{
    bool known = pm_timer_port != 0 && calibrate(pm_timer_port, "ACPI PM timer");
    if (!known && !calibrate(0, "PIT"))
        log_line("time: no clock to measure the TSC by; taking %u MHz, so waits are too long rather than too "
                 "short, and there are no timers",
                 KHZ_ASSUMED / 1000);
    tsc_scale = time_scale_for(tsc_khz);
    tsc_scale.base = tsc_read();
    interrupt_set_handler(VECTOR_TIMER, timer_interrupt);
}

struct time_scale time_scale_for(uint64_t khz)
{
    uint64_t ns_per_tick = (1000000ull << 32) / khz; /* 32.32 fixed point */
    struct time_scale scale = {0};

    for (; ns_per_tick > UINT32_MAX; ns_per_tick >>= 1)
        scale.shift++;
    scale.mul = (uint32_t)ns_per_tick;
    return scale;
}

uint64_t time_scaled(const struct time_scale *scale, uint64_t tsc)
{
    return (uint64_t)((unsigned __int128)((tsc - scale->base) << scale->shift) * scale->mul >> 32);
}

struct time_scale time_scale(void)
{
    return tsc_scale;
}

uint64_t time_now_ns(void)
{
    return time_scaled(&tsc_scale, tsc_read());
}

uint64_t time_tsc_khz(void)
{
    return tsc_khz;
}

/* ---- timers ---- */

static void program(uint64_t now)
{
    uint64_t nearest = UINT64_MAX;
    for (uint32_t i = 0; i < TIMERS_MAX; i++) {
        if (timers[i].fn != NULL && timers[i].deadline < nearest)
            nearest = timers[i].deadline;
    }
    if (nearest == UINT64_MAX)
        return;
    uint64_t delay = nearest > now ? nearest - now : 0;
    if (delay > DELAY_MAX_NS) /* comes early and is set again */
        delay = DELAY_MAX_NS;
    uint64_t ticks = delay * lapic_khz / 1000000 + 1;
    lapic_timer_set(ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks);
}

static void timer_interrupt(uint32_t vector)
{
    (void)vector;
    uint64_t now = time_now_ns();
    for (uint32_t i = 0; i < TIMERS_MAX; i++) {
        timer_fn fn = timers[i].fn;
        if (fn == NULL || timers[i].deadline > now)
            continue;
        timers[i].fn = NULL; /* free before the call, which may start it again */
        fn();
    }
    program(time_now_ns());
}

void timer_start_at(timer_fn fn, uint64_t ns)
{
    uint32_t slot = TIMERS_MAX;

    if (lapic_khz == 0)
        return;
    for (uint32_t i = 0; i < TIMERS_MAX; i++) {
        if (timers[i].fn == fn) {
            slot = i;
            break;
        }
        if (timers[i].fn == NULL && slot == TIMERS_MAX)
            slot = i;
    }
    if (slot == TIMERS_MAX)
        return;
    timers[slot].fn = fn;
    timers[slot].deadline = ns < UINT64_MAX ? ns : UINT64_MAX - 1;
    program(time_now_ns());
}

void timer_start(timer_fn fn, uint64_t delay_ns)
{
    uint64_t deadline;

    if (__builtin_add_overflow(time_now_ns(), delay_ns, &deadline))
        deadline = UINT64_MAX;
    timer_start_at(fn, deadline);
}

void timer_stop(timer_fn fn)
{
    for (uint32_t i = 0; i < TIMERS_MAX; i++) {
        if (timers[i].fn == fn)
            timers[i].fn = NULL; /* what the interrupt finds then is nothing to do */
    }
}

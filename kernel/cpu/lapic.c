/* SPDX-License-Identifier: MIT */
#include "cpu/lapic.h"

#include "cpu/ops.h"
#include "cpu/trap.h"

#include <stddef.h>

/* Register offsets, Intel SDM volume 3, 11.4.1. In x2APIC mode the MSR is 0x800 + offset / 16. */
#define APIC_ID            0x020u
#define APIC_VERSION       0x030u
#define APIC_TPR           0x080u
#define APIC_EOI           0x0b0u
#define APIC_SPURIOUS      0x0f0u
#define APIC_ESR           0x280u
#define APIC_LVT_CMCI      0x2f0u
#define APIC_ICR           0x300u
#define APIC_LVT_TIMER     0x320u
#define APIC_LVT_THERMAL   0x330u
#define APIC_LVT_PERF      0x340u
#define APIC_LVT_LINT0     0x350u
#define APIC_LVT_LINT1     0x360u
#define APIC_LVT_ERROR     0x370u
#define APIC_TIMER_INITIAL 0x380u
#define APIC_TIMER_CURRENT 0x390u
#define APIC_TIMER_DIVIDE  0x3e0u

#define LVT_MASKED      0x10000u
#define LVT_NMI         0x400u
#define ICR_INIT_OTHERS 0xc4500u /* INIT, asserted, to all but this one */
#define ICR_PENDING     0x1000u
#define SPURIOUS_ENABLE 0x100u
#define DIVIDE_BY_16    0x3u
#define ICR_READS       100000u

#define BASE_BOOTSTRAP 0x100u
#define BASE_ENABLE    0x800u
#define BASE_X2APIC    0x400u
#define BASE_ADDRESS   0x000ffffffffff000ull

volatile uint32_t *lapic_window;
static bool x2apic;

static uint32_t read(uint32_t offset)
{
    if (x2apic)
        return (uint32_t)msr_read(0x800 + offset / 16);
    return lapic_window == NULL ? 0 : lapic_window[offset / 4];
}

static void write(uint32_t offset, uint32_t value)
{
    if (x2apic)
        msr_write(0x800 + offset / 16, value);
    else if (lapic_window != NULL)
        lapic_window[offset / 4] = value;
}

uint64_t lapic_base(void)
{
    return msr_read(MSR_APIC_BASE) & BASE_ADDRESS;
}

bool lapic_uses_window(void)
{
    return (msr_read(MSR_APIC_BASE) & BASE_X2APIC) == 0;
}

static void mask_all(void)
{
    uint32_t entries = (read(APIC_VERSION) >> 16 & 0xff) + 1;

    write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    write(APIC_LVT_LINT0, LVT_MASKED);
    /* Firmware and boards send their last words here: a stray NMI is counted and survived. */
    write(APIC_LVT_LINT1, LVT_NMI);
    write(APIC_LVT_ERROR, LVT_MASKED);
    if (entries > 4)
        write(APIC_LVT_PERF, LVT_MASKED);
    if (entries > 5)
        write(APIC_LVT_THERMAL, LVT_MASKED);
    if (entries > 6)
        write(APIC_LVT_CMCI, LVT_MASKED);
}

/* What firmware left in service would hold off everything of its class and below. */
static void drain(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        bool busy = false;
        for (uint32_t word = 0; word < 8; word++)
            busy = busy || read(APIC_ISR + word * 16) != 0;
        if (!busy)
            return;
        lapic_eoi();
    }
}

void lapic_init(volatile void *window)
{
    uint64_t base = msr_read(MSR_APIC_BASE);

    lapic_window = window;
    x2apic = (base & BASE_X2APIC) != 0;
    if ((base & BASE_ENABLE) == 0)
        msr_write(MSR_APIC_BASE, base | BASE_ENABLE);
    write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    mask_all();
    drain();
    write(APIC_TPR, 0);
    write(APIC_TIMER_DIVIDE, DIVIDE_BY_16);
    write(APIC_TIMER_INITIAL, 0);
    write(APIC_ESR, 0);
}

/* 11.6.1; in x2APIC mode nothing is ever pending (11.12.9). The bound is for a bus that does not answer. */
bool lapic_stop_others(void)
{
    if ((msr_read(MSR_APIC_BASE) & BASE_BOOTSTRAP) == 0 || (!x2apic && lapic_window == NULL))
        return false;
    write(APIC_ICR, ICR_INIT_OTHERS);
    for (uint32_t i = 0; i < ICR_READS; i++) {
        if (x2apic || (read(APIC_ICR) & ICR_PENDING) == 0)
            return true;
        cpu_pause();
    }
    return false;
}

void lapic_eoi(void)
{
    write(APIC_EOI, 0);
}

bool lapic_read_in_service(uint32_t vector)
{
    return (read(APIC_ISR + vector / 32 * 16) >> (vector % 32) & 1) != 0;
}

uint32_t lapic_id(void)
{
    return x2apic ? read(APIC_ID) : read(APIC_ID) >> 24;
}

void lapic_timer_set(uint32_t ticks)
{
    write(APIC_LVT_TIMER, ticks == 0 ? LVT_MASKED | VECTOR_TIMER : VECTOR_TIMER);
    write(APIC_TIMER_INITIAL, ticks);
}

uint32_t lapic_timer_current(void)
{
    return read(APIC_TIMER_CURRENT);
}

/* SPDX-License-Identifier: MIT */
/*
 * Time in the model machine: it goes on with every look at it, and timers fire where interrupts are let in,
 * which is at preemption points, while the CPU sleeps and while the guest runs.
 */
#include "tests/adversary/native/machine.h"
#include "tests/adversary/random.h"

#include "cpu/rtc.h"
#include "cpu/serial.h"
#include "cpu/time.h"
#include "cpu/trap.h"
#include "irq/message.h"
#include "pv/guest.h"
#include "tests/unit/fakes/irq.h"

#include <string.h>

#define TIMERS  8u
#define LOOK_NS 1000u

static struct timer {
    timer_fn fn;
    uint64_t at;
} timers[TIMERS];
static uint64_t now;

uint64_t time_now_ns(void)
{
    return now += LOOK_NS;
}

struct time_scale time_scale(void)
{
    return (struct time_scale){.mul = 1u << 31};
}

void timer_stop(timer_fn fn)
{
    for (uint32_t i = 0; i < TIMERS; i++)
        if (timers[i].fn == fn)
            timers[i].fn = NULL;
}

void timer_start_at(timer_fn fn, uint64_t ns)
{
    timer_stop(fn);
    for (uint32_t i = 0; i < TIMERS; i++)
        if (timers[i].fn == NULL) {
            timers[i] = (struct timer){fn, ns};
            return;
        }
    machine_fail("more than %u timers", TIMERS);
}

void timer_start(timer_fn fn, uint64_t delay_ns)
{
    timer_start_at(fn, now + delay_ns);
}

/* The first to fire, or NULL. */
static struct timer *next_timer(void)
{
    struct timer *first = NULL;

    for (uint32_t i = 0; i < TIMERS; i++)
        if (timers[i].fn != NULL && (first == NULL || timers[i].at < first->at))
            first = &timers[i];
    return first;
}

static bool preemption_requested;

void cpu_request_preemption(void)
{
    preemption_requested = true;
}

/* Devices try what they can. Whatever is not masked is bound, and its event asks for the guest's attention.
 */
static void devices_interrupt(void)
{
    static const uint16_t functions[] = {FAKE_DEVICE, FAKE_OTHER, FAKE_HIDDEN};
    uint16_t function = functions[random_below(&machine_random, 3)];
    uint32_t what = random_below(&machine_random, 4 + FAKE_ENTRIES + FAKE_LINES);
    bool before = preemption_requested, sent;

    preemption_requested = false;
    if (what < FAKE_LINES)
        sent = fake_irq_assert(what);
    else
        sent = fake_irq_send(function, what - FAKE_LINES < FAKE_ENTRIES ? what - FAKE_LINES : IRQ_MSI);
    progress->interrupts += sent;
    if (sent && !preemption_requested)
        machine_fail("an interrupt came, and nobody is bound to it");
    preemption_requested |= before;
}

void machine_interrupts(void)
{
    for (uint32_t i = 0; i < 4; i++)
        devices_interrupt();
    for (uint32_t i = 0; i < TIMERS; i++) {
        struct timer *timer = next_timer();

        if (timer == NULL || timer->at > now)
            return;
        timer_fn fn = timer->fn;

        timer->fn = NULL;
        fn();
    }
}

#define SLEEPS 64u

/* Sleeps until the next timer; a guest that would sleep for ever is woken by an event. */
void machine_halt(void)
{
    static uint32_t sleeps;
    struct timer *timer = next_timer();

    if (timer == NULL || timer->at > now + (1ull << 40) || ++sleeps % SLEEPS == 0) {
        guest.vcpu->evtchn_upcall_pending = 1;
        guest.vcpu->evtchn_upcall_mask = 0;
        return;
    }
    if (timer->at > now)
        now = timer->at;
    machine_interrupts();
}

bool cpu_preemption_point(void)
{
    bool requested;

    machine_interrupts();
    requested = preemption_requested;
    preemption_requested = false;
    return requested || random_below(&machine_random, 12) == 0;
}

uint64_t rtc_read(void)
{
    return 1700000000;
}

size_t serial_read(char *text, size_t count)
{
    size_t length = random_below(&machine_random, 4);

    length = length < count ? length : count;
    memset(text, 'x', length);
    return length;
}

/* SPDX-License-Identifier: MIT */
/* A guest of a few pages, two scripted hypercalls, and a crash that comes back to the test. */
#ifndef SLUICE_TEST_PV_CALLS_FAKES_H
#define SLUICE_TEST_PV_CALLS_FAKES_H

#include "cpu/time.h"
#include "cpu/trap.h"
#include "guest-abi/include/sluice/errno.h"
#include "guest-abi/include/sluice/iommu_op.h"
#include "mem/alloc.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/emulate.h"
#include "pv/guest.h"
#include "pv/hypercall.h"
#include "pv/trap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define GUEST_BASE  0x400000ull
#define GUEST_BYTES (8u * 4096u)
#define GUEST_END   (GUEST_BASE + GUEST_BYTES)

#define FAKE_FRAMES 8u /* frame 0 is what the guest has at GUEST_BASE, and so on */
#define FAKE_TIMERS 4u

struct fake_timer {
    timer_fn fn; /* NULL = free */
    uint64_t deadline;
};

struct fakes {
    _Alignas(16) uint8_t memory[GUEST_BYTES];
    /* do_mmu_update: returns `result`, and continues `continuations` times with a[1] advanced by one. */
    long result;
    unsigned int continuations, calls;
    struct hypercall_args last;
    unsigned int preemption_points, preempt_at;
    char console[8192];
    size_t console_length;
    jmp_buf crash;
    const char *crash_format;
    uint64_t loaded_l4;
    unsigned int gs_swaps;
    bool level_covers;
    bool sysenter_enabled;
    uint64_t read_only_from; /* guest address; 0 = all of it can be written */
    unsigned int preemption_requests;
    uint64_t now, rtc;
    struct fake_timer timers[FAKE_TIMERS];
    char typed[1024];             /* what the serial line has to give, ended by 0 */
    enum stop_reason stop_reason; /* of machine_stop(), which ends like a crash */
};
extern struct fakes fake;

int fresh(void **state);
void *at(uint64_t guest_address);
uint64_t word(uint64_t guest_address);

/* Runs the statement; true when it ended in guest_crash(). */
#define CRASHES(statement) (setjmp(fake.crash) ? true : ((void)(statement), false))

/* A SYSCALL at RIP - 2. */
long syscall_with(struct cpu_regs *regs, uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2);

/* Time goes on to `now`; how many timers ran. */
unsigned int run_timers(uint64_t now);

/* test_traps.c, test_events.c, test_pirqs.c; the number of tests that failed. */
int run_trap_tests(void);
int run_event_tests(void);
int run_pirq_tests(void);

#endif

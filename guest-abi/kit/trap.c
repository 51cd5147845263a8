/* SPDX-License-Identifier: MIT */
#include "kit/trap.h"

#include "kit/hypercall.h"
#include "kit/memory.h"
#include "kit/report.h"

extern const char trap_stubs[], trap_landing[], user_landing[];
extern int trap_call(void (*function)(void *), void *argument);
void trap_dispatch(struct trap_regs *regs);

#define STUB_SIZE 16

uint64_t trap_landing_stack; /* not 0: inside trap_try() */

uint64_t user_landing_stack;     /* not 0: inside user_run() */
struct trap_regs user_left_with; /* where user mode was left */

static void (*handlers[TRAP_KINDS])(struct trap_regs *);
static struct trap_result caught;

long trap_init(void)
{
    static struct trap_info table[TRAP_VECTORS + 1];
    uint32_t n = 0;
    for (uint32_t vector = 0; vector < TRAP_VECTORS; vector++) {
        /* NMI, double fault and machine check are the hypervisor's. */
        if (vector == 2 || vector == 8 || vector == 18)
            continue;
        bool from_user = vector == TRAP_BREAKPOINT || vector == 4;
        table[n++] = (struct trap_info){
            .vector = (uint8_t)vector,
            .flags = from_user ? 3 : 0,
            .cs = FLAT_RING3_CS64,
            .address = (uint64_t)(uintptr_t)trap_stubs + (uint64_t)vector * STUB_SIZE,
        };
    }
    return set_trap_table(table);
}

void trap_set_handler(uint32_t vector, void (*handler)(struct trap_regs *regs))
{
    if (vector < TRAP_KINDS)
        handlers[vector] = handler;
}

/* Goes on in the kernel, whatever was running: it may have been 32-bit code, or user mode. */
static void land(struct trap_regs *regs, const char *landing, uint64_t stack)
{
    regs->rip = (uint64_t)(uintptr_t)landing;
    regs->rsp = stack;
    regs->ss = FLAT_RING3_SS64;
    regs->cs = (regs->cs & ~0xfffful) | (FLAT_RING3_CS64 & ~3);
    regs->rflags &= ~(1ul << 18 | 1ul << 14 | 1ul << 10 | 1ul << 8); /* AC, NT, DF, TF */
}

/* True when user_run() or trap_try() waits for this exception: it ends there. */
static bool __attribute__((noinline)) awaited(struct trap_regs *regs, uint64_t address)
{
    if (user_landing_stack && trap_from_user(regs)) {
        user_left_with = *regs;
        land(regs, user_landing, user_landing_stack);
        return true;
    }
    if (!trap_landing_stack || regs->vector == TRAP_EVENT)
        return false;
    caught = (struct trap_result){
        .trapped = true,
        .vector = (uint32_t)regs->vector,
        .error_code = (uint32_t)regs->error_code,
        .rip = regs->rip,
        .address = regs->vector == TRAP_PAGE_FAULT ? address : 0,
    };
    land(regs, trap_landing, trap_landing_stack);
    return true;
}

void trap_dispatch(struct trap_regs *regs)
{
    uint64_t address = vcpu_info ? vcpu_info->arch.cr2 : 0;
    if ((trap_landing_stack || user_landing_stack) && awaited(regs, address))
        return;
    if (regs->vector < TRAP_KINDS && handlers[regs->vector]) {
        handlers[regs->vector](regs);
        return;
    }
    report_error("guest: exception %lu, error code 0x%lx, at 0x%lx, stack 0x%lx, CR2 0x%lx", regs->vector,
                 regs->error_code, regs->rip, regs->rsp, address);
}

struct trap_result trap_try(void (*function)(void *argument), void *argument)
{
    caught = (struct trap_result){.trapped = false};
    trap_call(function, argument);
    return caught;
}

static void read_once(void *address)
{
    (void)*(const volatile uint8_t *)address;
}

/* Changes nothing, and is no store that the hypervisor does for the guest where the page is read-only. */
static void write_once(void *address)
{
    __asm__ volatile("lock subb $0, (%0)" : : "r"(address) : "memory", "cc");
}

bool trap_read_works(const volatile void *address, struct trap_result *result)
{
    struct trap_result seen = trap_try(read_once, (void *)(uintptr_t)address);
    if (result)
        *result = seen;
    return !seen.trapped;
}

bool trap_write_works(volatile void *address, struct trap_result *result)
{
    struct trap_result seen = trap_try(write_once, (void *)(uintptr_t)address);
    if (result)
        *result = seen;
    return !seen.trapped;
}

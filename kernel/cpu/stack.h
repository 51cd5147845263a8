/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's stacks. Each has a guard page below it that mem/ leaves unmapped, so that running off
 * the end is a double fault with a name and not a silent overwrite. entry.S and start.S use this header too.
 */
#ifndef SLUICE_CPU_STACK_H
#define SLUICE_CPU_STACK_H

#define STACK_GUARD 4096
#define STACK_SIZE  16384

#define STACK_MAIN  0 /* SYSCALL, exceptions and interrupts from the guest, and the boot itself */
#define STACK_NMI   1 /* the rest by interrupt stack table, whose entry has the same number */
#define STACK_DF    2
#define STACK_MC    3
#define STACK_DB    4
#define STACK_COUNT 5

#define STACK_MAIN_TOP (STACK_GUARD + STACK_SIZE) /* from the beginning of cpu_stacks */

#ifndef __ASSEMBLER__
#include <stdbool.h>
#include <stdint.h>

struct guarded_stack {
    uint8_t guard[STACK_GUARD];
    uint8_t stack[STACK_SIZE];
} __attribute__((aligned(4096)));
_Static_assert(sizeof(struct guarded_stack) == STACK_MAIN_TOP, "entry.S depends on it");

extern struct guarded_stack cpu_stacks[STACK_COUNT];

static inline uint64_t stack_top(unsigned index)
{
    return (uint64_t)(uintptr_t)(&cpu_stacks[index] + 1);
}

/* Name of the stack whose guard page holds the address, or NULL. */
const char *stack_guard_hit(uint64_t address);

/* True when [address, address + size) lies inside one stack. */
bool stack_holds(uint64_t address, uint64_t size);
#endif

#endif

/* SPDX-License-Identifier: MIT */
#include "cpu/stack.h"

#include <stddef.h>

struct guarded_stack cpu_stacks[STACK_COUNT];

static const char *const names[STACK_COUNT] = {"main", "NMI", "double-fault", "machine-check", "debug"};

const char *stack_guard_hit(uint64_t address)
{
    for (unsigned i = 0; i < STACK_COUNT; i++) {
        if (address - (uint64_t)(uintptr_t)cpu_stacks[i].guard < STACK_GUARD)
            return names[i];
    }
    return NULL;
}

bool stack_holds(uint64_t address, uint64_t size)
{
    for (unsigned i = 0; i < STACK_COUNT; i++) {
        uint64_t offset = address - (uint64_t)(uintptr_t)cpu_stacks[i].stack;
        if (offset < STACK_SIZE && size <= STACK_SIZE - offset)
            return true;
    }
    return false;
}

/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "registers.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define BYTES         (REGISTERS_PAGES * 4096u)
#define FAULT_WRITES  2 /* bit of a page fault's error code */
#define TRAP_FLAG     0x100
#define NOT_REGISTERS 139

static uint8_t *memory;
static register_read_fn on_read;
static register_write_fn on_write;
static struct {
    uint32_t offset;
    bool write;
} under_way;

static void on_fault(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uint64_t offset = (uint64_t)(uintptr_t)info->si_addr - (uint64_t)(uintptr_t)memory;

    (void)number;
    if (offset >= BYTES || offset % 4 != 0)
        _Exit(NOT_REGISTERS);
    mprotect(memory, BYTES, PROT_READ | PROT_WRITE);
    under_way.offset = (uint32_t)offset;
    under_way.write = (registers[REG_ERR] & FAULT_WRITES) != 0;
    uint32_t value = under_way.write ? 0 : on_read(under_way.offset);
    memcpy(memory + offset, &value, sizeof value);
    registers[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int number, siginfo_t *info, void *context)
{
    uint32_t value;

    (void)number;
    (void)info;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
    memcpy(&value, memory + under_way.offset, sizeof value);
    mprotect(memory, BYTES, PROT_NONE);
    if (under_way.write)
        on_write(under_way.offset, value);
}

void registers_arm(void)
{
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct sigaction step = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};

    sigaction(SIGSEGV, &fault, NULL);
    sigaction(SIGTRAP, &step, NULL);
}

volatile uint8_t *registers_init(register_read_fn read, register_write_fn write)
{
    on_read = read;
    on_write = write;
    memory = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    return memory;
}

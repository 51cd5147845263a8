/* SPDX-License-Identifier: MIT */
/*
 * The end of the road for faults of the hypervisor's own making. Never reachable by what a guest or a
 * device does.
 */
#ifndef SLUICE_CPU_PANIC_H
#define SLUICE_CPU_PANIC_H

#include "cpu/regs.h"

#include <stddef.h>
#include <stdint.h>

/* Prints the message, registers (regs may be NULL) and a symbolised backtrace, runs the stop hook, halts. */
_Noreturn void panic(const struct cpu_regs *regs, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Called once by panic() before the halt: prints the summary and pokes the exit port. */
typedef void (*panic_stop_fn)(void);
void panic_set_stop(panic_stop_fn stop);

/* Copies nothing: both tables must stay mapped. Sizes in bytes; bounds are checked at every use. */
void panic_set_symbols(const void *symtab, size_t symtab_size, const char *strtab, size_t strtab_size,
                       uint64_t load_offset);

#endif

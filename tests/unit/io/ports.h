/* SPDX-License-Identifier: MIT */
/* A guest with a few pages, ports below it, and one instruction at a time. */
#ifndef SLUICE_TEST_PORTS_H
#define SLUICE_TEST_PORTS_H

#include "acpi/acpi.h"
#include "pv/emulate.h"
#include "pv/guest.h"
#include "tests/unit/fakes/pci_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define OWN_FIRST 0xc000u
#define OWN_END   0xc040u
#define PM_TIMER  0x608u

#define CODE_PAGE  0x400000ull
#define CODE_BYTES 8192u

extern uint8_t code[CODE_BYTES]; /* the guest's memory, at CODE_PAGE */
extern bool second_page;         /* else it ends after one */
extern uint64_t read_only;       /* bytes from the beginning */
extern uint32_t byte_fetched[CODE_BYTES];

/* The last configuration access, and how many there were. */
struct config_access {
    uint16_t id, offset;
    uint8_t bytes;
    uint32_t value;
    uint32_t reads, writes;
};
extern struct config_access config;

#define SEGMENT_ELSEWHERE 0x43 /* the selector of the one segment that does not begin at 0 */

extern struct acpi_power power;
extern jmp_buf machine; /* where machine_stop() goes, with the reason */
extern uint32_t mode_changes, page_faults, steps;
extern uint64_t page_fault_error;
extern struct cpu_regs regs;

int reset(void **state);
void set_level(uint32_t level);

/* The emulator at RIP, but only for instructions of ports. */
bool guest_io_emulate(struct cpu_regs *at);

bool run_at(size_t offset, const uint8_t *bytes, size_t size);
#define RUN(...) run_at(0, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

uint32_t in(uint16_t port, uint32_t bytes);
void out(uint16_t port, uint32_t bytes, uint32_t value);
void assert_last_access(uint16_t port, uint32_t bytes, bool write, uint32_t value);

/* insn_test.c; the number of tests that failed. */
int run_instruction_tests(void);

#endif

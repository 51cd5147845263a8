/* SPDX-License-Identifier: MIT */
/*
 * QEMU as a set of device models without a program: its CPU halts at reset, and the test reads and writes
 * registers over the qtest socket. Guest RAM is a shared file that is mapped here.
 */
#ifndef SLUICE_TESTS_QTEST_H
#define SLUICE_TESTS_QTEST_H

#include <stdint.h>

#define QTEST_RAM_BYTES (64ull << 20)

/* Starts QEMU with these further arguments (NULL ends them). Fails the test when it does not come up. */
void qtest_start(const char *const *arguments);
/* Ends QEMU; its trace is complete after that. */
void qtest_stop(void);

/* Lines of QEMU's trace that name this event. Only after qtest_stop(). */
uint32_t qtest_trace_count(const char *event);
/* The index-th of them, from the event's name on, or NULL. */
const char *qtest_trace_line(const char *event, uint32_t index);

/* Raises and lowers a pin of the IO-APIC. */
void qtest_pulse_pin(uint32_t pin);

/* The first number of QEMU's version; 0 when it does not say. */
uint32_t qtest_version(void);

uint8_t *qtest_ram(void);
uint32_t qtest_read32(uint64_t physical);
uint64_t qtest_read64(uint64_t physical);
void qtest_write32(uint64_t physical, uint32_t value);
void qtest_write64(uint64_t physical, uint64_t value);
uint32_t qtest_pci_read(uint16_t id, uint16_t offset, uint8_t bytes);
void qtest_pci_write(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Device registers in memory whose every access is seen: the pages fault, the access is made by a single
 * step, and the device behaves before a read and after a write.
 */
#ifndef SLUICE_TESTS_IRQ_REGISTERS_H
#define SLUICE_TESTS_IRQ_REGISTERS_H

#include <stdint.h>

#define REGISTERS_PAGES 64u

/* What is read at the offset; what happens when it is written. 32 bits each. */
typedef uint32_t (*register_read_fn)(uint32_t offset);
typedef void (*register_write_fn)(uint32_t offset, uint32_t value);

/* The memory, REGISTERS_PAGES pages; called once. */
volatile uint8_t *registers_init(register_read_fn read, register_write_fn write);

/* Takes the signals: cmocka does for each test and each setup. */
void registers_arm(void);

#endif

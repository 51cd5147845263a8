/* SPDX-License-Identifier: MIT */
/* A machine with firmware memory for tests of kernel/acpi: windows on it, frames for copies, ports. */
#ifndef SLUICE_TESTS_FIRMWARE_H
#define SLUICE_TESTS_FIRMWARE_H

#include <stddef.h>
#include <stdint.h>

#define FIRMWARE_BASE 0x7f000000ull
#define FIRMWARE_SIZE 0x10000u

extern uint8_t firmware[FIRMWARE_SIZE];

/* Called after every look at firmware memory; may change it under the reader's feet. May be NULL. */
extern void (*firmware_after_read)(uint32_t reads);
extern uint32_t firmware_windows_open;
extern int64_t firmware_frames_left; /* frames_alloc() fails below 0 */
extern int64_t firmware_frames_held;

extern uint16_t firmware_port_written[4], firmware_port_value[4];
extern uint32_t firmware_port_writes;
extern uint16_t firmware_pm1_value;

void firmware_reset(void);

#endif

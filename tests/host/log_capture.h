/* SPDX-License-Identifier: MIT */
/* The hypervisor's log, kept in memory for host-side tests. */
#ifndef SLUICE_TESTS_LOG_CAPTURE_H
#define SLUICE_TESTS_LOG_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

void captured_clear(void);
/* How many lines hold this text; 0 when none does. */
uint32_t captured_count(const char *text);
/* Prints what was logged, for a failing test's reader. */
void captured_dump(void);

#endif

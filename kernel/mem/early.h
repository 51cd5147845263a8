/* SPDX-License-Identifier: MIT */
/*
 * Memory before there is a frame table: from the top of the largest free range downwards. Frames that boot
 * services held are avoided, because firmware's page tables are in use until the switch.
 */
#ifndef SLUICE_MEM_EARLY_H
#define SLUICE_MEM_EARLY_H

#include <stdbool.h>
#include <stdint.h>

/* Finds the range, and in it contiguous memory for the frame table (not zeroed). False after saying why. */
bool early_init(uint64_t table_bytes, uint64_t *table_physical);

/* A zeroed frame, MFN; 0 when none is left. Only before the switch. */
uint64_t early_take(void);

/* What was taken by early_take(): frames from first on. */
void early_taken(uint64_t *first, uint64_t *count);

#endif

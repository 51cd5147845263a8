/* SPDX-License-Identifier: MIT */
/* What the files of the measuring guest share. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>

/* A preparation that prepares nothing. */
void nothing(uint64_t n);

/* The least ticks of run(n) in several tries, each after prepare(n). */
uint64_t least(void (*prepare)(uint64_t), void (*run)(uint64_t), uint64_t n);

/* Prints the line of what was measured, and of n elements. */
void show_ticks(const char *name, uint64_t n, uint64_t ticks);
void show(const char *name, void (*prepare)(uint64_t), void (*run)(uint64_t), uint64_t n);

/* entries.c: calls that change page tables. mfns: frames of the guest's, mapped nowhere, that may be mapped.
 */
#define TABLE_ENTRIES 512u
void page_table_rows(const uint64_t mfns[TABLE_ENTRIES]);

/* traps.c: ways out of the guest and back into it. */
void trap_rows(void);

#endif

/* SPDX-License-Identifier: MIT */
/* Where the frame table lies and how it is filled. Its records and their rules are in mem/frame.h. */
#ifndef SLUICE_MEM_FRAME_TABLE_H
#define SLUICE_MEM_FRAME_TABLE_H

#include "mem/frame.h"
#include "mem/page_table.h"

/*
 * Part one, on the old tables: reserves memory for the records of all RAM and maps it in the new ones. A
 * stretch of 256 MiB without any RAM costs nothing: its records are one read-only page of zeros, which reads
 * as FRAME_NOT_RAM.
 */
uint64_t frame_table_need(void); /* bytes, 2 MiB-aligned first */
bool frame_table_map(const struct page_tables *tables, uint64_t physical, uint64_t zero_page);

/* Part two, on the new tables: fills the records from the memory map. */
void frame_table_fill(void);

/* Sets the owner of a run of frames that have writable records. */
void frame_table_set_owner(uint64_t mfn, uint64_t count, enum frame_owner owner);

#endif

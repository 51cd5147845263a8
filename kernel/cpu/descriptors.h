/* SPDX-License-Identifier: MIT */
/*
 * Segments, the task state with its stacks, and the interrupt table.
 *
 * The hypervisor's descriptors live in page 14 of the GDT, where every PV guest expects the flat ones; pages
 * 0 to 13 belong to the guest and stay empty until it has a GDT of its own.
 */
#ifndef SLUICE_CPU_DESCRIPTORS_H
#define SLUICE_CPU_DESCRIPTORS_H

#define GDT_RESERVED_PAGE 14
#define SELECTOR_CODE     0xe008 /* ring 0 */
#define SELECTOR_DATA     0xe010
#define SELECTOR_USER32   0xe023 /* ring 3 */
#define SELECTOR_USER_SS  0xe02b
#define SELECTOR_USER64   0xe033
#define SELECTOR_TSS      0xe040 /* two slots, as the next */
#define SELECTOR_LDT      0xe050

#ifndef __ASSEMBLER__
#include <stdint.h>

/* Loads GDT, TSS and IDT. The GDT's first 14 pages have no mapping yet, and nobody names them yet. */
void descriptors_init(void);

/* The page that is GDT page 14, and the table's new place once all 15 pages are mapped in a row. */
const void *descriptors_gdt_page(void);
void descriptors_move_gdt(uint64_t base);

/* The LDT: entries (at most 8192) at an address of the hypervisor's; 0 entries = none. */
void descriptors_load_ldt(uint64_t base, uint32_t entries);
#endif

#endif

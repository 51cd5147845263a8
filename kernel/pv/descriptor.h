/* SPDX-License-Identifier: MIT */
/*
 * The guest's segment descriptors: its pages of the GDT, and its LDT. A page that is one has the type
 * FRAME_TYPE_SEGMENT, so that all it holds was judged and the guest cannot write it.
 */
#ifndef SLUICE_PV_DESCRIPTOR_H
#define SLUICE_PV_DESCRIPTOR_H

#include <stdint.h>

/*
 * Judges the 512 descriptors of a page, and makes those that are present ones of ring 3 that the processor
 * never writes (accessed already). 0, or -EINVAL and the page as it was.
 */
int segment_page_check(uint64_t *page);

/*
 * MMUEXT_SET_LDT: entries from a page-aligned guest address; 0 entries takes the LDT away. 0; -EINVAL an
 * address that is not aligned or not mapped to the guest's own memory, more than 8192 entries, or a page that
 * cannot be of descriptors. types_settle() is owed.
 */
long descriptor_set_ldt(uint64_t address, uint32_t entries);

/* Where the segment of a selector begins, by the table as it is now. The processor accepts it for LAR. */
uint64_t segment_base(uint16_t selector);

#endif

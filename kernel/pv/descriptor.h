/* SPDX-License-Identifier: MIT */
/* Descriptor tables of the guest. */
#ifndef SLUICE_PV_DESCRIPTOR_H
#define SLUICE_PV_DESCRIPTOR_H

#include <stdint.h>

/* Judges the 512 descriptors of a page. 0 or -EINVAL. */
int segment_page_check(uint64_t *page);

/* MMUEXT_SET_LDT: 0 entries takes it away. */
long descriptor_set_ldt(uint64_t address, uint32_t entries);

#endif

/* SPDX-License-Identifier: MIT */
/* Changing an L1 entry for somebody else than the two hypercalls. */
#ifndef SLUICE_PV_MMU_H
#define SLUICE_PV_MMU_H

#include <stdint.h>

/*
 * If *entry still is *old: judges value, takes its references, puts it in, and lets the old one go after a
 * flush of the TLB. 0; -EAGAIN it was not, and *old is what it is; or what l1_entry_get() gives.
 */
int l1_compare_and_update(uint64_t *entry, uint64_t *old, uint64_t value);

#endif

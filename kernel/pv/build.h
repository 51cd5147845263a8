/* SPDX-License-Identifier: MIT */
/* What the parts of building a guest share: its P2M list while it is being built, and its page tables. */
#ifndef SLUICE_PV_BUILD_H
#define SLUICE_PV_BUILD_H

#include "pv/layout.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Types the table frames, links them, maps every page of the guest's initial memory and loads the L4 into
 * guest.l4_mfn. p2m: the list in the hypervisor's memory. False when a frame would not take its type.
 */
bool guest_tables_build(const struct guest_layout *layout, const uint64_t *p2m);

#endif

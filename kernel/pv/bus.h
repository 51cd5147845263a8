/* SPDX-License-Identifier: MIT */
/*
 * The guest's bus address space: its context, the map its devices find at boot, and which devices those are.
 * Options: iommu-mode=owned|none, premap=on|off, continue-every=N.
 */
#ifndef SLUICE_PV_BUS_H
#define SLUICE_PV_BUS_H

#include <stdbool.h>
#include <stdint.h>

/* Reads the options into guest.iommu_mode, premap and continue_every; false after saying that a mode is not
 * offered. */
bool guest_bus_options(void);

/*
 * Creates the guest's context with a table quota for guest_frames frames, before those are allocated (the
 * quota is set aside at once). Nothing to do with iommu=off or mode none. False after saying why.
 */
bool guest_bus_create(uint64_t guest_frames);

/* Maps the guest's own frames at BFN = MFN (tables with W withheld), then attaches its devices. Call when
 * every frame has its type. False after saying why. */
bool guest_bus_open(void);

#endif

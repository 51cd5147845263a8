/* SPDX-License-Identifier: MIT */
/*
 * The guest's bus address space: its context, the map its devices find at boot, and which devices those are.
 * Options: iommu-mode=owned|relaxed|draft-a-literal|none, strict, premap=on|off, continue-every=N.
 */
#ifndef SLUICE_PV_BUS_H
#define SLUICE_PV_BUS_H

#include <stdbool.h>
#include <stdint.h>

/* Reads the options into guest.iommu_mode, premap and continue_every; false after saying that a mode is none.
 */
bool guest_bus_options(void);

/*
 * Creates the guest's context with a table quota for guest_frames frames, before those are allocated (the
 * quota is set aside at once). Nothing to do with iommu=off or mode none. False after saying why.
 */
bool guest_bus_create(uint64_t guest_frames);

/*
 * Attaches the guest's devices, then maps its own frames at BFN = MFN (tables with W withheld); or, in the
 * modes that trust it, all free memory as well. Call when every frame has its type and the hypervisor needs
 * no more memory of its own. False after saying why.
 */
bool guest_bus_open(void);

/* The mode in force, as the option names it. */
const char *guest_bus_mode(void);

/*
 * Frames that have become the guest's come on the bus as the boot-time ones did, where the guest has put
 * nothing else; one that is to leave goes. guest_bus_flush() is owed. 0; -ENOMEM no table page; -EIO.
 */
int guest_bus_open_frames(uint64_t mfn, uint64_t frames);
int guest_bus_close_frame(uint64_t mfn);
int guest_bus_flush(void);

#endif

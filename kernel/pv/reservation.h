/* SPDX-License-Identifier: MIT */
/*
 * Frames that leave the guest and frames that come to it. A frame leaves in three steps, since the last but
 * one may fail: it is added to a list, the bus lets go of it, it is nobody's. One that devices still reach by
 * entries that the guest made stays parked until the last of them is gone.
 */
#ifndef SLUICE_PV_RESERVATION_H
#define SLUICE_PV_RESERVATION_H

#include "pv/guest.h"

#include <stdint.h>

/* ---- out ---- */

/* Frames on their way out, linked through their records; all zeros is an empty list. */
struct leaving {
    uint64_t first, count;
};

/*
 * 0; -EINVAL the frame is not the guest's, or on its way already; -EBUSY something but its devices holds it:
 * a page-table entry, a type, the hypervisor; or more bus entries without W than are counted.
 */
int leaving_add(struct leaving *list, uint64_t mfn);

/* The hypervisor's bus entries of all of them are gone, and forgotten. -EIO: an IOMMU did not answer. */
int leaving_close_bus(const struct leaving *list);

/* They are no longer the guest's: zeroed, and free or parked. */
void leaving_finish(struct leaving *list);

/* Or they stay after all. */
void leaving_cancel(struct leaving *list);

/* ---- in ---- */

/*
 * 2^order zeroed frames below 2^mfn_bits for the PFNs from pfn on, on the bus like all others. The bus is for
 * the caller to flush. 0; -ENOMEM no such memory, or no table page for the bus; -EIO.
 */
int extent_gain(uint32_t order, uint32_t mfn_bits, uint64_t pfn, uint64_t *mfn);

/* Undoes it. The guest has not run meanwhile. */
void extent_lose(uint64_t mfn, uint32_t order);

/* What XENMEM_* structures ask of a new extent: MFN bits of "below so many address bits", 0 = anywhere. */
uint32_t extent_mfn_bits(uint32_t mem_flags);

/* ---- the calls; argument is the address of the structure ---- */

/* From extent `start` on; how many are done, the first ones among them, or -EINVAL, -EFAULT, -ESRCH. */
long decrease_reservation(struct cpu_regs *regs, const struct hypercall_args *args, uint64_t start);
long populate_physmap(struct cpu_regs *regs, const struct hypercall_args *args, uint64_t start);

/* exchange.c. All or nothing. */
long memory_exchange(uint64_t argument);

/* There is no other domain. */
static inline bool reservation_is_own(domid_t domid)
{
    return domid == DOMID_SELF || domid == 0;
}

#define MEMOP_COMMAND_BITS 6u /* above them: the extent that a preempted call goes on with */

#endif

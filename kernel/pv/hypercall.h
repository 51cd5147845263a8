/* SPDX-License-Identifier: MIT */
/* What the hypercall files of pv/ share among themselves; guest.h has the handlers. */
#ifndef SLUICE_PV_HYPERCALL_H
#define SLUICE_PV_HYPERCALL_H

#include "pv/guest.h"

#include <stdbool.h>
#include <stdint.h>

/* Runs the handler of a slot and counts the call; -ENOSYS for a slot that has none. */
long hypercall_dispatch(struct cpu_regs *regs, uint64_t slot, const struct hypercall_args *args);

/* A slot below HYPERCALL_SLOTS that has a handler. */
bool hypercall_is_known(uint32_t slot);

/*
 * Set by what takes as long as many small requests (a whole table, a flush of the caches, an exchange):
 * whoever loops over requests then asks for a preemption point at once.
 */
extern bool hypercall_was_long;

/* Inside a multicall: keeps the advanced arguments for the running entry. False outside one. */
bool multicall_continue(const struct hypercall_args *args);
bool multicall_running(void);

/*
 * PHYSDEVOP_iommu_map: one struct iommu_map_op at a guest address, mapped (or unmapped when both flags are
 * clear) and flushed before the return. The result is the element's status; -ENOSYS with the feature off,
 * -EFAULT when the element cannot be read or its status written, -EIO when the flush failed.
 */
long iommu_map_one(uint64_t address);

#endif

/* SPDX-License-Identifier: MIT */
/* Where the guest kernel's tables lead an address. */
#ifndef SLUICE_PV_WALK_H
#define SLUICE_PV_WALK_H

#include <stddef.h>
#include <stdint.h>

/* The L1 that the last walk ended in, and the 2 MiB it is for; see walk_forget(). */
extern uint64_t *walk_l1;
extern uint64_t walk_l1_key;

#define WALK_KEY(address) ((address) >> 21)

/* The L1 entry of an address by the kernel L4 in use, or NULL when an entry above leads to no table. */
uint64_t *walk_from_l4(uint64_t address);
static inline uint64_t *walk_to_l1_entry(uint64_t address)
{
    return WALK_KEY(address) == walk_l1_key ? &walk_l1[address >> 12 & 511] : walk_from_l4(address);
}

/* After every change of the kernel's L4 in use, or of an entry of an L2 to L4. */
static inline void walk_forget(void)
{
    walk_l1_key = UINT64_MAX;
}

#endif

/* SPDX-License-Identifier: MIT */
/* One hypercall with random arguments, for every slot there is and some that there are not. */
#ifndef SLUICE_ADVERSARY_CALLS_H
#define SLUICE_ADVERSARY_CALLS_H

#include "guest-abi/include/sluice/physdev.h"

#include <stdint.h>

struct call {
    uint64_t slot, a[5];
    const char *name;
};

/* Any call but a multicall. */
struct call any_call(void);

/* A call that would take away what a fragile world lives by, or the world itself, is not among them. */
struct call any_mmu_update(void);
struct call any_iommu_op(void);
struct call any_mmuext_op(void);

/* interrupts.c: mapping, binding and giving up interrupts of devices. */
struct call any_interrupt_call(void);
struct physdev_map_pirq any_map(void);

/* instructions.c: something that ring 3 may not execute, with random registers. */
void execute_something(void);

/* Commands of mmuext_op: public ABI. */
#define PIN_L1           0u /* to PIN_L4 = 3 */
#define UNPIN            4u
#define NEW_BASEPTR      5u
#define NEW_USER_BASEPTR 15u

#endif

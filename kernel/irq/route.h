/* SPDX-License-Identifier: MIT */
/* Vectors of this CPU for devices, and how an interrupt gets to one: through the IOMMU where it remaps
 * interrupts. */
#ifndef SLUICE_IRQ_ROUTE_H
#define SLUICE_IRQ_ROUTE_H

#include "cpu/trap.h"
#include "drivers/iommu/iommu.h"

#include <stdbool.h>
#include <stdint.h>

/* Vectors for devices, below the hypervisor's own. */
#define IRQ_FIRST_VECTOR 0x40u
#define IRQ_LAST_VECTOR  0xefu
#define IRQ_VECTORS      (IRQ_LAST_VECTOR - IRQ_FIRST_VECTOR + 1)

struct irq_route {
    uint32_t vector;
    uint16_t segment, requester_id;
    uint32_t entry; /* of the IOMMU's table */
    bool remapped;
    struct iommu_message message; /* what its sender must be programmed with */
};

/*
 * Takes a vector, whose interrupts go to the handler, and an entry of the IOMMU that only this requester id
 * may use. 0; -ENOSPC vectors or entries are used up; -ENODEV no unit covers the requester; -ENOMEM; -EIO the
 * unit is dead.
 */
int irq_route_open(struct irq_route *route, uint16_t segment, uint16_t requester_id, bool level,
                   interrupt_fn handler);

/* Edge or level. 0, or -EIO. */
int irq_route_set(struct irq_route *route, bool level);

/* Blocks it, whatever its sender does, and gives the vector back. */
void irq_route_close(struct irq_route *route);

#endif

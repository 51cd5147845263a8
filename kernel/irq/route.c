/* SPDX-License-Identifier: MIT */
#include "irq/route.h"

#include "cpu/lapic.h"
#include "guest-abi/include/sluice/errno.h"
#include "irq/irq.h"

static bool taken[IRQ_VECTORS];
static uint32_t last_taken = IRQ_VECTORS - 1;

/* The next one after the last: an interrupt on its way to a vector's old owner should not meet a new one. 0
 * when all are taken. */
static uint32_t free_vector(void)
{
    for (uint32_t i = 1; i <= IRQ_VECTORS; i++) {
        uint32_t index = (last_taken + i) % IRQ_VECTORS;

        if (!taken[index])
            return IRQ_FIRST_VECTOR + index;
    }
    return 0;
}

int irq_route_set(struct irq_route *route, bool level)
{
    const struct iommu_interrupt interrupt = {
        .vector = (uint8_t)route->vector, .level = level, .destination = lapic_id()};

    if (route->remapped)
        return iommu_interrupt_set(route->segment, route->requester_id, route->entry, &interrupt,
                                   &route->message);
    struct irq_msi message = irq_msi_for(route->vector);
    route->message = (struct iommu_message){message.address, message.data};
    return 0;
}

int irq_route_open(struct irq_route *route, uint16_t segment, uint16_t requester_id, bool level,
                   interrupt_fn handler)
{
    int error = 0;

    *route = (struct irq_route){.vector = free_vector(),
                                .segment = segment,
                                .requester_id = requester_id,
                                .remapped = iommu_interrupts_remapped()};
    if (route->vector == 0)
        return -ENOSPC;
    if (route->remapped)
        error = iommu_interrupt_allocate(segment, requester_id, &route->entry);
    if (error != 0)
        return error;
    last_taken = route->vector - IRQ_FIRST_VECTOR;
    taken[last_taken] = true;
    interrupt_set_handler(route->vector, handler);
    error = irq_route_set(route, level);
    if (error != 0)
        irq_route_close(route);
    return error;
}

void irq_route_close(struct irq_route *route)
{
    /* After an error the unit is dead, and lets nothing through. */
    if (route->remapped)
        (void)iommu_interrupt_free(route->segment, route->requester_id, route->entry);
    interrupt_set_handler(route->vector, NULL);
    taken[route->vector - IRQ_FIRST_VECTOR] = false;
}

/* SPDX-License-Identifier: MIT */
/*
 * Interrupts by wire: the inputs of the IO-APICs, by firmware's numbers for them ("GSI"). A level stays
 * masked from its interrupt until irq_line_end(), however long that takes: what holds the wire cannot keep
 * the CPU.
 */
#ifndef SLUICE_IRQ_IOAPIC_H
#define SLUICE_IRQ_IOAPIC_H

#include "cpu/trap.h"

#include <stdbool.h>
#include <stdint.h>

#define IRQ_LINES_MAX 256u

/* Finds the IO-APICs and masks every input that firmware may have left open. */
void irq_ioapic_init(void);

/*
 * Takes the input, masked; handler gets *vector. It must call irq_line_arrived() first. 0; -ENODEV no such
 * input, or none that the IOMMU knows; -EEXIST open already; others as of irq_route_open().
 */
int irq_line_open(uint32_t gsi, interrupt_fn handler, uint32_t *vector);
void irq_line_close(uint32_t gsi);

/* Opens the input's mask or closes it. gsi: open. */
void irq_line_mask(uint32_t gsi, bool masked);

/* Level or edge, low or high: edge and high for the inputs of ISA, 0 to 15, level and low for others until
 * this was called. 0; -EEXIST called before; -ENODEV no such input; -EIO the unit does not answer. */
int irq_line_configure(uint32_t gsi, bool level, bool low);

/* An interrupt of the line has come: a level is held. gsi: open. */
void irq_line_arrived(uint32_t gsi);

/* Whoever the interrupt was for has seen to it. */
void irq_line_end(uint32_t gsi);

bool irq_line_is_level(uint32_t gsi);

#endif

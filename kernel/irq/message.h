/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of devices by message: MSI, and entries of MSI-X tables. Each has a vector of this CPU, and an
 * entry of the IOMMU's table that only its function's requester id may use; the message in the device is the
 * hypervisor's.
 */
#ifndef SLUICE_IRQ_MESSAGE_H
#define SLUICE_IRQ_MESSAGE_H

#include "cpu/trap.h"
#include "pci/pci.h"

#include <stdbool.h>
#include <stdint.h>

#define IRQ_MSI UINT32_MAX /* in the place of an MSI-X entry's index */

/*
 * Programs the function's MSI, or that entry of its MSI-X table, masked where the device can mask. handler
 * gets *vector whenever the device sends. function must stay valid. 0; -ENODEV no such capability or entry;
 * -EEXIST open already; -EBUSY the function uses the other kind; -ENOSPC vectors, tables or the IOMMU's
 * entries are used up; -ENXIO the function does not answer at its window; -ENOMEM; -EIO the unit does not
 * answer.
 */
int irq_message_open(const struct pci_function *function, uint32_t entry, interrupt_fn handler,
                     uint32_t *vector);

/* Blocks it; with the last one of a function its capability is switched off. vector: of irq_message_open().
 */
void irq_message_close(uint32_t vector);

/*
 * Masks it in the device. An MSI without mask bits goes on, and its handler is called. A function that does
 * not answer at its window has MSI-X switched off instead, until irq_message_is_harmless() is asked.
 */
void irq_message_mask(uint32_t vector, bool masked);

/* Programs all of a function's again, as after a reset. */
void irq_message_restore(const struct pci_function *function);

/*
 * Whether the function may have MSI or MSI-X switched on: all that it could send then is masked, or was
 * opened here. With MSI-X its table is looked at, and masked, when that was not done before.
 */
bool irq_message_is_harmless(const struct pci_function *function, bool msix);

#endif

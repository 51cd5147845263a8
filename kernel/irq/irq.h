/* SPDX-License-Identifier: MIT */
/* Who gets which interrupt: the hypervisor's own vectors, the legacy PIC silenced, IO-APIC pins masked. */
#ifndef SLUICE_IRQ_IRQ_H
#define SLUICE_IRQ_IRQ_H

#include <stdint.h>

/* Masks the 8259s and every IO-APIC pin that firmware may have left open. */
void irq_init(void);

/* Address and data of a compatibility-format MSI that reaches this CPU with that vector. */
struct irq_msi {
    uint64_t address;
    uint32_t data;
};
struct irq_msi irq_msi_for(uint32_t vector);

#endif

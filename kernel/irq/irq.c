/* SPDX-License-Identifier: MIT */
#include "irq/irq.h"

#include "cpu/io.h"
#include "cpu/lapic.h"
#include "irq/ioapic.h"

/* ---- the pair of 8259s ---- */

#define PIC_COMMAND(chip) ((chip) ? 0xa0u : 0x20u)
#define PIC_DATA(chip)    ((chip) ? 0xa1u : 0x21u)
#define PIC_INIT          0x11u /* ICW1: cascade, ICW4 follows */
#define PIC_MODE_8086     0x01u
#define PIC_MASK_ALL      0xffu

/*
 * A masked 8259 can still raise its spurious vector. Firmware may have left that among the exceptions, so
 * both are told to use vectors 32 and up before they are masked.
 */
static void silence_pic(uint32_t chip, uint8_t first_vector, uint8_t cascade)
{
    uint16_t data = (uint16_t)PIC_DATA(chip);

    out8((uint16_t)PIC_COMMAND(chip), PIC_INIT);
    out8(data, first_vector);
    out8(data, cascade);
    out8(data, PIC_MODE_8086);
    out8(data, PIC_MASK_ALL);
}

void irq_init(void)
{
    silence_pic(0, 0x20, 1u << 2);
    silence_pic(1, 0x28, 2);
    irq_ioapic_init();
}

/* ---- message-signalled interrupts: Intel SDM volume 3, "Message Signalled Interrupts" ---- */

#define MSI_ADDRESS      0xfee00000u
#define MSI_APIC_ID_BITS 12

struct irq_msi irq_msi_for(uint32_t vector)
{
    /* Physical destination, fixed delivery, edge. The compatibility format has eight bits for the APIC id. */
    return (struct irq_msi){
        .address = MSI_ADDRESS | (uint64_t)(lapic_id() & 0xff) << MSI_APIC_ID_BITS,
        .data = vector & 0xff,
    };
}

/* SPDX-License-Identifier: MIT */
#include "irq/irq.h"

#include "acpi/acpi.h"
#include "cpu/io.h"
#include "cpu/lapic.h"
#include "lib/log.h"
#include "mem/map.h"

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

/* ---- IO-APICs: Intel 82093AA, 3.0 ---- */

#define IOAPIC_SELECT      0x00u
#define IOAPIC_WINDOW      0x10u
#define IOAPIC_WINDOW_END  0x14u
#define IOAPIC_VERSION     1u
#define IOAPIC_ENTRY(pin)  (0x10u + 2u * (pin))
#define IOAPIC_MASKED      0x00010000u
#define IOAPIC_PINS_MAX    240u
#define IOAPIC_VERSION_PIN 16 /* bits 23..16: index of the highest entry */

static uint32_t ioapic_read(volatile uint8_t *registers, uint32_t index)
{
    *(volatile uint32_t *)(registers + IOAPIC_SELECT) = index;
    return *(volatile uint32_t *)(registers + IOAPIC_WINDOW);
}

static void ioapic_write(volatile uint8_t *registers, uint32_t index, uint32_t value)
{
    *(volatile uint32_t *)(registers + IOAPIC_SELECT) = index;
    *(volatile uint32_t *)(registers + IOAPIC_WINDOW) = value;
}

static void mask_ioapic(const struct acpi_ioapic *ioapic)
{
    uint32_t offset = ioapic->base & 0xfff, version, pins;
    volatile uint8_t *registers = NULL;

    if (offset + IOAPIC_WINDOW_END <= 0x1000)
        registers = mmio_map(ioapic->base - offset, 0x1000);
    if (!registers) {
        log_line("irq: the registers of IO-APIC %u at 0x%x cannot be mapped", ioapic->id, ioapic->base);
        return;
    }
    registers += offset;
    version = ioapic_read(registers, IOAPIC_VERSION);
    pins = (version >> IOAPIC_VERSION_PIN & 0xff) + 1;
    if (version == UINT32_MAX || pins > IOAPIC_PINS_MAX) {
        log_line("irq: there is no IO-APIC at 0x%x", ioapic->base);
        return;
    }
    for (uint32_t pin = 0; pin < pins; pin++) {
        /* The half with the mask bit first: no interrupt with half an address. */
        ioapic_write(registers, IOAPIC_ENTRY(pin), IOAPIC_MASKED);
        ioapic_write(registers, IOAPIC_ENTRY(pin) + 1, 0);
    }
}

void irq_init(void)
{
    struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
    uint32_t count = acpi_ioapics(ioapics, ACPI_IOAPICS_MAX);

    silence_pic(0, 0x20, 1u << 2);
    silence_pic(1, 0x28, 2);
    for (uint32_t i = 0; i < count; i++)
        mask_ioapic(&ioapics[i]);
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

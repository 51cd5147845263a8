/* SPDX-License-Identifier: MIT */
/* IO-APICs: Intel 82093AA, 3.0, and for version 0x20 the ICH9 datasheet, 13.5. */
#include "irq/ioapic.h"

#include "acpi/acpi.h"
#include "guest-abi/include/sluice/errno.h"
#include "irq/route.h"
#include "lib/log.h"
#include "mem/map.h"

#include <stddef.h>

#define IOAPIC_SELECT      0x00u
#define IOAPIC_WINDOW      0x10u
#define IOAPIC_WINDOW_END  0x14u
#define IOAPIC_EOI         0x40u
#define IOAPIC_EOI_END     0x44u
#define IOAPIC_VERSION     1u
#define IOAPIC_HAS_EOI     0x20u /* version from which on there is IOAPIC_EOI */
#define IOAPIC_ENTRY(pin)  (0x10u + 2u * (pin))
#define IOAPIC_PINS_MAX    240u
#define IOAPIC_VERSION_PIN 16 /* bits 23..16: index of the highest entry */

/* Redirection entry, low half. */
#define ENTRY_VECTOR  0x000000ffu
#define ENTRY_DATA    0x000007ffu /* vector and delivery mode */
#define ENTRY_BIT_2   0x00000800u /* bit 2 of the message's address */
#define ENTRY_LOW     0x00002000u
#define ENTRY_LEVEL   0x00008000u
#define ENTRY_MASKED  0x00010000u
#define ENTRY_ADDRESS 16 /* high half: bits 31 to 16 are bits 19 to 4 of the message's address */

#define MESSAGE_BIT_2 0x4u
#define MESSAGE_REMAPPABLE                                                                                   \
    0x10u /* VT-d 3.3, 5.1.2.2: the vector of the entry is for the end of interrupt alone */

#define ISA_INPUTS 16u

struct ioapic {
    volatile uint8_t *registers;
    uint32_t gsi_base, pins;
    uint8_t id;
    bool has_eoi;
};
static struct ioapic ioapics[ACPI_IOAPICS_MAX];
static uint32_t ioapic_count;

struct line {
    struct irq_route route;
    bool open, masked;
    bool held; /* a level whose interrupt is not over */
    bool configured, level, low;
};
static struct line lines[IRQ_LINES_MAX];

/* ---- registers ---- */

static uint32_t read(const struct ioapic *ioapic, uint32_t index)
{
    *(volatile uint32_t *)(ioapic->registers + IOAPIC_SELECT) = index;
    return *(volatile uint32_t *)(ioapic->registers + IOAPIC_WINDOW);
}

static void write(const struct ioapic *ioapic, uint32_t index, uint32_t value)
{
    *(volatile uint32_t *)(ioapic->registers + IOAPIC_SELECT) = index;
    *(volatile uint32_t *)(ioapic->registers + IOAPIC_WINDOW) = value;
}

static const struct ioapic *ioapic_of(uint32_t gsi)
{
    for (uint32_t i = 0; i < ioapic_count; i++) {
        if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].pins)
            return &ioapics[i];
    }
    return NULL;
}

/* ---- finding them ---- */

static bool find(const struct acpi_ioapic *named, struct ioapic *ioapic)
{
    uint32_t offset = named->base & 0xfff, version;
    volatile uint8_t *window =
        offset + IOAPIC_WINDOW_END <= 0x1000 ? mmio_map(named->base - offset, 0x1000) : NULL;

    if (window == NULL) {
        log_line("irq: the registers of IO-APIC %u at 0x%x cannot be mapped", named->id, named->base);
        return false;
    }
    *ioapic = (struct ioapic){.registers = window + offset, .gsi_base = named->gsi_base, .id = named->id};
    version = read(ioapic, IOAPIC_VERSION);
    ioapic->pins = (version >> IOAPIC_VERSION_PIN & 0xff) + 1;
    ioapic->has_eoi = (version & 0xff) >= IOAPIC_HAS_EOI && offset + IOAPIC_EOI_END <= 0x1000;
    if (version != UINT32_MAX && ioapic->pins <= IOAPIC_PINS_MAX)
        return true;
    log_line("irq: there is no IO-APIC at 0x%x", named->base);
    return false;
}

void irq_ioapic_init(void)
{
    struct acpi_ioapic named[ACPI_IOAPICS_MAX];
    uint32_t count = acpi_ioapics(named, ACPI_IOAPICS_MAX);

    ioapic_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct ioapic *ioapic = &ioapics[ioapic_count];

        if (!find(&named[i], ioapic))
            continue;
        ioapic_count++;
        for (uint32_t pin = 0; pin < ioapic->pins; pin++) {
            /* The half with the mask bit first: no interrupt with half an address. */
            write(ioapic, IOAPIC_ENTRY(pin), ENTRY_MASKED);
            write(ioapic, IOAPIC_ENTRY(pin) + 1, 0);
        }
    }
}

/* ---- lines ---- */

static bool is_level(const struct line *line, uint32_t gsi)
{
    return line->configured ? line->level : gsi >= ISA_INPUTS;
}

static bool is_low(const struct line *line, uint32_t gsi)
{
    return line->configured ? line->low : gsi >= ISA_INPUTS;
}

static uint32_t entry_low(const struct line *line, uint32_t gsi)
{
    const struct iommu_message *message = &line->route.message;
    uint32_t entry = message->address & MESSAGE_REMAPPABLE ? line->route.vector : message->data & ENTRY_DATA;

    return entry | (message->address & MESSAGE_BIT_2 ? ENTRY_BIT_2 : 0) |
           (is_low(line, gsi) ? ENTRY_LOW : 0) | (is_level(line, gsi) ? ENTRY_LEVEL : 0) |
           (line->masked || line->held ? ENTRY_MASKED : 0);
}

static void program(uint32_t gsi)
{
    const struct ioapic *ioapic = ioapic_of(gsi);
    const struct line *line = &lines[gsi];
    uint32_t pin = gsi - ioapic->gsi_base;

    write(ioapic, IOAPIC_ENTRY(pin), ENTRY_MASKED | entry_low(line, gsi));
    write(ioapic, IOAPIC_ENTRY(pin) + 1, (uint32_t)(line->route.message.address >> 4) << ENTRY_ADDRESS);
    if (!line->masked && !line->held)
        write(ioapic, IOAPIC_ENTRY(pin), entry_low(line, gsi));
}

/*
 * An input of level type sends nothing until it is told of the end. The local APIC tells it the vector of the
 * processor, which need not be the one in its entry. Without a register for that, being edge for a moment is
 * an end.
 */
static void end_at_ioapic(uint32_t gsi)
{
    const struct ioapic *ioapic = ioapic_of(gsi);
    uint32_t at = IOAPIC_ENTRY(gsi - ioapic->gsi_base), entry = entry_low(&lines[gsi], gsi);

    if (ioapic->has_eoi) {
        *(volatile uint32_t *)(ioapic->registers + IOAPIC_EOI) = entry & ENTRY_VECTOR;
        return;
    }
    write(ioapic, at, (entry | ENTRY_MASKED) & ~ENTRY_LEVEL);
    write(ioapic, at, entry | ENTRY_MASKED);
}

/* The requester id that the IO-APIC has, where interrupts are remapped. */
static int source_of(const struct ioapic *ioapic, uint16_t *segment, uint16_t *requester_id)
{
    *segment = *requester_id = 0;
    if (!iommu_interrupts_remapped())
        return 0;
    return iommu_interrupt_source(IOMMU_SOURCE_IOAPIC, ioapic->id, segment, requester_id) == 0 ? 0 : -ENODEV;
}

int irq_line_open(uint32_t gsi, interrupt_fn handler, uint32_t *vector)
{
    const struct ioapic *ioapic = gsi < IRQ_LINES_MAX ? ioapic_of(gsi) : NULL;
    uint16_t segment, requester_id;

    if (ioapic == NULL)
        return -ENODEV;
    struct line *line = &lines[gsi];
    if (line->open)
        return -EEXIST;
    int error = source_of(ioapic, &segment, &requester_id);
    if (error == 0)
        error = irq_route_open(&line->route, segment, requester_id, is_level(line, gsi), handler);
    if (error != 0)
        return error;
    line->open = line->masked = true;
    line->held = false;
    *vector = line->route.vector;
    program(gsi);
    end_at_ioapic(gsi); /* of one on its way when the line was closed before */
    return 0;
}

void irq_line_close(uint32_t gsi)
{
    struct line *line = &lines[gsi];

    irq_line_mask(gsi, true);
    irq_route_close(&line->route);
    line->open = line->configured = false;
}

void irq_line_mask(uint32_t gsi, bool masked)
{
    lines[gsi].masked = masked;
    program(gsi);
}

int irq_line_configure(uint32_t gsi, bool level, bool low)
{
    if (gsi >= IRQ_LINES_MAX || ioapic_of(gsi) == NULL)
        return -ENODEV;
    struct line *line = &lines[gsi];
    if (line->configured)
        return -EEXIST;
    int error = line->open ? irq_route_set(&line->route, level) : 0;
    if (error != 0)
        return error;
    line->configured = true;
    line->held = line->held && level; /* nobody ends an edge */
    line->level = level;
    line->low = low;
    if (line->open)
        program(gsi);
    return 0;
}

/* ---- an interrupt's life ---- */

bool irq_line_is_level(uint32_t gsi)
{
    return gsi < IRQ_LINES_MAX && is_level(&lines[gsi], gsi);
}

void irq_line_arrived(uint32_t gsi)
{
    if (!irq_line_is_level(gsi))
        return;
    lines[gsi].held = true;
    program(gsi);
    end_at_ioapic(gsi);
}

void irq_line_end(uint32_t gsi)
{
    if (!lines[gsi].open || !lines[gsi].held)
        return;
    lines[gsi].held = false;
    program(gsi);
}

/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables: found from the RSDP, copied once into private memory, length and checksum checked,
 * and only then read. Firmware memory is never looked at again.
 */
#ifndef SLUICE_ACPI_ACPI_H
#define SLUICE_ACPI_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem_id[6], oem_table_id[8];
    uint32_t oem_revision, creator_id, creator_revision;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 6.5, 5.2.6");

/* Walks RSDP and XSDT (or RSDT), copies each table (at most 64 tables, 8 MiB in all). Refusals are logged. */
void acpi_init(uint64_t rsdp);

/* The index-th table of that signature, or NULL. *size is its checked length. */
const struct acpi_header *acpi_table(const char signature[4], uint32_t index, size_t *size);

/* From FADT and DSDT; valid is false when firmware does not say. */
struct acpi_power {
    bool valid;
    uint16_t pm1a_control, pm1b_control; /* ports, 0 = none */
    uint16_t pm_timer;                   /* port, 0 = none */
    uint8_t s5_type_a, s5_type_b;
};
struct acpi_power acpi_power(void);

/* Switches the machine off; returns when that is not possible. */
void acpi_power_off(void);

/* From MADT: physical bases of the IO-APICs. */
#define ACPI_IOAPICS_MAX 16u
struct acpi_ioapic {
    uint8_t id;
    uint32_t base, gsi_base;
};
uint32_t acpi_ioapics(struct acpi_ioapic *list, uint32_t capacity);

/* From HPET: physical base, 0 = none. From MCFG: window of a segment. */
uint64_t acpi_hpet_base(void);
struct acpi_mcfg {
    uint64_t base;
    uint16_t segment;
    uint8_t first_bus, last_bus;
};
uint32_t acpi_mcfg(struct acpi_mcfg *list, uint32_t capacity);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables as bytes: what they say, or why they are refused. Pure functions; nothing here reads
 * firmware memory, keeps state or logs. Section numbers are of ACPI 6.5.
 */
#ifndef SLUICE_ACPI_PARSE_H
#define SLUICE_ACPI_PARSE_H

#include "acpi/acpi.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACPI_HEADER_SIZE     36u
#define ACPI_TABLE_SIZE_MAX  (4u << 20) /* bytes; the largest DSDT seen in the field is under 1 MiB */
#define ACPI_RSDP_SIZE_FIRST 20u        /* revision 0 */
#define ACPI_RSDP_SIZE_FULL  36u        /* revision 2 and later */

struct acpi_rsdp {
    uint8_t revision;
    uint64_t rsdt, xsdt; /* physical; 0 = none */
};

/* 5.2.5.3. bytes holds `size` readable bytes. NULL when it is good, otherwise the reason, in words. */
const char *acpi_parse_rsdp(const uint8_t *bytes, size_t size, struct acpi_rsdp *rsdp);

/* 5.2.6: signature printable, length within bounds. NULL or the reason. bytes: ACPI_HEADER_SIZE of them. */
const char *acpi_check_header(const uint8_t *bytes);

/* The whole copied table: its length is still `size` and its bytes sum to zero. NULL or the reason. */
const char *acpi_check_table(const uint8_t *bytes, size_t size);

/* Entries of a checked RSDT (4 bytes each) or XSDT (8 bytes each). */
uint32_t acpi_root_entries(size_t size, bool wide);
uint64_t acpi_root_entry(const uint8_t *bytes, uint32_t index, bool wide);

/* 5.2.9. Ports are 0 when firmware names none, or names something else than system I/O. */
struct acpi_fadt {
    uint64_t dsdt; /* physical; 0 = none */
    uint16_t pm1a_control, pm1b_control, pm_timer;
    uint16_t smi_command;
    uint8_t acpi_enable; /* written to smi_command to leave legacy mode; 0 = already there */
    bool hardware_reduced;
};
bool acpi_parse_fadt(const uint8_t *bytes, size_t size, struct acpi_fadt *fadt);

/* 7.4.2.5 and 20.2.5.4: the first two numbers of Name (_S5, Package ...). False when there is no such. */
bool acpi_parse_s5(const uint8_t *bytes, size_t size, uint8_t *type_a, uint8_t *type_b);

/* 5.2.12.3. Returns how many there are; *whole tells whether the walk ended exactly at the table's end. */
uint32_t acpi_parse_ioapics(const uint8_t *bytes, size_t size, struct acpi_ioapic *list, uint32_t capacity,
                            bool *whole);

/* IA-PC HPET 1.0a, 3.2.4. Physical base, 0 = none. */
uint64_t acpi_parse_hpet(const uint8_t *bytes, size_t size);

/* PCI Firmware 3.3, 4.1.2. Windows that make no sense are left out and counted in *refused. */
uint32_t acpi_parse_mcfg(const uint8_t *bytes, size_t size, struct acpi_mcfg *list, uint32_t capacity,
                         uint32_t *refused);

#endif

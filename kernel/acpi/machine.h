/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_ACPI_MACHINE_H
#define SLUICE_ACPI_MACHINE_H

/* Works out acpi_power() from the tables kept; acpi_init() calls it when they are complete. */
void acpi_read_power(void);

#endif

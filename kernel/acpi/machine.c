/* SPDX-License-Identifier: MIT */
/* What the tables say about this machine, and switching it off. */
#include "acpi/machine.h"

#include "acpi/acpi.h"
#include "acpi/parse.h"
#include "cpu/io.h"
#include "lib/log.h"

static const uint8_t *table_bytes(const char *signature, size_t *size)
{
    return (const uint8_t *)acpi_table(signature, 0, size);
}

static bool read_fadt(struct acpi_fadt *fadt)
{
    size_t size;
    const uint8_t *bytes = table_bytes("FACP", &size);

    return bytes && acpi_parse_fadt(bytes, size, fadt);
}

/* Kept, because a DSDT can take half a million steps to search. */
static struct acpi_power power;

void acpi_read_power(void)
{
    struct acpi_fadt fadt;
    size_t size;
    const uint8_t *dsdt = table_bytes("DSDT", &size);

    power = (struct acpi_power){0};
    if (!read_fadt(&fadt))
        return;
    power.pm1a_control = fadt.pm1a_control;
    power.pm1b_control = fadt.pm1b_control;
    power.pm_timer = fadt.pm_timer;
    power.valid = fadt.pm1a_control && dsdt && acpi_parse_s5(dsdt, size, &power.s5_type_a, &power.s5_type_b);
}

struct acpi_power acpi_power(void)
{
    return power;
}

/* PM1 control register, ACPI 6.5, 4.8.3.2.1. */
#define PM1_SCI_ENABLE  0x0001u
#define PM1_TYPE_SHIFT  10
#define PM1_TYPE_MASK   0x1c00u
#define PM1_SLEEP       0x2000u
#define PORT_READS_WAIT 200000u /* a port read takes about a microsecond */

/* Legacy mode ignores the sleep bit; firmware leaves it on request. */
static void leave_legacy_mode(uint16_t pm1a_control)
{
    struct acpi_fadt fadt;

    if ((in16(pm1a_control) & PM1_SCI_ENABLE) || !read_fadt(&fadt) || !fadt.smi_command || !fadt.acpi_enable)
        return;
    out8(fadt.smi_command, fadt.acpi_enable);
    for (uint32_t i = 0; i < PORT_READS_WAIT && !(in16(pm1a_control) & PM1_SCI_ENABLE); i++)
        continue;
}

static void write_sleep(uint16_t port, uint8_t type)
{
    uint32_t value = in16(port) & ~(PM1_TYPE_MASK | PM1_SLEEP);

    out16(port, (uint16_t)(value | (uint32_t)type << PM1_TYPE_SHIFT | PM1_SLEEP));
}

void acpi_power_off(void)
{
    if (!power.valid)
        return;
    leave_legacy_mode(power.pm1a_control);
    write_sleep(power.pm1a_control, power.s5_type_a);
    if (power.pm1b_control)
        write_sleep(power.pm1b_control, power.s5_type_b);
    for (uint32_t i = 0; i < PORT_READS_WAIT; i++)
        in16(power.pm1a_control);
    log_line("acpi: the machine did not switch off");
}

uint32_t acpi_ioapics(struct acpi_ioapic *list, uint32_t capacity)
{
    size_t size;
    const uint8_t *bytes = table_bytes("APIC", &size);
    bool whole;
    uint32_t count;

    if (!bytes)
        return 0;
    count = acpi_parse_ioapics(bytes, size, list, capacity, &whole);
    if (!whole)
        log_line("acpi: the MADT has a malformed entry; what follows it is not read");
    return count;
}

uint64_t acpi_hpet_base(void)
{
    size_t size;
    const uint8_t *bytes = table_bytes("HPET", &size);

    return bytes ? acpi_parse_hpet(bytes, size) : 0;
}

uint32_t acpi_mcfg(struct acpi_mcfg *list, uint32_t capacity)
{
    size_t size;
    const uint8_t *bytes = table_bytes("MCFG", &size);
    uint32_t refused, count;

    if (!bytes)
        return 0;
    count = acpi_parse_mcfg(bytes, size, list, capacity, &refused);
    if (refused)
        log_line("acpi: %u windows of the MCFG make no sense and are not used", refused);
    return count;
}

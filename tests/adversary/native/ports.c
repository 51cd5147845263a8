/* SPDX-License-Identifier: MIT */
/* Ports, configuration space and firmware of the model machine: nothing is there, but what asks is answered.
 */
#include "acpi/acpi.h"
#include "cpu/io.h"
#include "cpu/time.h"
#include "cpu/trap.h"
#include "pv/device.h"
#include "pv/guest.h"

uint8_t in8(uint16_t port)
{
    return (uint8_t)(port ^ 0x5a);
}

uint16_t in16(uint16_t port)
{
    return port;
}

uint32_t in32(uint16_t port)
{
    return port * 0x10001u;
}

void out8(uint16_t port, uint8_t value)
{
    (void)port, (void)value;
}

void out16(uint16_t port, uint16_t value)
{
    (void)port, (void)value;
}

void out32(uint16_t port, uint32_t value)
{
    (void)port, (void)value;
}

uint32_t config_guest_read(uint16_t id, uint16_t offset, uint8_t bytes)
{
    (void)id, (void)offset;
    return UINT32_MAX >> (32 - 8 * bytes);
}

bool device_config_function(uint64_t mfn, uint16_t *id)
{
    (void)mfn;
    (void)id;
    return false;
}

void config_guest_write(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    (void)id, (void)offset, (void)bytes, (void)value;
}

bool device_port_is_own(uint32_t port, uint32_t bytes)
{
    return port >= 0xc000 && port + bytes <= 0xc100;
}

struct acpi_power acpi_power(void)
{
    return (struct acpi_power){.pm1a_control = 0x604};
}

uint64_t time_tsc_khz(void)
{
    return 1000000;
}

void cpu_sysenter_enable(void)
{
}

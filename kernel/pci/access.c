/* SPDX-License-Identifier: MIT */
/* Reaching configuration space: mechanism #1 below 256, firmware's memory window (MCFG) above. */
#include "acpi/acpi.h"
#include "cpu/io.h"
#include "mem/map.h"
#include "pci/pci.h"

#define CONFIG_ADDRESS 0xcf8u
#define CONFIG_DATA    0xcfcu
#define CONFIG_ENABLE  0x80000000u

#define MCFG_WINDOWS    4u
#define MCFG_BUS_SHIFT  20
#define MCFG_BUS_SIZE   (1u << MCFG_BUS_SHIFT)
#define MCFG_FUNC_SHIFT 12

/* Register windows of the buses that were asked for, one MiB each; mapping all 256 would cost page tables. */
static volatile uint8_t *bus_windows[256];
static bool bus_tried[256];

static uint32_t ones(uint8_t bytes)
{
    return bytes >= 4 ? UINT32_MAX : (1u << (8 * bytes)) - 1;
}

static bool is_in_one_dword(uint16_t offset, uint8_t bytes)
{
    return (bytes == 1 || bytes == 2 || bytes == 4) && (offset & 3u) + bytes <= 4;
}

/* ---- mechanism #1 ---- */

static uint16_t select_register(uint16_t id, uint16_t offset)
{
    out32(CONFIG_ADDRESS, CONFIG_ENABLE | (uint32_t)id << 8 | (offset & 0xfcu));
    return (uint16_t)(CONFIG_DATA + (offset & 3u));
}

static uint32_t port_read(uint16_t id, uint16_t offset, uint8_t bytes)
{
    uint16_t port = select_register(id, offset);

    return bytes == 1 ? in8(port) : bytes == 2 ? in16(port) : in32(port);
}

static void port_write(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    uint16_t port = select_register(id, offset);

    if (bytes == 1)
        out8(port, (uint8_t)value);
    else if (bytes == 2)
        out16(port, (uint16_t)value);
    else
        out32(port, value);
}

/* ---- the memory window ---- */

static volatile uint8_t *map_bus(uint8_t bus)
{
    struct acpi_mcfg windows[MCFG_WINDOWS];
    uint32_t count = acpi_mcfg(windows, MCFG_WINDOWS);

    for (uint32_t i = 0; i < count; i++) {
        if (windows[i].segment == 0 && bus >= windows[i].first_bus && bus <= windows[i].last_bus)
            return mmio_map(windows[i].base + ((uint64_t)bus << MCFG_BUS_SHIFT), MCFG_BUS_SIZE);
    }
    return NULL;
}

static volatile uint8_t *extended_register(uint16_t id, uint16_t offset)
{
    uint8_t bus = PCI_BUS(id);

    if (!bus_tried[bus]) {
        bus_tried[bus] = true;
        bus_windows[bus] = map_bus(bus);
    }
    return bus_windows[bus] ? bus_windows[bus] + ((uint32_t)(id & 0xffu) << MCFG_FUNC_SHIFT) + offset : NULL;
}

static uint32_t memory_read(uint16_t id, uint16_t offset, uint8_t bytes)
{
    volatile uint8_t *at = extended_register(id, offset);

    if (!at)
        return ones(bytes);
    return bytes == 1   ? *at
           : bytes == 2 ? *(volatile uint16_t *)(volatile void *)at
                        : *(volatile uint32_t *)(volatile void *)at;
}

static void memory_write(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    volatile uint8_t *at = extended_register(id, offset);

    if (!at)
        return;
    if (bytes == 1)
        *at = (uint8_t)value;
    else if (bytes == 2)
        *(volatile uint16_t *)(volatile void *)at = (uint16_t)value;
    else
        *(volatile uint32_t *)(volatile void *)at = value;
}

/* ---- the interface ---- */

uint32_t pci_read(uint16_t id, uint16_t offset, uint8_t bytes)
{
    if (!is_in_one_dword(offset, bytes) || offset >= PCI_EXTENDED_END)
        return ones(bytes);
    return offset < PCI_CONFIG_END ? port_read(id, offset, bytes) : memory_read(id, offset, bytes);
}

void pci_write(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    if (!is_in_one_dword(offset, bytes) || offset >= PCI_EXTENDED_END)
        return;
    if (offset < PCI_CONFIG_END)
        port_write(id, offset, bytes, value);
    else
        memory_write(id, offset, bytes, value);
}

void pci_set_bus_master(uint16_t id, bool on)
{
    uint32_t command = pci_read(id, PCI_COMMAND, 2);

    pci_write(id, PCI_COMMAND, 2, on ? command | PCI_COMMAND_MASTER : command & ~PCI_COMMAND_MASTER);
}

uint8_t pci_next_capability(uint16_t id, uint8_t at, uint32_t *hops)
{
    uint32_t next;

    if (at == 0 && !(pci_read(id, PCI_STATUS, 2) & PCI_STATUS_CAPS))
        return 0;
    next = pci_read(id, (uint16_t)(at ? at + 1u : PCI_CAPABILITIES), 1) & 0xfc;
    return next < 0x40 || ++*hops > PCI_CAPS_MAX ? 0 : (uint8_t)next;
}

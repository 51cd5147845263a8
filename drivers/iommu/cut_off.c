/* SPDX-License-Identifier: MIT */
/*
 * Stopping a requester's DMA at its source, by clearing bus mastering: what remains when a unit is dead or a
 * device will not stop.
 */
#include "drivers/iommu/driver.h"
#include "drivers/iommu/host.h"

#define PCI_VENDOR        0x00u
#define PCI_COMMAND       0x04u
#define PCI_STATUS        0x06u
#define PCI_HEADER_TYPE   0x0eu
#define PCI_SECONDARY_BUS 0x19u
#define PCI_CAPABILITIES  0x34u
#define COMMAND_MASTER    0x0004u
#define STATUS_LIST       0x0010u
#define HEADER_BRIDGE     0x01u
#define CAPABILITY_PCIE   0x10u
#define CAPABILITIES_MAX  48u /* that fit into 192 bytes */
#define PCIE_FLAGS        0x02u
#define PCIE_TYPE_TO_PCI  0x7u
#define NO_FUNCTION       0xffffu

static bool is_there(uint16_t segment, uint16_t id)
{
    return host_pci_read(segment, id, PCI_VENDOR, 2) != NO_FUNCTION;
}

static void clear_bus_master(uint16_t segment, uint16_t id)
{
    uint32_t command = host_pci_read(segment, id, PCI_COMMAND, 2);

    if (is_there(segment, id))
        host_pci_write(segment, id, PCI_COMMAND, 2, command & ~COMMAND_MASTER);
}

/* The type of a PCI Express function, or PCIE_TYPE_TO_PCI for a conventional one. */
static uint32_t pcie_type(uint16_t segment, uint16_t id)
{
    uint16_t offset = (uint16_t)(host_pci_read(segment, id, PCI_CAPABILITIES, 1) & 0xfc);

    if ((host_pci_read(segment, id, PCI_STATUS, 2) & STATUS_LIST) == 0)
        return PCIE_TYPE_TO_PCI;
    for (uint32_t i = 0; i < CAPABILITIES_MAX && offset != 0; i++) {
        uint32_t header = host_pci_read(segment, id, offset, 2);

        if ((header & 0xff) == CAPABILITY_PCIE)
            return host_pci_read(segment, id, (uint16_t)(offset + PCIE_FLAGS), 2) >> 4 & 0xf;
        offset = (uint16_t)(header >> 8 & 0xfc);
    }
    return PCIE_TYPE_TO_PCI;
}

/* A bridge from conventional PCI sends what comes from behind it under its secondary bus, device 0. */
static bool speaks_for(uint16_t segment, uint16_t bridge, uint16_t requester_id)
{
    return is_there(segment, bridge) &&
           (host_pci_read(segment, bridge, PCI_HEADER_TYPE, 1) & 0x7f) == HEADER_BRIDGE &&
           host_pci_read(segment, bridge, PCI_SECONDARY_BUS, 1) == requester_id >> 8 &&
           pcie_type(segment, bridge) == PCIE_TYPE_TO_PCI;
}

void iommu_cut_off(uint16_t segment, uint16_t requester_id)
{
    clear_bus_master(segment, requester_id);
    if ((requester_id & 0xff) != 0)
        return;
    for (uint32_t id = 0; id < requester_id; id++)
        if (speaks_for(segment, (uint16_t)id, requester_id))
            clear_bus_master(segment, (uint16_t)id);
}

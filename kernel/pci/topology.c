/* SPDX-License-Identifier: MIT */
#include "pci/topology.h"

#include "lib/log.h"

#include <stddef.h>

/* A bus that a refused bridge claimed: whose requester ids show there is anyone's guess. */
static bool bus_refused[256];

static bool has_buses(const struct pci_function *function)
{
    return function->kind == PCI_KIND_BRIDGE && function->secondary_bus != 0;
}

static bool bus_is_behind(uint8_t bus, const struct pci_function *bridge)
{
    return bus >= bridge->secondary_bus && bus <= bridge->subordinate_bus;
}

static void refuse(struct pci_function *bridge, const char *why)
{
    log_line("pci: bridge " PCI_FMT " to buses %02x-%02x is refused: %s; what is behind it stays blocked",
             PCI_ARG(bridge->id), bridge->secondary_bus, bridge->subordinate_bus, why);
    for (uint32_t bus = bridge->secondary_bus; bus <= bridge->subordinate_bus; bus++)
        bus_refused[bus] = true;
    bus_refused[bridge->secondary_bus] = true;
    bridge->secondary_bus = bridge->subordinate_bus = 0;
    /* What is behind it may show under its id. */
    bridge->hidden = true;
}

/* ---- bus numbers that make a tree ---- */

/* A bridge's buses are above its own: that alone rules out a circle. */
static void check_alone(struct pci_function *bridge)
{
    if (bridge->secondary_bus <= PCI_BUS(bridge->id))
        refuse(bridge, "its secondary bus is not above its own bus");
    else if (bridge->subordinate_bus < bridge->secondary_bus)
        refuse(bridge, "its last bus is below its first");
}

static bool overlap(const struct pci_function *left, const struct pci_function *right)
{
    return left->secondary_bus <= right->subordinate_bus && right->secondary_bus <= left->subordinate_bus;
}

/* One bridge is behind the other, with all its buses. */
static bool is_nested(const struct pci_function *inner, const struct pci_function *outer)
{
    return bus_is_behind(PCI_BUS(inner->id), outer) && inner->secondary_bus > outer->secondary_bus &&
           inner->subordinate_bus <= outer->subordinate_bus;
}

/* What answers on a bus that two bridges claim could be behind either: both are refused. */
static void check_pairs(struct pci_function *functions, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool clash = false;

        for (uint32_t j = i + 1; j < count && has_buses(&functions[i]); j++) {
            struct pci_function *left = &functions[i], *right = &functions[j];

            if (!has_buses(right) || !overlap(left, right) || is_nested(left, right) ||
                is_nested(right, left))
                continue;
            refuse(right, "another bridge has some of its buses");
            clash = true;
        }
        if (clash)
            refuse(&functions[i], "another bridge has some of its buses");
    }
}

/* ---- parents ---- */

static struct pci_function *bridge_to(struct pci_function *functions, uint32_t count, uint8_t bus)
{
    for (uint32_t i = 0; i < count; i++) {
        if (has_buses(&functions[i]) && functions[i].secondary_bus == bus)
            return &functions[i];
    }
    return NULL;
}

/* ---- requester ids ---- */

/*
 * The id that a bridge puts on requests from behind it (PCIe-to-PCI bridge 1.0, 2.3; VT-d 5.0, 3.4.1). A
 * conventional bridge on a conventional bus has no ids to pass on: the nearest PCIe bridge above decides.
 */
static uint16_t id_through(const struct pci_function *bridge, uint16_t id)
{
    if (!bridge->is_pcie || bridge->pcie_type == PCIE_TYPE_FROM_PCI_BRIDGE)
        return bridge->id;
    return bridge->pcie_type == PCIE_TYPE_TO_PCI_BRIDGE ? pci_id(bridge->secondary_bus, 0, 0) : id;
}

static uint16_t requester_id(const struct pci_function *function)
{
    uint16_t id = function->id;

    /* Bus numbers fall strictly on the way up, so this ends. */
    for (const struct pci_function *bridge = function->parent; bridge; bridge = bridge->parent)
        id = id_through(bridge, id);
    return id;
}

static bool is_function(const struct pci_function *functions, uint32_t count, uint16_t id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (functions[i].id == id)
            return true;
    }
    return false;
}

/*
 * The numbers that are no functions of their own and differ from this one's in its phantom bits only: PCIe
 * 4.0, 7.5.3.3.
 */
static uint8_t phantoms(const struct pci_function *functions, uint32_t count,
                        const struct pci_function *function)
{
    uint32_t stride = 8u >> function->phantom_bits, numbers = 0;

    if (PCI_FUNCTION(function->id) >= stride)
        return 0;
    for (uint32_t number = PCI_FUNCTION(function->id) + stride; number < 8; number += stride) {
        uint16_t id = (uint16_t)((function->id & ~7u) | number);

        if (!is_function(functions, count, id))
            numbers |= 1u << number;
    }
    return (uint8_t)numbers;
}

static void hide_if_refused(struct pci_function *function)
{
    if (!bus_refused[PCI_BUS(function->id)] || function->parent)
        return;
    log_line("pci: " PCI_FMT " is on a bus of a refused bridge: it is hidden", PCI_ARG(function->id));
    function->hidden = true;
}

void pci_link(struct pci_function *functions, uint32_t count)
{
    for (uint32_t bus = 0; bus < 256; bus++)
        bus_refused[bus] = false;
    for (uint32_t i = 0; i < count; i++) {
        if (has_buses(&functions[i]))
            check_alone(&functions[i]);
    }
    check_pairs(functions, count);
    for (uint32_t i = 0; i < count; i++) {
        functions[i].parent = bridge_to(functions, count, PCI_BUS(functions[i].id));
        functions[i].requester_id = requester_id(&functions[i]);
        functions[i].phantoms = phantoms(functions, count, &functions[i]);
        hide_if_refused(&functions[i]);
    }
}

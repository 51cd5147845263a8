/* SPDX-License-Identifier: MIT */
#include "kit/pci.h"

#include <stddef.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc

uint32_t port_read(uint16_t port, uint32_t bytes)
{
    uint32_t value = 0;
    if (bytes == 1)
        __asm__ volatile("inb %%dx, %%al" : "+a"(value) : "d"(port));
    else if (bytes == 2)
        __asm__ volatile("inw %%dx, %%ax" : "+a"(value) : "d"(port));
    else
        __asm__ volatile("inl %%dx, %%eax" : "+a"(value) : "d"(port));
    return value;
}

void port_write(uint16_t port, uint32_t bytes, uint32_t value)
{
    if (bytes == 1)
        __asm__ volatile("outb %%al, %%dx" : : "a"(value), "d"(port));
    else if (bytes == 2)
        __asm__ volatile("outw %%ax, %%dx" : : "a"(value), "d"(port));
    else
        __asm__ volatile("outl %%eax, %%dx" : : "a"(value), "d"(port));
}

static uint16_t select(pci_id id, uint32_t offset)
{
    port_write(CONFIG_ADDRESS, 4, 0x80000000u | (uint32_t)id << 8 | (offset & 0xfcu));
    return (uint16_t)(CONFIG_DATA + (offset & 3));
}

uint32_t pci_read(pci_id id, uint32_t offset, uint32_t bytes)
{
    return port_read(select(id, offset), bytes);
}

void pci_write(pci_id id, uint32_t offset, uint32_t bytes, uint32_t value)
{
    port_write(select(id, offset), bytes, value);
}

/* Buses found behind bridges wait here; each bus number is queued once, so the walk ends. */
struct bus_list {
    uint8_t bus[256];
    uint32_t count;
    bool seen[256];
};

static void add_bus(struct bus_list *list, uint8_t bus)
{
    if (list->seen[bus])
        return;
    list->seen[bus] = true;
    list->bus[list->count++] = bus;
}

static bool visit_device(struct bus_list *list, pci_id first, bool (*visit)(pci_id, void *), void *argument)
{
    for (uint32_t function = 0; function < 8; function++) {
        pci_id id = (pci_id)(first | function);
        bool present = (pci_read(id, PCI_VENDOR_ID, 2) & 0xffff) != 0xffff;
        uint8_t header = present ? (uint8_t)pci_read(id, PCI_HEADER_TYPE, 1) : 0;
        if (present && visit(id, argument))
            return true;
        if (present && (header & 0x7f) == 1)
            add_bus(list, (uint8_t)pci_read(id, PCI_SECONDARY_BUS, 1));
        if (function == 0 && !(header & 0x80))
            break;
    }
    return false;
}

/* All that is in the list from `from` on, and what is behind it. */
static bool walk_list(struct bus_list *list, uint32_t from, bool (*visit)(pci_id, void *), void *argument)
{
    for (uint32_t i = from; i < list->count; i++)
        for (uint32_t device = 0; device < 32; device++)
            if (visit_device(list, (pci_id)((uint32_t)list->bus[i] << 8 | device << 3), visit, argument))
                return true;
    return false;
}

static bool bus_has_devices(uint32_t bus)
{
    for (uint32_t device = 0; device < 32; device++)
        if ((pci_read((pci_id)(bus << 8 | device << 3), PCI_VENDOR_ID, 2) & 0xffff) != 0xffff)
            return true;
    return false;
}

static bool visit_nothing(pci_id id, void *argument)
{
    (void)id;
    (void)argument;
    return false;
}

/* Buses that no bridge leads to: those of the host bridges. Looked for once, since that is a look at every
 * bus. */
static const struct bus_list *root_buses(void)
{
    static struct bus_list roots;
    struct bus_list list = {.count = 0};

    if (roots.count != 0)
        return &roots;
    for (uint32_t bus = 0; bus < 256; bus++) {
        if (list.seen[bus] || (bus != 0 && !bus_has_devices(bus)))
            continue;
        uint32_t from = list.count;
        add_bus(&roots, (uint8_t)bus);
        add_bus(&list, (uint8_t)bus);
        walk_list(&list, from, visit_nothing, NULL);
    }
    return &roots;
}

bool pci_walk(bool (*visit)(pci_id id, void *argument), void *argument)
{
    struct bus_list list = *root_buses();
    return walk_list(&list, 0, visit, argument);
}

struct wanted {
    uint32_t offset, mask, value, skip;
    pci_id id;
};

static bool is_wanted(pci_id id, void *argument)
{
    struct wanted *wanted = argument;
    if ((pci_read(id, wanted->offset, 4) & wanted->mask) != wanted->value || wanted->skip--)
        return false;
    wanted->id = id;
    return true;
}

static bool find(struct wanted wanted, pci_id *id)
{
    bool found = pci_walk(is_wanted, &wanted);
    if (found)
        *id = wanted.id;
    return found;
}

bool pci_find_device(uint16_t vendor, uint16_t device, uint32_t index, pci_id *id)
{
    return find((struct wanted){PCI_VENDOR_ID, 0xffffffffu, (uint32_t)device << 16 | vendor, index, 0}, id);
}

bool pci_find_class(uint32_t class_code, uint32_t index, pci_id *id)
{
    return find((struct wanted){PCI_CLASS_REVISION, 0xffffff00u, class_code << 8, index, 0}, id);
}

uint64_t pci_bar(pci_id id, uint32_t bar)
{
    uint32_t low = pci_read(id, PCI_BAR0 + 4 * bar, 4);
    if (low & 1)
        return 0;
    uint64_t address = low & 0xfffffff0u;
    if ((low & 6) == 4)
        address |= (uint64_t)pci_read(id, PCI_BAR0 + 4 * bar + 4, 4) << 32;
    return address;
}

uint32_t pci_capability(pci_id id, uint8_t capability)
{
    if (!(pci_read(id, PCI_COMMAND, 4) >> 16 & PCI_STATUS_CAPABILITIES))
        return 0;
    uint32_t at = pci_read(id, PCI_CAPABILITIES, 1) & 0xfc;
    for (uint32_t hops = 0; at >= 0x40 && hops < 48; hops++) {
        if ((pci_read(id, at, 1) & 0xff) == capability)
            return at;
        at = pci_read(id, at + 1, 1) & 0xfc;
    }
    return 0;
}

static uint32_t set_commands(pci_id id, uint32_t mask, uint32_t commands)
{
    uint32_t now = pci_read(id, PCI_COMMAND, 2) & 0xffff;
    if ((now & mask) == commands)
        return now;
    pci_write(id, PCI_COMMAND, 2, (now & ~mask) | commands);
    return pci_read(id, PCI_COMMAND, 2) & 0xffff;
}

static void enable_commands(pci_id id, uint32_t commands)
{
    set_commands(id, commands, commands);
}

struct bridge_search {
    uint8_t secondary;
    pci_id id;
};

static bool is_bridge_to(pci_id id, void *argument)
{
    struct bridge_search *search = argument;
    if ((pci_read(id, PCI_HEADER_TYPE, 1) & 0x7f) != 1 ||
        (uint8_t)pci_read(id, PCI_SECONDARY_BUS, 1) != search->secondary)
        return false;
    search->id = id;
    return true;
}

void pci_enable_memory(pci_id id)
{
    const uint32_t pass = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    /* Firmware leaves a bridge closed when it has no driver for what is behind it. Depth is bounded because
     * each bus has one bridge to it, and a walk from the host bridges' buses found them all. */
    struct bridge_search bridge = {.secondary = (uint8_t)(id >> 8)};
    for (uint32_t depth = 0; bridge.secondary && depth < 256; depth++) {
        if (!pci_walk(is_bridge_to, &bridge))
            break;
        enable_commands(bridge.id, pass);
        bridge.secondary = (uint8_t)(bridge.id >> 8);
    }
    enable_commands(id, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_OFF);
}

bool pci_set_master(pci_id id, bool on)
{
    uint32_t wanted = on ? PCI_COMMAND_MASTER : 0;
    return (set_commands(id, PCI_COMMAND_MASTER, wanted) & PCI_COMMAND_MASTER) == wanted;
}

void pci_enable(pci_id id)
{
    pci_enable_memory(id);
    pci_set_master(id, true);
}

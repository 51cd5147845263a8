/* SPDX-License-Identifier: MIT */
/*
 * Configuration space as the guest sees it: guest-abi/devices.md is the same in words. Base address
 * registers are the hypervisor's; what the guest writes there is kept, and reaches the device only when it
 * names a place that the window may have. So no sizing write ever puts a live window over something else.
 */
#include "drivers/iommu/iommu.h"
#include "irq/message.h"
#include "pv/device.h"
#include "pv/guest.h"

#define VIRTIO_VENDOR         0x1af4u
#define VIRTIO_CAP_TYPE       3u
#define VIRTIO_CAP_PCI_CONFIG 5u
#define VIRTIO_CAP_SIZE       20u

static uint32_t ones(uint8_t bytes)
{
    return bytes >= 4 ? UINT32_MAX : (1u << (8 * bytes)) - 1;
}

static bool is_well_formed(uint16_t offset, uint8_t bytes)
{
    return (bytes == 1 || bytes == 2 || bytes == 4) && (offset & 3u) + bytes <= 4 &&
           offset < PCI_EXTENDED_END;
}

static const struct pci_function *visible(uint16_t id)
{
    const struct pci_function *function = pci_find(id);

    return function && !function->hidden ? function : NULL;
}

static bool takes_writes(const struct pci_function *function)
{
    return function->kind == PCI_KIND_ENDPOINT || function->kind == PCI_KIND_BRIDGE;
}

/* ---- base address registers ---- */

static bool is_bar_register(const struct pci_function *function, uint16_t offset)
{
    return takes_writes(function) && offset >= PCI_BAR0 && offset < PCI_BAR0 + 4 * pci_bar_count(function);
}

static uint32_t bar_index(uint16_t offset)
{
    return (offset - PCI_BAR0) / 4u;
}

/* The low bits that say what kind of window it is. */
static uint32_t bar_type(const struct device_bar *bar)
{
    if (bar->kind == PCI_BAR_IO)
        return PCI_BAR_IS_IO;
    return (bar->kind == PCI_BAR_MEM64 ? 4u : 0) | (bar->prefetchable ? 8u : 0);
}

static uint32_t bar_half(const struct device_bar *bar, uint64_t address, bool high)
{
    return high ? (uint32_t)(address >> 32) : (uint32_t)address | bar_type(bar);
}

/* After ones were written: which address bits exist. Otherwise where the window is, whatever was written. */
static uint32_t read_bar(const struct pci_function *function, uint16_t offset)
{
    uint32_t index = bar_index(offset);
    const struct device_bar *bar = device_bar_find(function, index);
    bool high = bar && index != bar->index;
    uint64_t sizing;

    if (!bar)
        return 0;
    sizing = ~(bar->size - 1);
    if (bar_half(bar, bar->written, high) == bar_half(bar, sizing, high))
        return bar_half(bar, sizing, high);
    return bar_half(bar, bar->base, high);
}

/* Hardware's register says where the window is; it may have forgotten after a function-level reset. */
static void program_bar(const struct device_bar *bar)
{
    const uint32_t decode = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
    uint16_t id = bar->function->id, offset = (uint16_t)(PCI_BAR0 + 4u * bar->index);
    bool wide = bar->kind == PCI_BAR_MEM64;
    uint32_t low = bar_half(bar, bar->base, false), high = bar_half(bar, bar->base, true), command;

    if (pci_read(id, offset, 4) == low && (!wide || pci_read(id, (uint16_t)(offset + 4), 4) == high))
        return;
    command = pci_read(id, PCI_COMMAND, 2);
    pci_write(id, PCI_COMMAND, 2, command & ~decode);
    pci_write(id, offset, 4, low);
    if (wide)
        pci_write(id, (uint16_t)(offset + 4), 4, high);
    pci_write(id, PCI_COMMAND, 2, command);
}

static void write_bar(const struct pci_function *function, uint16_t offset, uint32_t value, uint32_t lanes)
{
    uint32_t index = bar_index(offset);
    struct device_bar *bar = device_bar_find(function, index);
    bool high = bar && index != bar->index;
    uint64_t width = bar && bar->kind == PCI_BAR_MEM64 ? UINT64_MAX : UINT32_MAX;
    uint64_t value64 = high ? (uint64_t)value << 32 : value, lanes64 = high ? (uint64_t)lanes << 32 : lanes;

    if (!bar)
        return;
    bar->written = ((bar->written & ~lanes64) | (value64 & lanes64)) & ~(bar->size - 1) & width;
    if (bar->refused)
        return;
    if (bar->written == bar->base)
        program_bar(bar);
    else if ((bar->written == bar->boot || device_place_is_free(bar, bar->written)) &&
             device_bar_set_base(bar, bar->written))
        program_bar(bar);
}

static void program_all_bars(const struct pci_function *function)
{
    for (uint32_t i = 0; i < device_bar_count(); i++) {
        const struct device_bar *bar = device_bar_at(i);

        if (bar->function == function && !bar->refused)
            program_bar(bar);
    }
}

/* ---- expansion ROM: its size can be asked for, it is never switched on ---- */

/* The functions whose ROM register the guest is sizing; one at a time is all that sizing needs. */
static struct {
    uint16_t id;
    bool asked;
} rom_sizing;

static bool is_rom_register(const struct pci_function *function, uint16_t offset)
{
    return takes_writes(function) &&
           (offset & ~3u) == (function->header_type == 1 ? PCI_ROM_BRIDGE : PCI_ROM_NORMAL);
}

static uint32_t read_rom(const struct pci_function *function, uint16_t offset)
{
    uint32_t address_bits = function->rom_size ? ~(function->rom_size - 1) : 0;

    if (rom_sizing.asked && rom_sizing.id == function->id)
        return address_bits;
    return pci_read(function->id, offset & 0xfffcu, 4) & address_bits;
}

static void write_rom(const struct pci_function *function, uint32_t value)
{
    rom_sizing.asked = (value & 0xfffff800u) == 0xfffff800u;
    rom_sizing.id = function->id;
}

/* ---- the command register ---- */

static bool some_unit_is_dead(void)
{
    for (uint32_t i = 0; i < iommu_unit_count(); i++) {
        if (iommu_unit_dead(i))
            return true;
    }
    return false;
}

/* A device that does nothing but fault stays quiet, and so does the bridge that speaks for such a device. */
static bool is_isolated(const struct pci_function *function)
{
    return iommu_is_isolated(function->id) || iommu_is_isolated(function->requester_id) ||
           (function->kind == PCI_KIND_BRIDGE && iommu_is_isolated(pci_id(function->secondary_bus, 0, 0)));
}

/* The bits that are the guest's. */
static uint32_t command_bits(const struct pci_function *function)
{
    uint32_t bits = PCI_COMMAND_INTX;

    if (!device_decode_is_frozen(function, true))
        bits |= PCI_COMMAND_IO;
    if (!device_decode_is_frozen(function, false))
        bits |= PCI_COMMAND_MEMORY;
    return bits | PCI_COMMAND_MASTER;
}

static void write_command(const struct pci_function *function, uint32_t value, uint32_t lanes)
{
    uint32_t old = pci_read(function->id, PCI_COMMAND, 2);
    uint32_t bits = command_bits(function) & lanes, next = (old & ~bits) | (value & bits);

    /* A function in reset answers with ones, which must not be written back to it. */
    if (old == UINT16_MAX)
        return;

    /* Nobody invalidates for a unit that stopped answering: its devices stay quiet. */
    if (some_unit_is_dead() || is_isolated(function))
        next &= ~PCI_COMMAND_MASTER;
    if (next & ~old & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY))
        program_all_bars(function);
    if (next != old)
        pci_write(function->id, PCI_COMMAND, 2, next);
}

/* ---- everything else, byte by byte ---- */

/* What a write may do to a byte: the bits it sets as they are, the bits that a 1 clears; the rest stays. */
struct byte_rule {
    uint8_t set, clear;
};

static const struct byte_rule FREE = {0xff, 0}, LOCKED = {0, 0};

#define STATUS_HIGH        (PCI_STATUS + 1u)
#define STATUS_CLEAR_HIGH  0xf9u /* parity, aborts, system error: write 1 to clear */
#define CACHE_LINE         0x0cu
#define LATENCY            0x0du
#define INTERRUPT_LINE     0x3cu
#define SECONDARY_STATUS_H 0x1fu

static struct byte_rule header_rule(const struct pci_function *function, uint16_t offset)
{
    switch (offset) {
    case STATUS_HIGH:
        return (struct byte_rule){0, STATUS_CLEAR_HIGH};
    case SECONDARY_STATUS_H:
        return function->kind == PCI_KIND_BRIDGE ? (struct byte_rule){0, STATUS_CLEAR_HIGH} : LOCKED;
    case CACHE_LINE:
    case LATENCY:
    case INTERRUPT_LINE:
        return FREE;
    default:
        return LOCKED;
    }
}

static bool is_within(uint16_t offset, uint16_t start, uint32_t size)
{
    return start != 0 && offset >= start && offset < start + size;
}

#define MSI_CONTROL_64    0x80u
#define MSI_CONTROL_MASK  0x100u
#define MSIX_SIZE         12u
#define MSI_CONTROL_LOW   2u
#define MSIX_CONTROL_HIGH 3u

static uint32_t msi_size(const struct pci_function *function)
{
    uint32_t control = pci_read(function->id, (uint16_t)(function->cap_msi + 2), 2);

    return 12u + (control & MSI_CONTROL_64 ? 4u : 0) + (control & MSI_CONTROL_MASK ? 8u : 0);
}

/*
 * The switches alone, and only while one of the messages is the hypervisor's: what else the capability holds
 * is left over from firmware, or nothing. PCI 3.0, 6.8.1.3 and 6.8.2.3.
 */
static struct byte_rule msi_rule(const struct pci_function *function, uint32_t at)
{
    return at == MSI_CONTROL_LOW && irq_message_is_harmless(function, false) ? (struct byte_rule){0x01, 0}
                                                                             : LOCKED;
}

static struct byte_rule msix_rule(const struct pci_function *function, uint32_t at)
{
    return at == MSIX_CONTROL_HIGH && irq_message_is_harmless(function, true) ? (struct byte_rule){0xc0, 0}
                                                                              : LOCKED;
}

#define PCIE_SIZE_FIRST   0x14u /* version 1 */
#define PCIE_SIZE         0x3cu
#define PCIE_CONTROL_LOW  8u
#define PCIE_CONTROL_HIGH 9u
#define PCIE_STATUS_LOW   10u

static uint32_t pcie_size(const struct pci_function *function)
{
    uint32_t version = pci_read(function->id, (uint16_t)(function->cap_pcie + 2), 2) & 0xf;

    return version < 2 ? PCIE_SIZE_FIRST : PCIE_SIZE;
}

/*
 * Device control (PCIe 4.0, 7.5.3.4): relaxed ordering; extended tags, no-snoop, read request size, function
 * level reset. Error reporting stays firmware's, since errors end as NMIs; phantom functions would use
 * requester ids that are nobody's; link, slot and second-half registers (ATS and ACS are beyond) are locked.
 */
static struct byte_rule pcie_rule(uint32_t at)
{
    switch (at) {
    case PCIE_CONTROL_LOW:
        return (struct byte_rule){0x10, 0};
    case PCIE_CONTROL_HIGH:
        return (struct byte_rule){0xf9, 0};
    case PCIE_STATUS_LOW:
        return (struct byte_rule){0, 0x0f};
    default:
        return LOCKED;
    }
}

/* The capability through which a driver reaches its windows by configuration cycles, MSI-X table included. */
static bool is_virtio_window(const struct pci_function *function, uint16_t offset)
{
    uint32_t hops = 0;
    uint8_t at = 0;

    if (function->vendor != VIRTIO_VENDOR)
        return false;
    while ((at = pci_next_capability(function->id, at, &hops)) != 0) {
        if (is_within(offset, at, VIRTIO_CAP_SIZE) && pci_read(function->id, at, 1) == PCI_CAP_VENDOR &&
            pci_read(function->id, (uint16_t)(at + VIRTIO_CAP_TYPE), 1) == VIRTIO_CAP_PCI_CONFIG)
            return true;
    }
    return false;
}

static struct byte_rule device_rule(const struct pci_function *function, uint16_t offset)
{
    if (function->kind == PCI_KIND_BRIDGE)
        return LOCKED;
    if (function->cap_msi && is_within(offset, function->cap_msi, msi_size(function)))
        return msi_rule(function, (uint32_t)offset - function->cap_msi);
    if (is_within(offset, function->cap_msix, MSIX_SIZE))
        return msix_rule(function, (uint32_t)offset - function->cap_msix);
    if (function->cap_pcie && is_within(offset, function->cap_pcie, pcie_size(function)))
        return pcie_rule((uint32_t)offset - function->cap_pcie);
    return is_virtio_window(function, offset) ? LOCKED : FREE;
}

static struct byte_rule rule_of(const struct pci_function *function, uint16_t offset)
{
    return offset < 0x40 ? header_rule(function, offset) : device_rule(function, offset);
}

static void write_byte(const struct pci_function *function, uint16_t offset, uint32_t value,
                       struct byte_rule rule)
{
    uint32_t keep = 0;

    if (!rule.set && !rule.clear)
        return;
    /* Bits that a 1 clears are never written back as they were read. */
    if (!rule.clear && rule.set != 0xff) {
        if (pci_read(function->id, PCI_VENDOR, 2) == UINT16_MAX) /* in reset: what to keep is not known */
            return;
        keep = pci_read(function->id, offset, 1) & ~(uint32_t)rule.set;
    }
    pci_write(function->id, offset, 1, keep | (value & (rule.set | rule.clear) & 0xffu));
}

/* One access of the guest's is one access to the device where nothing in it is kept back. */
static void write_others(const struct pci_function *function, uint16_t offset, uint8_t bytes, uint32_t value)
{
    bool all_free = true;

    for (uint16_t i = 0; i < bytes; i++)
        all_free = all_free && rule_of(function, (uint16_t)(offset + i)).set == 0xff;
    if (all_free) {
        pci_write(function->id, offset, bytes, value);
        return;
    }
    for (uint16_t i = 0; i < bytes; i++)
        write_byte(function, (uint16_t)(offset + i), value >> (8 * i),
                   rule_of(function, (uint16_t)(offset + i)));
}

/* ---- the interface ---- */

uint32_t config_guest_read(uint16_t id, uint16_t offset, uint8_t bytes)
{
    const struct pci_function *function = visible(id);
    uint32_t dword;

    if (!function || !is_well_formed(offset, bytes))
        return ones(bytes);
    if (is_bar_register(function, offset))
        dword = read_bar(function, offset);
    else if (is_rom_register(function, offset))
        dword = read_rom(function, offset);
    else
        return pci_read(id, offset, bytes);
    return dword >> (8 * (offset & 3)) & ones(bytes);
}

void config_guest_write(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    const struct pci_function *function = visible(id);
    uint32_t shift = 8 * (offset & 3u), lanes, dword;

    /* Extended capabilities (ATS, SR-IOV and the like) are firmware's, ACS is ours: groups rely on it. */
    if (!function || !is_well_formed(offset, bytes) || !takes_writes(function) || offset >= PCI_CONFIG_END)
        return;
    lanes = ones(bytes) << shift;
    dword = (value & ones(bytes)) << shift;
    if (is_bar_register(function, offset)) {
        write_bar(function, offset, dword, lanes);
    } else if (is_rom_register(function, offset)) {
        write_rom(function, dword);
    } else if ((offset & ~3u) == PCI_COMMAND) {
        if (lanes & 0xffff)
            write_command(function, dword, lanes & 0xffff);
        if (lanes & 0xff000000)
            write_byte(function, STATUS_HIGH, dword >> 24, header_rule(function, STATUS_HIGH));
    } else {
        write_others(function, offset, bytes, value);
    }
}

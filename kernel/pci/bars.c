/* SPDX-License-Identifier: MIT */
/* How large each window of a function is: PCI 3.0, 6.2.5.1. */
#include "lib/log.h"
#include "pci/pci.h"

#define ROM_ADDRESS_MASK 0xfffff800u
#define ALL_ONES         0xffffffffu

static bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* Writes ones, reads what stuck, puts back exactly what was there. */
static uint32_t probe(uint16_t id, uint16_t offset, uint32_t ones)
{
    uint32_t before = pci_read(id, offset, 4), mask;

    pci_write(id, offset, 4, ones);
    mask = pci_read(id, offset, 4);
    pci_write(id, offset, 4, before);
    return mask;
}

/* The size that the mask of writable address bits tells: 0 when the register is not there. */
static uint64_t size_of_mask(uint64_t mask, uint64_t width)
{
    return mask == 0 ? 0 : (~mask & width) + 1;
}

static uint64_t size_of_bar(uint16_t id, uint16_t offset, enum pci_bar_kind kind)
{
    uint64_t mask = probe(id, offset, ALL_ONES);

    if (kind == PCI_BAR_IO) {
        mask &= PCI_BAR_IO_MASK;
        /* The upper half may be hardwired to zero. */
        return mask == 0 ? 0 : size_of_mask(mask | 0xffff0000u, ALL_ONES);
    }
    mask &= PCI_BAR_MEM_MASK;
    if (kind == PCI_BAR_MEM32)
        return size_of_mask(mask, ALL_ONES);
    mask |= (uint64_t)probe(id, (uint16_t)(offset + 4), ALL_ONES) << 32;
    return size_of_mask(mask, UINT64_MAX);
}

static bool is_sane(const struct pci_bar *bar)
{
    uint64_t end = bar->base + bar->size;

    if (!is_power_of_two(bar->size) || (bar->base & (bar->size - 1)) != 0 || end < bar->base)
        return false;
    if (bar->kind == PCI_BAR_IO)
        return end <= 0x10000;
    return bar->kind == PCI_BAR_MEM64 || end <= (1ull << 32);
}

static void size_bar(struct pci_function *function, uint32_t index)
{
    struct pci_bar *bar = &function->bars[index];

    if (bar->kind == PCI_BAR_NONE)
        return;
    bar->size = size_of_bar(function->id, (uint16_t)(PCI_BAR0 + 4 * index), bar->kind);
    if (bar->size == 0) {
        *bar = (struct pci_bar){0};
    } else if (!is_sane(bar)) {
        log_line("pci: " PCI_FMT ": base address register %u makes no sense (0x%llx, size 0x%llx); not used",
                 PCI_ARG(function->id), index, (unsigned long long)bar->base, (unsigned long long)bar->size);
        *bar = (struct pci_bar){0};
    }
}

static uint16_t rom_offset(const struct pci_function *function)
{
    return function->header_type == 1 ? PCI_ROM_BRIDGE : PCI_ROM_NORMAL;
}

static void size_function(struct pci_function *function)
{
    const uint32_t decode = PCI_COMMAND_IO | PCI_COMMAND_MEMORY;
    uint32_t command = pci_read(function->id, PCI_COMMAND, 2);
    uint32_t mask;

    pci_write(function->id, PCI_COMMAND, 2, command & ~decode);
    for (uint32_t i = 0; i < pci_bar_count(function); i++) {
        bool two = function->bars[i].kind == PCI_BAR_MEM64;

        size_bar(function, i);
        i += two;
    }
    mask = probe(function->id, rom_offset(function), ROM_ADDRESS_MASK) & ROM_ADDRESS_MASK;
    function->rom_size = (uint32_t)size_of_mask(mask, ALL_ONES);
    if (!is_power_of_two(function->rom_size))
        function->rom_size = 0;
    pci_write(function->id, PCI_COMMAND, 2, command);
}

void pci_size_bars(void)
{
    for (uint32_t i = 0; i < pci_count(); i++) {
        struct pci_function *function = pci_at(i);

        /* Their registers are in use, or what looks like a base address is something else. */
        if (function->kind == PCI_KIND_HOST_BRIDGE || function->kind == PCI_KIND_ISA_BRIDGE ||
            function->kind == PCI_KIND_IOMMU || function->header_type > 1)
            continue;
        size_function(function);
    }
}

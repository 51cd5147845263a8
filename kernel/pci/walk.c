/* SPDX-License-Identifier: MIT */
/* One pass over all buses: what is there, and what each function says about itself. */
#include "lib/log.h"
#include "pci/group.h"
#include "pci/pci.h"
#include "pci/topology.h"

static struct pci_function functions[PCI_FUNCTIONS_MAX];
static uint32_t function_count;

uint32_t pci_count(void)
{
    return function_count;
}

struct pci_function *pci_at(uint32_t index)
{
    return index < function_count ? &functions[index] : NULL;
}

struct pci_function *pci_next(uint32_t id)
{
    uint32_t low = 0, high = function_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (functions[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return pci_at(low);
}

struct pci_function *pci_find(uint16_t id)
{
    struct pci_function *function = pci_next(id);

    return function && function->id == id ? function : NULL;
}

/* ---- capabilities ---- */

#define MSIX_CONTROL    2
#define MSIX_TABLE      4
#define MSIX_PBA        8
#define MSIX_SIZE_MASK  0x7ffu
#define MSIX_BAR_MASK   0x7u
#define PCIE_FLAGS      2
#define PCIE_TYPE_SHIFT 4
#define PCIE_TYPE_MASK  0xfu

#define PCIE_CAPABILITIES     4
#define PCIE_CONTROL          8
#define PCIE_PHANTOM_SHIFT    3
#define PCIE_PHANTOM_MASK     3u
#define PCIE_CONTROL_PHANTOMS 0x200u

static void read_msix(struct pci_function *function, uint8_t at)
{
    uint32_t table = pci_read(function->id, (uint16_t)(at + MSIX_TABLE), 4);
    uint32_t pending = pci_read(function->id, (uint16_t)(at + MSIX_PBA), 4);

    function->cap_msix = at;
    function->msix_bar = table & MSIX_BAR_MASK;
    function->msix_table_offset = table & ~MSIX_BAR_MASK;
    function->msix_table_entries =
        (pci_read(function->id, (uint16_t)(at + MSIX_CONTROL), 2) & MSIX_SIZE_MASK) + 1;
    function->msix_pba_bar = pending & MSIX_BAR_MASK;
    function->msix_pba_offset = pending & ~MSIX_BAR_MASK;
}

/* Phantom functions are used while they are enabled, which is up to firmware alone: the guest cannot. */
static uint8_t read_phantom_bits(uint16_t id, uint8_t at)
{
    uint32_t capabilities = pci_read(id, (uint16_t)(at + PCIE_CAPABILITIES), 4);
    uint32_t control = pci_read(id, (uint16_t)(at + PCIE_CONTROL), 2);

    return control & PCIE_CONTROL_PHANTOMS ? capabilities >> PCIE_PHANTOM_SHIFT & PCIE_PHANTOM_MASK : 0;
}

static void read_pcie(struct pci_function *function, uint8_t at)
{
    uint32_t flags = pci_read(function->id, (uint16_t)(at + PCIE_FLAGS), 2);

    function->cap_pcie = at;
    function->is_pcie = true;
    function->pcie_type = (uint8_t)(flags >> PCIE_TYPE_SHIFT & PCIE_TYPE_MASK);
    if (at + PCIE_CONTROL + 2u <= PCI_CONFIG_END)
        function->phantom_bits = read_phantom_bits(function->id, at);
}

static void read_capability(struct pci_function *function, uint8_t at)
{
    /* 0xff: the function went away. The last register of a capability must lie in the header's 256 bytes. */
    switch (pci_read(function->id, at, 1)) {
    case PCI_CAP_MSI:
        if (!function->cap_msi)
            function->cap_msi = at;
        break;
    case PCI_CAP_MSIX:
        if (!function->cap_msix && at + MSIX_PBA + 4u <= PCI_CONFIG_END)
            read_msix(function, at);
        break;
    case PCI_CAP_PCIE:
        if (!function->cap_pcie)
            read_pcie(function, at);
        break;
    case PCI_CAP_SECURE:
        if (!function->cap_iommu)
            function->cap_iommu = at;
        break;
    default:
        break;
    }
}

static void read_capabilities(struct pci_function *function)
{
    uint32_t hops = 0;
    uint8_t at = 0;

    while ((at = pci_next_capability(function->id, at, &hops)) != 0)
        read_capability(function, at);
    if (hops > PCI_CAPS_MAX)
        log_line("pci: " PCI_FMT ": its capability list runs in a circle", PCI_ARG(function->id));
}

/* ---- base address registers, as firmware left them ---- */

static bool is_mem64(uint32_t low)
{
    return !(low & PCI_BAR_IS_IO) && (low & 6u) == 4u;
}

static void read_bars(struct pci_function *function)
{
    uint32_t count = pci_bar_count(function);

    for (uint32_t i = 0; i < count; i++) {
        struct pci_bar *bar = &function->bars[i];
        uint32_t low = pci_read(function->id, (uint16_t)(PCI_BAR0 + 4 * i), 4);

        if (low & PCI_BAR_IS_IO) {
            bar->kind = PCI_BAR_IO;
            bar->base = low & PCI_BAR_IO_MASK;
            continue;
        }
        bar->prefetchable = (low & 8u) != 0;
        bar->base = low & PCI_BAR_MEM_MASK;
        bar->kind = PCI_BAR_MEM32;
        if (!is_mem64(low))
            continue;
        if (i + 1 == count) {
            log_line("pci: " PCI_FMT ": its last base address register claims to have a second half",
                     PCI_ARG(function->id));
            bar->kind = PCI_BAR_NONE;
            continue;
        }
        bar->kind = PCI_BAR_MEM64;
        bar->base |= (uint64_t)pci_read(function->id, (uint16_t)(PCI_BAR0 + 4 * ++i), 4) << 32;
    }
}

/* ---- one function ---- */

#define CLASS_HOST_BRIDGE 0x0600u
#define CLASS_ISA_BRIDGE  0x0601u
#define CLASS_IOMMU       0x0806u

static enum pci_kind kind_of(const struct pci_function *function)
{
    uint32_t class_subclass = function->class_code >> 8;

    if (function->header_type == 1)
        return PCI_KIND_BRIDGE;
    if (class_subclass == CLASS_IOMMU)
        return PCI_KIND_IOMMU;
    if (class_subclass == CLASS_HOST_BRIDGE)
        return PCI_KIND_HOST_BRIDGE;
    return class_subclass == CLASS_ISA_BRIDGE ? PCI_KIND_ISA_BRIDGE : PCI_KIND_ENDPOINT;
}

static void read_function(struct pci_function *function, uint16_t id, uint32_t vendor_device)
{
    *function = (struct pci_function){
        .id = id,
        .vendor = (uint16_t)vendor_device,
        .device = (uint16_t)(vendor_device >> 16),
        .class_code = pci_read(id, PCI_REVISION_CLASS, 4) >> 8,
        .header_type = pci_read(id, PCI_HEADER_TYPE, 1) & 0x7f,
        .requester_id = id,
    };
    function->kind = kind_of(function);
    if (function->header_type > 1) {
        log_line("pci: " PCI_FMT ": header type %u is not known; the function is hidden", PCI_ARG(id),
                 function->header_type);
        function->hidden = true;
        return;
    }
    if (function->header_type == 1) {
        function->secondary_bus = (uint8_t)pci_read(id, PCI_SECONDARY_BUS, 1);
        function->subordinate_bus = (uint8_t)pci_read(id, PCI_SUBORDINATE_BUS, 1);
    }
    read_capabilities(function);
    read_bars(function);
}

/* ---- the walk ---- */

#define ABSENT   0xffffu
#define DEVICES  32u
#define FUNCTION 8u

/* False when the table is full. */
static bool visit(uint16_t id, bool *present, bool *more_functions)
{
    uint32_t vendor_device = pci_read(id, PCI_VENDOR, 4);

    /* 0 is what a function with configuration retry, or a broken one, answers. */
    *present = (vendor_device & 0xffff) != ABSENT && (vendor_device & 0xffff) != 0;
    if (!*present)
        return true;
    if (function_count == PCI_FUNCTIONS_MAX) {
        log_line("pci: more than %u functions; those from " PCI_FMT " on stay blocked", PCI_FUNCTIONS_MAX,
                 PCI_ARG(id));
        return false;
    }
    *more_functions = (pci_read(id, PCI_HEADER_TYPE, 1) & 0x80) != 0;
    read_function(&functions[function_count++], id, vendor_device);
    return true;
}

static bool visit_device(uint8_t bus, uint8_t device)
{
    bool present, more = false;

    if (!visit(pci_id(bus, device, 0), &present, &more))
        return false;
    for (uint8_t i = 1; present && more && i < FUNCTION; i++) {
        bool ignored, there;

        if (!visit(pci_id(bus, device, i), &there, &ignored))
            return false;
    }
    return true;
}

/*
 * Every bus number is tried, not only those that bridges name: a second host bridge has no register that
 * says where its bus is.
 */
static void visit_all(void)
{
    for (uint32_t bus = 0; bus < 256; bus++) {
        for (uint32_t device = 0; device < DEVICES; device++) {
            if (!visit_device((uint8_t)bus, (uint8_t)device))
                return;
        }
    }
}

static const char *kind_word(const struct pci_function *function)
{
    static const struct {
        uint32_t class_subclass;
        const char *word;
    } words[] = {
        {0x0101, "ide"},     {0x0106, "sata"},  {0x0108, "nvme"},        {0x0200, "network"},
        {0x0300, "display"}, {0x0403, "audio"}, {0x0600, "host bridge"}, {0x0601, "ISA bridge"},
        {0x0604, "bridge"},  {0x0805, "sd"},    {0x0806, "iommu"},       {0x0c03, "usb"},
        {0x0c05, "smbus"},
    };

    for (uint32_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (words[i].class_subclass == function->class_code >> 8)
            return words[i].word;
    }
    return function->header_type == 1 ? "bridge" : "device";
}

static void report(const struct pci_function *function)
{
    if (function->kind == PCI_KIND_BRIDGE)
        log_line("pci: " PCI_FMT " %04x:%04x %s to buses %02x-%02x", PCI_ARG(function->id), function->vendor,
                 function->device, kind_word(function), function->secondary_bus, function->subordinate_bus);
    else
        log_line("pci: " PCI_FMT " %04x:%04x %s requester " PCI_FMT, PCI_ARG(function->id), function->vendor,
                 function->device, kind_word(function), PCI_ARG(function->requester_id));
    if (function->phantoms)
        log_line("pci: " PCI_FMT " uses phantom functions, set %02x", PCI_ARG(function->id),
                 function->phantoms);
}

void pci_walk(void)
{
    function_count = 0;
    visit_all();
    pci_link(functions, function_count);
    for (uint32_t i = 0; i < function_count; i++)
        report(&functions[i]);
}

void pci_form_groups(uint16_t (*alias)(uint16_t id))
{
    pci_group(functions, function_count, alias);
}

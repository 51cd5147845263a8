/* SPDX-License-Identifier: MIT */
/*
 * Devices whose DMA does not pass the IOMMU: a virtio device that does not offer VIRTIO_F_ACCESS_PLATFORM
 * uses physical addresses whatever the IOMMU says (virtio 1.2, 6.1 and 4.1.4.3).
 */
#include "lib/log.h"
#include "lib/options.h"
#include "mem/map.h"
#include "pci/pci.h"

#define VIRTIO_VENDOR       0x1af4u
#define VIRTIO_DEVICE_FIRST 0x1000u
#define VIRTIO_DEVICE_LAST  0x107fu

/* struct virtio_pci_cap. */
#define CAP_TYPE          3
#define CAP_BAR           4
#define CAP_OFFSET        8
#define CAP_LENGTH        12
#define CAP_SIZE          16
#define CAP_COMMON_CONFIG 1

/* struct virtio_pci_common_cfg. */
#define COMMON_FEATURE_SELECT   0
#define COMMON_FEATURE          4
#define COMMON_LENGTH           0x38u
#define FEATURES_HIGH           1u
#define FEATURE_ACCESS_PLATFORM (1u << (33 - 32))
#define BRIDGES_MAX             256u

struct common_config {
    uint64_t physical;
    bool found;
};

static bool is_virtio(const struct pci_function *function)
{
    return function->vendor == VIRTIO_VENDOR && function->device >= VIRTIO_DEVICE_FIRST &&
           function->device <= VIRTIO_DEVICE_LAST && function->kind == PCI_KIND_ENDPOINT;
}

static bool read_common_cap(const struct pci_function *function, uint8_t at, struct common_config *config)
{
    uint32_t bar, offset, length;

    if (at + CAP_SIZE > PCI_CONFIG_END || pci_read(function->id, at, 1) != PCI_CAP_VENDOR ||
        pci_read(function->id, (uint16_t)(at + CAP_TYPE), 1) != CAP_COMMON_CONFIG)
        return false;
    bar = pci_read(function->id, (uint16_t)(at + CAP_BAR), 1);
    offset = pci_read(function->id, (uint16_t)(at + CAP_OFFSET), 4);
    length = pci_read(function->id, (uint16_t)(at + CAP_LENGTH), 4);
    if (bar >= PCI_BARS || length < COMMON_LENGTH || (offset & 3) != 0)
        return false;

    const struct pci_bar *window = &function->bars[bar];

    if ((window->kind != PCI_BAR_MEM32 && window->kind != PCI_BAR_MEM64) || window->base == 0)
        return false;
    if (window->size < COMMON_LENGTH || offset > window->size - COMMON_LENGTH)
        return false;
    *config = (struct common_config){window->base + offset, true};
    return true;
}

static struct common_config find_common_config(const struct pci_function *function)
{
    struct common_config config = {0};
    uint32_t hops = 0;
    uint8_t at = 0;

    while ((at = pci_next_capability(function->id, at, &hops)) != 0) {
        if (read_common_cap(function, at, &config))
            break;
    }
    return config;
}

/* ---- the way to the registers: memory decoding on, from the root down ---- */

struct opened {
    const struct pci_function *function;
    uint32_t command;
};

static uint32_t open_way(const struct pci_function *function, struct opened *list)
{
    uint32_t count = 0;

    for (; function && count < BRIDGES_MAX; function = function->parent) {
        uint32_t command = pci_read(function->id, PCI_COMMAND, 2);

        list[count++] = (struct opened){function, command};
        pci_write(function->id, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY);
    }
    return count;
}

static void close_way(const struct opened *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        pci_write(list[i].function->id, PCI_COMMAND, 2, list[i].command);
}

static uint32_t read_features_high(volatile uint8_t *registers)
{
    volatile uint32_t *select = (volatile uint32_t *)(volatile void *)(registers + COMMON_FEATURE_SELECT);
    uint32_t before = *select, features;

    *select = FEATURES_HIGH;
    features = *(volatile uint32_t *)(volatile void *)(registers + COMMON_FEATURE);
    *select = before;
    return features;
}

static bool offers_access_platform(const struct pci_function *function)
{
    static struct opened way[BRIDGES_MAX];
    struct common_config config = find_common_config(function);
    volatile uint8_t *registers = config.found ? mmio_map(config.physical, COMMON_LENGTH) : NULL;
    uint32_t count, features;

    if (!registers)
        return false;
    count = open_way(function, way);
    features = read_features_high(registers);
    close_way(way, count);
    /* All ones: nobody answered. */
    return features != UINT32_MAX && (features & FEATURE_ACCESS_PLATFORM) != 0;
}

static void shut_out(struct pci_function *function, bool allowed)
{
    if (allowed) {
        log_line("pci: " PCI_FMT " (%04x:%04x, virtio) passes by the IOMMU and is ALLOWED to (allow-bypass): "
                 "its DMA reaches all of memory",
                 PCI_ARG(function->id), function->vendor, function->device);
        return;
    }
    log_line("pci: " PCI_FMT " (%04x:%04x, virtio without ACCESS_PLATFORM) passes by the IOMMU: hidden, bus "
             "mastering off",
             PCI_ARG(function->id), function->vendor, function->device);
    function->hidden = true;
}

void pci_find_bypass(void)
{
    bool allowed = option_bool("allow-bypass", false);

    for (uint32_t i = 0; i < pci_count(); i++) {
        struct pci_function *function = pci_at(i);

        if (is_virtio(function) && !offers_access_platform(function)) {
            function->bypasses_iommu = true;
            shut_out(function, allowed);
        }
        if (function->hidden && (function->kind == PCI_KIND_ENDPOINT || function->kind == PCI_KIND_BRIDGE))
            pci_set_bus_master(function->id, false);
    }
}

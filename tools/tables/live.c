/* SPDX-License-Identifier: MIT */
/* The one thing that the parsers' policy needs from outside: configuration space. */
#include "tools/tables/live.h"

#include "drivers/iommu/host.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PCI_VENDOR     0x00
#define PCI_CLASS      0x0a /* base class in the upper byte */
#define BASE_BRIDGE    0x06
#define CLASS_PIC      0x0800 /* interrupt controllers */
#define CLASS_TIMER    0x0802
#define CLASS_CLOCK    0x0803
#define CLASS_HOT_PLUG 0x0804
#define CLASS_IOMMU    0x0806
#define CLASS_EVENTS   0x0807 /* Root Complex Event Collector */

#define ADVICE_CLAIMS                                                                                        \
    "If the device is needed, look for an update of the firmware: it wrote the table without it."

static const char *root;

void live_begin(const char *sysfs)
{
    root = sysfs;
}

bool live(void)
{
    return root != NULL;
}

/* False when the function, or that part of its configuration space, is not there. */
static bool read_config(uint16_t segment, uint16_t id, uint16_t offset, uint8_t *value, uint8_t bytes)
{
    char path[PATH_MAX];
    int file, length = snprintf(path, sizeof path, "%s/bus/pci/devices/%04x:%02x:%02x.%x/config", root,
                                segment, id >> 8, id >> 3 & 31, id & 7);
    bool whole;

    if (length < 0 || (size_t)length >= sizeof path)
        return false;
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    whole = pread(file, value, bytes, offset) == bytes;
    close(file);
    return whole;
}

/* All ones when the function is not there, as hardware has it; without a machine, no function is there. */
uint32_t host_pci_read(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes)
{
    uint8_t value[4] = {0};
    uint32_t result = 0;

    if (root == NULL || !read_config(segment, id, offset, value, bytes))
        return UINT32_MAX >> (32 - 8 * bytes);
    for (uint32_t i = 0; i < bytes; i++)
        result |= (uint32_t)value[i] << 8 * i;
    return result;
}

const char *live_function(uint16_t segment, uint16_t id)
{
    static char text[32];
    uint32_t vendor;

    if (!live())
        return "";
    vendor = host_pci_read(segment, id, PCI_VENDOR, 4);
    if (vendor == UINT32_MAX)
        return ", not there";
    snprintf(text, sizeof text, ", %04x:%04x", vendor & 0xffff, vendor >> 16);
    return text;
}

/* Bridges and some of what belongs to the board do no DMA of their own, and firmware rarely names them. */
static bool does_dma(uint16_t segment, uint16_t id)
{
    uint32_t class = host_pci_read(segment, id, PCI_CLASS, 2);

    switch (class) {
    case CLASS_PIC:
    case CLASS_TIMER:
    case CLASS_CLOCK:
    case CLASS_HOT_PLUG:
    case CLASS_IOMMU:
    case CLASS_EVENTS:
        return false;
    default:
        return class >> 8 != BASE_BRIDGE;
    }
}

/* `name`: of a folder, such as "0000:00:1f.3". */
static void check_function(const char *name, const struct claims *claims, struct remarks *remarks)
{
    unsigned int segment, bus, device, function;
    uint16_t id;

    if (sscanf(name, "%x:%x:%x.%x", &segment, &bus, &device, &function) != 4 || segment > UINT16_MAX ||
        bus > 255 || device > 31 || function > 7)
        return; /* segments that Linux makes up have larger numbers */
    id = (uint16_t)(bus << 8 | device << 3 | function);
    if (does_dma((uint16_t)segment, id) && claims_find(claims, (uint16_t)segment, id) == NULL)
        remark(remarks, (struct place){SEVERITY_WARNING, "table", 0, ADVICE_CLAIMS},
               "this machine's %04x:%02x:%02x.%x%s belongs to no unit: it stays blocked", segment, bus,
               device, function, live_function((uint16_t)segment, id));
}

void live_check_claims(const struct claims *claims, struct remarks *remarks)
{
    char path[PATH_MAX];
    struct dirent **names;
    int count;

    if (root == NULL || snprintf(path, sizeof path, "%s/bus/pci/devices", root) >= (int)sizeof path)
        return;
    count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        check_function(names[i]->d_name, claims, remarks);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
}

/* SPDX-License-Identifier: MIT */
/* The one thing that the parsers' policy needs from outside: configuration space. */
#include "tools/tables/live.h"

#include "drivers/iommu/host.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define PCI_VENDOR 0x00

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

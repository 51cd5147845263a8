/* SPDX-License-Identifier: MIT */
/* Which functions there are, by reading configuration space: for machines that keep no list. */
#include "drivers/iommu/host.h"

bool host_pci_next(uint16_t segment, uint32_t id, uint16_t *found)
{
    for (; id <= UINT16_MAX; id++)
        if ((host_pci_read(segment, (uint16_t)id, 0, 2) & 0xffff) != 0xffff) {
            *found = (uint16_t)id;
            return true;
        }
    return false;
}

/* SPDX-License-Identifier: MIT */
/* What the guest was given: the reserved ranges, and the functions that it sees. Judged by the scenarios. */
#include "kit/bus.h"
#include "kit/guest.h"
#include "kit/iommu.h"
#include "kit/pci.h"

#define RANGES_MAX 64u

static struct iommu_reserved_range ranges[RANGES_MAX];

static void list_ranges(void)
{
    long count = iommu_op(IOMMUOP_get_reserved, ranges, RANGES_MAX);

    EXPECT(count >= 0 && count <= (long)RANGES_MAX, "the list of reserved ranges gave %ld", count);
    for (long i = 0; i < count; i++)
        printk("range 0x%lx 0x%lx kind %u\n", ranges[i].start, ranges[i].frames, ranges[i].kind);
}

static bool show_function(pci_id id, void *argument)
{
    (void)argument;
    printk("function " PCI_FORMAT "\n", PCI_SHOW(id));
    return false;
}

void guest_main(void)
{
    EXPECT(bus_init(), "there is no IOMMUOP here");
    list_ranges();
    pci_walk(show_function, NULL);
    report_success("that is all");
}

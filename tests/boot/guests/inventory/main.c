/* SPDX-License-Identifier: MIT */
/*
 * What the guest was given: the reserved ranges, and the functions that it sees, with their bus mastering.
 * Which those ought to be is the scenarios' business; that a range of firmware's is mapped to itself is
 * judged here.
 */
#include "kit/bus.h"
#include "kit/guest.h"
#include "kit/iommu.h"
#include "kit/pci.h"

#define RANGES_MAX 64u

static struct iommu_reserved_range ranges[RANGES_MAX];

static void expect_identity(uint64_t bfn)
{
    struct iommu_map_op op = {.bfn = bfn};

    EXPECT_RETURN(iommu_lookup(&op), 0);
    EXPECT(op.mfn == bfn, "BFN 0x%lx is reserved and leads to frame 0x%lx", bfn, op.mfn);
}

static void list_ranges(void)
{
    long count = iommu_op(IOMMUOP_get_reserved, ranges, RANGES_MAX);

    EXPECT(count >= 0 && count <= (long)RANGES_MAX, "the list of reserved ranges gave %ld", count);
    for (long i = 0; i < count; i++) {
        const struct iommu_reserved_range *range = &ranges[i];

        printk("range 0x%lx 0x%lx kind %u\n", range->start, range->frames, range->kind);
        if (range->kind == IOMMU_RESERVED_identity) {
            expect_identity(range->start);
            expect_identity(range->start + range->frames - 1);
        }
    }
}

static bool show_function(pci_id id, void *argument)
{
    (void)argument;
    printk("function " PCI_FORMAT " class %06x bus mastering %s\n", PCI_SHOW(id), pci_read(id, 8, 4) >> 8,
           pci_read(id, 4, 2) & 4 ? "on" : "off");
    return false;
}

void guest_main(void)
{
    EXPECT(bus_init(), "there is no IOMMUOP here");
    list_ranges();
    pci_walk(show_function, NULL);
    report_success("that is all");
}

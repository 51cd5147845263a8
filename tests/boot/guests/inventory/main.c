/* SPDX-License-Identifier: MIT */
/*
 * What the guest was given: the reserved ranges, and the functions that it sees, with their bus mastering.
 * Which those ought to be is the scenarios' business; that a range of firmware's is mapped to itself and
 * stays so is judged here, and that the lists of ranges are whole or refused.
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

/* -EACCES for what would change the range; what is there already is no change. */
static void expect_fixed(uint64_t bfn)
{
    EXPECT_RETURN(iommu_map_one(bfn, bfn, IOMMU_RW), 0);
    EXPECT_RETURN(iommu_map_one(bfn, bfn, IOMMU_MAP_OP_readable), -EACCES);
    EXPECT_RETURN(iommu_map_one(bfn, pfn_to_mfn(frame_alloc()), IOMMU_RW), -EACCES);
    EXPECT_RETURN(iommu_map_one(bfn, bfn, 0), -EACCES);
    EXPECT_RETURN(iommu_unmap_one(bfn), -EACCES);
    expect_identity(bfn);
}

static void expect_no_short_lists(long count, uint32_t identities)
{
    static struct xen_reserved_device_memory list[RANGES_MAX];
    struct xen_reserved_device_memory_map map = {.nr_entries = RANGES_MAX, .buffer = hypercall_pointer(list)};

    if (count > 1)
        EXPECT_RETURN(iommu_op(IOMMUOP_get_reserved, ranges, (uint64_t)count - 1), -ENOBUFS);
    EXPECT_RETURN(memory_op(XENMEM_reserved_device_memory_map, &map), 0);
    EXPECT_RETURN(map.nr_entries, identities);
    if (!identities)
        return;
    map.nr_entries = identities - 1;
    EXPECT_RETURN(memory_op(XENMEM_reserved_device_memory_map, &map), -ENOBUFS);
    EXPECT_RETURN(map.nr_entries, identities);
    map.buffer = HYPERVISOR_VIRT_START;
    EXPECT_RETURN(memory_op(XENMEM_reserved_device_memory_map, &map), -EFAULT);
}

static void list_ranges(void)
{
    long count = iommu_op(IOMMUOP_get_reserved, ranges, RANGES_MAX);
    uint32_t identities = 0;

    EXPECT(count >= 0 && count <= (long)RANGES_MAX, "the list of reserved ranges gave %ld", count);
    for (long i = 0; i < count; i++) {
        const struct iommu_reserved_range *range = &ranges[i];

        printk("range 0x%lx 0x%lx kind %u\n", range->start, range->frames, range->kind);
        if (range->kind == IOMMU_RESERVED_identity) {
            expect_identity(range->start);
            expect_identity(range->start + range->frames - 1);
            expect_fixed(range->start);
            expect_fixed(range->start + range->frames - 1);
            identities++;
        }
    }
    expect_no_short_lists(count, identities);
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

/* SPDX-License-Identifier: MIT */
/* The smallest useful guest: says what it sees, then powers off. */
#include "kit/guest.h"

#include <sluice/iommu_op.h>

static void show_hypervisor(void)
{
    xen_extraversion_t extra = "";
    struct xen_feature_info features = {.submap_idx = 0};
    long version = xen_version(XENVER_version, NULL);
    xen_version(XENVER_extraversion, extra);
    xen_version(XENVER_get_features, &features);
    printk("hello: hypervisor interface %ld.%ld%.16s, features 0x%x\n", version >> 16, version & 0xffff,
           extra, features.submap);
}

static void show_memory(void)
{
    uint64_t moved = 0;
    for (uint64_t pfn = 0; pfn < start_info->nr_pages; pfn++)
        moved += pfn_to_mfn(pfn) != pfn;
    printk("hello: %lu MiB of memory, %lu of %lu frames lie at another machine address\n",
           start_info->nr_pages >> 8, moved, start_info->nr_pages);
    printk("hello: command line \"%s\"\n", start_info->cmd_line);
}

static void show_iommu(void)
{
    long probe = hypercall(__HYPERVISOR_iommu_op, IOMMUOP_unmap_page, 0, 0, 0, 0);
    if (probe) {
        printk("hello: no IOMMUOP (the probe gave %ld): DMA is not mine to steer\n", probe);
        return;
    }
    struct iommu_query query = {0};
    EXPECT_RETURN(hypercall(__HYPERVISOR_iommu_op, IOMMUOP_query, hypercall_pointer(&query), 1, 0, 0), 0);
    printk("hello: IOMMUOP version %u, features 0x%x, bus frames up to 0x%lx, premap %u\n", query.version,
           query.features, query.max_bfn, query.premap);
    printk("hello: %u reserved ranges, %u of %u table pages used\n", query.reserved_ranges, query.table_used,
           query.table_quota);
}

void guest_main(void)
{
    show_hypervisor();
    show_memory();
    show_iommu();
    report_success("hello: all is well");
}

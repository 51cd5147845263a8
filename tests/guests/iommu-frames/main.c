/* SPDX-License-Identifier: MIT */
/*
 * Rule: in mode "owned" a map may name the guest's own frames and the registers of its own devices, nothing
 * else: not the hypervisor's memory, not firmware's, not free memory, not the IOMMU's, local APIC's or
 * IO-APIC's registers, not a page with MSI-X tables (S1, S2, J8 of the review).
 *
 * From: guest-abi/iommu_op.md, "Security statement" and the table of statuses.
 *
 * Method: every machine frame below the highest RAM frame that is not the guest's is tried, one by one, for
 * reading and for writing; then the known register pages; then every frame that is the guest's.
 *
 * Errors: status -EPERM.
 *
 * doors: both
 * run: default
 * run: linear options="p2m=linear"
 */
#include "common/rule.h"
#include "kit/pci.h"

static uint64_t bfn;

static void refused(uint64_t mfn, const char *what)
{
    for (uint32_t flags = IOMMU_MAP_OP_readable; flags <= IOMMU_RW; flags++) {
        long status = iommu_map_one(bfn, mfn, flags);
        EXPECT(status == -EPERM, "%s, MFN 0x%lx, flags %u: status %ld", what, mfn, flags, status);
    }
    EXPECT_ABSENT(bfn);
}

static void every_frame_that_is_not_ours(void)
{
    uint64_t tried = 0, end = highest_mfn();
    for (uint64_t mfn = 0; mfn <= end; mfn++) {
        if (mfn_to_pfn(mfn) != NO_FRAME)
            continue;
        if (mfn >= 0xa0 && mfn < 0xc0) /* VGA memory may be an own device's */
            continue;
        long status = iommu_map_one(bfn, mfn, IOMMU_MAP_OP_readable);
        EXPECT(status == -EPERM, "MFN 0x%lx is not the guest's, and mapping it gave %ld", mfn, status);
        status = iommu_map_one(bfn, mfn, IOMMU_RW);
        EXPECT(status == -EPERM, "MFN 0x%lx is not the guest's, and mapping it for writing gave %ld", mfn,
               status);
        tried++;
    }
    EXPECT_ABSENT(bfn);
    printk("%lu frames up to MFN 0x%lx are not the guest's\n", tried, end);
    EXPECT(tried > 0, "there is not one frame of the hypervisor's below MFN 0x%lx", end);
}

static bool own_registers(pci_id id, void *argument)
{
    (void)argument;
    uint32_t vendor = pci_read(id, PCI_VENDOR_ID, 4);
    uint64_t address = pci_bar(id, 0);
    if (vendor != 0x11e81234 || !address)
        return false;
    EXPECT_RETURN(iommu_map_one(bfn, address >> PAGE_SHIFT, IOMMU_RW), 0);
    EXPECT_MAPPED(bfn, address >> PAGE_SHIFT, IOMMU_RW);
    EXPECT_RETURN(iommu_unmap_one(bfn), 0);
    printk("registers of own device " PCI_FORMAT " may be a bus target\n", PCI_SHOW(id));
    return false;
}

static bool msix_tables(pci_id id, void *argument)
{
    (void)argument;
    uint32_t capability = pci_capability(id, 0x11);
    if (!capability)
        return false;
    uint32_t table = pci_read(id, capability + 4, 4);
    uint64_t bar = pci_bar(id, table & 7);
    if (bar)
        refused((bar + (table & ~7u)) >> PAGE_SHIFT, "an MSI-X table");
    return false;
}

static void every_own_frame(void)
{
    for (uint64_t pfn = 0; pfn < start_info->nr_pages; pfn++) {
        uint64_t mfn = pfn_to_mfn(pfn);
        long status = iommu_map_one(bfn, mfn, IOMMU_RW);
        EXPECT(status == 0, "own PFN 0x%lx, MFN 0x%lx: status %ld", pfn, mfn, status);
    }
    EXPECT_RETURN(iommu_unmap_one(bfn), 0);
}

void guest_main(void)
{
    need_iommu();
    bfn = unused_bfns(1);
    every_frame_that_is_not_ours();
    refused(0xfed90, "a VT-d unit's registers");
    refused(0xfed80, "an AMD-Vi unit's registers");
    refused(0xfee00, "the local APIC's registers");
    refused(0xfec00, "the IO-APIC's registers");
    refused(0xb0000, "the configuration window");
    refused(1ul << 36, "nothing at all");
    pci_walk(own_registers, NULL);
    pci_walk(msix_tables, NULL);
    every_own_frame();
    report_success("only own frames and own registers can be mapped");
}

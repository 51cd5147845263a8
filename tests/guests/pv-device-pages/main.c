/* SPDX-License-Identifier: MIT */
/*
 * Rule: the guest maps the registers of its own devices, uncached; pages with MSI-X tables, configuration
 * space and the HPET only for reading, whatever it asks for; registers of others not at all. What may be
 * mapped was fixed from the BARs at boot.
 *
 * From: guest-abi/pv_memory.md, section 3; guest-abi/devices.md.
 *
 * Method: each BAR of the devices the guest sees, page by page; the MSI-X table of NVMe; known register
 * pages; the ISA hole, VGA memory and ROMs from 0xa0000 to 0xfffff, which is every kernel's.
 *
 * Errors: -EPERM.
 *
 * run: default
 * run: bridges devices="nvme-behind-root-port edu-behind-bridge"
 * run: off options="iommu=off"
 */
#include "kit/guest.h"
#include "kit/pci.h"

static uint32_t tables, registers;

static void refused(uint64_t address, uint64_t flags, const char *what)
{
    void *page = map_frame(address >> PAGE_SHIFT, flags);
    EXPECT(!page && window_error == -EPERM, "%s at 0x%lx: mapped %u, errno %ld", what, address, page != NULL,
           window_error);
}

static void allowed(uint64_t address, uint64_t flags, const char *what)
{
    void *page = map_frame(address >> PAGE_SHIFT, flags);
    EXPECT(page, "%s at 0x%lx cannot be mapped: %ld", what, address, window_error);
    unmap_frames(page, 1);
}

/* Asked for with the right to write, had without it. */
static void withheld(uint64_t address, const char *what)
{
    struct pte_place place;
    struct trap_result seen;
    volatile uint32_t *page = map_frame(address >> PAGE_SHIFT, MAP_MMIO);
    EXPECT(page, "%s at 0x%lx cannot be mapped: %ld", what, address, window_error);
    EXPECT(page_table_walk((uint64_t)(uintptr_t)page, 1, &place) &&
               (place.entry & (PTE_PRESENT | PTE_WRITE | PTE_PCD | PTE_PWT)) ==
                   (PTE_PRESENT | PTE_PCD | PTE_PWT),
           "%s at 0x%lx: entry 0x%lx", what, address, place.entry);
    EXPECT(trap_read_works(page, &seen), "%s at 0x%lx cannot be read", what, address);
    EXPECT(!trap_write_works(page, &seen) && seen.error_code == (PF_PRESENT | PF_WRITE),
           "%s at 0x%lx can be written; error code 0x%x", what, address, seen.error_code);
    uint32_t before = *page;
    *page = ~before; /* a plain store goes nowhere */
    EXPECT(*page == before, "%s at 0x%lx: 0x%x became 0x%x", what, address, before, *page);
    unmap_frames((void *)(uintptr_t)page, 1);
}

#define INTERRUPT_LINE 0x3cu

/* Through its window configuration space takes what it takes by ports. */
static void window_is_as_good_as_ports(pci_id id)
{
    volatile uint8_t *page = map_frame(0xb0000 + id, MAP_MMIO);
    EXPECT(page, "configuration space cannot be mapped: %ld", window_error);
    uint8_t before = (uint8_t)pci_read(id, INTERRUPT_LINE, 1);
    page[INTERRUPT_LINE] = before ^ 0x55;
    EXPECT(pci_read(id, INTERRUPT_LINE, 1) == (before ^ 0x55u) && page[INTERRUPT_LINE] == (before ^ 0x55u),
           "interrupt line 0x%x after 0x%x", pci_read(id, INTERRUPT_LINE, 1), before ^ 0x55u);
    page[INTERRUPT_LINE] = before;
    uint32_t identity = pci_read(id, PCI_VENDOR_ID, 4);
    *(volatile uint16_t *)page = 0;
    *(volatile uint32_t *)(page + 0x100) = ~0u; /* extended registers are read-only */
    EXPECT(pci_read(id, PCI_VENDOR_ID, 4) == identity, "the identity became 0x%x",
           pci_read(id, PCI_VENDOR_ID, 4));
    unmap_frames((void *)(uintptr_t)page, 1);
}

static bool one_function(pci_id id, void *unused)
{
    (void)unused;
    if ((pci_read(id, PCI_HEADER_TYPE, 1) & 0x7f) != 0)
        return false;
    uint32_t msix = pci_capability(id, 0x11), vendor = pci_read(id, PCI_VENDOR_ID, 4);
    if (msix) {
        uint32_t table = pci_read(id, msix + 4, 4);
        uint64_t bar = pci_bar(id, table & 7);
        if (bar) {
            withheld(bar + (table & ~7u), "an MSI-X table");
            allowed(bar + (table & ~7u), MAP_RAM_READ | PTE_PCD | PTE_PWT, "an MSI-X table, for reading");
            tables++;
        }
    }
    if (vendor == 0x11e81234) {
        uint64_t bar = pci_bar(id, 0);
        allowed(bar, MAP_MMIO, "edu's registers");
        allowed(bar + 0xff000, MAP_MMIO, "edu's last page");
        window_is_as_good_as_ports(id);
        registers++;
    }
    return false;
}

void guest_main(void)
{
    pci_walk(one_function, NULL);
    EXPECT(registers, "edu is not there");
    EXPECT(tables, "no function has MSI-X");
    static const uint64_t others[] = {0xfed90000, 0xfee00000, 0xfec00000};
    for (uint32_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        refused(others[i], MAP_MMIO, "a page of the machine's");
    withheld(0xfed00000, "the HPET");
    withheld(0xb0000000, "configuration space");
    withheld(0xb0008000, "configuration space of a device");
    static const uint64_t below_1_mib[] = {0xa0000, 0xb8000, 0xc0000, 0xff000};
    for (uint32_t i = 0; i < sizeof(below_1_mib) / sizeof(below_1_mib[0]); i++)
        allowed(below_1_mib[i], MAP_MMIO, "a page of the ISA hole");
    report_success("device pages are the guest's own");
}

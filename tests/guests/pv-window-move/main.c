/* SPDX-License-Identifier: MIT */
/*
 * Rule: a memory window may be moved to a free place inside the root window; its registers are then there,
 * and may be mapped there. A window with an MSI-X table does not move.
 *
 * From: guest-abi/devices.md, "Sizing and moving a window".
 *
 * Method: the SATA controller's register window (4 KiB, no MSI-X) is moved page by page through the last MiB
 * that firmware used, until a place is taken; then back.
 *
 * Errors: none; a refused move leaves the register as it was. -EPERM for frames that are no window.
 *
 * run: default
 */
#include "kit/guest.h"
#include "kit/pci.h"

#define SATA_CLASS   0x010601u
#define SATA_BAR     5u
#define SATA_PORTS   0x0c /* ports implemented */
#define SATA_VERSION 0x10
#define MIB          0x100000ull

static uint32_t version_at(uint64_t address)
{
    volatile uint8_t *page = map_frame(address >> PAGE_SHIFT, MAP_MMIO);
    EXPECT(page, "the window at 0x%lx cannot be mapped: %ld", address, window_error);
    uint32_t version = *(volatile uint32_t *)(page + SATA_VERSION);
    unmap_frames((void *)page, 1);
    return version;
}

static uint64_t place_window(pci_id id, uint32_t offset, uint64_t address)
{
    pci_write(id, offset, 4, (uint32_t)address);
    return pci_read(id, offset, 4) & 0xfffffff0u;
}

static bool msix_window_stays(pci_id id, void *unused)
{
    (void)unused;
    uint32_t msix = pci_capability(id, 0x11);
    if (!msix || (pci_read(id, PCI_HEADER_TYPE, 1) & 0x7f) != 0)
        return false;
    uint32_t bar = pci_read(id, msix + 4, 4) & 7, offset = PCI_BAR0 + 4 * bar;
    uint32_t before = pci_read(id, offset, 4) & 0xfffffff0u;
    for (uint64_t place = before & ~(MIB - 1); place < (before & ~(MIB - 1)) + MIB; place += 0x4000)
        EXPECT(place_window(id, offset, place) == before, "the MSI-X window of " PCI_FORMAT " moved to 0x%lx",
               PCI_SHOW(id), place);
    place_window(id, offset, before);
    return false;
}

void guest_main(void)
{
    pci_id sata;
    if (!pci_find_class(SATA_CLASS, 0, &sata))
        report_skip("there is no SATA controller");
    pci_enable(sata);
    uint32_t offset = PCI_BAR0 + 4 * SATA_BAR;
    uint64_t boot = pci_bar(sata, SATA_BAR), place, end = (boot & ~(MIB - 1)) + MIB;
    uint32_t version = version_at(boot);
    EXPECT(version != 0 && version != 0xffffffff, "no SATA registers at 0x%lx", boot);

    for (place = end - PAGE_SIZE; place > boot; place -= PAGE_SIZE) {
        if (place_window(sata, offset, place) == place)
            break;
    }
    EXPECT(place > boot, "no place between 0x%lx and 0x%lx was taken", boot, end);
    EXPECT_RETURN(version_at(place), version);
    EXPECT_RETURN(place_window(sata, offset, end + 0x40000000), place);
    EXPECT_RETURN(place_window(sata, offset, boot), boot);
    EXPECT_RETURN(version_at(boot), version);
    EXPECT(!map_frame(place >> PAGE_SHIFT, MAP_MMIO) && window_error == -EPERM,
           "0x%lx is still a window: errno %ld", place, window_error);
    pci_walk(msix_window_stays, NULL);
    report_success("moved to 0x%lx and back to 0x%lx", place, boot);
}

/* SPDX-License-Identifier: MIT */
/*
 * The kit's disk drivers where a disk says no: a read behind its last block is an error, the next good one
 * works again, and afterwards the controller is stopped and may not reach memory.
 */
#include "kit/ahci.h"
#include "kit/bus.h"
#include "kit/guest.h"
#include "kit/nvme.h"

#define TIMES 3

static uint8_t *page;
static uint64_t page_bus;

static bool page_is_zero(void)
{
    for (uint32_t i = 0; i < PAGE_SIZE; i++)
        if (page[i])
            return false;
    return true;
}

static void expect_off(pci_id id)
{
    EXPECT(!(pci_read(id, PCI_COMMAND, 2) & PCI_COMMAND_MASTER), PCI_FORMAT " is still a bus master",
           PCI_SHOW(id));
}

static void try_ahci(void)
{
    static struct ahci ahci;
    const char *trouble = ahci_open(&ahci, 0);
    EXPECT(!trouble, "AHCI: %s", trouble);
    EXPECT(ahci_look(&ahci, 0) == AHCI_DISK, "AHCI: port 0 has no disk");
    trouble = ahci_open_disk(&ahci, 0);
    EXPECT(!trouble, "AHCI: %s", trouble);
    for (uint32_t i = 0; i < TIMES; i++) {
        EXPECT_RETURN(ahci_read_pages(&ahci, ahci.blocks, ahci.block_size, &page_bus), -EIO);
        memset(page, 0, PAGE_SIZE);
        EXPECT_RETURN(ahci_read_pages(&ahci, ahci.blocks - 1, ahci.block_size, &page_bus), 0);
        EXPECT(!page_is_zero(), "AHCI: after an error nothing arrives");
    }
    EXPECT_RETURN(ahci_read_pages(&ahci, 0, ahci.block_size - 1, &page_bus), -EINVAL);
    EXPECT_RETURN(ahci_read_pages(&ahci, 0, ahci.max_bytes + ahci.block_size, &page_bus), -EINVAL);
    ahci_close(&ahci);
    expect_off(ahci.id);
    trouble = ahci_open(&ahci, 0);
    EXPECT(!trouble, "AHCI cannot be opened again: %s", trouble);
    ahci_close(&ahci);
}

static void try_nvme(void)
{
    static struct nvme nvme;
    const char *trouble = nvme_open(&nvme, 0);
    EXPECT(!trouble, "NVMe: %s", trouble);
    for (uint32_t i = 0; i < TIMES; i++) {
        EXPECT(nvme_read_pages(&nvme, nvme.blocks, nvme.block_size, &page_bus) > 0,
               "NVMe: the block behind the last one can be read");
        memset(page, 0, PAGE_SIZE);
        EXPECT_RETURN(nvme_read_pages(&nvme, nvme.blocks - 1, nvme.block_size, &page_bus), 0);
        EXPECT(!page_is_zero(), "NVMe: after an error nothing arrives");
    }
    nvme_close(&nvme);
    expect_off(nvme.id);
    trouble = nvme_open(&nvme, 0);
    EXPECT(!trouble, "NVMe cannot be opened again: %s", trouble);
    nvme_close(&nvme);
}

void guest_main(void)
{
    uint64_t pfn;
    bus_init();
    page = page_alloc(&pfn);
    page_bus = page ? bus_address(pfn) : NO_BUS;
    if (page_bus == NO_BUS)
        report_error("no page for the device");
    if (nvme_present(0))
        try_nvme();
    else
        try_ahci();
    report_success("errors are reported, and the next command works");
}

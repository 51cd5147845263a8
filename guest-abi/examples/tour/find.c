/* SPDX-License-Identifier: MIT */
/*
 * Which disk the tour reads: the first one behind an NVMe controller, or else behind an AHCI controller. The
 * machine's disks hold somebody's data: whatever is not understood is left alone, and says so.
 */
#include "tour.h"

#include "kit/ahci.h"
#include "kit/nvme.h"

#define CLASS_STORAGE 0x01u

static struct nvme nvme;
static struct ahci ahci;
static struct disk disk;
static bool on_ahci; /* the disk is, or else on NVMe */
static bool trouble; /* a controller brought nothing, not even a name */

#define SAY_LEFT_ALONE(what, id, why)                                                                        \
    printk("tour: " what " " PCI_FORMAT ": %s: left alone\n", PCI_SHOW(id), why)

/* ---- NVMe ---- */

static bool open_nvme(uint32_t index)
{
    const char *reason = nvme_open(&nvme, index);
    if (reason) {
        SAY_LEFT_ALONE("NVMe", nvme.id, reason);
        trouble |= !nvme.model[0];
        return false;
    }
    disk = (struct disk){.kind = "NVMe",
                         .id = nvme.id,
                         .model = nvme.model,
                         .blocks = nvme.blocks,
                         .block_size = nvme.block_size,
                         .max_bytes = nvme.max_bytes,
                         .sgl = nvme.sgl};
    return true;
}

static bool find_nvme(void)
{
    for (uint32_t i = 0; nvme_present(i); i++)
        if (open_nvme(i))
            return true;
    return false;
}

/* ---- AHCI ---- */

static void say_port_left_alone(uint32_t port, const char *why)
{
    printk("tour: AHCI " PCI_FORMAT ", port %u: %s: left alone\n", PCI_SHOW(ahci.id), port, why);
}

static bool open_ahci_disk(uint32_t port)
{
    const char *reason = ahci_open_disk(&ahci, port);
    if (reason) {
        say_port_left_alone(port, reason);
        trouble |= !ahci.model[0];
        return false;
    }
    on_ahci = true;
    disk = (struct disk){.kind = "AHCI",
                         .id = ahci.id,
                         .model = ahci.model,
                         .blocks = ahci.blocks,
                         .block_size = ahci.block_size,
                         .max_bytes = ahci.max_bytes};
    return true;
}

static bool try_port(uint32_t port)
{
    const char *what = "neither a disk nor a CD or DVD drive";
    switch (ahci_look(&ahci, port)) {
    case AHCI_DISK:
        return open_ahci_disk(port);
    case AHCI_EMPTY:
        return false;
    case AHCI_ATAPI:
        what = "a CD or DVD drive (ATAPI)";
        break;
    case AHCI_OTHER:
        break;
    }
    say_port_left_alone(port, what);
    return false;
}

static bool open_ahci(uint32_t index)
{
    const char *reason = ahci_open(&ahci, index);
    if (reason) {
        SAY_LEFT_ALONE("AHCI", ahci.id, reason);
        trouble = true;
        return false;
    }
    for (uint32_t port = 0; port < AHCI_PORTS; port++)
        if (ahci.ports >> port & 1 && try_port(port))
            return true;
    printk("tour: AHCI " PCI_FORMAT ": no disk that I can read; at its other ports nothing answers\n",
           PCI_SHOW(ahci.id));
    ahci_close(&ahci);
    return false;
}

static bool find_ahci(void)
{
    for (uint32_t i = 0; ahci_present(i); i++)
        if (open_ahci(i))
            return true;
    return false;
}

/* ---- either ---- */

/* A RAID mode hides the disks of many a PC; virtio is a virtual machine's. */
static bool say_other(pci_id id, void *none)
{
    (void)none;
    uint32_t class_code = pci_read(id, PCI_CLASS_REVISION, 4) >> 8;
    if (class_code >> 16 == CLASS_STORAGE && class_code != NVME_CLASS && class_code != AHCI_CLASS)
        printk("tour: storage controller " PCI_FORMAT ": of class 0x%06x, which I cannot drive: left alone\n",
               PCI_SHOW(id), class_code);
    return false;
}

bool disk_find(void)
{
    if (find_nvme() || find_ahci()) {
        disk.pages = disk.blocks / (PAGE_SIZE / disk.block_size);
        return true;
    }
    pci_walk(say_other, NULL);
    return false;
}

bool disk_trouble(void)
{
    return trouble;
}

const struct disk *disk_now(void)
{
    return &disk;
}

long disk_read_pages(uint64_t first, uint32_t count, const uint64_t *pages, bool one_descriptor)
{
    uint64_t lba = first * (PAGE_SIZE / disk.block_size);
    uint32_t bytes = count * (uint32_t)PAGE_SIZE;
    if (on_ahci)
        return ahci_read_pages(&ahci, lba, bytes, pages);
    return one_descriptor ? nvme_read_sgl(&nvme, lba, bytes, pages[0])
                          : nvme_read_pages(&nvme, lba, bytes, pages);
}

void disk_close(void)
{
    if (!disk.kind)
        return;
    if (on_ahci)
        ahci_close(&ahci);
    else
        nvme_close(&nvme);
}

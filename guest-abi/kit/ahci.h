/* SPDX-License-Identifier: MIT */
/*
 * A polling driver for SATA disks that can only read: Serial ATA AHCI 1.3.1, with commands of ATA8-ACS. Of
 * all ATA commands it knows IDENTIFY DEVICE and READ DMA EXT, and it never tells the controller that a
 * command takes data from memory: nothing in it can change what is on a disk. One port and one command at a
 * time.
 */
#ifndef KIT_AHCI_H
#define KIT_AHCI_H

#include "kit/pci.h"

#define AHCI_CLASS 0x010601u

/* Ports whose registers lie in the first 4 KiB. A controller that has one of the last two of 32 is left
 * alone. */
#define AHCI_PORTS 30u

/* What is behind a port. */
enum ahci_kind {
    AHCI_EMPTY, /* nothing, or nothing that answers */
    AHCI_DISK,  /* an ATA device */
    AHCI_ATAPI, /* a CD or DVD drive, as a rule */
    AHCI_OTHER, /* a port multiplier, an enclosure, ... */
};

struct ahci {
    pci_id id;
    volatile uint8_t *registers;
    uint32_t ports;   /* those that exist, a bit each */
    uint32_t port;    /* the one in use */
    uint8_t *command; /* one page: command list, received FISes, command table */
    uint8_t *data;    /* one page: what IDENTIFY DEVICE brings */
    uint64_t command_bus, data_bus;
    /* Of the disk that ahci_open_disk() has opened: */
    char model[41];
    uint64_t blocks;
    uint32_t block_size, max_bytes; /* max_bytes: of one command */
};

bool ahci_present(uint32_t index);

/*
 * Takes the index-th controller from firmware and stops its ports; only then it may reach memory. NULL, or a
 * sentence that says what went wrong.
 */
const char *ahci_open(struct ahci *ahci, uint32_t index);

/* port: one of ahci->ports. It is stopped again afterwards. */
enum ahci_kind ahci_look(struct ahci *ahci, uint32_t port);

/* Starts the port and identifies its disk. NULL; or a sentence, and the port is stopped. */
const char *ahci_open_disk(struct ahci *ahci, uint32_t port);

/*
 * Reads bytes (whole blocks, at most max_bytes) from lba, to pages at the bus addresses given (4 KiB
 * aligned). 0; -EIO: the disk or the controller reported an error, and the port was started again;
 * -ETIMEDOUT: it did not answer, and was started again; -EINVAL.
 */
long ahci_read_pages(struct ahci *ahci, uint64_t lba, uint32_t bytes, const uint64_t *pages);

/* Stops every port, and the controller may not reach memory any more. */
void ahci_close(struct ahci *ahci);

#endif

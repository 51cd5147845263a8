/* SPDX-License-Identifier: MIT */
/*
 * A polling NVMe driver that can only read: one admin queue, one I/O queue. NVM Express Base
 * Specification 1.4. Of all commands it knows Identify, the two that create I/O queues, and Read: nothing in
 * it can change what is on a disk. Rings and data are named by bus addresses that the guest chose (bus.h).
 */
#ifndef KIT_NVME_H
#define KIT_NVME_H

#include "kit/pci.h"

#include <stddef.h>

#define NVME_CLASS 0x010802u

struct nvme_command;
struct nvme_completion;

struct nvme_queue {
    uint32_t number, size, tail, head, phase;
    struct nvme_command *commands;
    volatile struct nvme_completion *completions;
    uint64_t commands_bus, completions_bus;
};

struct nvme {
    pci_id id;
    volatile uint8_t *registers;
    uint64_t capabilities; /* CAP */
    struct nvme_queue admin, io;
    void *data; /* one page: identify data, PRP list */
    uint64_t data_bus;
    char model[41];
    bool sgl;              /* the controller takes scatter-gather lists */
    uint32_t max_bytes;    /* of one command */
    uint32_t namespace_id; /* the first one that is there */
    uint64_t blocks;       /* of it */
    uint32_t block_size;
};

/*
 * Finds the index-th controller, takes it from firmware by a reset, and identifies it and its first
 * namespace. NULL, or a sentence that says what went wrong; the controller is stopped then.
 */
const char *nvme_open(struct nvme *nvme, uint32_t index);
bool nvme_present(uint32_t index);

/* Shuts the controller down, as before the power goes, and stops it: no DMA after it. */
void nvme_close(struct nvme *nvme);

/*
 * Reads bytes (whole blocks, at most max_bytes) from lba. Data goes to pages at the bus addresses given
 * (by PRPs; 4 KiB aligned), or to one contiguous bus range by one SGL data block.
 * 0; the command's status field (> 0); -ETIMEDOUT; -EIO controller fatal status; -EINVAL.
 */
long nvme_read_pages(struct nvme *nvme, uint64_t lba, uint32_t bytes, const uint64_t *pages);
long nvme_read_sgl(struct nvme *nvme, uint64_t lba, uint32_t bytes, uint64_t bus_address);

/*
 * The second one in two steps, for what is to happen meanwhile. Up to 63 commands may be under way; they end
 * in any order, and each needs its nvme_finish(). Start: 0 or -EINVAL. Finish: as above; waits if it must.
 */
long nvme_start_sgl(struct nvme *nvme, uint64_t lba, uint32_t bytes, uint64_t bus_address);
bool nvme_has_finished(const struct nvme *nvme); /* one of them, at least */
long nvme_finish(struct nvme *nvme);

#endif

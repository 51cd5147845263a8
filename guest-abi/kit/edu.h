/* SPDX-License-Identifier: MIT */
/*
 * QEMU's educational PCI device: 4 KiB of memory of its own and a DMA engine, which does what it is told
 * 100 ms later. Nothing tells it, or us, that a transfer was blocked: judge by the data.
 */
#ifndef KIT_EDU_H
#define KIT_EDU_H

#include "kit/pci.h"

#define EDU_VENDOR    0x1234
#define EDU_DEVICE    0x11e8
#define EDU_MAX_BYTES 4095u /* 4096 make QEMU give up */

struct edu {
    pci_id id;
    volatile uint8_t *registers;
};

/* Finds, maps and enables the index-th device, and tries its liveness register. */
bool edu_open(struct edu *edu, uint32_t index);

/* From bus memory into the device's memory at offset, and back. false: not done within the deadline. */
bool edu_load(struct edu *edu, uint64_t bus_address, uint32_t offset, uint32_t bytes);
bool edu_store(struct edu *edu, uint64_t bus_address, uint32_t offset, uint32_t bytes);

/* The same in two steps, for what is to happen meanwhile. One transfer at a time. */
bool edu_start_load(struct edu *edu, uint64_t bus_address, uint32_t offset, uint32_t bytes);
bool edu_start_store(struct edu *edu, uint64_t bus_address, uint32_t offset, uint32_t bytes);
bool edu_is_busy(const struct edu *edu);
bool edu_finish(struct edu *edu);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A device as a witness: what does it read and write at a bus frame? Built on QEMU's edu, whose transfers
 * end without a word when they are blocked, so only the data tells.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdint.h>

/* Finds edu and gives it a page it can always reach; ends the guest with SKIP when there is no edu. */
void device_open(void);

#define DEVICE_POISON 0x6e6f7468696e6721ul /* the device's memory before every read */

/* The eight bytes that the device reads at the start of bfn; DEVICE_POISON or 0 when it is stopped. */
uint64_t device_read(uint64_t bfn);

/* Lets the device write value to the start of bfn, whether it may or not. */
void device_write(uint64_t bfn, uint64_t value);

/* A frame of the guest's with a number of its own at its start; *mfn gets its machine frame. */
volatile uint64_t *marked_page(uint64_t mark, uint64_t *mfn);

#endif

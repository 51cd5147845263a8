/* SPDX-License-Identifier: MIT */
/*
 * The log on the framebuffer that firmware left, beside the serial port. Option screen=off: never.
 *
 * The guest owns the graphics device. The hypervisor draws until the guest maps a page of the framebuffer
 * writable, or moves it, and then leaves it alone; after a mapping, a fault of the hypervisor's own still
 * takes it back.
 */
#ifndef SLUICE_SCREEN_SCREEN_H
#define SLUICE_SCREEN_SCREEN_H

#include "boot_info.h"

#include <stdbool.h>
#include <stdint.h>

/* First of all: keeps what is logged from here on, and draws nothing yet. */
void screen_init(const struct boot_framebuffer *framebuffer);

/*
 * When the memory map is known: draws, or says in a sentence why not. framebuffer->virtual is 0 afterwards
 * when there is nothing to map for the screen, and format BOOT_PIXEL_NONE when what firmware says is not to
 * be believed.
 */
void screen_start(struct boot_info *info, uint8_t physical_bits);

/* From here on the guest runs, and is not to wait for the screen: each line draws no more than a bounded
 * part. */
void screen_guest_runs(void);

/* The guest has ended: what is not drawn yet is drawn now, and all that comes is at once. */
void screen_guest_ended(void);

/* True when what is logged can be seen there. */
bool screen_is_ours(void);

/* The guest maps this frame, no RAM, for writing. */
void screen_guest_maps(uint64_t mfn);

/* The guest moves the window [window, window + size), bytes, of a device. */
void screen_guest_moves(uint64_t window, uint64_t size);

#endif

/* SPDX-License-Identifier: MIT */
/* The pages a new guest finds filled: start_info, shared_info and the hypercall page. */
#ifndef SLUICE_PV_START_INFO_H
#define SLUICE_PV_START_INFO_H

#include "boot_info.h"
#include "guest-abi/include/sluice/xen.h"
#include "pv/layout.h"

#include <stdint.h>

struct start_info_facts {
    const struct guest_image *image;
    const struct guest_layout *layout;
    const struct boot_framebuffer *framebuffer;
    const char *cmdline; /* cut at cmdline_size or at its NUL */
    uint64_t cmdline_size;
    uint64_t nr_pages, module_size, shared_mfn;
};

/* page: one zeroed or dirty frame of 4096 bytes; all of it is written. */
void start_info_fill(void *page, const struct start_info_facts *facts);

/* page: one zeroed frame. Events are masked on every virtual CPU. */
void shared_info_fill(struct shared_info *shared);

/* page: 4096 bytes; 128 stubs of 32 bytes, stub n issues hypercall n. */
void hypercall_page_fill(uint8_t *page);

#endif

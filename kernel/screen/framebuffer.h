/* SPDX-License-Identifier: MIT */
/* Whether what firmware says about its framebuffer can be believed. */
#ifndef SLUICE_SCREEN_FRAMEBUFFER_H
#define SLUICE_SCREEN_FRAMEBUFFER_H

#include "boot_info.h"
#include "mem/alloc.h"

#include <stdint.h>

/* What a framebuffer must stay clear of. */
struct framebuffer_machine {
    uint8_t physical_bits;
    const struct memory_range *ranges; /* firmware's memory map; range_count 0 when it was of no use */
    uint32_t range_count;
    struct boot_blob image, loader_pages;
};

/*
 * NULL when every pixel can be written: it then lies in what the loader mapped at framebuffer->virtual, in no
 * memory that anybody uses and in no register of the chipset. Else why it is not used, the end of a sentence
 * that begins with "the framebuffer". Reads nothing but its arguments, which may hold anything.
 */
const char *framebuffer_wrong(const struct boot_framebuffer *framebuffer,
                              const struct framebuffer_machine *machine);

#endif

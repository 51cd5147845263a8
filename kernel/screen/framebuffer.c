/* SPDX-License-Identifier: MIT */
#include "screen/framebuffer.h"

#include <stdbool.h>
#include <stddef.h>

#define WIDTH_LEAST  320u
#define HEIGHT_LEAST 200u
#define SIDE_MOST    16383u /* a line of them has less than 2^16 bytes, as a guest is told */
#define LARGE_PAGE   (2ull << 20)

/* IO-APICs, timers, local APIC, interrupt messages, firmware's flash: on every PC. */
#define CHIPSET_BASE 0xfec00000ull
#define CHIPSET_END  0x100000000ull

static const char *shape_wrong(const struct boot_framebuffer *framebuffer)
{
    if (framebuffer->format != BOOT_PIXEL_RGBX && framebuffer->format != BOOT_PIXEL_BGRX)
        return "has pixels that are not of 8 bits each of red, green and blue, in 32 bits";
    if (framebuffer->width < WIDTH_LEAST || framebuffer->height < HEIGHT_LEAST)
        return "is smaller than 320x200";
    if (framebuffer->width > SIDE_MOST || framebuffer->height > SIDE_MOST || framebuffer->pitch > SIDE_MOST)
        return "is said to have a side of over 16383 pixels";
    if (framebuffer->pitch < framebuffer->width)
        return "is said to have lines that are longer than the way from one to the next";
    if (framebuffer->size < boot_framebuffer_bytes(framebuffer))
        return "is said to be too small for its own lines";
    if (boot_framebuffer_bytes(framebuffer) > BOOT_FRAMEBUFFER_MAX)
        return "is larger than 256 MiB";
    return NULL;
}

static bool touch(uint64_t base, uint64_t size, uint64_t other, uint64_t other_size)
{
    return base < other + other_size && other < base + size;
}

static bool in_memory(uint64_t base, uint64_t size, const struct framebuffer_machine *machine)
{
    for (uint32_t i = 0; i < machine->range_count; i++) {
        const struct memory_range *range = &machine->ranges[i];
        if (range->kind < MEMORY_RESERVED && touch(base, size, range->base, range->size))
            return true;
    }
    return false;
}

static const char *place_wrong(const struct boot_framebuffer *framebuffer,
                               const struct framebuffer_machine *machine)
{
    uint64_t base = framebuffer->base, size = boot_framebuffer_bytes(framebuffer);
    uint64_t limit = 1ull << machine->physical_bits;

    if (base == 0 || base % 4 != 0)
        return "is said to be at an address where none can be";
    if (base >= limit || size > limit - base)
        return "is beyond the machine's address width";
    if (touch(base, size, machine->image.base, machine->image.size) ||
        touch(base, size, machine->loader_pages.base, machine->loader_pages.size))
        return "is said to be where the hypervisor is";
    if (in_memory(base, size, machine))
        return "is said to be in memory that is in use";
    if (touch(base, size, CHIPSET_BASE, CHIPSET_END - CHIPSET_BASE))
        return "is said to be where the chipset's registers are";
    if (framebuffer->virtual != BOOT_FRAMEBUFFER_VIRTUAL + base % LARGE_PAGE)
        return "was not mapped by the loader";
    return NULL;
}

const char *framebuffer_wrong(const struct boot_framebuffer *framebuffer,
                              const struct framebuffer_machine *machine)
{
    const char *wrong = shape_wrong(framebuffer);
    return wrong != NULL ? wrong : place_wrong(framebuffer, machine);
}

/* SPDX-License-Identifier: MIT */
/* Views of what is not RAM: device registers for ever, firmware tables for a while. */
#include "boot_info.h"
#include "cpu/features.h"
#include "lib/log.h"
#include "mem/frame.h"
#include "mem/map.h"
#include "mem/memory_map.h"
#include "mem/tables.h"

#define LARGE_PAGE (2ull << 20)

static uint64_t mmio_next = MAP_MMIO_BASE;
static uint64_t window_next = MAP_WINDOW_BASE;
static uint64_t windows_open;

/* The pages that hold [physical, physical + size); false when that is not a machine address range. */
static bool page_span(uint64_t physical, uint64_t size, uint64_t *base, uint64_t *bytes)
{
    uint64_t limit = 1ull << cpu_features.physical_bits;
    if (size == 0 || physical >= limit || size > limit - physical)
        return false;
    *base = physical & ~(FRAME_SIZE - 1);
    *bytes = ((physical + size + FRAME_SIZE - 1) & ~(FRAME_SIZE - 1)) - *base;
    return true;
}

static bool touches_ram(uint64_t base, uint64_t bytes)
{
    for (uint32_t i = 0; i < memory_range_count; i++) {
        const struct memory_range *range = &memory_ranges[i];
        if (memory_kind_is_ram(range->kind) && range->base < base + bytes && base < range->base + range->size)
            return true;
    }
    return false;
}

volatile void *mmio_map(uint64_t physical, uint64_t size)
{
    uint64_t base = 0, bytes = 0;
    if (!page_span(physical, size, &base, &bytes) || touches_ram(base, bytes)) {
        log_line("memory: no register window at 0x%llx (0x%llx bytes): RAM, or no machine address",
                 (unsigned long long)physical, (unsigned long long)size);
        return NULL;
    }
    /* The same place within 2 MiB, so that large pages fit large windows. */
    uint64_t start = mmio_next;
    if (bytes >= LARGE_PAGE)
        start = ((start + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1)) + base % LARGE_PAGE;
    if (start > BOOT_FRAMEBUFFER_VIRTUAL || bytes > BOOT_FRAMEBUFFER_VIRTUAL - start ||
        !page_tables_map(own_tables(), start, base, bytes, MAP_UNCACHED)) {
        log_line("memory: no room for a register window of 0x%llx bytes", (unsigned long long)size);
        return NULL;
    }
    mmio_next = start + bytes;
    return (volatile void *)(uintptr_t)(start + (physical - base));
}

const void *phys_map_readonly(uint64_t physical, uint64_t size)
{
    uint64_t base = 0, bytes = 0;
    if (!page_span(physical, size, &base, &bytes) || bytes > MAP_WINDOW_END - window_next)
        return NULL;
    uint64_t start = window_next;
    for (uint64_t offset = 0; offset < bytes; offset += FRAME_SIZE) {
        if (!page_tables_map(own_tables(), start + offset, base + offset, FRAME_SIZE, MAP_READ_ONLY))
            return NULL;
    }
    window_next = start + bytes;
    windows_open++;
    return (const void *)(uintptr_t)(start + (physical - base));
}

void phys_unmap(const void *address, uint64_t size)
{
    uint64_t start = (uint64_t)(uintptr_t)address & ~(FRAME_SIZE - 1);
    uint64_t end = (uint64_t)(uintptr_t)address + size;

    if (address == NULL || size == 0 || start < MAP_WINDOW_BASE || end > window_next)
        return;
    for (uint64_t page = start; page < end; page += FRAME_SIZE) {
        uint64_t *entry = page_tables_entry(own_tables(), page);
        if (entry != NULL)
            *entry = 0;
        __asm__ volatile("invlpg (%0)" : : "r"(page) : "memory");
    }
    if (windows_open != 0 && --windows_open == 0)
        window_next = MAP_WINDOW_BASE;
}

/* SPDX-License-Identifier: MIT */
#include "mem/map.h"

#include "boot_info.h"
#include "cpu/descriptors.h"
#include "cpu/features.h"
#include "cpu/ops.h"
#include "cpu/stack.h"
#include "lib/log.h"
#include "lib/string.h"
#include "mem/alloc.h"
#include "mem/early.h"
#include "mem/frame.h"
#include "mem/frame_table.h"
#include "mem/memory_map.h"
#include "mem/page_table.h"
#include "mem/tables.h"

#define SLOTS (MAP_LAST_SLOT - MAP_FIRST_SLOT + 1)

/* link.ld */
extern const char __image_start[], __image_end[], __text_start[], __text_end[], __rodata_start[],
    __rodata_end[], __data_start[];

static struct page_tables tables;
static uint64_t zero_page;

/* ---- where table pages come from ---- */

static uint64_t *reach_identity(uint64_t physical)
{
    return (uint64_t *)(uintptr_t)physical;
}

static uint64_t take_late(void)
{
    return frames_alloc(1);
}

static uint64_t *reach_direct(uint64_t physical)
{
    return phys_to_virt(physical);
}

const struct page_tables *own_tables(void)
{
    return &tables;
}

uint64_t map_own_cr3(void)
{
    return tables.root;
}

/* ---- the image: each segment with its own rights, and no page under the stacks ---- */

static uint64_t image_offset(const void *address)
{
    return (uint64_t)(uintptr_t)address - (uint64_t)(uintptr_t)__image_start;
}

static bool map_segment(const struct boot_info *info, const char *start, const char *end, uint64_t flags)
{
    return page_tables_map(&tables, (uint64_t)(uintptr_t)start, info->image.base + image_offset(start),
                           (uint64_t)(end - start), flags);
}

static bool map_image(const struct boot_info *info)
{
    const char *image_end = __image_start + ((uint64_t)(__image_end - __image_start + 4095) & ~4095ull);

    if (!map_segment(info, __text_start, __text_end, MAP_CODE) ||
        !map_segment(info, __rodata_start, __rodata_end, MAP_READ_ONLY) ||
        !map_segment(info, __data_start, image_end, MAP_DATA))
        return false;
    for (unsigned i = 0; i < STACK_COUNT; i++) {
        uint64_t *entry = page_tables_entry(&tables, (uint64_t)(uintptr_t)cpu_stacks[i].guard);
        if (entry == NULL)
            return false;
        *entry = 0;
    }
    return true;
}

static bool map_descriptor_tables(const struct boot_info *info)
{
    uint64_t ours = info->image.base + image_offset(descriptors_gdt_page());
    for (uint64_t page = 0; page < MAP_LDT_PAGE + MAP_LDT_PAGES; page++) {
        uint64_t physical = page == GDT_RESERVED_PAGE ? ours : zero_page;
        if (!page_tables_map(&tables, MAP_GDT_BASE + page * FRAME_SIZE, physical, FRAME_SIZE, MAP_READ_ONLY))
            return false;
    }
    return true;
}

void map_descriptor_page(uint32_t page, uint64_t mfn)
{
    uint64_t address = MAP_GDT_BASE + page * FRAME_SIZE;
    uint64_t physical = mfn == MAP_NO_FRAME ? zero_page : mfn << FRAME_SHIFT;

    *page_tables_entry(&tables, address) = physical | MAP_READ_ONLY;
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* ---- the directmap: all RAM but the image ---- */

static bool map_direct(uint64_t base, uint64_t end)
{
    return base >= end || page_tables_map(&tables, MAP_DIRECT_BASE + base, base, end - base, MAP_DATA);
}

static bool map_direct_without_image(const struct boot_info *info, uint64_t base, uint64_t end)
{
    uint64_t image = info->image.base;
    uint64_t image_end = image + info->image.size;

    if (image >= end || image_end <= base)
        return map_direct(base, end);
    return map_direct(base, image) && map_direct(image_end, end);
}

static bool map_all_ram(const struct boot_info *info)
{
    uint64_t base = 0, end = 0; /* neighbours of any kind in one go, for large pages */
    for (uint32_t i = 0; i < memory_range_count; i++) {
        const struct memory_range *range = &memory_ranges[i];
        if (!memory_kind_is_ram(range->kind))
            continue;
        if (range->base != end) {
            if (!map_direct_without_image(info, base, end))
                return false;
            base = range->base;
        }
        end = range->base + range->size;
    }
    return map_direct_without_image(info, base, end);
}

/* Where the loader had it, so that the screen does not notice the switch. */
static bool map_framebuffer(const struct boot_framebuffer *framebuffer)
{
    uint64_t offset = framebuffer->base % FRAME_SIZE, size = boot_framebuffer_bytes(framebuffer);

    return framebuffer->virtual == 0 ||
           page_tables_map(&tables, framebuffer->virtual - offset, framebuffer->base - offset,
                           (offset + size + FRAME_SIZE - 1) & ~(FRAME_SIZE - 1),
                           cpu_features.pat ? MAP_COMBINED : MAP_UNCACHED);
}

/* ---- all of it ---- */

static bool image_is_sane(const struct boot_info *info)
{
    uint64_t size = (uint64_t)(__image_end - __image_start);
    if (info->image.base % FRAME_SIZE == 0 && info->image.size % FRAME_SIZE == 0 &&
        info->image.size >= size && info->image_virtual == (uint64_t)(uintptr_t)__image_start)
        return true;
    log_say(LOG_ALERT, "memory: the loader describes the image wrongly (0x%llx, 0x%llx bytes, at 0x%llx)",
            (unsigned long long)info->image.base, (unsigned long long)info->image.size,
            (unsigned long long)info->image_virtual);
    return false;
}

/* Slots whose tables are filled later must exist now: every guest L4 gets a copy of the entries. */
static bool reserve_slots(void)
{
    return page_tables_reserve(&tables, MAP_M2P_BASE, true) &&
           page_tables_reserve(&tables, MAP_MMIO_BASE, false) &&
           page_tables_reserve(&tables, MAP_FRAME_TABLE_BASE, false);
}

bool map_build(const struct boot_info *info)
{
    uint64_t table_physical = 0;

    if (!image_is_sane(info) || !early_init(frame_table_need(), &table_physical))
        return false;
    tables.source = (struct page_source){early_take, reach_identity};
    tables.root = early_take() << FRAME_SHIFT;
    zero_page = early_take() << FRAME_SHIFT;
    if (tables.root != 0 && zero_page != 0 && reserve_slots() && map_image(info) &&
        map_descriptor_tables(info) && map_all_ram(info) && map_framebuffer(&info->framebuffer) &&
        frame_table_map(&tables, table_physical, zero_page))
        return true;
    log_say(LOG_ALERT, "memory: not enough of it for the hypervisor's page tables");
    return false;
}

void map_switch(void)
{
    tables.source = (struct page_source){take_late, reach_direct};
    cr3_write(tables.root);
    descriptors_move_gdt(MAP_GDT_BASE);
}

void map_fill_guest_l4(uint64_t *l4)
{
    const uint64_t *own = phys_to_virt(tables.root);
    memcpy(l4 + MAP_FIRST_SLOT, own + MAP_FIRST_SLOT, SLOTS * sizeof(uint64_t));
}

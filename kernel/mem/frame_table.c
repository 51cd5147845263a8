/* SPDX-License-Identifier: MIT */
#include "mem/frame_table.h"

#include "mem/map.h"
#include "mem/memory_map.h"

#include <stddef.h>

/* One large page holds the records of so many frames: 256 MiB of memory. */
#define CHUNK_BYTES  (2ull << 20)
#define CHUNK_FRAMES (CHUNK_BYTES / sizeof(struct frame))

uint64_t frame_table_count;
static uint64_t table_bytes; /* of memory taken */

uint64_t frame_table_end(void)
{
    return frame_table_count;
}

uint64_t frame_table_bytes(void)
{
    return table_bytes;
}

static uint64_t round_up(uint64_t value, uint64_t step)
{
    return (value + step - 1) / step * step;
}

/* ---- where it lies ---- */

static bool chunk_has_ram(uint64_t chunk)
{
    uint64_t base = chunk * CHUNK_FRAMES << FRAME_SHIFT;
    uint64_t end = base + (CHUNK_FRAMES << FRAME_SHIFT);
    for (uint32_t i = 0; i < memory_range_count; i++) {
        const struct memory_range *range = &memory_ranges[i];
        if (memory_kind_is_ram(range->kind) && range->base < end && range->base + range->size > base)
            return true;
    }
    return false;
}

static uint64_t chunk_bytes(uint64_t chunk)
{
    uint64_t left = (memory_max_mfn() - chunk * CHUNK_FRAMES) * sizeof(struct frame);
    return left < CHUNK_BYTES ? round_up(left, FRAME_SIZE) : CHUNK_BYTES;
}

static uint64_t chunk_count(void)
{
    return round_up(memory_max_mfn(), CHUNK_FRAMES) / CHUNK_FRAMES;
}

uint64_t frame_table_need(void)
{
    uint64_t bytes = 0;
    for (uint64_t chunk = 0; chunk < chunk_count(); chunk++) {
        if (chunk_has_ram(chunk))
            bytes += chunk_bytes(chunk);
    }
    return bytes;
}

/* An L1 that shows the zero page everywhere. */
static uint64_t make_hole(const struct page_tables *tables, uint64_t zero_page)
{
    uint64_t mfn = tables->source.take();
    if (mfn == 0)
        return 0;
    uint64_t *l1 = tables->source.reach(mfn << FRAME_SHIFT);
    for (uint32_t i = 0; i < 512; i++)
        l1[i] = zero_page | MAP_READ_ONLY;
    return mfn << FRAME_SHIFT;
}

bool frame_table_map(const struct page_tables *tables, uint64_t physical, uint64_t zero_page)
{
    uint64_t hole = 0;
    for (uint64_t chunk = 0; chunk < chunk_count(); chunk++) {
        uint64_t virtual = MAP_FRAME_TABLE_BASE + chunk * CHUNK_BYTES;
        if (chunk_has_ram(chunk)) {
            uint64_t bytes = chunk_bytes(chunk);
            if (!page_tables_map(tables, virtual, physical, bytes, MAP_DATA))
                return false;
            physical += bytes;
            table_bytes += bytes;
            continue;
        }
        if (hole == 0)
            hole = make_hole(tables, zero_page);
        if (hole == 0 || !page_tables_share(tables, virtual, hole))
            return false;
    }
    frame_table_count = memory_max_mfn();
    return true;
}

/* ---- filling it ---- */

/* Two million of these on a big machine: whole words, unrolled. */
static void fill(uint64_t from, uint64_t to, enum frame_owner owner)
{
    const uint64_t second = (uint64_t)owner; /* owner is its lowest byte */
    _Static_assert(offsetof(struct frame, owner) == 8, "the second word");
    uint64_t *word = (uint64_t *)&frame_table[from];
    uint64_t *end = (uint64_t *)&frame_table[to];
#pragma clang loop unroll_count(8)
    for (; word != end; word += 4) {
        word[0] = 0;
        word[1] = second;
        word[2] = 0;
        word[3] = 0;
    }
}

/* A hole is skipped where its records are the shared zeros. */
static void fill_hole(uint64_t from, uint64_t to)
{
    while (from < to) {
        uint64_t chunk = from / CHUNK_FRAMES;
        uint64_t chunk_end = (chunk + 1) * CHUNK_FRAMES;
        uint64_t stop = chunk_end < to ? chunk_end : to;
        if (chunk_has_ram(chunk))
            fill(from, stop, FRAME_NOT_RAM);
        from = stop;
    }
}

static enum frame_owner owner_of(enum memory_kind kind)
{
    switch (kind) {
    case MEMORY_USABLE:
        return FRAME_FREE;
    case MEMORY_BOOT_SERVICES:
        return FRAME_SERVICES;
    case MEMORY_LOADER:
        return FRAME_HYPERVISOR; /* until it is released */
    case MEMORY_RUNTIME:
    case MEMORY_ACPI:
    case MEMORY_NVS:
        return FRAME_FIRMWARE;
    case MEMORY_RESERVED:
    case MEMORY_MMIO:
        break;
    }
    return FRAME_NOT_RAM;
}

void frame_table_fill(void)
{
    uint64_t next = 0;
    for (uint32_t i = 0; i < memory_range_count && next < frame_table_count; i++) {
        const struct memory_range *range = &memory_ranges[i];
        enum frame_owner owner = owner_of(range->kind);
        uint64_t from = range->base >> FRAME_SHIFT;
        uint64_t to = (range->base + range->size) >> FRAME_SHIFT;
        if (from >= frame_table_count)
            break;
        if (to > frame_table_count)
            to = frame_table_count;
        fill_hole(next, from);
        if (memory_kind_is_ram(range->kind))
            fill(from, to, owner);
        else
            fill_hole(from, to);
        if (owner == FRAME_FIRMWARE)
            frame_table_set_owner(from, to - from, owner);
        next = to;
    }
    fill_hole(next, frame_table_count);
}

void frame_table_set_owner(uint64_t mfn, uint64_t count, enum frame_owner owner)
{
    for (; count != 0 && mfn < frame_table_count; mfn++, count--) {
        if (frame_table[mfn].owner != owner && chunk_has_ram(mfn / CHUNK_FRAMES))
            frame_table[mfn].owner = (uint8_t)owner;
    }
}

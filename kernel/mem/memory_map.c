/* SPDX-License-Identifier: MIT */
/*
 * Firmware's memory map, made usable: its entries may be unsorted, overlapping, misaligned or absurd. Where
 * two overlap, the more restrictive kind wins.
 */
#include "mem/memory_map.h"

#include "lib/log.h"
#include "lib/string.h"
#include "mem/frame.h"
#include "mem/map.h"

#define ENTRIES_MAX    1024u
#define SORT_STEPS_MAX (ENTRIES_MAX * 64u)

struct efi_memory_descriptor {
    uint32_t type;
    uint32_t padding;
    uint64_t physical_start;
    uint64_t virtual_start;
    uint64_t pages;
    uint64_t attribute;
};
_Static_assert(sizeof(struct efi_memory_descriptor) == 40, "UEFI 2.10, 7.2");

/* Ranges while they are being sorted out: [base, end). */
struct span {
    uint64_t base, end;
    enum memory_kind kind;
};

struct memory_range memory_ranges[MEMORY_RANGES_MAX];
uint32_t memory_range_count;

static struct span spans[ENTRIES_MAX];
static uint32_t span_count;
static struct span pending[ENTRIES_MAX]; /* remainders, a stack */
static uint32_t pending_count;

bool memory_kind_is_ram(enum memory_kind kind)
{
    return kind == MEMORY_USABLE || kind == MEMORY_BOOT_SERVICES || kind == MEMORY_LOADER;
}

static enum memory_kind kind_of(uint32_t efi_type)
{
    static const enum memory_kind kinds[] = {
        MEMORY_RESERVED, MEMORY_LOADER,  MEMORY_LOADER, MEMORY_BOOT_SERVICES, MEMORY_BOOT_SERVICES,
        MEMORY_RUNTIME,  MEMORY_RUNTIME, MEMORY_USABLE, MEMORY_RESERVED,      MEMORY_ACPI,
        MEMORY_NVS,      MEMORY_MMIO,    MEMORY_MMIO,   MEMORY_RESERVED,      MEMORY_RESERVED,
    };
    return efi_type < sizeof(kinds) / sizeof(kinds[0]) ? kinds[efi_type] : MEMORY_RESERVED;
}

/* ---- reading ---- */

/* RAM is rounded inwards and never includes frame 0 (MFN 0 means "none"); the rest is rounded outwards. */
static bool to_span(const struct efi_memory_descriptor *descriptor, uint64_t limit, struct span *span)
{
    const uint64_t mask = FRAME_SIZE - 1;
    uint64_t base = descriptor->physical_start;
    uint64_t pages = descriptor->pages;

    if (base >= limit || pages == 0)
        return false;
    uint64_t end = pages > (limit - base) / FRAME_SIZE ? limit : base + pages * FRAME_SIZE;
    span->kind = kind_of(descriptor->type);
    if (memory_kind_is_ram(span->kind)) {
        span->base = (base + mask) & ~mask;
        span->end = end & ~mask;
        if (span->base == 0)
            span->base = FRAME_SIZE;
    } else {
        span->base = base & ~mask;
        span->end = (end + mask) & ~mask;
    }
    return span->base < span->end;
}

static bool add_span(struct span span)
{
    struct span *last = span_count != 0 ? &spans[span_count - 1] : NULL;

    if (last != NULL && last->end == span.base && last->kind == span.kind) {
        last->end = span.end;
        return true;
    }
    if (span_count == ENTRIES_MAX) {
        log_say(LOG_ALERT, "memory: firmware's memory map has over %u ranges", ENTRIES_MAX);
        return false;
    }
    spans[span_count++] = span;
    return true;
}

/* What the directmap has no room for is there, but nobody's. */
static bool add_reachable(struct span span)
{
    struct span beyond = {MAP_DIRECT_SIZE, span.end, MEMORY_RESERVED};

    if (!memory_kind_is_ram(span.kind) || span.end <= MAP_DIRECT_SIZE)
        return add_span(span);
    if (span.base >= MAP_DIRECT_SIZE)
        beyond.base = span.base;
    log_line("memory: %llu MiB at 0x%llx are not used: Sluice reaches %llu GiB",
             (unsigned long long)(beyond.end - beyond.base) >> 20, (unsigned long long)beyond.base,
             MAP_DIRECT_SIZE >> 30);
    span.end = beyond.base;
    return (span.base >= span.end || add_span(span)) && add_span(beyond);
}

static bool read_spans(const struct boot_info *info, uint64_t limit)
{
    uint64_t size = info->memory_descriptor_size;
    uint64_t total = info->memory_map.size;

    if (size < sizeof(struct efi_memory_descriptor) || size > 4096 || total < size ||
        info->memory_map.base == 0) {
        log_say(LOG_ALERT, "memory: the loader handed over no memory map (%llu bytes, %llu an entry)",
                (unsigned long long)total, (unsigned long long)size);
        return false;
    }
    const uint8_t *entry = (const uint8_t *)(uintptr_t)info->memory_map.base;
    for (uint64_t left = total / size; left != 0; left--, entry += size) {
        struct efi_memory_descriptor descriptor;
        struct span span;
        memcpy(&descriptor, entry, sizeof(descriptor));
        if (to_span(&descriptor, limit, &span) && !add_reachable(span))
            return false;
    }
    return true;
}

/* Insertion: firmware's map is nearly always sorted already. */
static bool sort_spans(void)
{
    uint32_t steps = 0;
    for (uint32_t i = 1; i < span_count; i++) {
        struct span span = spans[i];
        uint32_t j = i;
        for (; j > 0 && spans[j - 1].base > span.base; j--) {
            spans[j] = spans[j - 1];
            if (++steps > SORT_STEPS_MAX * 8)
                return false;
        }
        spans[j] = span;
    }
    return true;
}

/* ---- overlaps ---- */

static bool push_pending(uint64_t base, uint64_t end, enum memory_kind kind)
{
    if (base >= end)
        return true;
    if (pending_count == ENTRIES_MAX)
        return false;
    /* Kept sorted, lowest on top. */
    uint32_t i = pending_count++;
    for (; i > 0 && pending[i - 1].base < base; i--)
        pending[i] = pending[i - 1];
    pending[i] = (struct span){base, end, kind};
    return true;
}

/* The lowest of what is left, from the sorted spans or from the remainders. */
static bool next_span(uint32_t *index, struct span *span)
{
    bool has_pending = pending_count != 0;
    bool has_span = *index < span_count;
    if (has_pending && (!has_span || pending[pending_count - 1].base <= spans[*index].base)) {
        *span = pending[--pending_count];
        return true;
    }
    if (has_span)
        *span = spans[(*index)++];
    return has_span;
}

static bool emit(struct span span)
{
    struct memory_range *last = memory_range_count != 0 ? &memory_ranges[memory_range_count - 1] : NULL;
    if (span.base >= span.end)
        return true;
    if (last != NULL && last->kind == span.kind && last->base + last->size == span.base) {
        last->size += span.end - span.base;
        return true;
    }
    if (memory_range_count == MEMORY_RANGES_MAX)
        return false;
    memory_ranges[memory_range_count++] = (struct memory_range){span.base, span.end - span.base, span.kind};
    return true;
}

/* Sweeps upwards with one current span; a neighbour that overlaps cuts it or is cut. */
static bool resolve(void)
{
    struct span current, next;
    uint32_t index = 0;

    if (!next_span(&index, &current))
        return true;
    while (next_span(&index, &next)) {
        bool fits = true;
        if (next.base >= current.end) {
            fits = emit(current);
            current = next;
        } else if (next.kind > current.kind) {
            fits = push_pending(next.end, current.end, current.kind);
            current.end = next.base;
            fits = fits && emit(current);
            current = next;
        } else {
            fits = push_pending(current.end, next.end, next.kind);
        }
        if (!fits)
            return false;
    }
    return emit(current);
}

bool memory_map_init(const struct boot_info *info, uint8_t physical_bits)
{
    span_count = pending_count = memory_range_count = 0;
    if (!read_spans(info, 1ull << physical_bits))
        return false;
    if (!sort_spans() || !resolve()) {
        memory_range_count = 0;
        log_say(LOG_ALERT, "memory: firmware's memory map is too tangled to use");
        return false;
    }
    return true;
}

void memory_map_forget_boot_services(void)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < memory_range_count; i++) {
        struct memory_range range = memory_ranges[i];
        if (range.kind == MEMORY_BOOT_SERVICES)
            range.kind = MEMORY_USABLE;
        struct memory_range *last = kept != 0 ? &memory_ranges[kept - 1] : NULL;
        if (last != NULL && last->kind == range.kind && last->base + last->size == range.base)
            last->size += range.size;
        else
            memory_ranges[kept++] = range;
    }
    memory_range_count = kept;
}

uint64_t memory_max_mfn(void)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < memory_range_count; i++) {
        const struct memory_range *range = &memory_ranges[i];
        if (memory_kind_is_ram(range->kind) && range->base + range->size > end)
            end = range->base + range->size;
    }
    return end >> FRAME_SHIFT;
}

/* SPDX-License-Identifier: MIT */
#include "mem/early.h"

#include "lib/log.h"
#include "lib/string.h"
#include "mem/alloc.h"
#include "mem/frame.h"

#include <stddef.h>

#define LARGE_PAGE (2ull << 20)
/* Page tables and the hypervisor's pools; a guest comes on top. */
#define LEAST      (8ull << 20)

static uint64_t bottom; /* of the range */
static uint64_t top;    /* end of what early_take() gave */
static uint64_t low;    /* lowest byte taken */

static const struct memory_range *largest(void)
{
    const struct memory_range *best = NULL;
    for (uint32_t i = 0; i < memory_range_count; i++) {
        const struct memory_range *range = &memory_ranges[i];
        if (range->kind == MEMORY_USABLE && (best == NULL || range->size > best->size))
            best = range;
    }
    return best;
}

bool early_init(uint64_t table_bytes, uint64_t *table_physical)
{
    const struct memory_range *range = largest();
    uint64_t size = range == NULL ? 0 : range->size;

    /* The table's first page is a large one; alignment may cost nearly another. */
    if (size < LEAST || size - LEAST < table_bytes + LARGE_PAGE) {
        log_say(LOG_ALERT,
                "memory: the largest free range has %llu KiB; Sluice needs %llu KiB and room for a guest",
                (unsigned long long)size >> 10, (unsigned long long)(table_bytes + LARGE_PAGE + LEAST) >> 10);
        return false;
    }
    *table_physical = (range->base + size - table_bytes) & ~(LARGE_PAGE - 1);
    bottom = range->base;
    top = low = *table_physical;
    return true;
}

uint64_t early_take(void)
{
    if (low - bottom < FRAME_SIZE)
        return 0;
    low -= FRAME_SIZE;
    /* UEFI maps all memory one to one. */
    memset((void *)(uintptr_t)low, 0, FRAME_SIZE);
    return low >> FRAME_SHIFT;
}

void early_taken(uint64_t *first, uint64_t *count)
{
    *first = low >> FRAME_SHIFT;
    *count = (top - low) >> FRAME_SHIFT;
}

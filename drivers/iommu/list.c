/* SPDX-License-Identifier: MIT */
/*
 * Lists of frames, as a batch of hypercall elements is: one store an element where they are near each other,
 * with nothing asked twice. What is out of the ordinary goes through iommu_map() and iommu_unmap().
 */
#include "drivers/iommu/driver.h"
#include "drivers/iommu/flush.h"
#include "drivers/iommu/page_table.h"

#define FRAME_BYTES (1ull << 12)

static bool goes_on(const struct iommu_element *element, uint32_t count)
{
    return count > 1 && element[1].bfn == element->bfn + 1;
}

/* Those whose BFNs follow each other, in the cursor's table. How many; *joins: see struct page_table_info. */
__attribute__((noinline)) static uint32_t fill_consecutive(const struct page_table *table,
                                                           const struct iommu_element *element,
                                                           uint32_t count, uint64_t mfn_max, uint32_t *joins)
{
    const struct page_format *format = table->format;
    uint64_t bfn = element->bfn, size = FRAME_BYTES;
    uint32_t first = bfn % PAGE_TABLE_ENTRIES, end = first + count;
    uint64_t *entries = table->cursor;
    uint64_t expected = entries[(first - 1) % PAGE_TABLE_ENTRIES] + size;
    uint32_t slot = first, continued = 0;

    if (end > PAGE_TABLE_ENTRIES)
        end = PAGE_TABLE_ENTRIES;
    while (slot < end && entries[slot] == 0 && element->bfn == bfn && element->mfn <= mfn_max) {
        uint64_t entry = page_table_leaf(format, element->mfn, element->flags);

        continued += (uint32_t)(entry == expected);
        host_store64(&entries[slot], entry);
        expected = entry + size;
        slot++;
        bfn++;
        element++;
    }
    if (slot != first)
        *joins += continued + (uint32_t)(entries[slot % PAGE_TABLE_ENTRIES] == expected);
    return slot - first;
}

/* One frame for another, by one store. */
__attribute__((noinline)) static void
replace_one(struct page_table *table, const struct iommu_element *element, struct iommu_flush *owed)
{
    uint64_t entry = page_table_leaf(table->format, element->mfn, element->flags);
    uint32_t slot = element->bfn % PAGE_TABLE_ENTRIES;
    uint64_t old = table->cursor[slot];

    page_table_uncount(table->cursor, table->cursor_info, slot, FRAME_BYTES);
    (void)page_table_put_leaf(table, table->cursor, table->cursor_info, slot, entry, FRAME_BYTES);
    iommu_flush_park(owed, old, 1);
    if (old != entry)
        iommu_flush_note(owed, element->bfn, 1);
}

/*
 * Maps the elements, count at least 1, as long as their BFNs are in one table, nothing locked stands there,
 * and no MFN is above mfn_max; `note`: tells the accumulator of those that were absent, too. Returns how
 * many; 0: the first one must go through iommu_map().
 */
static uint32_t fill_list(struct page_table *table, const struct iommu_element *list, uint32_t count,
                          uint64_t mfn_max, bool note, struct iommu_flush *owed)
{
    uint64_t key = list->bfn >> PAGE_TABLE_BITS;
    struct page_table_info *info;
    uint32_t done = 0;

    if (list->mfn > mfn_max ||
        (!page_table_is_near(table, list->bfn) && page_table_grow(table, list->bfn, owed) != 0))
        return 0;
    info = table->cursor_info;
    for (uint32_t put; done < count && list[done].bfn >> PAGE_TABLE_BITS == key; done += put) {
        uint32_t slot = list[done].bfn % PAGE_TABLE_ENTRIES;
        uint64_t old = table->cursor[slot];

        if (list[done].mfn > mfn_max || page_table_is_locked(table, old) || iommu_flush_full(owed))
            break;
        put = 1;
        if (old != 0) {
            replace_one(table, list + done, owed);
            continue;
        }
        if (goes_on(list + done, count - done)) {
            put = fill_consecutive(table, list + done, count - done, mfn_max, &info->joins);
            info->live += put;
            page_table_mark_dirty(table, &table->cursor[slot], put);
        } else {
            uint64_t entry = page_table_leaf(table->format, list[done].mfn, list[done].flags);

            (void)page_table_put_leaf(table, table->cursor, info, slot, entry, FRAME_BYTES);
        }
        if (note)
            iommu_flush_note(owed, list[done].bfn, put);
    }
    if (info->joins == PAGE_TABLE_RUN)
        page_table_merge(table, list->bfn, owed);
    return done;
}

/* As fill_consecutive(): clears, and parks from *parked on. */
static inline uint32_t clear_consecutive(const struct page_table *table, const struct iommu_element *element,
                                         uint32_t count, struct iommu_frames **parked, uint32_t *joins)
{
    uint64_t bfn = element->bfn, size = FRAME_BYTES, locked = table->format->locked, expected = 0;
    uint32_t first = bfn % PAGE_TABLE_ENTRIES, end = first + count, slot = first;
    struct iommu_frames *frames = *parked;
    uint64_t *entries = table->cursor;
    uint32_t joined = entries[first] - entries[(first - 1) % PAGE_TABLE_ENTRIES] == size;

    if (end > PAGE_TABLE_ENTRIES)
        end = PAGE_TABLE_ENTRIES;
    for (; slot < end && element->bfn == bfn; slot++, bfn++, element++) {
        uint64_t entry = entries[slot];

        if (entry == expected) {
            frames[-1].count++;
        } else {
            if (entry == 0 || (entry & locked) != 0)
                break;
            *frames++ = (struct iommu_frames){entry, 1};
        }
        expected = entry + size;
        host_store64(&entries[slot], 0);
    }
    if (slot != first)
        *joins -= joined + (slot - first) - (uint32_t)(frames - *parked) +
                  (uint32_t)(entries[slot % PAGE_TABLE_ENTRIES] == expected);
    *parked = frames;
    return slot - first;
}

/*
 * Clears the elements, count at least 1, as long as their BFNs are in one table and not locked, parks them in
 * the accumulator, which must not be full, and tells it of them. How many; 0: iommu_unmap() knows why.
 */
static uint32_t clear_list(struct page_table *table, const struct iommu_element *list, uint32_t count,
                           struct iommu_flush *owed)
{
    struct iommu_frames *parked = &owed->parked[owed->parked_count];
    uint64_t key = list->bfn >> PAGE_TABLE_BITS;
    struct page_table_info *info;
    uint32_t done = 0;

    if (count > IOMMU_FLUSH_PARKED - owed->parked_count)
        count = IOMMU_FLUSH_PARKED - owed->parked_count;
    if (!page_table_is_near(table, list->bfn)) {
        int error = page_table_seek(table, list->bfn, owed);

        if (error != 0)
            return error == -ENOENT ? 1 : 0;
    }
    info = table->cursor_info;
    for (uint32_t gone; done < count && list[done].bfn >> PAGE_TABLE_BITS == key; done += gone) {
        uint64_t bfn = list[done].bfn, entry = table->cursor[bfn % PAGE_TABLE_ENTRIES];

        gone = 1;
        if (entry == 0)
            continue;
        if (page_table_is_locked(table, entry))
            break;
        if (goes_on(list + done, count - done)) {
            gone = clear_consecutive(table, list + done, count - done, &parked, &info->joins);
            info->live -= gone;
            page_table_mark_dirty(table, &table->cursor[bfn % PAGE_TABLE_ENTRIES], gone);
        } else {
            page_table_drop_leaf(table, table->cursor, info, bfn % PAGE_TABLE_ENTRIES, FRAME_BYTES);
            *parked++ = (struct iommu_frames){entry, 1};
        }
        iommu_flush_note(owed, bfn, gone);
        owed->parked_frames += gone;
    }
    owed->parked_count = (uint32_t)(parked - owed->parked);
    if (info->live == 0)
        page_table_unlink(table, list->bfn, owed);
    return done;
}

/* A table that holds no window, in reach of a live tree; else element by element, which says why not. */
static bool takes_lists(const struct iommu_context *context, uint64_t bfn)
{
    return bfn < context->end && bfn / PAGE_TABLE_ENTRIES != IOMMU_MSI_BFN / PAGE_TABLE_ENTRIES;
}

int iommu_map_list(struct iommu_context *context, const struct iommu_element *list, uint32_t count,
                   struct iommu_flush *flush, uint32_t *done)
{
    int error = 0;

    for (*done = 0; *done < count && error == 0;) {
        const struct iommu_element *at = &list[*done];
        uint32_t some = 0;

        if (takes_lists(context, at->bfn))
            some =
                fill_list(&context->table, at, count - *done, context->max_mfn, context->flush_on_map, flush);
        if (some == 0) {
            error = iommu_map(context, at->bfn, at->mfn, 0, at->flags, flush);
            *done += error == 0;
            continue;
        }
        iommu_counters.maps += some;
        flush->tables_changed |= context->flush_on_map; /* absence may be remembered at any level */
        *done += some;
    }
    return error;
}

int iommu_unmap_list(struct iommu_context *context, const struct iommu_element *list, uint32_t count,
                     struct iommu_flush *flush, uint32_t *done)
{
    int error = 0;

    for (*done = 0; *done < count && error == 0;) {
        const struct iommu_element *at = &list[*done];
        uint32_t some = 0;

        if (takes_lists(context, at->bfn) && !iommu_flush_full(flush))
            some = clear_list(&context->table, at, count - *done, flush);
        if (some == 0) {
            error = iommu_unmap(context, at->bfn, 0, flush);
            *done += error == 0;
            continue;
        }
        iommu_counters.unmaps += some;
        *done += some;
    }
    return error;
}

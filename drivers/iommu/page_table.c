/* SPDX-License-Identifier: MIT */
#include "drivers/iommu/page_table.h"

#include "drivers/iommu/host.h"
#include "drivers/iommu/iommu.h"
#include "guest-abi/include/sluice/errno.h"

#define NO_CURSOR UINT64_MAX

/* ---- entries and tables ---- */

static uint64_t rotate_right(uint64_t value, uint32_t by)
{
    return value >> by | value << (-by & 63u);
}

uint64_t page_table_leaf_mfn(const struct page_format *format, uint64_t entry)
{
    return (entry & format->address_mask) >> 12;
}

uint32_t page_table_leaf_flags(const struct page_format *format, uint64_t entry)
{
    uint64_t permission = rotate_right(entry, format->permission_rotate) & (IOMMU_READ | IOMMU_WRITE);
    uint64_t software =
        rotate_right(entry, format->software_rotate) & (IOMMU_WITHHELD | IOMMU_PREMAP | IOMMU_LOCKED);

    return (uint32_t)(permission | software);
}

static uint64_t *entries_of(const struct page_table *table, uint32_t page)
{
    return (uint64_t *)(void *)(table->pool + ((size_t)page << 12));
}

static uint32_t slot_of(uint64_t bfn, uint32_t level)
{
    return (uint32_t)(bfn >> (PAGE_TABLE_BITS * (level - 1))) % PAGE_TABLE_ENTRIES;
}

static uint32_t page_of(const struct page_table *table, uint64_t entry)
{
    return (uint32_t)(page_table_leaf_mfn(table->format, entry) - table->pool_mfn);
}

void page_table_write_back(struct page_table *table)
{
    if (table->dirty != table->dirty_end)
        host_cache_flush(table->dirty, (size_t)(table->dirty_end - table->dirty) * sizeof *table->dirty);
    table->dirty = table->dirty_end = NULL;
}

/* Consecutive entries share cache lines: they are written back together, by page_table_write_back(). */
static inline void mark_dirty(struct page_table *table, uint64_t *slot, uint64_t count)
{
    if (table->coherent)
        return;
    if (slot != table->dirty_end) {
        page_table_write_back(table);
        table->dirty = slot;
    }
    table->dirty_end = slot + count;
}

static inline void write_leaf(struct page_table *table, uint64_t *slot, uint64_t entry)
{
    host_store64(slot, entry);
    mark_dirty(table, slot, 1);
}

/* What points at a table is written back at once, and after the table itself. */
static void write_branch(struct page_table *table, uint32_t page, uint64_t bfn, uint32_t level,
                         uint64_t entry)
{
    uint64_t *slot = &entries_of(table, page)[slot_of(bfn, level)];

    host_store64(slot, entry);
    if (!table->coherent)
        host_cache_flush(slot, sizeof *slot);
}

/* ---- the pool ---- */

void page_table_init(struct page_table *table, const struct page_format *format, uint8_t levels,
                     bool coherent, uint64_t pool_mfn, void *pool, struct page_table_info *info,
                     uint32_t quota)
{
    *table = (struct page_table){.format = format,
                                 .cursor_key = NO_CURSOR,
                                 .coherent = coherent,
                                 .levels = levels,
                                 .pool = pool,
                                 .pool_mfn = pool_mfn,
                                 .info = info,
                                 .quota = quota,
                                 .used = 1,
                                 .peak = 1,
                                 .free = quota > 1 ? 1 : PAGE_NO_TABLE};
    for (uint32_t page = 0; page < quota; page++)
        info[page] = (struct page_table_info){.parent = PAGE_NO_TABLE,
                                              .next = page + 1 < quota ? page + 1 : PAGE_NO_TABLE};
}

/* The caller has made sure that there is one. */
static uint32_t take_page(struct page_table *table)
{
    uint32_t page = table->free;

    table->free = table->info[page].next;
    table->used++;
    if (table->used > table->peak)
        table->peak = table->used;
    return page;
}

void page_table_release(struct page_table *table, uint32_t unlinked)
{
    while (unlinked != PAGE_NO_TABLE) {
        uint32_t next = table->info[unlinked].next;

        table->info[unlinked].next = table->free;
        table->free = unlinked;
        table->used--;
        unlinked = next;
    }
}

/* ---- the walk ---- */

/* Deepest table on the way to bfn; *level is its level, 1 for a leaf table. */
static uint32_t walk(const struct page_table *table, uint64_t bfn, uint32_t *level)
{
    uint32_t page = 0;

    for (*level = table->levels; *level > 1; --*level) {
        uint64_t entry = entries_of(table, page)[slot_of(bfn, *level)];

        if (entry == 0)
            break;
        page = page_of(table, entry);
    }
    return page;
}

static uint64_t *set_cursor(struct page_table *table, uint64_t bfn, uint32_t page)
{
    table->cursor_key = bfn >> PAGE_TABLE_BITS;
    table->cursor_table = page;
    table->cursor = entries_of(table, page);
    return table->cursor;
}

/* The leaf table for bfn, which becomes the cursor; NULL when there is none. */
static inline uint64_t *find_leaf(struct page_table *table, uint64_t bfn)
{
    uint32_t level, page;

    if (bfn >> PAGE_TABLE_BITS == table->cursor_key)
        return table->cursor;
    page = walk(table, bfn, &level);
    return level == 1 ? set_cursor(table, bfn, page) : NULL;
}

/*
 * Builds what is missing on the way to bfn, from the leaf table upwards, and enters the finished branch into
 * the tree by one store. NULL when the pool does not hold enough pages.
 */
static uint64_t *grow(struct page_table *table, uint64_t bfn)
{
    uint32_t top, page = walk(table, bfn, &top);
    uint32_t child, leaf;

    if (table->quota - table->used < top - 1)
        return NULL;
    child = leaf = take_page(table);
    for (uint32_t level = 2; level <= top; level++) {
        uint32_t parent = level == top ? page : take_page(table);
        uint64_t address = (table->pool_mfn + child) << 12;

        table->info[child].parent = parent;
        table->info[parent].live++;
        write_branch(table, parent, bfn, level, address | table->format->table_bits[level - 1]);
        child = parent;
    }
    return set_cursor(table, bfn, leaf);
}

/* Takes the cursor's table, which came empty, and every parent that comes empty by it out of the tree. */
static void unlink_empty(struct page_table *table, uint64_t bfn, uint32_t *unlinked)
{
    uint32_t page = table->cursor_table;

    for (uint32_t level = 2; level <= table->levels && table->info[page].live == 0; level++) {
        uint32_t parent = table->info[page].parent;

        write_branch(table, parent, bfn, level, 0);
        table->info[parent].live--;
        table->info[page].next = *unlinked;
        *unlinked = page;
        page = parent;
    }
    table->cursor_key = NO_CURSOR;
}

/* ---- operations ---- */

int page_table_map(struct page_table *table, uint64_t bfn, uint64_t entry, uint64_t *old)
{
    uint64_t *leaf = find_leaf(table, bfn);
    uint64_t *slot;

    if (leaf == NULL && (leaf = grow(table, bfn)) == NULL)
        return -ENOMEM;
    slot = &leaf[bfn % PAGE_TABLE_ENTRIES];
    *old = *slot;
    if (*old == 0)
        table->info[table->cursor_table].live++;
    else if ((*old & table->format->leaf_bits[IOMMU_LOCKED]) != 0)
        return -EACCES;
    write_leaf(table, slot, entry);
    return 0;
}

int64_t page_table_fill(struct page_table *table, uint64_t bfn, uint64_t mfn, uint64_t frames, uint32_t flags)
{
    uint64_t *leaf = find_leaf(table, bfn);
    uint64_t room = PAGE_TABLE_ENTRIES - bfn % PAGE_TABLE_ENTRIES;
    uint64_t entry = page_table_leaf(table->format, mfn, flags);
    uint64_t count = frames < room ? frames : room, done = 0;
    uint64_t *slot;

    if (leaf == NULL && (leaf = grow(table, bfn)) == NULL)
        return -ENOMEM;
    slot = &leaf[bfn % PAGE_TABLE_ENTRIES];
    for (; done < count && slot[done] == 0; done++, entry += 1u << 12)
        host_store64(&slot[done], entry);
    table->info[table->cursor_table].live += (uint32_t)done;
    mark_dirty(table, slot, done);
    return (int64_t)done;
}

int page_table_unmap(struct page_table *table, uint64_t bfn, uint64_t *old, uint32_t *unlinked)
{
    uint64_t *leaf = find_leaf(table, bfn);
    uint64_t *slot;

    *old = 0;
    if (leaf == NULL)
        return 0;
    slot = &leaf[bfn % PAGE_TABLE_ENTRIES];
    if (*slot == 0)
        return 0;
    if ((*slot & table->format->leaf_bits[IOMMU_LOCKED]) != 0)
        return -EACCES;
    *old = *slot;
    write_leaf(table, slot, 0);
    if (--table->info[table->cursor_table].live == 0)
        unlink_empty(table, bfn, unlinked);
    return 0;
}

uint64_t page_table_lookup(const struct page_table *table, uint64_t bfn)
{
    uint32_t level, page = walk(table, bfn, &level);

    return level == 1 ? entries_of(table, page)[slot_of(bfn, 1)] : 0;
}

bool page_table_can_hold(const struct page_table *table, uint64_t bfn, uint32_t order)
{
    uint64_t needed = 0, last = bfn + (1ull << order) - 1;

    /* Each step covers what hangs below the first missing entry; new tables on a shared way count once. */
    while (bfn <= last) {
        uint32_t level;
        uint64_t span, end;

        walk(table, bfn, &level);
        span = 1ull << (PAGE_TABLE_BITS * (level == 1 ? 1 : level - 1));
        end = (bfn | (span - 1)) < last ? bfn | (span - 1) : last;
        for (uint32_t below = 1; below < level; below++) {
            uint32_t shift = PAGE_TABLE_BITS * below;

            needed += (end >> shift) - (bfn >> shift) + 1;
        }
        if (needed > table->quota - table->used)
            return false;
        bfn = end + 1;
    }
    return true;
}

/* SPDX-License-Identifier: MIT */
#include "drivers/iommu/page_table.h"

#define NO_CURSOR UINT64_MAX

/* ---- entries and tables ---- */

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
    page_table_flush_dirty(table);
    table->dirty = table->dirty_end = NULL;
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
    uint32_t page = table->root;

    for (*level = table->levels; *level > 1; --*level) {
        uint64_t entry = entries_of(table, page)[slot_of(bfn, *level)];

        if (entry == 0)
            break;
        page = page_of(table, entry);
    }
    return page;
}

static void set_cursor(struct page_table *table, uint64_t bfn, uint32_t page)
{
    table->cursor_key = bfn >> PAGE_TABLE_BITS;
    table->cursor_table = page;
    table->cursor = entries_of(table, page);
}

int page_table_seek(struct page_table *table, uint64_t bfn)
{
    uint32_t level, page;

    if (bfn > page_table_reach(table->levels))
        return -ENOENT;
    page = walk(table, bfn, &level);
    if (level != 1)
        return -ENOENT;
    set_cursor(table, bfn, page);
    return 0;
}

/* From the leaf table upwards; the finished branch enters the tree by one store. */
int page_table_grow(struct page_table *table, uint64_t bfn)
{
    uint32_t top, page = walk(table, bfn, &top);
    uint32_t child, leaf;

    if (top == 1) {
        set_cursor(table, bfn, page);
        return 0;
    }
    if (table->quota - table->used < top - 1)
        return -ENOMEM;
    child = leaf = take_page(table);
    for (uint32_t level = 2; level <= top; level++) {
        uint32_t parent = level == top ? page : take_page(table);
        uint64_t address = (table->pool_mfn + child) << 12;

        table->info[child].parent = parent;
        table->info[parent].live++;
        write_branch(table, parent, bfn, level, address | table->format->table_bits[level - 1]);
        child = parent;
    }
    set_cursor(table, bfn, leaf);
    return 0;
}

void page_table_unlink(struct page_table *table, uint64_t bfn, uint32_t *unlinked)
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

int page_table_raise(struct page_table *table)
{
    uint32_t old = table->root, new;

    /* An empty table means the same at any level. */
    if (table->info[old].live != 0) {
        if (table->free == PAGE_NO_TABLE)
            return -ENOMEM;
        new = take_page(table);
        write_branch(table, new, 0, table->levels + 1u,
                     (table->pool_mfn + old) << 12 | table->format->table_bits[table->levels]);
        table->info[new].live = 1;
        table->info[old].parent = new;
        table->root = new;
    }
    table->levels++;
    if (table->levels == 2)
        table->cursor_key = NO_CURSOR; /* the empty root was a leaf table */
    return 0;
}

void page_table_widen(struct page_table *table, uint64_t bfn, uint32_t flags)
{
    uint64_t *slot;

    if (page_table_seek(table, bfn) != 0)
        return;
    slot = &table->cursor[bfn % PAGE_TABLE_ENTRIES];
    host_store64(slot, *slot | table->format->leaf_bits[flags % PAGE_FLAGS]);
    page_table_mark_dirty(table, slot, 1);
}

/* ---- operations ---- */

int64_t page_table_fill(struct page_table *table, uint64_t bfn, uint64_t mfn, uint64_t frames, uint32_t flags)
{
    uint64_t room = PAGE_TABLE_ENTRIES - bfn % PAGE_TABLE_ENTRIES;
    uint64_t entry = page_table_leaf(table->format, mfn, flags);
    uint64_t count = frames < room ? frames : room, done = 0;
    uint64_t *slot;

    if (bfn >> PAGE_TABLE_BITS != table->cursor_key && page_table_grow(table, bfn) != 0)
        return -ENOMEM;
    slot = &table->cursor[bfn % PAGE_TABLE_ENTRIES];
    for (; done < count && slot[done] == 0; done++, entry += 1u << 12)
        host_store64(&slot[done], entry);
    table->info[table->cursor_table].live += (uint32_t)done;
    page_table_mark_dirty(table, slot, done);
    return (int64_t)done;
}

uint64_t page_table_lookup(const struct page_table *table, uint64_t bfn)
{
    uint32_t level, page;

    if (bfn > page_table_reach(table->levels))
        return 0;
    page = walk(table, bfn, &level);
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
        /* The analyser takes 1 - 1 for possible here. NOLINTNEXTLINE(clang-analyzer-core.*) */
        span = 1ull << (PAGE_TABLE_BITS * (level > 1 ? level - 1 : 1));
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

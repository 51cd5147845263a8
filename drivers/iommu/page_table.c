/* SPDX-License-Identifier: MIT */
#include "drivers/iommu/page_table.h"

#include "drivers/iommu/flush.h"
#include "lib/string.h"

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

static uint64_t lower(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

/* Of an entry above level 1. */
static bool points_at_table(const struct page_table *table, uint64_t entry)
{
    return entry != 0 && (entry & table->format->kind) != table->format->large;
}

/* Bytes that an entry of that level stands for. */
static uint64_t size_of(uint32_t level)
{
    return page_table_span(level) << 12;
}

static uint64_t leaf_of(const struct page_table *table, uint64_t mfn, uint32_t level, uint32_t flags)
{
    return page_table_leaf(table->format, mfn, flags) | (level > 1 ? table->format->large : 0);
}

/* One store, written back at once: what it points at is complete. What is known of the table follows. */
static void write_entry(struct page_table *table, uint32_t page, uint64_t bfn, uint32_t level, uint64_t entry)
{
    struct page_table_info *info = &table->info[page];
    uint64_t *entries = entries_of(table, page);
    uint32_t slot = slot_of(bfn, level);
    uint64_t old = entries[slot];

    info->live += (uint32_t)(entry != 0) - (uint32_t)(old != 0);
    info->joins += page_table_joins(entries, slot, entry, size_of(level)) -
                   page_table_joins(entries, slot, old, size_of(level));
    host_store64(&entries[slot], entry);
    if (!table->coherent)
        host_cache_flush(&entries[slot], sizeof entries[slot]);
}

static void point_at(struct page_table *table, uint32_t page, uint64_t bfn, uint32_t level, uint32_t child)
{
    table->info[child].parent = page;
    write_entry(table, page, bfn, level,
                (table->pool_mfn + child) << 12 | table->format->table_bits[level - 1]);
}

/* Before a table that they may name goes elsewhere. */
static void forget_cursors(struct page_table *table)
{
    table->cursor_key = table->upper_key = NO_CURSOR;
}

/* ---- the pool ---- */

void page_table_init(struct page_table *table, const struct page_format *format, uint8_t levels,
                     uint8_t leaf_level, bool coherent, uint64_t pool_mfn, void *pool,
                     struct page_table_info *info, uint32_t quota)
{
    *table = (struct page_table){.format = format,
                                 .cursor_key = NO_CURSOR,
                                 .upper_key = NO_CURSOR,
                                 .coherent = coherent,
                                 .levels = levels,
                                 .leaf_level = leaf_level,
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

/* Pages that splitting a leaf of that level takes, down to level 1. */
static uint32_t pages_to_split(uint32_t level)
{
    static const uint32_t pages[PAGE_LEAF_LEVELS + 1] = {0, 0, 1, 1 + PAGE_TABLE_ENTRIES};

    return pages[level];
}

/* Pages that may be taken, or kept back for another leaf. */
static uint32_t pages_left(const struct page_table *table)
{
    return table->quota - table->used - table->reserve;
}

/* The caller has made sure that there is one. What is in it is to be overwritten. */
static uint32_t take_page(struct page_table *table)
{
    uint32_t page = table->free;

    table->free = table->info[page].next;
    table->used++;
    if (table->used > table->peak)
        table->peak = table->used;
    return page;
}

static uint32_t take_empty_page(struct page_table *table)
{
    uint32_t page = take_page(table);
    struct page_table_info *info = &table->info[page];

    if (info->live != 0) { /* it was full when a leaf took its place */
        memset(entries_of(table, page), 0, 4096);
        if (!table->coherent)
            host_cache_flush(entries_of(table, page), 4096);
        info->live = info->joins = 0;
    }
    return page;
}

static void park(struct page_table *table, uint32_t page, struct iommu_flush *owed)
{
    table->info[page].next = owed->parked_tables;
    owed->parked_tables = page;
    owed->tables_changed = true;
}

void page_table_release(struct page_table *table, uint32_t parked)
{
    while (parked != PAGE_NO_TABLE) {
        uint32_t next = table->info[parked].next;

        table->info[parked].next = table->free;
        table->free = parked;
        table->used--;
        parked = next;
    }
}

/* ---- leaves of one level for those of another ---- */

/* The leaf at bfn becomes a table: complete, with the same translations, before one store enters it. */
static uint32_t split(struct page_table *table, uint32_t page, uint64_t bfn, uint32_t level,
                      struct iommu_flush *owed)
{
    uint64_t entry = entries_of(table, page)[slot_of(bfn, level)];
    uint32_t child = take_page(table); /* of the reserve */
    uint64_t *entries = entries_of(table, child);

    if (level == 2)
        entry &= ~table->format->large;
    for (uint32_t i = 0; i < PAGE_TABLE_ENTRIES; i++)
        host_store64(&entries[i], entry + i * size_of(level - 1));
    if (!table->coherent)
        host_cache_flush(entries, 4096);
    table->info[child].live = PAGE_TABLE_ENTRIES;
    table->info[child].joins = PAGE_TABLE_RUN;
    point_at(table, page, bfn, level, child);
    table->reserve--;
    iommu_flush_note_block(owed, bfn, page_table_span(level));
    return child;
}

/* As many entries continue each other as can, and the one that does not is the first. */
static bool is_run(const struct page_table *table, uint32_t page, uint32_t level)
{
    const uint64_t *entries = entries_of(table, page);

    return level < table->leaf_level && table->info[page].joins == PAGE_TABLE_RUN &&
           entries[PAGE_TABLE_ENTRIES - 1] - entries[0] == PAGE_TABLE_RUN * size_of(level) &&
           page_table_leaf_mfn(table->format, entries[0]) % page_table_span(level + 1) == 0 &&
           (level == 1 || !points_at_table(table, entries[0]));
}

static void merge(struct page_table *table, uint32_t page, uint64_t bfn, uint32_t level,
                  struct iommu_flush *owed)
{
    for (; is_run(table, page, level); level++) {
        uint32_t parent = table->info[page].parent;

        write_entry(table, parent, bfn, level + 1, entries_of(table, page)[0] | table->format->large);
        table->reserve++;
        park(table, page, owed);
        iommu_flush_note_block(owed, bfn, page_table_span(level + 1));
        forget_cursors(table);
        page = parent;
    }
    if (table->quota - table->used < table->reserve)
        (void)iommu_flush(owed); /* a failure kills the context */
}

void page_table_merge(struct page_table *table, uint64_t bfn, struct iommu_flush *owed)
{
    merge(table, (uint32_t)(table->cursor_info - table->info), bfn, 1, owed);
}

void page_table_merge_upper(struct page_table *table, uint64_t bfn, struct iommu_flush *owed)
{
    merge(table, (uint32_t)(table->upper_info - table->info), bfn, 2, owed);
}

/* ---- the walk ---- */

/* Deepest table on the way to bfn, not below level `low`, and its level. */
static inline uint32_t walk(const struct page_table *table, uint64_t bfn, uint32_t low, uint32_t *level)
{
    const struct page_format *format = table->format;
    uint64_t kind = format->kind, large = format->large, address = format->address_mask;
    bool near = bfn >> (2 * PAGE_TABLE_BITS) == table->upper_key && low <= 2;
    uint64_t offset = near ? (uint64_t)((uint8_t *)table->upper - table->pool) : (uint64_t)table->root << 12;
    uint64_t pool = table->pool_mfn << 12;
    uint32_t at = near ? 2 : table->levels, shift = PAGE_TABLE_BITS * (at - 1);

    for (; at > low; at--, shift -= PAGE_TABLE_BITS) {
        const uint64_t *entries = (const uint64_t *)(const void *)(table->pool + offset);
        uint64_t entry = entries[(bfn >> shift) % PAGE_TABLE_ENTRIES];

        if (entry == 0 || (entry & kind) == large)
            break;
        offset = (entry & address) - pool;
    }
    *level = at;
    return (uint32_t)(offset >> 12);
}

static void set_upper(struct page_table *table, uint64_t bfn, uint32_t page)
{
    table->upper_key = bfn >> (2 * PAGE_TABLE_BITS);
    table->upper_info = &table->info[page];
    table->upper = entries_of(table, page);
}

static void set_cursor(struct page_table *table, uint64_t bfn, uint32_t page)
{
    table->cursor_key = bfn >> PAGE_TABLE_BITS;
    table->cursor_info = &table->info[page];
    table->cursor = entries_of(table, page);
    if (table->levels > 1)
        set_upper(table, bfn, table->info[page].parent);
}

/*
 * The table of level `low` on the way to bfn; larger leaves there are split, of reserved ranges only if
 * `locked`. 0; -EACCES; -ENOENT nothing is there, and *page, *top are where the way ends.
 */
static int descend(struct page_table *table, uint64_t bfn, uint32_t low, bool locked, uint32_t *page,
                   uint32_t *top, struct iommu_flush *owed)
{
    *page = walk(table, bfn, low, top);
    for (; *top > low; --*top) {
        uint64_t entry = entries_of(table, *page)[slot_of(bfn, *top)];

        if (entry == 0)
            return -ENOENT;
        if (page_table_is_locked(table, entry) && !locked)
            return -EACCES;
        *page = split(table, *page, bfn, *top, owed);
    }
    return 0;
}

/* As descend(), and builds what is missing, from below: the finished branch enters the tree by one store. */
static int build(struct page_table *table, uint64_t bfn, uint32_t low, bool locked, uint32_t *page,
                 struct iommu_flush *owed)
{
    uint32_t top, parent, child;
    int error = descend(table, bfn, low, locked, &parent, &top, owed);

    *page = parent;
    if (error != -ENOENT)
        return error;
    if (pages_left(table) < top - low + pages_to_split(low))
        return -ENOMEM;
    child = *page = take_empty_page(table);
    for (uint32_t level = low + 1; level < top; level++) {
        uint32_t between = take_empty_page(table);

        point_at(table, between, bfn, level, child);
        child = between;
    }
    point_at(table, parent, bfn, top, child);
    return 0;
}

bool page_table_come_near(struct page_table *table, uint64_t bfn)
{
    uint32_t level, page;

    if (bfn > page_table_reach(table->levels))
        return false;
    page = walk(table, bfn, 1, &level);
    if (level == 1)
        set_cursor(table, bfn, page);
    return level == 1;
}

int page_table_seek(struct page_table *table, uint64_t bfn, struct iommu_flush *owed)
{
    uint32_t level, page;
    int error =
        bfn <= page_table_reach(table->levels) ? descend(table, bfn, 1, false, &page, &level, owed) : -ENOENT;

    if (error == 0)
        set_cursor(table, bfn, page);
    return error;
}

int page_table_grow(struct page_table *table, uint64_t bfn, struct iommu_flush *owed)
{
    uint32_t level, page = walk(table, bfn, 1, &level);
    int error = level > 1 ? build(table, bfn, 1, false, &page, owed) : 0;

    if (error == 0)
        set_cursor(table, bfn, page);
    return error;
}

static void unlink_empty(struct page_table *table, uint32_t page, uint64_t bfn, uint32_t level,
                         struct iommu_flush *owed)
{
    for (; level < table->levels && table->info[page].live == 0; level++) {
        uint32_t parent = table->info[page].parent;

        write_entry(table, parent, bfn, level + 1, 0);
        park(table, page, owed);
        page = parent;
    }
    forget_cursors(table);
}

void page_table_unlink(struct page_table *table, uint64_t bfn, struct iommu_flush *owed)
{
    unlink_empty(table, (uint32_t)(table->cursor_info - table->info), bfn, 1, owed);
}

int page_table_raise(struct page_table *table)
{
    uint32_t old = table->root, new;

    /* An empty table means the same at any level. */
    if (table->info[old].live != 0) {
        if (pages_left(table) == 0)
            return -ENOMEM;
        new = take_empty_page(table);
        point_at(table, new, 0, table->levels + 1u, old);
        table->root = new;
    }
    table->levels++;
    forget_cursors(table); /* an empty root was a table of another level */
    return 0;
}

/* ---- operations ---- */

/* The table of level `low` for bfn, to put an entry there or to clear one. As descend(). */
static inline int table_for(struct page_table *table, uint64_t bfn, uint32_t low, bool put, uint32_t *page,
                            struct iommu_flush *owed)
{
    uint32_t top;

    *page = walk(table, bfn, low, &top);
    if (top == low)
        return 0;
    return put ? build(table, bfn, low, false, page, owed)
               : descend(table, bfn, low, false, page, &top, owed);
}

int page_table_put(struct page_table *table, uint64_t bfn, uint32_t level, uint64_t entry, uint64_t *old,
                   struct iommu_flush *owed)
{
    uint32_t page, reserve = pages_to_split(level);
    struct page_table_info *info;
    uint64_t *slot;
    int error;

    *old = 0;
    if (bfn > page_table_reach(table->levels))
        return 0; /* nothing is there to be cleared */
    error = table_for(table, bfn, level, entry != 0, &page, owed);
    if (error != 0)
        return error == -ENOENT ? 0 : error;
    slot = &entries_of(table, page)[slot_of(bfn, level)];
    *old = *slot;
    if (points_at_table(table, *old))
        return -EEXIST;
    if (page_table_is_locked(table, *old))
        return -EACCES;
    if (*old == 0 && entry == 0)
        return 0;
    if (*old == 0 && pages_left(table) < reserve)
        return -ENOMEM;
    table->reserve += (entry != 0 ? reserve : 0) - (*old != 0 ? reserve : 0);
    write_entry(table, page, bfn, level, entry);
    info = &table->info[page];
    if (level == 2)
        set_upper(table, bfn, page);
    if (info->live == 0)
        unlink_empty(table, page, bfn, level, owed);
    else if (info->joins == PAGE_TABLE_RUN)
        merge(table, page, bfn, level, owed);
    return 0;
}

int64_t page_table_fill(struct page_table *table, uint64_t bfn, uint64_t mfn, uint64_t frames, uint32_t level,
                        uint32_t flags, struct iommu_flush *owed)
{
    uint32_t first = slot_of(bfn, level), reserve = pages_to_split(level), page;
    uint64_t count = lower(frames / page_table_span(level), PAGE_TABLE_ENTRIES - first), done = 0;
    uint64_t entry = leaf_of(table, mfn, level, flags), size = size_of(level);
    int error = build(table, bfn, level, (flags & IOMMU_LOCKED) != 0, &page, owed);
    struct page_table_info *info = &table->info[page];
    uint64_t *entries = entries_of(table, page);

    if (error != 0)
        return error;
    if (entries[first] == 0 && pages_left(table) < reserve)
        return -ENOMEM;
    if (reserve != 0)
        count = lower(count, pages_left(table) / reserve);
    for (; done < count && entries[first + done] == 0; done++, entry += size)
        host_store64(&entries[first + done], entry);
    if (done == 0)
        return 0;
    table->reserve += (uint32_t)done * reserve;
    info->live += (uint32_t)done;
    /* Those between them; the first and the one before; the last and the one after. */
    info->joins += (uint32_t)(done - 1) +
                   (uint32_t)(entries[first] - entries[(first - 1) % PAGE_TABLE_ENTRIES] == size) +
                   (uint32_t)(entries[(first + done) % PAGE_TABLE_ENTRIES] - (entry - size) == size);
    page_table_mark_dirty(table, &entries[first], done);
    merge(table, page, bfn, level, owed);
    return (int64_t)(done * page_table_span(level));
}

/* A run of leaves in one table, the first of which is there: taken out, and parked. How many. */
static uint32_t clear_leaves(struct page_table *table, uint32_t page, uint32_t level, uint32_t first,
                             uint64_t count, struct iommu_flush *owed)
{
    uint64_t mask = table->format->locked | (level > 1 ? table->format->kind : 0);
    uint64_t wanted = level > 1 ? table->format->large : 0, size = size_of(level);
    struct iommu_frames *parked = &owed->parked[owed->parked_count], *parked_first = parked;
    struct page_table_info *info = &table->info[page];
    uint64_t *entries = entries_of(table, page), *slot = &entries[first], *end = slot + count, expected = 0;
    uint32_t shift = PAGE_TABLE_BITS * (level - 1), joins;

    joins = (uint32_t)(*slot - entries[(first - 1) % PAGE_TABLE_ENTRIES] == size);
    while (slot < end) {
        uint64_t entry = *slot, *run = slot;

        if (entry != expected) {
            if (entry == 0 || (entry & mask) != wanted)
                break;
            *parked++ = (struct iommu_frames){entry, 1ull << shift};
            expected = entry + size;
            host_store64(slot++, 0);
            continue;
        }
        while (*slot == expected) {
            host_store64(slot, 0);
            expected += size;
            if (++slot == end)
                break;
        }
        parked[-1].count += (uint64_t)(slot - run) << shift;
    }
    count = (uint64_t)(slot - &entries[first]);
    joins += (uint32_t)count - (uint32_t)(parked - parked_first);
    joins += (uint32_t)(entries[(first + count) % PAGE_TABLE_ENTRIES] == expected);
    info->live -= (uint32_t)count;
    info->joins -= joins;
    owed->parked_count += (uint32_t)(parked - parked_first);
    owed->parked_frames += count << shift;
    page_table_mark_dirty(table, &entries[first], count);
    return (uint32_t)count;
}

/* How many frames nothing is mapped for, from an absent entry on, in that table. */
static uint64_t absent_frames(const struct page_table *table, uint32_t page, uint32_t level, uint64_t bfn)
{
    const uint64_t *entries = entries_of(table, page);
    uint64_t end = bfn;

    for (uint32_t slot = slot_of(bfn, level); slot < PAGE_TABLE_ENTRIES && entries[slot] == 0; slot++)
        end = (end | (page_table_span(level) - 1)) + 1;
    return end - bfn;
}

int64_t page_table_clear(struct page_table *table, uint64_t bfn, uint64_t frames, bool *found,
                         struct iommu_flush *owed)
{
    uint32_t low = page_table_block(PAGE_LEAF_LEVELS, bfn, frames), level = 1, page, cleared;
    uint64_t room, entry;

    if (bfn >> PAGE_TABLE_BITS == table->cursor_key) {
        page = (uint32_t)(table->cursor_info - table->info);
    } else {
        page = walk(table, bfn, 1, &level);
        if (level == 1)
            set_cursor(table, bfn, page);
    }
    entry = entries_of(table, page)[slot_of(bfn, level)];
    *found = entry != 0;
    if (entry == 0)
        return (int64_t)lower(absent_frames(table, page, level, bfn), frames);
    if (page_table_is_locked(table, entry))
        return -EACCES;
    if (level > low)
        (void)descend(table, bfn, low, false, &page, &level, owed);
    /* The last one may go over the bound: a leaf of 1 GiB alone reaches it. */
    room = (IOMMU_FLUSH_FRAMES - owed->parked_frames + page_table_span(level) - 1) / page_table_span(level);
    room =
        lower(lower(room, IOMMU_FLUSH_PARKED - owed->parked_count), PAGE_TABLE_ENTRIES - slot_of(bfn, level));
    room = lower(room, frames / page_table_span(level));
    cleared = clear_leaves(table, page, level, slot_of(bfn, level), room, owed);
    table->reserve -= cleared * pages_to_split(level);
    if (table->info[page].live == 0)
        unlink_empty(table, page, bfn, level, owed);
    return (int64_t)(cleared * page_table_span(level));
}

int page_table_widen(struct page_table *table, uint64_t bfn, uint32_t level, uint32_t flags,
                     struct iommu_flush *owed)
{
    uint32_t page, top;
    uint64_t entry;

    if (descend(table, bfn, level, true, &page, &top, owed) != 0)
        return 0; /* nothing is there */
    entry = entries_of(table, page)[slot_of(bfn, level)];
    if (level > 1 && points_at_table(table, entry))
        return -EEXIST;
    write_entry(table, page, bfn, level, entry | table->format->leaf_bits[flags % PAGE_FLAGS]);
    merge(table, page, bfn, level, owed);
    return 0;
}

uint64_t page_table_lookup(const struct page_table *table, uint64_t bfn, uint32_t *level)
{
    uint32_t page;

    *level = table->levels;
    if (bfn > page_table_reach(table->levels))
        return 0;
    page = walk(table, bfn, 1, level);
    return entries_of(table, page)[slot_of(bfn, *level)];
}

/* Tables below an entry of that level that it takes to map each frame from bfn to last. */
static uint64_t tables_below(uint64_t bfn, uint64_t last, uint32_t level)
{
    uint64_t tables = 0;

    for (uint32_t shift = PAGE_TABLE_BITS; shift < PAGE_TABLE_BITS * level; shift += PAGE_TABLE_BITS)
        tables += (last >> shift) - (bfn >> shift) + 1;
    return tables;
}

int page_table_survey(const struct page_table *table, uint64_t bfn, uint64_t frames, uint64_t *missing)
{
    uint64_t end = bfn + frames;

    *missing = 0;
    while (bfn < end && bfn <= page_table_reach(table->levels)) {
        uint32_t level, page = walk(table, bfn, 1, &level), slot = slot_of(bfn, level);
        uint64_t bits = table->format->locked | (level > 1 ? table->format->kind : 0);
        uint64_t leaf = level > 1 ? table->format->large : 0, span = page_table_span(level), next;
        uint64_t slots = lower(PAGE_TABLE_ENTRIES - slot, (end - (bfn & -span) + span - 1) / span);
        const uint64_t *entry = &entries_of(table, page)[slot], *stop = entry + slots, *start = entry;

        while (entry < stop && *entry == 0)
            entry++;
        next = (bfn & -span) + (uint64_t)(entry - start) * span;
        if (entry != start)
            *missing += tables_below(bfn, lower(next, end) - 1, level);
        start = entry;
        while (entry < stop && *entry != 0 && (*entry & bits) == leaf)
            entry++;
        next += (uint64_t)(entry - start) * span;
        if (entry < stop && *entry != 0 && page_table_is_locked(table, *entry))
            return -EACCES;
        bfn = next > bfn ? next : bfn;
    }
    return 0;
}

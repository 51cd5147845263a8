/* SPDX-License-Identifier: MIT */
/*
 * The map/unmap engine: one tree of 512-entry tables, the same code for every vendor.
 *
 * What differs between vendors is a struct page_format. A tree takes its tables from a pool that was set
 * aside when it was created, so that unmap never needs memory and map fails only for want of quota.
 * A table page is entered into the tree by one store, complete; it leaves the tree by one store, and goes
 * back to the pool only through page_table_release(), after the caller's invalidation.
 *
 * A leaf of level 2 or 3 stands for a table that would be full of leaves that continue each other. Each table
 * knows how many of its entries continue their neighbours, so that the store that completes such a run is
 * known at once: the table is then merged into one leaf. When part of a leaf is to change, it is split
 * again. The pages that splitting all leaves down to level 1 would take are kept back: in the quota, a tree
 * counts as if it had no leaf above level 1, and a split never fails.
 */
#ifndef SLUICE_IOMMU_PAGE_TABLE_H
#define SLUICE_IOMMU_PAGE_TABLE_H

#include "drivers/iommu/host.h"
#include "drivers/iommu/iommu.h"
#include "guest-abi/include/sluice/errno.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_TABLE_BITS    9u
#define PAGE_TABLE_ENTRIES 512u
#define PAGE_TABLE_LEVELS  6u   /* most that any format has */
#define PAGE_LEAF_LEVELS   3u   /* leaves are 4 KiB, 2 MiB or 1 GiB */
#define PAGE_FLAGS         32u  /* combinations of the IOMMU_* flags */
#define PAGE_TABLE_RUN     511u /* so many entries continue their neighbours: perhaps all */

/* How one vendor writes an entry. An entry that stands for nothing is 0. */
struct page_format {
    uint64_t address_mask;                  /* bits that hold the address of a frame or table */
    uint64_t leaf_bits[PAGE_FLAGS];         /* the other bits of a leaf, by IOMMU_* flags */
    uint64_t table_bits[PAGE_TABLE_LEVELS]; /* ... of an entry that points at a table of that level */
    uint64_t kind;             /* bits that tell a leaf above level 1 from what points at a table */
    uint64_t large;            /* ... as such a leaf has them */
    uint64_t locked;           /* the bit that stands for IOMMU_LOCKED */
    uint64_t not_callers;      /* bits of entries that iommu_unmap_page() leaves alone: locked, premapped */
    uint8_t permission_rotate; /* rotate right by this: IOMMU_READ, IOMMU_WRITE in place */
    uint8_t software_rotate;   /* rotate right by this: the software flags in place */
};

#define PAGE_NO_TABLE   UINT32_MAX
#define PAGE_TABLE_LINE 64u /* bytes of a cache line */

/* What the engine knows about a table page; kept beside the page, since hardware owns the page's bits. */
struct page_table_info {
    uint32_t parent; /* table that points here */
    uint32_t next;   /* free list, or the caller's list of unlinked tables */
    uint32_t live;   /* entries that are not 0 */
    uint32_t joins;  /* entries that continue the one before; before the first one is the last one */
};

struct page_table {
    const struct page_format *format;
    uint64_t *cursor; /* the leaf table that was used last: consecutive calls do not walk */
    uint64_t cursor_key;
    struct page_table_info *cursor_info;
    uint64_t *upper; /* the same for the table above it: neighbours walk one level */
    uint64_t upper_key;
    struct page_table_info *upper_info;
    bool coherent;               /* hardware's walks see the CPU's caches */
    uint64_t *dirty, *dirty_end; /* leaf entries that still have to be written back */
    uint8_t levels;
    uint8_t leaf_level; /* highest level whose entries may be leaves */
    uint8_t *pool;      /* table pages */
    uint32_t root;      /* number of the root's page */
    uint64_t pool_mfn;
    struct page_table_info *info;
    uint32_t quota, used, peak;
    uint32_t reserve; /* pages that splitting every leaf would take; never more than are unused */
    uint32_t free;    /* list of unused pages */
};

/* pool: quota zeroed frames at pool_mfn, already written back when not coherent; info: one a frame. */
void page_table_init(struct page_table *table, const struct page_format *format, uint8_t levels,
                     uint8_t leaf_level, bool coherent, uint64_t pool_mfn, void *pool,
                     struct page_table_info *info, uint32_t quota);

/* ---- entries ---- */

static inline uint64_t page_table_leaf(const struct page_format *format, uint64_t mfn, uint32_t flags)
{
    return mfn << 12 | format->leaf_bits[flags % PAGE_FLAGS];
}

/* Frames that an entry of that level stands for. */
static inline uint64_t page_table_span(uint32_t level)
{
    /* The analyser does not know that levels begin with 1. NOLINTNEXTLINE(clang-analyzer-core.*) */
    return 1ull << (PAGE_TABLE_BITS * (level - 1));
}

/* Level, most at most, of the largest block that begins at all the addresses ORed into `at` and fits. */
static inline uint32_t page_table_block(uint32_t most, uint64_t at, uint64_t frames)
{
    while (most > 1 && (at % page_table_span(most) != 0 || frames < page_table_span(most)))
        most--;
    return most;
}

static inline uint64_t page_table_root(const struct page_table *table)
{
    return table->pool_mfn + table->root;
}

/* The last BFN that a tree of so many levels reaches. */
static inline uint64_t page_table_reach(uint8_t levels)
{
    return (1ull << (PAGE_TABLE_BITS * levels)) - 1;
}

static inline uint64_t page_table_leaf_mfn(const struct page_format *format, uint64_t entry)
{
    return (entry & format->address_mask) >> 12;
}

static inline uint64_t page_table_rotate(uint64_t value, uint32_t by)
{
    return value >> by | value << (-by & 63u);
}

static inline uint32_t page_table_leaf_flags(const struct page_format *format, uint64_t entry)
{
    uint64_t permission = page_table_rotate(entry, format->permission_rotate) & (IOMMU_READ | IOMMU_WRITE);
    uint64_t software =
        page_table_rotate(entry, format->software_rotate) & (IOMMU_WITHHELD | IOMMU_PREMAP | IOMMU_LOCKED);

    return (uint32_t)(permission | software);
}

static inline bool page_table_is_locked(const struct page_table *table, uint64_t entry)
{
    return (entry & table->format->locked) != 0;
}

/*
 * How many of the two neighbours of a slot its entry joins: each pair of an entry and the next one counts
 * that differs by the size of what they stand for. 0 is no entry, and joins none.
 */
static inline uint32_t page_table_joins(const uint64_t *entries, uint32_t slot, uint64_t entry, uint64_t size)
{
    uint32_t joins = 0;

    if (__builtin_expect(entries[(slot - 1) % PAGE_TABLE_ENTRIES] == entry - size, false))
        joins++;
    if (__builtin_expect(entries[(slot + 1) % PAGE_TABLE_ENTRIES] == entry + size, false))
        joins++;
    return joins;
}

/* ---- what an operation does once in 512 times: see page_table.c ---- */

/* Moves the cursor to the leaf table for bfn, from elsewhere, if there is one: whether it did. */
bool page_table_come_near(struct page_table *table, uint64_t bfn);
/* Makes the leaf table for bfn the cursor; a larger leaf there is split. 0; -ENOENT nothing is there;
 * -EACCES. */
int page_table_seek(struct page_table *table, uint64_t bfn, struct iommu_flush *owed);
/* As page_table_seek(), and builds what is missing on the way. -ENOMEM quota, and nothing changed. */
int page_table_grow(struct page_table *table, uint64_t bfn, struct iommu_flush *owed);
/* The cursor's table came empty: takes it, and every parent that comes empty by it, out of the tree. */
void page_table_unlink(struct page_table *table, uint64_t bfn, struct iommu_flush *owed);
/* The cursor's table looks like a run: if it is one, a leaf takes its place, and so on upwards. */
void page_table_merge(struct page_table *table, uint64_t bfn, struct iommu_flush *owed);
/* The same of the table above it. */
void page_table_merge_upper(struct page_table *table, uint64_t bfn, struct iommu_flush *owed);

/*
 * ---- operations; bfn must be within the tree's reach, but for a lookup ----
 *
 * Tables that they take out of the tree are parked in the accumulator, which is told of the whole block where
 * leaves of one level were changed for those of another. When parked tables are missed, it is flushed.
 */

static inline void page_table_flush_dirty(const struct page_table *table)
{
    if (table->dirty != table->dirty_end)
        host_cache_flush(table->dirty, (size_t)((uint8_t *)table->dirty_end - (uint8_t *)table->dirty));
}

/* Writes back what hardware cannot see yet: before invalidating, and before a device is told to go. */
static inline void page_table_write_back(struct page_table *table)
{
    page_table_flush_dirty(table);
    table->dirty = table->dirty_end = NULL;
}

/* Entries that share cache lines, or are in neighbouring ones, are written back together. */
static inline void page_table_mark_dirty(struct page_table *table, uint64_t *slot, uint64_t count)
{
    if (table->coherent)
        return;
    if ((uintptr_t)slot - (uintptr_t)table->dirty_end >= PAGE_TABLE_LINE) {
        page_table_flush_dirty(table);
        table->dirty = slot;
    }
    table->dirty_end = slot + count;
}

/* Whether the cursor is at the table of bfn, or only had to be moved by one step. */
static inline bool page_table_is_near(struct page_table *table, uint64_t bfn)
{
    const struct page_format *format = table->format;
    uint64_t entry, page;

    if (bfn >> PAGE_TABLE_BITS == table->cursor_key)
        return true;
    if (bfn >> (2 * PAGE_TABLE_BITS) != table->upper_key)
        return false;
    entry = table->upper[(bfn >> PAGE_TABLE_BITS) % PAGE_TABLE_ENTRIES];
    if (entry == 0 || (entry & format->kind) == format->large)
        return false;
    page = page_table_leaf_mfn(format, entry) - table->pool_mfn;
    table->cursor_key = bfn >> PAGE_TABLE_BITS;
    table->cursor_info = &table->info[page];
    table->cursor = (uint64_t *)(void *)(table->pool + (page << 12));
    return true;
}

/* A leaf onto nothing. True: it completes what looks like a run. */
static inline bool page_table_put_leaf(struct page_table *table, uint64_t *entries,
                                       struct page_table_info *info, uint32_t slot, uint64_t entry,
                                       uint64_t size)
{
    uint32_t joins = page_table_joins(entries, slot, entry, size);

    host_store64(&entries[slot], entry);
    info->live++;
    page_table_mark_dirty(table, &entries[slot], 1);
    return joins != 0 && (info->joins += joins) == PAGE_TABLE_RUN;
}

/* A leaf that is there counts no more: it is about to go, by one store. */
static inline void page_table_uncount(const uint64_t *entries, struct page_table_info *info, uint32_t slot,
                                      uint64_t size)
{
    if (info->joins != 0)
        info->joins -= page_table_joins(entries, slot, entries[slot], size);
    info->live--;
}

/* Clears a leaf that is there; to be written back. */
static inline void page_table_drop(uint64_t *entries, struct page_table_info *info, uint32_t slot,
                                   uint64_t size)
{
    page_table_uncount(entries, info, slot, size);
    host_store64(&entries[slot], 0);
}

static inline void page_table_drop_leaf(struct page_table *table, uint64_t *entries,
                                        struct page_table_info *info, uint32_t slot, uint64_t size)
{
    page_table_drop(entries, info, slot, size);
    page_table_mark_dirty(table, &entries[slot], 1);
}

/*
 * Puts entry at bfn by one store; *old is what stood there (0: nothing). 0; -EACCES what stands there is
 * locked; -ENOMEM quota. On an error nothing changed.
 */
static inline int page_table_map(struct page_table *table, uint64_t bfn, uint64_t entry, uint64_t *old,
                                 struct iommu_flush *owed)
{
    uint32_t slot = bfn % PAGE_TABLE_ENTRIES;

    if (bfn >> PAGE_TABLE_BITS != table->cursor_key) {
        int error = page_table_grow(table, bfn, owed);

        if (error != 0)
            return error;
    }
    *old = table->cursor[slot];
    if (page_table_is_locked(table, *old))
        return -EACCES;
    if (*old != 0)
        page_table_uncount(table->cursor, table->cursor_info, slot, 1u << 12);
    if (page_table_put_leaf(table, table->cursor, table->cursor_info, slot, entry, 1u << 12))
        page_table_merge(table, bfn, owed);
    return 0;
}

/* Clears bfn; *old is what stood there. 0; -EACCES what stands there is locked. */
static inline int page_table_unmap(struct page_table *table, uint64_t bfn, uint64_t *old,
                                   struct iommu_flush *owed)
{
    uint64_t entry;

    *old = 0;
    if (bfn >> PAGE_TABLE_BITS != table->cursor_key) {
        int error = page_table_seek(table, bfn, owed);

        if (error != 0)
            return error == -ENOENT ? 0 : error;
    }
    entry = table->cursor[bfn % PAGE_TABLE_ENTRIES];
    if (entry == 0)
        return 0;
    if (page_table_is_locked(table, entry))
        return -EACCES;
    *old = entry;
    page_table_drop_leaf(table, table->cursor, table->cursor_info, bfn % PAGE_TABLE_ENTRIES, 1u << 12);
    if (table->cursor_info->live == 0)
        page_table_unlink(table, bfn, owed);
    return 0;
}

/*
 * Puts a leaf of level 2 or 3 at bfn, or clears (entry 0) what is there, by one store; *old is what stood
 * there. 0; -EEXIST a table is there; -EACCES, -ENOMEM as above.
 */
int page_table_put(struct page_table *table, uint64_t bfn, uint32_t level, uint64_t entry, uint64_t *old,
                   struct iommu_flush *owed);

/*
 * Maps consecutive frames (mfn, mfn + 1, ...) by leaves of that level, as long as they go into one table and
 * onto nothing. Returns how many frames were put in (0: something stands at bfn), or -ENOMEM, -EACCES.
 */
int64_t page_table_fill(struct page_table *table, uint64_t bfn, uint64_t mfn, uint64_t frames, uint32_t level,
                        uint32_t flags, struct iommu_flush *owed);

/*
 * Clears leaves from bfn on, as long as they are in one table, in one piece and within `frames`, and parks
 * them in the accumulator, which must not be full; or finds that nothing is there (*found false). Leaves that
 * reach beyond the range are split. Returns for how many frames that holds, or -EACCES.
 */
int64_t page_table_clear(struct page_table *table, uint64_t bfn, uint64_t frames, bool *found,
                         struct iommu_flush *owed);

/*
 * Gives the tree one level more. Everything that was mapped stays where it is, in the same tables; hardware
 * sees it through the old root until it is told of the new one. 0; -ENOMEM quota, and nothing changed.
 */
int page_table_raise(struct page_table *table);

/*
 * Permissions that a locked leaf of that level has beside those it had; a larger one is split. Only for a
 * tree that no device walks yet. 0; -EEXIST a table is there.
 */
int page_table_widen(struct page_table *table, uint64_t bfn, uint32_t level, uint32_t flags,
                     struct iommu_flush *owed);

/* Takes a list of parked tables back into the pool. Only after the invalidation has completed. */
void page_table_release(struct page_table *table, uint32_t parked);

/* The entry that bfn is translated by, 0 when there is none, and its level. */
uint64_t page_table_lookup(const struct page_table *table, uint64_t bfn, uint32_t *level);

/*
 * What a change of the whole range would meet: -EACCES a locked entry; else 0, and *missing is how many table
 * pages it would take to map each frame by itself.
 */
int page_table_survey(const struct page_table *table, uint64_t bfn, uint64_t frames, uint64_t *missing);

/* Whether so many table pages can be had. */
static inline bool page_table_has(const struct page_table *table, uint64_t pages)
{
    return pages <= table->quota - table->used - table->reserve;
}

#endif

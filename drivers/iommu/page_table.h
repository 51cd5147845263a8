/* SPDX-License-Identifier: MIT */
/*
 * The map/unmap engine: one tree of 512-entry tables, the same code for every vendor.
 *
 * What differs between vendors is a struct page_format. A tree takes its tables from a pool that was set
 * aside when it was created, so that unmap never needs memory and map fails only for want of quota.
 * A table page is entered into the tree by one store, complete; it leaves the tree by one store, empty,
 * and goes back to the pool only through page_table_release(), after the caller's invalidation.
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
#define PAGE_TABLE_LEVELS  6u  /* most that any format has */
#define PAGE_FLAGS         32u /* combinations of the IOMMU_* flags */

/* How one vendor writes an entry. An entry that stands for nothing is 0. */
struct page_format {
    uint64_t address_mask;                  /* bits that hold the address of a frame or table */
    uint64_t leaf_bits[PAGE_FLAGS];         /* the other bits of a leaf, by IOMMU_* flags */
    uint64_t table_bits[PAGE_TABLE_LEVELS]; /* ... of an entry that points at a table of that level */
    uint64_t locked;                        /* the bit that stands for IOMMU_LOCKED */
    uint8_t permission_rotate;              /* rotate right by this: IOMMU_READ, IOMMU_WRITE in place */
    uint8_t software_rotate;                /* rotate right by this: the software flags in place */
};

#define PAGE_NO_TABLE UINT32_MAX

/* What the engine knows about a table page; kept beside the page, since hardware owns the page's bits. */
struct page_table_info {
    uint32_t parent; /* table that points here */
    uint32_t next;   /* free list, or the caller's list of unlinked tables */
    uint32_t live;   /* entries that are not 0 */
};

struct page_table {
    const struct page_format *format;
    uint64_t *cursor; /* the leaf table that was used last: consecutive calls do not walk */
    uint64_t cursor_key;
    uint32_t cursor_table;
    bool coherent;               /* hardware's walks see the CPU's caches */
    uint64_t *dirty, *dirty_end; /* leaf entries that still have to be written back */
    uint8_t levels;
    uint8_t *pool; /* table pages */
    uint32_t root; /* number of the root's page */
    uint64_t pool_mfn;
    struct page_table_info *info;
    uint32_t quota, used, peak;
    uint32_t free; /* list of unused pages, all zero */
};

/* pool: quota zeroed frames at pool_mfn, already written back when not coherent; info: one a frame. */
void page_table_init(struct page_table *table, const struct page_format *format, uint8_t levels,
                     bool coherent, uint64_t pool_mfn, void *pool, struct page_table_info *info,
                     uint32_t quota);

/* ---- entries ---- */

static inline uint64_t page_table_leaf(const struct page_format *format, uint64_t mfn, uint32_t flags)
{
    return mfn << 12 | format->leaf_bits[flags % PAGE_FLAGS];
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

/* ---- what an operation does once in 512 times: see page_table.c ---- */

/* Makes the leaf table for bfn the cursor. 0; -ENOENT there is none. */
int page_table_seek(struct page_table *table, uint64_t bfn);
/* As page_table_seek(), and builds what is missing on the way. 0; -ENOMEM quota, and nothing changed. */
int page_table_grow(struct page_table *table, uint64_t bfn);
/* Takes the cursor's table, which came empty, and every parent that comes empty by it out of the tree. */
void page_table_unlink(struct page_table *table, uint64_t bfn, uint32_t *unlinked);
/* Writes back what hardware cannot see yet: before invalidating, and before a device is told to go. */
void page_table_write_back(struct page_table *table);

/* ---- operations; bfn must be within the tree's reach, but for a lookup ---- */

static inline void page_table_flush_dirty(const struct page_table *table)
{
    if (table->dirty != table->dirty_end)
        host_cache_flush(table->dirty, (size_t)((uint8_t *)table->dirty_end - (uint8_t *)table->dirty));
}

/* Consecutive entries share cache lines: they are written back together. */
static inline void page_table_mark_dirty(struct page_table *table, uint64_t *slot, uint64_t count)
{
    if (table->coherent)
        return;
    if (slot != table->dirty_end) {
        page_table_flush_dirty(table);
        table->dirty = slot;
    }
    table->dirty_end = slot + count;
}

/*
 * Puts entry at bfn by one store; *old is what stood there (0: nothing). 0; -EACCES what stands there is
 * locked; -ENOMEM quota. On an error nothing changed.
 */
static inline int page_table_map(struct page_table *table, uint64_t bfn, uint64_t entry, uint64_t *old)
{
    uint64_t *slot;

    if (bfn >> PAGE_TABLE_BITS != table->cursor_key && page_table_grow(table, bfn) != 0)
        return -ENOMEM;
    slot = &table->cursor[bfn % PAGE_TABLE_ENTRIES];
    *old = *slot;
    if (*old == 0)
        table->info[table->cursor_table].live++;
    else if (page_table_is_locked(table, *old))
        return -EACCES;
    host_store64(slot, entry);
    page_table_mark_dirty(table, slot, 1);
    return 0;
}

/*
 * Clears bfn; *old is what stood there. Tables that came empty are taken out of the tree and pushed onto the
 * list *unlinked. 0; -EACCES what stands there is locked.
 */
static inline int page_table_unmap(struct page_table *table, uint64_t bfn, uint64_t *old, uint32_t *unlinked)
{
    uint64_t *slot;

    *old = 0;
    if (bfn >> PAGE_TABLE_BITS != table->cursor_key && page_table_seek(table, bfn) != 0)
        return 0;
    slot = &table->cursor[bfn % PAGE_TABLE_ENTRIES];
    if (*slot == 0)
        return 0;
    if (page_table_is_locked(table, *slot))
        return -EACCES;
    *old = *slot;
    host_store64(slot, 0);
    page_table_mark_dirty(table, slot, 1);
    if (--table->info[table->cursor_table].live == 0)
        page_table_unlink(table, bfn, unlinked);
    return 0;
}

/*
 * As page_table_map() for consecutive frames (mfn, mfn + 1, ...), as long as they go into one table and onto
 * nothing. Returns how many were put in (0: something stands at bfn), or -ENOMEM.
 */
int64_t page_table_fill(struct page_table *table, uint64_t bfn, uint64_t mfn, uint64_t frames,
                        uint32_t flags);

/*
 * Gives the tree one level more. Everything that was mapped stays where it is, in the same tables; hardware
 * sees it through the old root until it is told of the new one. 0; -ENOMEM quota, and nothing changed.
 */
int page_table_raise(struct page_table *table);

/* Permissions that a locked entry has beside those it had. Only for a tree that no device walks yet. */
void page_table_widen(struct page_table *table, uint64_t bfn, uint32_t flags);

/* Takes a list of unlinked tables back into the pool. Only after the invalidation has completed. */
void page_table_release(struct page_table *table, uint32_t unlinked);

/* The entry at bfn, 0 when there is none. */
uint64_t page_table_lookup(const struct page_table *table, uint64_t bfn);

/* Whether every one of the missing tables on the way to [bfn, bfn + 2^order) can be had. */
bool page_table_can_hold(const struct page_table *table, uint64_t bfn, uint32_t order);

#endif

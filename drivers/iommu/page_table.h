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
    uint8_t *pool; /* table pages; number 0 is the root */
    uint64_t pool_mfn;
    struct page_table_info *info;
    uint32_t quota, used, peak;
    uint32_t free; /* list of unused pages, all zero */
};

/* pool: quota zeroed frames at pool_mfn, already written back when not coherent; info: one a frame. */
void page_table_init(struct page_table *table, const struct page_format *format, uint8_t levels,
                     bool coherent, uint64_t pool_mfn, void *pool, struct page_table_info *info,
                     uint32_t quota);

static inline uint64_t page_table_leaf(const struct page_format *format, uint64_t mfn, uint32_t flags)
{
    return mfn << 12 | format->leaf_bits[flags % PAGE_FLAGS];
}
uint64_t page_table_leaf_mfn(const struct page_format *format, uint64_t entry);
uint32_t page_table_leaf_flags(const struct page_format *format, uint64_t entry);

/*
 * Puts entry at bfn; *old is what stood there (0: nothing). bfn must be below the tree's reach.
 * 0; -EACCES what stands there is locked; -ENOMEM quota. On an error nothing changed.
 */
int page_table_map(struct page_table *table, uint64_t bfn, uint64_t entry, uint64_t *old);

/*
 * As page_table_map() for consecutive frames (mfn, mfn + 1, ...), as long as they go into one table and onto
 * nothing. Returns how many were put in (0: something stands at bfn), or -ENOMEM.
 */
int64_t page_table_fill(struct page_table *table, uint64_t bfn, uint64_t mfn, uint64_t frames,
                        uint32_t flags);

/*
 * Clears bfn; *old is what stood there. Tables that came empty are taken out of the tree and pushed onto the
 * list *unlinked. 0; -EACCES what stands there is locked.
 */
int page_table_unmap(struct page_table *table, uint64_t bfn, uint64_t *old, uint32_t *unlinked);

/* Writes back what hardware cannot see yet: before invalidating, and before the device is told to go. */
void page_table_write_back(struct page_table *table);

/* Takes a list of unlinked tables back into the pool. Only after the invalidation has completed. */
void page_table_release(struct page_table *table, uint32_t unlinked);

/* The entry at bfn, 0 when there is none. */
uint64_t page_table_lookup(const struct page_table *table, uint64_t bfn);

/* Whether every one of the missing tables on the way to [bfn, bfn + 2^order) can be had. */
bool page_table_can_hold(const struct page_table *table, uint64_t bfn, uint32_t order);

#endif

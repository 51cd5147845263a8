/* SPDX-License-Identifier: MIT */
/* Page tables that a guest builds: written through a view, which must be read-only before they are pinned. */
#ifndef TABLES_H
#define TABLES_H

#include "kit/guest.h"
#include "kit/string.h"

#define TABLE_ENTRIES 512u
#define TABLE_LINK    (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)

struct table {
    uint64_t mfn;
    volatile uint64_t *view; /* writable until table_seal() */
};

static inline void table_begin(struct table *table)
{
    /* From the end: the first spare frames are mapped writable where the loader put the kernel, too. */
    table->mfn = pfn_to_mfn(frame_take_from_end());
    table->view = map_frame(table->mfn, MAP_RAM);
    if (!table->view)
        report_error("no page left for a table: %ld", window_error);
    memset((void *)(uintptr_t)table->view, 0, PAGE_SIZE);
}

static inline long table_view(const struct table *table, uint64_t flags)
{
    return update_va_mapping((uint64_t)(uintptr_t)table->view, table->mfn << PAGE_SHIFT | flags, UVMF_INVLPG);
}

static inline void table_seal(const struct table *table)
{
    EXPECT_RETURN(table_view(table, MAP_RAM_READ), 0);
}

/* The frame is nobody's table any more when the guest can have it writable. */
static inline void table_unseal(const struct table *table)
{
    EXPECT_RETURN(table_view(table, MAP_RAM), 0);
}

static inline uint64_t table_link(const struct table *table)
{
    return table->mfn << PAGE_SHIFT | TABLE_LINK;
}

static inline long pin(uint32_t level, uint64_t mfn)
{
    return mmuext(MMUEXT_PIN_L1_TABLE + level - 1, mfn, 0);
}

static inline long unpin(uint64_t mfn)
{
    return mmuext(MMUEXT_UNPIN_TABLE, mfn, 0);
}

/* One entry of a table, by mmu_update. */
static inline long set_entry(uint64_t table_mfn, uint32_t index, uint64_t entry)
{
    struct mmu_update request = {table_mfn << PAGE_SHIFT | index * sizeof(uint64_t), entry};
    return mmu_update(&request, 1, NULL);
}

/* L1 to L4 of a translation of its own: tree[level] is the table of that level, each the first of the next.
 */
static inline void tree_begin(struct table tree[5], uint64_t leaf)
{
    for (uint32_t level = 1; level <= 4; level++)
        table_begin(&tree[level]);
    tree[1].view[0] = leaf;
    for (uint32_t level = 2; level <= 4; level++)
        tree[level].view[0] = table_link(&tree[level - 1]);
    for (uint32_t level = 1; level <= 4; level++)
        table_seal(&tree[level]);
}

/* The L4 in use. */
static inline uint64_t loaded_l4(void)
{
    return virt_to_mfn((const void *)(uintptr_t)start_info->pt_base);
}

#endif

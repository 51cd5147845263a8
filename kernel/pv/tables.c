/* SPDX-License-Identifier: MIT */
/*
 * The initial page tables, 4 KiB mappings only. Every entry holds its references from the start, so that
 * the guest's later updates find the same books as if it had built the tables itself:
 *   table entry        one type reference of the table below
 *   L1 entry, writable one type reference (writable) of the frame
 *   L1 entry, read-only one reference of the frame
 *   the L4             one type reference as the loaded base, one as pinned
 */
#include "pv/build.h"

#include "lib/string.h"
#include "mem/frame.h"
#include "mem/map.h"
#include "pv/guest.h"
#include "pv/pte.h"

#define TABLE_FLAGS    (PTE_PRESENT | PTE_WRITABLE | PTE_USER | PTE_ACCESSED | PTE_DIRTY)
#define PAGE_FLAGS     TABLE_FLAGS
#define READ_ONLY_PAGE (PAGE_FLAGS & ~PTE_WRITABLE)

/* One virtual range with tables of its own below the L4. */
struct region {
    const uint64_t *p2m;
    uint64_t start, end; /* virtual */
    uint64_t l3_pfn, l2_pfn, l1_pfn;
    struct table_counts counts;
};

static uint64_t *table_at(uint64_t mfn)
{
    return phys_to_virt(mfn << FRAME_SHIFT);
}

static struct region region_with(const uint64_t *p2m, uint64_t start, uint64_t end, uint64_t first_table_pfn,
                                 struct table_counts counts)
{
    return (struct region){
        .p2m = p2m,
        .start = start,
        .end = end,
        .l3_pfn = first_table_pfn,
        .l2_pfn = first_table_pfn + counts.l3,
        .l1_pfn = first_table_pfn + counts.l3 + counts.l2,
        .counts = counts,
    };
}

static void clear_tables(const uint64_t *p2m, uint64_t first_pfn, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        memset(table_at(p2m[first_pfn + i]), 0, FRAME_SIZE);
}

/*
 * Enters count tables of one level, consecutive from child_pfn, into the tables above, consecutive from
 * parent_pfn. start >> shift numbers the children in the whole address space.
 */
static bool link(const struct region *region, uint64_t parent_pfn, uint64_t child_pfn, uint64_t count,
                 unsigned shift, enum frame_type type)
{
    uint64_t first = region->start >> shift;
    uint64_t first_parent = first >> 9;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t child = region->p2m[child_pfn + i];
        uint64_t parent = region->p2m[parent_pfn + (((first + i) >> 9) - first_parent)];
        if (frame_get_type(frame_of(child), type) != 0)
            return false;
        table_at(parent)[(first + i) & 511] = child << FRAME_SHIFT | TABLE_FLAGS;
    }
    return true;
}

static bool link_tables(const struct region *region, uint64_t l4_pfn)
{
    return link(region, l4_pfn, region->l3_pfn, region->counts.l3, 39, FRAME_TYPE_L3) &&
           link(region, region->l3_pfn, region->l2_pfn, region->counts.l2, 30, FRAME_TYPE_L2) &&
           link(region, region->l2_pfn, region->l1_pfn, region->counts.l1, 21, FRAME_TYPE_L1);
}

/* Maps [start, end) to the PFNs from first_pfn; those in [read_only, read_only + count) read-only. */
static bool map_pages(const struct region *region, uint64_t first_pfn, uint64_t read_only, uint64_t count)
{
    uint64_t first = region->start >> FRAME_SHIFT;
    uint64_t pages = (region->end - region->start) >> FRAME_SHIFT;
    uint64_t *table = NULL;

    for (uint64_t i = 0; i < pages; i++) {
        uint64_t slot = (first + i) & 511;
        if (table == NULL || slot == 0)
            table = table_at(region->p2m[region->l1_pfn + (((first + i) >> 9) - (first >> 9))]);
        uint64_t pfn = first_pfn + i;
        uint64_t mfn = region->p2m[pfn];
        bool writable = pfn - read_only >= count;
        struct frame *frame = frame_of(mfn);
        if ((writable ? frame_get_type(frame, FRAME_TYPE_WRITABLE) : frame_get(frame)) != 0)
            return false;
        table[slot] = mfn << FRAME_SHIFT | (writable ? PAGE_FLAGS : READ_ONLY_PAGE);
    }
    return true;
}

static bool load_l4(uint64_t mfn)
{
    struct frame *frame = frame_of(mfn);
    if (frame_get_type(frame, FRAME_TYPE_L4) != 0 || frame_get_type(frame, FRAME_TYPE_L4) != 0)
        return false;
    frame->flags |= FRAME_PINNED;
    map_fill_guest_l4(table_at(mfn));
    guest.l4_mfn = mfn;
    return true;
}

bool guest_tables_build(const struct guest_layout *layout, const uint64_t *p2m)
{
    uint64_t l4_pfn = (layout->tables - layout->v_start) >> FRAME_SHIFT;
    struct region kernel = region_with(p2m, layout->v_start, layout->v_end, l4_pfn + 1, layout->counts);

    clear_tables(p2m, l4_pfn, layout->table_pages);
    if (!link_tables(&kernel, l4_pfn) || !load_l4(p2m[l4_pfn]) ||
        !map_pages(&kernel, 0, l4_pfn, layout->table_pages))
        return false;
    if (!layout->p2m_apart)
        return true;

    struct region list = region_with(p2m, layout->p2m_va, layout->p2m_va + layout->p2m_pages * FRAME_SIZE,
                                     layout->p2m_table_pfn, layout->p2m_counts);
    clear_tables(p2m, layout->p2m_table_pfn, layout->p2m_table_pages);
    return link_tables(&list, l4_pfn) && map_pages(&list, layout->p2m_pfn, 0, 0);
}

/* SPDX-License-Identifier: MIT */
#include "mem/page_table.h"

#include "cpu/features.h"
#include "mem/frame.h"

#include <stddef.h>

#define PTE_PAT_SMALL (1ull << 7)

#define SIZE_2M (1ull << 21)
#define SIZE_1G (1ull << 30)

static unsigned index_of(uint64_t virtual, unsigned shift)
{
    return (unsigned)(virtual >> shift & 511);
}

static uint64_t *next_table(const struct page_tables *tables, uint64_t *entry, uint64_t user)
{
    if ((*entry & PTE_P) == 0) {
        uint64_t mfn = tables->source.take();
        if (mfn == 0)
            return NULL;
        *entry = mfn << FRAME_SHIFT | PTE_P | PTE_W | PTE_A;
    }
    *entry |= user;
    return tables->source.reach(*entry & PTE_FRAME);
}

/* The table of the level whose entries cover 2^shift bytes. */
static uint64_t *table_at(const struct page_tables *tables, uint64_t virtual, unsigned shift, uint64_t user)
{
    uint64_t *table = tables->source.reach(tables->root);
    for (unsigned level = 39; table != NULL && level > shift; level -= 9)
        table = next_table(tables, &table[index_of(virtual, level)], user);
    return table;
}

static unsigned largest_shift(uint64_t virtual, uint64_t physical, uint64_t size)
{
    uint64_t both = virtual | physical;
    if (cpu_features.page_1g && both % SIZE_1G == 0 && size >= SIZE_1G)
        return 30;
    return both % SIZE_2M == 0 && size >= SIZE_2M ? 21 : 12;
}

static uint64_t leaf_flags(uint64_t flags, unsigned shift)
{
    if (shift > 12)
        return flags | PTE_PS;
    return (flags & PTE_PAT_LARGE) != 0 ? (flags & ~PTE_PAT_LARGE) | PTE_PAT_SMALL : flags;
}

bool page_tables_map(const struct page_tables *tables, uint64_t virtual, uint64_t physical, uint64_t size,
                     uint64_t flags)
{
    while (size != 0) {
        unsigned shift = largest_shift(virtual, physical, size);
        uint64_t step = 1ull << shift;
        uint64_t leaf = leaf_flags(flags, shift);
        uint64_t *table = table_at(tables, virtual, shift, flags & PTE_U);
        if (table == NULL)
            return false;
        /* As far as this table goes with this page size. */
        unsigned index = index_of(virtual, shift);
        do {
            table[index++] = physical | leaf;
            virtual += step;
            physical += step;
            size -= step;
        } while (index < 512 && size >= step && (shift > 12 || physical % SIZE_2M != 0));
    }
    return true;
}

bool page_tables_reserve(const struct page_tables *tables, uint64_t virtual, bool user)
{
    return table_at(tables, virtual, 30, user ? PTE_U : 0) != NULL;
}

bool page_tables_share(const struct page_tables *tables, uint64_t virtual, uint64_t l1_physical)
{
    uint64_t *table = table_at(tables, virtual, 21, 0);
    if (table != NULL)
        table[index_of(virtual, 21)] = l1_physical | PTE_P | PTE_W | PTE_A;
    return table != NULL;
}

uint64_t *page_tables_entry(const struct page_tables *tables, uint64_t virtual)
{
    uint64_t *table = tables->source.reach(tables->root);
    for (unsigned level = 39; level > 12; level -= 9) {
        uint64_t entry = table[index_of(virtual, level)];
        if ((entry & PTE_P) == 0 || (entry & PTE_PS) != 0)
            return NULL;
        table = tables->source.reach(entry & PTE_FRAME);
    }
    return &table[index_of(virtual, 12)];
}

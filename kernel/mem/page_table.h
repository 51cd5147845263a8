/* SPDX-License-Identifier: MIT */
/* Building the hypervisor's own page tables: 4 levels, the largest page that fits. */
#ifndef SLUICE_MEM_PAGE_TABLE_H
#define SLUICE_MEM_PAGE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define PTE_P         (1ull << 0)
#define PTE_W         (1ull << 1)
#define PTE_U         (1ull << 2)
#define PTE_PWT       (1ull << 3)
#define PTE_PCD       (1ull << 4)
#define PTE_A         (1ull << 5)
#define PTE_D         (1ull << 6)
#define PTE_PS        (1ull << 7)
#define PTE_PAT_LARGE (1ull << 12) /* of a large leaf; a 4 KiB one has it in bit 7 */
#define PTE_NX        (1ull << 63)
#define PTE_FRAME     0x000ffffffffff000ull

#define MAP_READ_ONLY (PTE_P | PTE_A | PTE_NX)
#define MAP_DATA      (PTE_P | PTE_A | PTE_D | PTE_W | PTE_NX)
#define MAP_CODE      (PTE_P | PTE_A)
#define MAP_UNCACHED  (MAP_DATA | PTE_PCD | PTE_PWT)
#define MAP_COMBINED  (MAP_DATA | PTE_PAT_LARGE) /* write-combining, by the PAT of cpu_features_init() */

/* Where table pages come from (MFN; 0 = none) and how to reach them; differs before and after the switch. */
struct page_source {
    uint64_t (*take)(void);
    uint64_t *(*reach)(uint64_t physical);
};

/* A table tree, by physical address of its L4. */
struct page_tables {
    uint64_t root;
    struct page_source source;
};

/* Maps [virtual, virtual + size) to physical, all page-aligned; flags are those of the leaves. Intermediate
 * tables allow everything (and user access when the leaves do). False when table pages are out. */
bool page_tables_map(const struct page_tables *tables, uint64_t virtual, uint64_t physical, uint64_t size,
                     uint64_t flags);

/* Makes sure that the L3 of an address exists, so that its L4 entry never changes again. */
bool page_tables_reserve(const struct page_tables *tables, uint64_t virtual, bool user);

/* Lets the 2 MiB at an address be translated by an L1 that others use too. */
bool page_tables_share(const struct page_tables *tables, uint64_t virtual, uint64_t l1_physical);

/* The 4 KiB entry of an address, or NULL. */
uint64_t *page_tables_entry(const struct page_tables *tables, uint64_t virtual);

#endif

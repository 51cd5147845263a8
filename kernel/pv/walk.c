/* SPDX-License-Identifier: MIT */
#include "pv/walk.h"

#include "mem/map.h"
#include "pv/guest.h"
#include "pv/pte.h"
#include "pv/types.h"

uint64_t *walk_l1;
uint64_t walk_l1_key = UINT64_MAX;

/* The table one level down, or NULL when the entry leads nowhere the guest built. */
static uint64_t *next_table(const uint64_t *table, uint64_t address, unsigned shift, enum frame_type type)
{
    uint64_t entry = __atomic_load_n(&table[address >> shift & 511], __ATOMIC_RELAXED);
    if ((entry & PTE_PRESENT) == 0 || !is_whole(frame_of(pte_mfn(entry)), type))
        return NULL;
    return phys_to_virt(pte_mfn(entry) << FRAME_SHIFT);
}

uint64_t *walk_from_l4(uint64_t address)
{
    uint64_t *table = phys_to_virt(guest.l4_mfn << FRAME_SHIFT);
    table = next_table(table, address, 39, FRAME_TYPE_L3);
    if (table != NULL)
        table = next_table(table, address, 30, FRAME_TYPE_L2);
    if (table != NULL)
        table = next_table(table, address, 21, FRAME_TYPE_L1);
    if (table == NULL)
        return NULL;
    walk_l1 = table;
    walk_l1_key = WALK_KEY(address);
    return &table[address >> FRAME_SHIFT & 511];
}

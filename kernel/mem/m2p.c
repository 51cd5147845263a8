/* SPDX-License-Identifier: MIT */
/* The machine-to-physical list, which guests read in place. */
#include "mem/alloc.h"
#include "mem/frame.h"
#include "mem/map.h"
#include "mem/tables.h"

uint64_t *m2p_list;

bool map_m2p(uint64_t count)
{
    uint64_t frames = (count * sizeof(uint64_t) + FRAME_SIZE - 1) >> FRAME_SHIFT;
    uint64_t mfn = frames_alloc(frames);
    if (mfn == 0)
        return false;
    m2p_list = phys_to_virt(mfn << FRAME_SHIFT);

    uint64_t *entry = m2p_list;
    uint64_t left = frames << FRAME_SHIFT >> 3;
    __asm__ volatile("rep stosq" : "+D"(entry), "+c"(left) : "a"(UINT64_MAX) : "memory");
    return page_tables_map(own_tables(), MAP_M2P_BASE, mfn << FRAME_SHIFT, frames << FRAME_SHIFT,
                           MAP_READ_ONLY | PTE_U);
}

/* SPDX-License-Identifier: MIT */
/* Address spaces: tables are filled through a view, which must be gone before they are pinned. */
#include "tasks.h"

#define LINK (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)

static uint64_t first_l4(void)
{
    return virt_to_mfn((const void *)(uintptr_t)start_info->pt_base);
}

/* A table with one entry, or with those of another; its PFN, or NO_FRAME. */
static uint64_t new_table(const void *others, uint32_t index, uint64_t entry)
{
    uint64_t pfn = frame_take_from_end(); /* from where nothing else is mapped */
    uint64_t *view = pfn == NO_FRAME ? NULL : map_frame(pfn_to_mfn(pfn), MAP_RAM);
    if (!view)
        return NO_FRAME;
    memset(view, 0, PAGE_SIZE);
    if (others)
        memcpy(view, others, PAGE_SIZE);
    view[index] = entry;
    unmap_frames(view, 1);
    return pfn;
}

static uint64_t link_to(uint64_t pfn)
{
    return pfn_to_mfn(pfn) << PAGE_SHIFT | LINK;
}

static uint32_t index_of(uint32_t level)
{
    return SPACE_BASE >> (PAGE_SHIFT + 9 * (level - 1)) & 511;
}

bool space_create(struct space *space)
{
    memset(space, 0, sizeof(*space));
    for (uint32_t level = 1; level <= 3; level++) {
        uint64_t below = level == 1 ? 0 : link_to(space->tables[level - 2]);
        space->tables[level - 1] = new_table(NULL, index_of(level), below);
        if (space->tables[level - 1] == NO_FRAME)
            return false;
    }
    const void *kernels = (const void *)(uintptr_t)start_info->pt_base;
    space->kernel_l4 = pfn_to_mfn(new_table(kernels, index_of(4), link_to(space->tables[2])));
    space->user_l4 = pfn_to_mfn(new_table(NULL, index_of(4), link_to(space->tables[2])));
    return mmuext(MMUEXT_PIN_L4_TABLE, space->kernel_l4, 0) == 0 &&
           mmuext(MMUEXT_PIN_L4_TABLE, space->user_l4, 0) == 0;
}

bool space_destroy(struct space *space)
{
    const struct mmuext_op unpins[] = {
        {.cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = space->kernel_l4},
        {.cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = space->user_l4},
    };
    space_load(NULL);
    if (mmuext_op(unpins, 2, NULL) != 0)
        return false;
    for (uint32_t i = 0; i < 3; i++) {
        void *view = map_frame(pfn_to_mfn(space->tables[i]), MAP_RAM);
        if (!view)
            return false;
        unmap_frames(view, 1);
    }
    return true;
}

bool space_map(struct space *space, uint64_t address, uint64_t pfn, uint64_t flags)
{
    uint32_t index = (uint32_t)((address - SPACE_BASE) >> PAGE_SHIFT);
    struct mmu_update request = {
        .ptr = (pfn_to_mfn(space->tables[0]) << PAGE_SHIFT) + index * sizeof(uint64_t),
        .val = pfn_to_mfn(pfn) << PAGE_SHIFT | flags,
    };
    if (mmu_update(&request, 1, NULL) != 0)
        return false;
    space->pages[index] = pfn;
    return true;
}

bool space_map_new(struct space *space, uint64_t address)
{
    uint64_t pfn = frame_take_from_end();
    void *view = pfn == NO_FRAME ? NULL : map_frame(pfn_to_mfn(pfn), MAP_RAM);
    if (!view)
        return false;
    memset(view, 0, PAGE_SIZE);
    unmap_frames(view, 1);
    return space_map(space, address, pfn, MAP_RAM);
}

bool space_has(const struct space *space, uint64_t address, uint64_t bytes)
{
    if (address < SPACE_BASE || address >= SPACE_END || bytes > SPACE_END - address)
        return false;
    for (uint64_t at = address & ~(PAGE_SIZE - 1); at < address + bytes; at += PAGE_SIZE) {
        if (!space->pages[(at - SPACE_BASE) >> PAGE_SHIFT])
            return false;
    }
    return true;
}

void space_load(const struct space *space)
{
    const struct mmuext_op bases[] = {
        {.cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = space ? space->kernel_l4 : first_l4()},
        {.cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = space ? space->user_l4 : 0},
    };
    EXPECT_RETURN(mmuext_op(bases, 2, NULL), 0);
}

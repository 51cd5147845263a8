/* SPDX-License-Identifier: MIT */
#include "kit/memory.h"

#include "kit/hypercall.h"
#include "kit/string.h"

#include <stddef.h>

const struct start_info *start_info;
struct shared_info *shared_info;
struct vcpu_info *vcpu_info;
long window_error;

extern const char guest_virt_base[], guest_image_end[];
extern char guest_window[], guest_window_end[];

static const uint64_t *const m2p = (const uint64_t *)MACH2PHYS_VIRT_START;
static uint64_t *p2m;
static uint64_t first_spare, end_spare; /* PFNs */
static uint64_t max_mfn = NO_FRAME;

static uint64_t window_pages(void)
{
    return (uint64_t)(guest_window_end - guest_window) / PAGE_SIZE;
}

static uint64_t address_to_pfn(uint64_t address)
{
    return (address - (uint64_t)(uintptr_t)guest_virt_base) >> PAGE_SHIFT;
}

static uint64_t pages(uint64_t bytes)
{
    return (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* What the loader put somewhere is not spare: the highest end wins. */
static void not_spare_below(uint64_t pfn)
{
    if (pfn > first_spare && pfn <= start_info->nr_pages)
        first_spare = pfn;
}

static void find_spare_frames(uint64_t boot_stack)
{
    const struct start_info *info = start_info;
    first_spare = 0;
    end_spare = info->nr_pages;
    not_spare_below(address_to_pfn((uint64_t)(uintptr_t)guest_image_end + PAGE_SIZE - 1));
    not_spare_below(address_to_pfn(boot_stack + PAGE_SIZE - 1));
    not_spare_below(address_to_pfn((uint64_t)(uintptr_t)info) + 2);
    not_spare_below(address_to_pfn(info->pt_base) + info->nr_pt_frames);
    not_spare_below(address_to_pfn(info->mfn_list) + pages(info->nr_pages * sizeof(uint64_t)));
    if (info->nr_p2m_frames)
        not_spare_below(info->first_p2m_pfn + info->nr_p2m_frames);
    if (info->mod_len && info->flags & SIF_MOD_START_PFN)
        not_spare_below(info->mod_start + pages(info->mod_len));
    else if (info->mod_len)
        not_spare_below(address_to_pfn(info->mod_start) + pages(info->mod_len));
}

void memory_init(const struct start_info *info, uint64_t boot_stack)
{
    start_info = info;
    p2m = (uint64_t *)(uintptr_t)info->mfn_list;
    find_spare_frames(boot_stack);
    struct xen_machphys_mapping mapping = {0};
    if (memory_op(XENMEM_machphys_mapping, &mapping) == 0)
        max_mfn = mapping.max_mfn;
    shared_info = map_frame(info->shared_info >> PAGE_SHIFT, MAP_RAM);
    vcpu_info = shared_info ? &shared_info->vcpu_info[0] : NULL;
}

uint64_t pfn_to_mfn(uint64_t pfn)
{
    return pfn < start_info->nr_pages ? p2m[pfn] : NO_FRAME;
}

void p2m_set(uint64_t pfn, uint64_t mfn)
{
    if (pfn < start_info->nr_pages)
        p2m[pfn] = mfn;
}

uint64_t mfn_to_pfn(uint64_t mfn)
{
    if (mfn > max_mfn || mfn >= (HYPERVISOR_VIRT_END - MACH2PHYS_VIRT_START) / sizeof(uint64_t))
        return NO_FRAME;
    uint64_t pfn = m2p[mfn];
    return pfn < start_info->nr_pages && p2m[pfn] == mfn ? pfn : NO_FRAME;
}

uint64_t highest_mfn(void)
{
    return max_mfn;
}

uint64_t virt_to_pfn(const volatile void *address)
{
    return address_to_pfn((uint64_t)(uintptr_t)address);
}

uint64_t virt_to_mfn(const volatile void *address)
{
    return pfn_to_mfn(virt_to_pfn(address));
}

void *pfn_to_virt(uint64_t pfn)
{
    return (void *)(uintptr_t)((uint64_t)(uintptr_t)guest_virt_base + (pfn << PAGE_SHIFT));
}

uint64_t frame_alloc(void)
{
    return first_spare < end_spare ? first_spare++ : NO_FRAME;
}

uint64_t frame_take_from_end(void)
{
    return first_spare < end_spare ? --end_spare : NO_FRAME;
}

bool frame_is_spare(uint64_t pfn)
{
    return pfn >= first_spare && pfn < end_spare;
}

uint64_t frames_left(void)
{
    return end_spare - first_spare;
}

/* ---- the window ---- */

void *window_last_page(void)
{
    return guest_window_end - PAGE_SIZE;
}

static bool window_used[4096];

static uint32_t window_find(uint32_t count)
{
    uint32_t run = 0, total = (uint32_t)window_pages();
    for (uint32_t i = 0; i < total && i < sizeof(window_used); i++) {
        run = window_used[i] ? 0 : run + 1;
        if (run == count)
            return i + 1 - count;
    }
    return UINT32_MAX;
}

void *map_frames(const uint64_t *mfns, uint32_t count, uint64_t flags)
{
    uint32_t first = count ? window_find(count) : UINT32_MAX;
    if (first == UINT32_MAX) {
        window_error = -ENOSPC;
        return NULL;
    }
    char *address = guest_window + first * PAGE_SIZE;
    for (uint32_t i = 0; i < count; i++) {
        window_used[first + i] = true;
        window_error = update_va_mapping((uint64_t)(uintptr_t)address + i * PAGE_SIZE,
                                         mfns[i] << PAGE_SHIFT | flags, UVMF_INVLPG | UVMF_LOCAL);
        if (window_error) {
            long error = window_error;
            unmap_frames(address, i + 1);
            window_error = error;
            return NULL;
        }
    }
    return address;
}

void *map_frame(uint64_t mfn, uint64_t flags)
{
    return map_frames(&mfn, 1, flags);
}

void *map_mmio(uint64_t address, uint64_t bytes)
{
    uint64_t mfns[16];
    uint64_t first = address >> PAGE_SHIFT;
    uint64_t count = pages((address & (PAGE_SIZE - 1)) + bytes);
    if (count > 16) {
        window_error = -ENOSPC;
        return NULL;
    }
    for (uint64_t i = 0; i < count; i++)
        mfns[i] = first + i;
    char *mapped = map_frames(mfns, (uint32_t)count, MAP_MMIO);
    return mapped ? mapped + (address & (PAGE_SIZE - 1)) : NULL;
}

void unmap_frames(void *address, uint32_t count)
{
    uint32_t first = (uint32_t)(((char *)address - guest_window) / (ptrdiff_t)PAGE_SIZE);
    for (uint32_t i = 0; i < count; i++) {
        window_error = update_va_mapping((uint64_t)(uintptr_t)guest_window + (first + i) * PAGE_SIZE, 0,
                                         UVMF_INVLPG | UVMF_LOCAL);
        window_used[first + i] = false;
    }
}

void *page_alloc(uint64_t *pfn)
{
    *pfn = frame_alloc();
    if (*pfn == NO_FRAME)
        return NULL;
    void *page = map_frame(pfn_to_mfn(*pfn), MAP_RAM);
    if (page)
        memset(page, 0, PAGE_SIZE);
    return page;
}

bool page_table_walk(uint64_t address, uint32_t level, struct pte_place *place)
{
    uint64_t table_pfn = virt_to_pfn((const void *)(uintptr_t)start_info->pt_base);
    for (uint32_t at = 4;; at--) {
        const volatile uint64_t *table = pfn_to_virt(table_pfn);
        place->table_mfn = pfn_to_mfn(table_pfn);
        place->index = (uint32_t)(address >> (PAGE_SHIFT + 9 * (at - 1))) & 511;
        place->entry = table[place->index];
        if (at == level)
            return true;
        if (!(place->entry & PTE_PRESENT))
            return false;
        table_pfn = mfn_to_pfn((place->entry & PTE_FRAME) >> PAGE_SHIFT);
        if (table_pfn == NO_FRAME)
            return false;
    }
}

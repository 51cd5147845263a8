/* SPDX-License-Identifier: MIT */
#include "loader.h"

#define PTE_P          0x1ull
#define PTE_W          0x2ull
#define PTE_UC         0x18ull /* write-through and cache-disable: uncached, whatever else firmware set */
#define PTE_PS         0x80ull
#define PTE_NX         (1ull << 63)
#define PTE_FRAME_MASK 0x000ffffffffff000ull
#define LARGE_PAGE     (2ull << 20)

struct table_pool {
    UINT64 next;
};

static UINT64 take_table(struct table_pool *pool)
{
    UINT64 table = pool->next;
    pool->next += 4096;
    return table;
}

/* The table below entry `index` of `table`, made when absent. The pool was sized for all of them. */
static UINT64 *step_down(UINT64 *table, UINTN index, struct table_pool *pool)
{
    if (!(table[index] & PTE_P))
        table[index] = take_table(pool) | PTE_W | PTE_P;
    return (UINT64 *)(UINTN)(table[index] & PTE_FRAME_MASK);
}

static void map_page(UINT64 *l4, UINT64 virtual, UINT64 physical, UINT64 bits, struct table_pool *pool)
{
    UINT64 *l3 = step_down(l4, virtual >> 39 & 511, pool);
    UINT64 *l2 = step_down(l3, virtual >> 30 & 511, pool);
    UINT64 *l1 = step_down(l2, virtual >> 21 & 511, pool);
    l1[virtual >> 12 & 511] = physical | bits | PTE_P;
}

static UINT64 read_cr3(void)
{
    UINT64 value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

#define FRAMEBUFFER_TABLES 2u /* L3 and L2: all of it is within one GiB */

/* Firmware need not have mapped it. Whether it makes sense is for the kernel to say, before it touches a
 * pixel. */
static void map_framebuffer(UINT64 *l4, struct boot_framebuffer *framebuffer, struct table_pool *pool)
{
    UINT64 offset = framebuffer->base % LARGE_PAGE, first = framebuffer->base - offset;
    UINT64 size = framebuffer->size < BOOT_FRAMEBUFFER_MAX ? framebuffer->size : BOOT_FRAMEBUFFER_MAX;

    l4[BOOT_FRAMEBUFFER_VIRTUAL >> 39 & 511] = 0;
    if (framebuffer->format == BOOT_PIXEL_NONE || size == 0 || (first & ~PTE_FRAME_MASK))
        return;
    for (UINT64 at = 0; at < offset + size; at += LARGE_PAGE) {
        UINT64 virtual = BOOT_FRAMEBUFFER_VIRTUAL + at;
        UINT64 *l3 = step_down(l4, virtual >> 39 & 511, pool);
        UINT64 *l2 = step_down(l3, virtual >> 30 & 511, pool);
        l2[virtual >> 21 & 511] = ((first + at) & PTE_FRAME_MASK) | PTE_NX | PTE_PS | PTE_UC | PTE_W | PTE_P;
    }
    framebuffer->virtual = BOOT_FRAMEBUFFER_VIRTUAL + offset;
}

UINT64 paging_build(const struct elf_image *image, struct boot_info *info)
{
    struct boot_blob *pages = &info->loader_pages;
    UINT64 physical = info->image.base;

    /* L4, L3, at most two L2 (64 MiB touch two GiB at most), an L1 for every 2 MiB touched. */
    UINT64 tables = 4 + ((image->end - 1) >> 21) - (image->start >> 21) + 1 + FRAMEBUFFER_TABLES;
    pages->size = tables * 4096;
    pages->base = pages_alloc(pages->size);
    if (!pages->base)
        return 0;

    struct table_pool pool = {pages->base};
    UINT64 *l4 = (UINT64 *)(UINTN)take_table(&pool);
    const UINT64 *firmware_l4 = (const UINT64 *)(UINTN)(read_cr3() & PTE_FRAME_MASK);
    for (UINTN i = 0; i < 512; i++)
        l4[i] = firmware_l4[i];
    l4[image->start >> 39 & 511] = 0; /* elf_parse() saw to it that the image stays in this slot */

    for (UINT32 s = 0; s < image->segment_count; s++) {
        const struct elf_segment *segment = &image->segments[s];
        UINT64 bits =
            (segment->flags & ELF_SEGMENT_X ? 0 : PTE_NX) | (segment->flags & ELF_SEGMENT_W ? PTE_W : 0);
        for (UINT64 offset = 0; offset < segment->memory_size; offset += 4096) {
            UINT64 virtual = segment->address + offset;
            map_page(l4, virtual, physical + (virtual - image->start), bits, &pool);
        }
    }
    map_framebuffer(l4, &info->framebuffer, &pool);
    return (UINT64)(UINTN)l4;
}

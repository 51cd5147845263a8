/* SPDX-License-Identifier: MIT */
/* Puts the embedded hypervisor in its place: copied, mapped high, its symbols beside it. */
#include "loader.h"

extern const UINT8 kernel_file[], kernel_file_end[]; /* embed.S */

static void copy_from_file(UINT64 to, UINT64 offset, UINT64 size)
{
    firmware->BootServices->CopyMem((void *)(UINTN)to, (void *)(UINTN)(kernel_file + offset), (UINTN)size);
}

/* Copies the segments and the symbols to fresh, zeroed memory. FALSE: there is none. */
static BOOLEAN load(const struct elf_image *image, struct boot_info *info)
{
    info->image.size = image->end - image->start;
    info->image.base = pages_alloc(info->image.size);
    info->image_virtual = image->start;
    UINT64 symbols = pages_alloc(image->symtab_size + image->strtab_size + 1);
    if (!info->image.base || !symbols)
        return FALSE;
    for (UINT32 i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        copy_from_file(info->image.base + (segment->address - image->start), segment->file_offset,
                       segment->file_size);
    }
    info->symtab = (struct boot_blob){symbols, image->symtab_size};
    info->strtab = (struct boot_blob){symbols + image->symtab_size, image->strtab_size};
    copy_from_file(info->symtab.base, image->symtab_offset, image->symtab_size);
    copy_from_file(info->strtab.base, image->strtab_offset, image->strtab_size);
    return TRUE;
}

const char *kernel_place(struct boot_info *info, UINT64 *l4, UINT64 *entry)
{
    struct elf_image image;
    const char *wrong = elf_parse(kernel_file, (size_t)(kernel_file_end - kernel_file), &image);
    if (wrong)
        return wrong;
    if (!load(&image, info))
        return "there is not enough memory below 4 GiB for the hypervisor";
    *l4 = paging_build(&image, info);
    *entry = image.entry;
    return *l4 ? NULL : "there is not enough memory below 4 GiB for page tables";
}

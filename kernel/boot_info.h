/* SPDX-License-Identifier: MIT */
/*
 * What the loader hands to the kernel: the only thing the two share.
 *
 * Fixed-width types only (the loader is LLP64, the kernel LP64). All addresses are physical unless
 * named "virtual"; all sizes are in bytes. The kernel copies everything before it uses it.
 *
 * State at entry: long mode with 4-level paging, interrupts off, SysV ABI, RDI = physical (identity-mapped)
 * address of struct boot_info. The page tables identity-map what firmware mapped and map the image at its
 * linked address, each segment with its own permissions and none writable and executable, and the framebuffer
 * high.
 */
#ifndef SLUICE_BOOT_INFO_H
#define SLUICE_BOOT_INFO_H

#include <stdint.h>

#define BOOT_INFO_MAGIC   0x4f464e4945434c53ULL /* "SLCEINFO" */
#define BOOT_INFO_VERSION 1u

struct boot_blob {
    uint64_t base; /* 0 when absent */
    uint64_t size;
};

enum boot_pixel_format {
    BOOT_PIXEL_NONE = 0, /* no linear framebuffer */
    BOOT_PIXEL_RGBX = 1, /* red in the lowest byte */
    BOOT_PIXEL_BGRX = 2, /* blue in the lowest byte */
    BOOT_PIXEL_OTHER = 3,
};

/* Where the loader maps the framebuffer, and the kernel too; one GiB, of which this much is used at most. */
#ifndef BOOT_FRAMEBUFFER_VIRTUAL /* a host test has no such addresses */
#define BOOT_FRAMEBUFFER_VIRTUAL 0xffff81bfc0000000ULL
#endif
#define BOOT_FRAMEBUFFER_MAX (256ULL << 20)

struct boot_framebuffer {
    uint64_t base, size;
    uint64_t virtual;       /* where it is mapped; 0: nowhere */
    uint32_t width, height; /* pixels */
    uint32_t pitch;         /* pixels a scan line */
    uint32_t format;        /* enum boot_pixel_format; 32 bits a pixel, but for the last */
};

/* From the first pixel to the end of the last. */
static inline uint64_t boot_framebuffer_bytes(const struct boot_framebuffer *framebuffer)
{
    return ((uint64_t)framebuffer->pitch * (framebuffer->height - 1) + framebuffer->width) * 4;
}

struct boot_info {
    uint64_t magic;
    uint32_t version;
    uint32_t size; /* sizeof(struct boot_info) as the loader knew it */

    struct boot_blob memory_map; /* array of EFI_MEMORY_DESCRIPTOR */
    uint64_t memory_descriptor_size;
    uint32_t memory_descriptor_version;
    uint32_t config_table_entries;
    uint64_t rsdp; /* 0: firmware published none */
    uint64_t efi_system_table;
    uint64_t efi_config_table;
    struct boot_framebuffer framebuffer;

    struct boot_blob options;       /* hypervisor options, ASCII, NUL-terminated */
    struct boot_blob guest_name;    /* path as written in sluice.conf, NUL-terminated */
    struct boot_blob guest;         /* file as read */
    struct boot_blob module;        /* file as read */
    struct boot_blob guest_cmdline; /* ASCII, NUL-terminated */

    struct boot_blob image;          /* the loaded hypervisor, physically contiguous, page-aligned */
    uint64_t image_virtual;          /* where image.base is mapped */
    struct boot_blob symtab, strtab; /* ELF64 .symtab and its string table, for backtraces */
    struct boot_blob loader_pages;   /* page tables and stack, unused once the kernel has its own */
    uint64_t entry_tsc;              /* time-stamp counter just before the jump */
};

_Static_assert(sizeof(struct boot_info) == 272, "loader and kernel must agree");

#endif

/* SPDX-License-Identifier: MIT */
/* What the loader's files share. Memory the kernel will read is allocated as EfiLoaderData. */
#ifndef BOOT_LOADER_H
#define BOOT_LOADER_H

#include <efi.h>

#include "boot/config.h"
#include "boot/elf.h"
#include "kernel/boot_info.h"

/* The vendor's headers drop attributes silently when built with the wrong flags. */
struct loader_packed_probe {
    UINT8 a;
    UINT32 b;
} __attribute__((packed));
_Static_assert(sizeof(struct loader_packed_probe) == 5, "attributes are lost: -fno-ms-extensions is missing");

extern EFI_SYSTEM_TABLE *firmware;
extern EFI_HANDLE loader_handle;

/* ---- say.c ---- */
/* One line on the UEFI console: "sluice: " and the parts up to NULL, each ASCII. */
void say(const char *first, ...);
/* Text of a number; valid until the fourth call after this one. */
const char *decimal(UINT64 value);
const char *hexadecimal(UINT64 value);

/* ---- files.c ---- */
/* Opens \sluice\sluice.conf on the loader's own volume, then on every other one. NULL: nowhere. */
EFI_FILE_HANDLE files_find_config(EFI_FILE_HANDLE *volume);
/* Reads a whole file into fresh pages, a NUL behind it. limit in bytes. NULL, or why not. */
const char *files_read(EFI_FILE_HANDLE file, UINT64 limit, struct boot_blob *blob);
/* Opens an ASCII path ('/' and '\' alike) on a volume. NULL: not there. */
EFI_FILE_HANDLE files_open(EFI_FILE_HANDLE volume, const char *path);

/* ---- settings.c ---- */
/*
 * Reads sluice.conf, the command line, guest and module into a fresh boot_info. FALSE after saying what is
 * wrong.
 */
BOOLEAN settings_load(struct boot_info **result);

/* ---- kernel.c ---- */
/* Copies and maps the embedded hypervisor; page tables and entry point for handover_jump(). NULL, or why not.
 */
const char *kernel_place(struct boot_info *info, UINT64 *l4, UINT64 *entry);

/* ---- memory.c ---- */
/* Zeroed pages below 4 GiB, EfiLoaderData. 0: firmware has none. */
UINT64 pages_alloc(UINT64 bytes);

/* ---- paging.c ---- */
/*
 * Firmware's own mapping with the kernel's segments added high, each with its own permissions, and the
 * framebuffer, uncached: info has where both are, and is told where the framebuffer is mapped.
 * Physical address of the L4, 0 without memory. Pages come from one block that info->loader_pages describes.
 */
UINT64 paging_build(const struct elf_image *image, struct boot_info *info);

/* ---- handover.c ---- */
/* Fills in RSDP, configuration table and framebuffer. */
void handover_describe(struct boot_info *info);
/*
 * Gets the memory map, leaves boot services (a stale key is retried) and jumps. Returns only on failure,
 * having said so: firmware's services are then half gone, so the caller must return at once.
 */
EFI_STATUS handover_jump(struct boot_info *info, UINT64 l4, UINT64 entry);

#endif

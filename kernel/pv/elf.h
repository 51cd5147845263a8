/* SPDX-License-Identifier: MIT */
/*
 * Reading a PV guest's kernel: an ELF64 x86-64 file with Xen notes. Pure: no allocation, no log, nothing
 * but the bytes of the file, all of which are hostile.
 */
#ifndef SLUICE_PV_ELF_H
#define SLUICE_PV_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_SEGMENTS_MAX 32u

/* One PT_LOAD. Guaranteed: inside the file, file_size <= memory_size, no overlap with another one. */
struct guest_segment {
    uint64_t address;     /* guest virtual, p_paddr - PADDR_OFFSET + VIRT_BASE */
    uint64_t memory_size; /* bytes, not 0 */
    uint64_t file_offset, file_size;
};

struct guest_image {
    uint64_t virt_base;                /* VIRT_BASE: where PFN 0 is mapped; page-aligned */
    uint64_t kernel_start, kernel_end; /* lowest and one past the highest loaded byte, guest virtual */
    uint64_t entry;                    /* ENTRY, or e_entry; inside the kernel */
    bool has_hypercall_page, has_init_p2m;
    uint64_t hypercall_page; /* page-aligned, inside the kernel */
    uint64_t init_p2m;       /* page-aligned; where the guest wants its P2M list */
    bool module_by_pfn;      /* MOD_START_PFN: the module need not be mapped */
    uint32_t segment_count;
    struct guest_segment segments[GUEST_SEGMENTS_MAX]; /* in file order */
};

/* NULL when the file can be loaded, with *image filled; else a sentence that says why not. */
const char *guest_image_parse(const void *file, size_t size, struct guest_image *image);

#endif

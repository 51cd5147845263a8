/* SPDX-License-Identifier: MIT */
/* The embedded hypervisor image, ELF64: where its segments and its symbols are. Pure. */
#ifndef BOOT_ELF_H
#define BOOT_ELF_H

#include <stddef.h>
#include <stdint.h>

#define ELF_SEGMENTS_MAX 8u
#define ELF_SEGMENT_X    1u
#define ELF_SEGMENT_W    2u

struct elf_segment {
    uint64_t address;     /* virtual, page-aligned */
    uint64_t memory_size; /* bytes in memory; what exceeds file_size is zero */
    uint64_t file_offset, file_size;
    uint32_t flags; /* ELF_SEGMENT_* */
};

struct elf_image {
    uint64_t entry, start, end; /* virtual; start and end page-aligned */
    uint32_t segment_count;
    struct elf_segment segments[ELF_SEGMENTS_MAX];
    uint64_t symtab_offset, symtab_size, strtab_offset, strtab_size; /* in the file; 0 when absent */
};

/*
 * NULL when the image can be loaded, else why not. file is 8-byte aligned. Guaranteed then: the segments lie
 * in the file, do not overlap, ascend, are not both W and X, and all lie in one L4 slot of the upper half.
 */
const char *elf_parse(const uint8_t *file, size_t size, struct elf_image *image);

#endif

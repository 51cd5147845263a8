/* SPDX-License-Identifier: MIT */
#include "elf.h"

#include <stdbool.h>

/* ELF-64 object file format, version 1.5: file header, program header, section header. */
struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct program_header {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
struct section_header {
    uint32_t name, type;
    uint64_t flags, addr, offset, size;
    uint32_t link, info;
    uint64_t addralign, entsize;
};
_Static_assert(sizeof(struct elf_header) == 64, "ELF-64");
_Static_assert(sizeof(struct program_header) == 56, "ELF-64");
_Static_assert(sizeof(struct section_header) == 64, "ELF-64");

#define ELF_CLASS_64   2u
#define ELF_DATA_LSB   1u
#define ET_EXEC        2u
#define EM_X86_64      62u
#define PT_LOAD        1u
#define SHT_SYMTAB     2u
#define PAGE_OFFSET    4095ull
#define IMAGE_SIZE_MAX (64ull << 20)
#define UPPER_HALF     0xffff800000000000ull
#define L4_SHIFT       39u

static bool inside(uint64_t offset, uint64_t length, uint64_t size)
{
    return offset <= size && length <= size - offset;
}

static const char *check_header(const struct elf_header *eh, size_t size)
{
    if (size < sizeof *eh || eh->ident[0] != 0x7f || eh->ident[1] != 'E' || eh->ident[2] != 'L' ||
        eh->ident[3] != 'F')
        return "the hypervisor image is not an ELF file";
    if (eh->ident[4] != ELF_CLASS_64 || eh->ident[5] != ELF_DATA_LSB || eh->machine != EM_X86_64 ||
        eh->type != ET_EXEC)
        return "the hypervisor image is not an x86-64 executable with a fixed address";
    if (eh->phentsize != sizeof(struct program_header) || eh->phoff % 8 != 0 ||
        !inside(eh->phoff, (uint64_t)eh->phnum * sizeof(struct program_header), size))
        return "the hypervisor image has its program headers outside the file";
    return NULL;
}

static const char *check_segment(const struct program_header *ph, size_t size)
{
    if (ph->vaddr % (PAGE_OFFSET + 1) != 0 || ph->filesz > ph->memsz || ph->memsz > IMAGE_SIZE_MAX)
        return "a segment of the hypervisor image is misaligned or absurdly large";
    if (ph->vaddr < UPPER_HALF || ph->vaddr > UINT64_MAX - IMAGE_SIZE_MAX - PAGE_OFFSET)
        return "a segment of the hypervisor image is not linked high";
    if (!inside(ph->offset, ph->filesz, size))
        return "a segment of the hypervisor image lies outside the file";
    if ((ph->flags & ELF_SEGMENT_X) && (ph->flags & ELF_SEGMENT_W))
        return "a segment of the hypervisor image is writable and executable";
    return NULL;
}

static const char *add_segment(struct elf_image *image, const struct program_header *ph, size_t size)
{
    if (ph->type != PT_LOAD || ph->memsz == 0)
        return NULL;
    const char *wrong = check_segment(ph, size);
    if (wrong)
        return wrong;
    if (image->segment_count == ELF_SEGMENTS_MAX)
        return "the hypervisor image has too many segments";
    if (image->segment_count == 0)
        image->start = ph->vaddr;
    else if (ph->vaddr < image->end)
        return "segments of the hypervisor image overlap or are out of order";
    image->end = (ph->vaddr + ph->memsz + PAGE_OFFSET) & ~PAGE_OFFSET;
    if (image->end - image->start > IMAGE_SIZE_MAX)
        return "the hypervisor image is absurdly large";
    if (image->start >> L4_SHIFT != (image->end - 1) >> L4_SHIFT)
        return "the hypervisor image straddles a 512 GiB boundary";
    image->segments[image->segment_count++] = (struct elf_segment){
        .address = ph->vaddr,
        .memory_size = ph->memsz,
        .file_offset = ph->offset,
        .file_size = ph->filesz,
        .flags = ph->flags & (ELF_SEGMENT_X | ELF_SEGMENT_W),
    };
    return NULL;
}

static bool entry_is_code(const struct elf_image *image, uint64_t entry)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];
        if (entry >= segment->address && entry - segment->address < segment->memory_size)
            return (segment->flags & ELF_SEGMENT_X) != 0;
    }
    return false;
}

/* Symbols only make backtraces readable: an image without them loads all the same. */
static void find_symbols(const uint8_t *file, size_t size, const struct elf_header *eh,
                         struct elf_image *image)
{
    if (eh->shentsize != sizeof(struct section_header) || eh->shoff % 8 != 0 ||
        !inside(eh->shoff, (uint64_t)eh->shnum * sizeof(struct section_header), size))
        return;
    const struct section_header *sections = (const void *)(file + eh->shoff);
    for (uint32_t i = 0; i < eh->shnum; i++) {
        const struct section_header *symbols = &sections[i];
        if (symbols->type != SHT_SYMTAB || symbols->link >= eh->shnum)
            continue;
        const struct section_header *strings = &sections[symbols->link];
        if (!inside(symbols->offset, symbols->size, size) || !inside(strings->offset, strings->size, size))
            continue;
        image->symtab_offset = symbols->offset;
        image->symtab_size = symbols->size;
        image->strtab_offset = strings->offset;
        image->strtab_size = strings->size;
        return;
    }
}

const char *elf_parse(const uint8_t *file, size_t size, struct elf_image *image)
{
    *image = (struct elf_image){.entry = 0};
    const struct elf_header *eh = (const void *)file;
    const char *wrong = check_header(eh, size);
    if (wrong)
        return wrong;
    const struct program_header *headers = (const void *)(file + eh->phoff);
    for (uint32_t i = 0; i < eh->phnum; i++) {
        wrong = add_segment(image, &headers[i], size);
        if (wrong)
            return wrong;
    }
    if (!entry_is_code(image, eh->entry))
        return "no executable segment of the hypervisor image holds its entry point";
    image->entry = eh->entry;
    find_symbols(file, size, eh, image);
    return NULL;
}

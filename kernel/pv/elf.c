/* SPDX-License-Identifier: MIT */
#include "pv/elf.h"

#include "guest-abi/include/sluice/xen.h"
#include "lib/string.h"
#include "mem/map.h"

#define PAGE_MASK 0xfffull

/* System V ABI, "Object Files": the parts of ELF64 that a loader reads. */
struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_offset, section_offset;
    uint32_t flags;
    uint16_t header_size, program_size, program_count, section_size, section_count, section_names;
};
_Static_assert(sizeof(struct elf_header) == 64, "ELF64");

struct elf_program {
    uint32_t type, flags;
    uint64_t offset, virtual_address, physical_address, file_size, memory_size, alignment;
};
_Static_assert(sizeof(struct elf_program) == 56, "ELF64");

struct elf_note {
    uint32_t name_size, value_size, type;
};

#define IDENT_CLASS    4
#define IDENT_DATA     5
#define CLASS_32       1
#define CLASS_64       2
#define DATA_LSB       1
#define TYPE_EXEC      2
#define TYPE_DYN       3
#define MACHINE_X86_64 62
#define PROGRAM_LOAD   1
#define PROGRAM_NOTE   4
#define PROGRAMS_MAX   128u

struct notes {
    bool any, loader_generic, version_fits;
    uint64_t paddr_offset;
};

struct reader {
    const uint8_t *file;
    size_t size;
    uint32_t program_count;
    uint64_t program_offset;
    struct guest_image *image;
    struct notes notes;
};

static bool inside(uint64_t offset, uint64_t length, uint64_t size)
{
    return offset <= size && length <= size - offset;
}

static const char *read_header(struct reader *reader)
{
    struct elf_header header;
    if (reader->size < 4 || memcmp(reader->file, "\177ELF", 4) != 0)
        return "it is not an ELF file";
    if (reader->size > IDENT_CLASS && reader->file[IDENT_CLASS] == CLASS_32)
        return "it is a 32-bit ELF file; Sluice runs 64-bit guests only";
    if (reader->size < sizeof(header))
        return "it ends inside the ELF header";
    memcpy(&header, reader->file, sizeof(header));
    if (header.ident[IDENT_CLASS] != CLASS_64 || header.ident[IDENT_DATA] != DATA_LSB)
        return "its ELF class or byte order is unknown";
    if (header.machine != MACHINE_X86_64)
        return "it is not built for x86-64";
    if (header.type != TYPE_EXEC && header.type != TYPE_DYN)
        return "it is not an executable (ELF type is neither EXEC nor DYN)";
    if (header.program_count == 0 || header.program_size != sizeof(struct elf_program))
        return "it has no usable program headers";
    if (header.program_count > PROGRAMS_MAX)
        return "it has more than 128 program headers";
    if (!inside(header.program_offset, (uint64_t)header.program_count * sizeof(struct elf_program),
                reader->size))
        return "its program headers lie outside the file";
    reader->program_count = header.program_count;
    reader->program_offset = header.program_offset;
    reader->image->entry = header.entry;
    return NULL;
}

static struct elf_program program_at(const struct reader *reader, uint32_t index)
{
    struct elf_program program;
    memcpy(&program, reader->file + reader->program_offset + (size_t)index * sizeof(program),
           sizeof(program));
    return program;
}

/* Numbers come as 4 or 8 bytes, whatever the assembler of the guest was told. */
static bool note_number(const uint8_t *value, uint32_t size, uint64_t *number)
{
    *number = 0;
    if (size != 4 && size != 8)
        return false;
    memcpy(number, value, size);
    return true;
}

static bool note_text_is(const uint8_t *value, uint32_t size, const char *text)
{
    size_t length = strlen(text);
    return size >= length && memcmp(value, text, length) == 0 && (size == length || value[length] == '\0');
}

static const char *apply_note(struct reader *reader, uint32_t type, const uint8_t *value, uint32_t size)
{
    struct guest_image *image = reader->image;
    uint64_t number = 0;
    bool is_number = note_number(value, size, &number);

    switch (type) {
    case XEN_ELFNOTE_ENTRY:
    case XEN_ELFNOTE_HYPERCALL_PAGE:
    case XEN_ELFNOTE_VIRT_BASE:
    case XEN_ELFNOTE_PADDR_OFFSET:
    case XEN_ELFNOTE_INIT_P2M:
    case XEN_ELFNOTE_MOD_START_PFN:
        if (!is_number)
            return "one of its Xen notes is a number that is neither 4 nor 8 bytes long";
        break;
    default:
        break;
    }
    switch (type) {
    case XEN_ELFNOTE_ENTRY:
        image->entry = number;
        break;
    case XEN_ELFNOTE_HYPERCALL_PAGE:
        image->has_hypercall_page = true;
        image->hypercall_page = number;
        break;
    case XEN_ELFNOTE_VIRT_BASE:
        image->virt_base = number;
        break;
    case XEN_ELFNOTE_PADDR_OFFSET:
        reader->notes.paddr_offset = number;
        break;
    case XEN_ELFNOTE_INIT_P2M:
        image->has_init_p2m = true;
        image->init_p2m = number;
        break;
    case XEN_ELFNOTE_MOD_START_PFN:
        image->module_by_pfn = number != 0;
        break;
    case XEN_ELFNOTE_LOADER:
        reader->notes.loader_generic = note_text_is(value, size, "generic");
        break;
    case XEN_ELFNOTE_XEN_VERSION:
        reader->notes.version_fits = note_text_is(value, size, "xen-3.0");
        break;
    default:
        break;
    }
    return NULL;
}

static uint64_t padded(uint32_t size)
{
    return ((uint64_t)size + 3) & ~3ull;
}

static const char *read_notes_of(struct reader *reader, const struct elf_program *program)
{
    if (!inside(program->offset, program->file_size, reader->size))
        return "its note segment lies outside the file";

    const uint8_t *cursor = reader->file + program->offset;
    uint64_t left = program->file_size;
    while (left >= sizeof(struct elf_note)) {
        struct elf_note note;
        memcpy(&note, cursor, sizeof(note));
        cursor += sizeof(note);
        left -= sizeof(note);
        uint64_t name_length = padded(note.name_size);
        if (name_length > left || note.value_size > left - name_length)
            return "one of its notes runs past the note segment";
        const uint8_t *value = cursor + name_length;
        if (note.name_size == 4 && memcmp(cursor, "Xen", 4) == 0) {
            reader->notes.any = true;
            const char *reason = apply_note(reader, note.type, value, note.value_size);
            if (reason != NULL)
                return reason;
        }
        /* The last value may lack its padding. */
        uint64_t step = name_length + padded(note.value_size);
        if (step > left)
            step = left;
        cursor += step;
        left -= step;
    }
    return NULL;
}

static const char *read_notes(struct reader *reader)
{
    for (uint32_t i = 0; i < reader->program_count; i++) {
        struct elf_program program = program_at(reader, i);
        if (program.type != PROGRAM_NOTE)
            continue;
        const char *reason = read_notes_of(reader, &program);
        if (reason != NULL)
            return reason;
    }
    if (!reader->notes.any)
        return "it has no Xen notes, so it is not a paravirtual kernel";
    if (!reader->notes.loader_generic)
        return "its LOADER note is missing or not \"generic\"";
    if (!reader->notes.version_fits)
        return "its XEN_VERSION note is missing or not \"xen-3.0\"";
    if ((reader->image->virt_base & PAGE_MASK) != 0)
        return "its VIRT_BASE note is not page-aligned";
    return NULL;
}

static bool guest_may_have(uint64_t first, uint64_t last)
{
    /* A range that is canonical at both ends but crosses the hole would pass the first two tests. */
    return address_is_canonical(first) && address_is_canonical(last) && first >> 63 == last >> 63 &&
           !(last >= HYPERVISOR_VIRT_START && first < HYPERVISOR_VIRT_END);
}

static const char *add_segment(struct reader *reader, const struct elf_program *program)
{
    struct guest_image *image = reader->image;

    if (program->file_size > program->memory_size)
        return "a segment is larger in the file than in memory";
    if (!inside(program->offset, program->file_size, reader->size))
        return "a segment lies outside the file";
    if (program->memory_size == 0)
        return NULL;
    if (program->physical_address < reader->notes.paddr_offset)
        return "a segment lies below the guest's first frame (p_paddr < PADDR_OFFSET)";

    uint64_t address = 0;
    uint64_t last = 0;
    if (__builtin_add_overflow(program->physical_address - reader->notes.paddr_offset, image->virt_base,
                               &address) ||
        __builtin_add_overflow(address, program->memory_size - 1, &last) || last == UINT64_MAX)
        return "a segment wraps around the address space";
    if (!guest_may_have(address, last))
        return "a segment lies at addresses a guest cannot have";
    if (image->segment_count == GUEST_SEGMENTS_MAX)
        return "it has more than 32 loadable segments";

    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct guest_segment *other = &image->segments[i];
        if (address < other->address + other->memory_size && other->address <= last)
            return "two of its segments overlap";
    }
    image->segments[image->segment_count++] = (struct guest_segment){
        .address = address,
        .memory_size = program->memory_size,
        .file_offset = program->offset,
        .file_size = program->file_size,
    };
    if (address < image->kernel_start)
        image->kernel_start = address;
    if (last + 1 > image->kernel_end)
        image->kernel_end = last + 1;
    return NULL;
}

static const char *read_segments(struct reader *reader)
{
    reader->image->kernel_start = UINT64_MAX;
    for (uint32_t i = 0; i < reader->program_count; i++) {
        struct elf_program program = program_at(reader, i);
        if (program.type != PROGRAM_LOAD)
            continue;
        const char *reason = add_segment(reader, &program);
        if (reason != NULL)
            return reason;
    }
    if (reader->image->segment_count == 0)
        return "it has nothing to load";
    return NULL;
}

static const char *check_addresses(const struct guest_image *image)
{
    if (image->entry < image->kernel_start || image->entry >= image->kernel_end)
        return "its entry point lies outside the loaded image";
    if (image->has_hypercall_page) {
        uint64_t page = image->hypercall_page;
        if ((page & PAGE_MASK) != 0)
            return "its HYPERCALL_PAGE note is not page-aligned";
        if (page < image->kernel_start || page >= image->kernel_end || image->kernel_end - page <= PAGE_MASK)
            return "its HYPERCALL_PAGE note points outside the loaded image";
    }
    if (image->has_init_p2m) {
        if ((image->init_p2m & PAGE_MASK) != 0)
            return "its INIT_P2M note is not page-aligned";
        if (!guest_may_have(image->init_p2m, image->init_p2m))
            return "its INIT_P2M note is an address a guest cannot have";
    }
    return NULL;
}

const char *guest_image_parse(const void *file, size_t size, struct guest_image *image)
{
    struct reader reader = {.file = file, .size = size, .image = image};
    *image = (struct guest_image){0};

    const char *reason = read_header(&reader);
    if (reason == NULL)
        reason = read_notes(&reader);
    if (reason == NULL)
        reason = read_segments(&reader);
    if (reason == NULL)
        reason = check_addresses(image);
    return reason;
}

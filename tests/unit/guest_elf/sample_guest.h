/* SPDX-License-Identifier: MIT */
/* A small, correct PV kernel file in memory, for tests to spoil. */
#ifndef SLUICE_TESTS_SAMPLE_GUEST_H
#define SLUICE_TESTS_SAMPLE_GUEST_H

#include <stddef.h>
#include <stdint.h>

#define SAMPLE_VIRT_BASE 0xffffffff80000000ull
#define SAMPLE_PROGRAMS  3u /* text, data with bss, notes */

struct sample_program {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct sample_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct sample_note {
    uint32_t namesz, descsz, type;
    char name[4];
    uint8_t value[8]; /* room for a number, "generic" and "xen-3.0" */
};

enum {
    NOTE_ENTRY,
    NOTE_HYPERCALL_PAGE,
    NOTE_VIRT_BASE,
    NOTE_PADDR_OFFSET,
    NOTE_VERSION,
    NOTE_LOADER,
    NOTE_INIT_P2M,
    NOTE_MODULE,
    NOTE_COUNT
};

struct sample_guest {
    struct sample_header header;
    struct sample_program programs[SAMPLE_PROGRAMS];
    struct sample_note notes[NOTE_COUNT];
    uint8_t text[0x3000];
    uint8_t data[0x100];
};

void sample_guest_make(struct sample_guest *guest);
void sample_note_number(struct sample_note *note, uint32_t type, uint64_t value);
void sample_note_text(struct sample_note *note, uint32_t type, const char *text);
/* Makes a note that nobody knows of this one. */
void sample_note_drop(struct sample_note *note);

#endif

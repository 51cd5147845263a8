/* SPDX-License-Identifier: MIT */
#include "sample_guest.h"

#include "guest-abi/include/sluice/xen.h"

#include <string.h>

void sample_note_number(struct sample_note *note, uint32_t type, uint64_t value)
{
    *note = (struct sample_note){.namesz = 4, .descsz = 8, .type = type, .name = "Xen"};
    memcpy(note->value, &value, sizeof(value));
}

void sample_note_text(struct sample_note *note, uint32_t type, const char *text)
{
    *note = (struct sample_note){.namesz = 4, .descsz = 8, .type = type, .name = "Xen"};
    memcpy(note->value, text, strlen(text) + 1);
}

void sample_note_drop(struct sample_note *note)
{
    note->type = 0x7777;
}

void sample_guest_make(struct sample_guest *guest)
{
    memset(guest, 0, sizeof(*guest));
    memcpy(guest->header.ident, "\177ELF\2\1\1", 7);
    guest->header.type = 2;
    guest->header.machine = 62;
    guest->header.version = 1;
    guest->header.entry = SAMPLE_VIRT_BASE + 0x100000;
    guest->header.phoff = offsetof(struct sample_guest, programs);
    guest->header.ehsize = 64;
    guest->header.phentsize = sizeof(struct sample_program);
    guest->header.phnum = SAMPLE_PROGRAMS;

    guest->programs[0] = (struct sample_program){
        .type = 1,
        .offset = offsetof(struct sample_guest, text),
        .vaddr = SAMPLE_VIRT_BASE + 0x100000,
        .paddr = 0x100000,
        .filesz = sizeof(guest->text),
        .memsz = sizeof(guest->text),
    };
    guest->programs[1] = (struct sample_program){
        .type = 1,
        .offset = offsetof(struct sample_guest, data),
        .vaddr = SAMPLE_VIRT_BASE + 0x104000,
        .paddr = 0x104000,
        .filesz = sizeof(guest->data),
        .memsz = 0x5000,
    };
    guest->programs[2] = (struct sample_program){
        .type = 4,
        .offset = offsetof(struct sample_guest, notes),
        .filesz = sizeof(guest->notes),
        .memsz = 0,
    };
    sample_note_number(&guest->notes[NOTE_ENTRY], XEN_ELFNOTE_ENTRY, SAMPLE_VIRT_BASE + 0x100010);
    sample_note_number(&guest->notes[NOTE_HYPERCALL_PAGE], XEN_ELFNOTE_HYPERCALL_PAGE,
                       SAMPLE_VIRT_BASE + 0x101000);
    sample_note_number(&guest->notes[NOTE_VIRT_BASE], XEN_ELFNOTE_VIRT_BASE, SAMPLE_VIRT_BASE);
    sample_note_number(&guest->notes[NOTE_PADDR_OFFSET], XEN_ELFNOTE_PADDR_OFFSET, 0);
    sample_note_text(&guest->notes[NOTE_VERSION], XEN_ELFNOTE_XEN_VERSION, "xen-3.0");
    sample_note_text(&guest->notes[NOTE_LOADER], XEN_ELFNOTE_LOADER, "generic");
    sample_note_number(&guest->notes[NOTE_INIT_P2M], XEN_ELFNOTE_INIT_P2M, 0x8000000000ull);
    sample_note_number(&guest->notes[NOTE_MODULE], XEN_ELFNOTE_MOD_START_PFN, 1);
}

/* SPDX-License-Identifier: MIT */
/*
 * The parser of guest images: what it accepts, what it refuses and in which words, and that no byte of a
 * hostile file makes it read outside (the copies below are exactly as long as the file says: ASan watches).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest-abi/include/sluice/xen.h"
#include "pv/elf.h"
#include "sample_guest.h"

static struct sample_guest sample;
static struct guest_image image;

static int setup(void **state)
{
    (void)state;
    sample_guest_make(&sample);
    return 0;
}

static const char *parse(void)
{
    return guest_image_parse(&sample, sizeof(sample), &image);
}

static void refuses(const char *part)
{
    const char *reason = parse();
    assert_non_null(reason);
    if (strstr(reason, part) == NULL)
        fail_msg("refused with \"%s\", not with \"...%s...\"", reason, part);
}

static void accepts_a_good_file(void **state)
{
    (void)state;
    assert_null(parse());
    assert_int_equal(image.virt_base, SAMPLE_VIRT_BASE);
    assert_int_equal(image.entry, SAMPLE_VIRT_BASE + 0x100010);
    assert_int_equal(image.kernel_start, SAMPLE_VIRT_BASE + 0x100000);
    assert_int_equal(image.kernel_end, SAMPLE_VIRT_BASE + 0x109000);
    assert_true(image.has_hypercall_page);
    assert_int_equal(image.hypercall_page, SAMPLE_VIRT_BASE + 0x101000);
    assert_true(image.has_init_p2m);
    assert_int_equal(image.init_p2m, 0x8000000000ull);
    assert_true(image.module_by_pfn);
    assert_int_equal(image.segment_count, 2);
    assert_int_equal(image.segments[1].file_size, 0x100);
    assert_int_equal(image.segments[1].memory_size, 0x5000);
}

static void falls_back_as_small_kernels_expect(void **state)
{
    (void)state;
    sample_note_drop(&sample.notes[NOTE_ENTRY]);
    sample_note_drop(&sample.notes[NOTE_VIRT_BASE]);
    sample_note_drop(&sample.notes[NOTE_INIT_P2M]);
    sample_note_drop(&sample.notes[NOTE_MODULE]);
    sample_note_drop(&sample.notes[NOTE_HYPERCALL_PAGE]);
    sample.header.entry = 0x100020;
    assert_null(parse());
    assert_int_equal(image.virt_base, 0);
    assert_int_equal(image.entry, 0x100020);
    assert_int_equal(image.kernel_start, 0x100000);
    assert_false(image.has_hypercall_page);
    assert_false(image.has_init_p2m);
    assert_false(image.module_by_pfn);
}

static void takes_virtual_p_paddr_with_offset(void **state)
{
    (void)state;
    sample_note_number(&sample.notes[NOTE_PADDR_OFFSET], XEN_ELFNOTE_PADDR_OFFSET, SAMPLE_VIRT_BASE);
    sample.programs[0].paddr += SAMPLE_VIRT_BASE;
    sample.programs[1].paddr += SAMPLE_VIRT_BASE;
    assert_null(parse());
    assert_int_equal(image.kernel_start, SAMPLE_VIRT_BASE + 0x100000);
}

static void takes_numbers_of_four_bytes(void **state)
{
    (void)state;
    sample.notes[NOTE_MODULE].descsz = 4;
    /* The other four bytes are then the head of a next, short note: make it the end of the segment. */
    sample.programs[2].filesz = sizeof(sample.notes) - 4;
    assert_null(parse());
    assert_true(image.module_by_pfn);
}

static void refuses_what_is_no_64_bit_pv_kernel(void **state)
{
    (void)state;
    sample.header.ident[0] = 'M';
    refuses("not an ELF");
    setup(state);
    sample.header.ident[4] = 1;
    refuses("32-bit");
    setup(state);
    sample.header.ident[4] = 3;
    refuses("class");
    setup(state);
    sample.header.ident[5] = 2;
    refuses("byte order");
    setup(state);
    sample.header.machine = 183;
    refuses("x86-64");
    setup(state);
    sample.header.type = 1;
    refuses("not an executable");
}

static void refuses_wild_program_headers(void **state)
{
    (void)state;
    sample.header.phnum = 0;
    refuses("no usable program headers");
    setup(state);
    sample.header.phnum = 0xffff;
    refuses("128 program headers");
    setup(state);
    sample.header.phentsize = 32;
    refuses("no usable program headers");
    setup(state);
    sample.header.phoff = UINT64_MAX - 8;
    refuses("outside the file");
    setup(state);
    sample.header.phoff = sizeof(sample) - 100;
    refuses("outside the file");
}

static void refuses_wild_segments(void **state)
{
    (void)state;
    sample.programs[1].filesz = 0x6000;
    refuses("larger in the file");
    setup(state);
    sample.programs[0].offset = sizeof(sample) - 0x2fff;
    refuses("outside the file");
    setup(state);
    sample.programs[0].offset = UINT64_MAX - 16;
    refuses("outside the file");
    setup(state);
    sample.programs[1].memsz = UINT64_MAX;
    refuses("wraps");
    setup(state);
    sample.programs[1].memsz = 1ull << 46;
    refuses("wraps");
    setup(state);
    sample.programs[1].paddr = 0 - SAMPLE_VIRT_BASE - 0x1000;
    refuses("wraps");
    setup(state);
    sample.programs[1].paddr = 0x102fff;
    refuses("overlap");
    setup(state);
    sample.programs[0].type = 0;
    sample.programs[1].type = 0;
    refuses("nothing to load");
    setup(state);
    sample_note_number(&sample.notes[NOTE_PADDR_OFFSET], XEN_ELFNOTE_PADDR_OFFSET, 0x101000);
    refuses("below the guest's first frame");
}

static void refuses_addresses_a_guest_cannot_have(void **state)
{
    (void)state;
    sample_note_number(&sample.notes[NOTE_VIRT_BASE], XEN_ELFNOTE_VIRT_BASE, 0xffff800000000000ull);
    refuses("cannot have");
    /* Ends one byte inside the hypervisor's slots. */
    setup(state);
    sample_note_number(&sample.notes[NOTE_VIRT_BASE], XEN_ELFNOTE_VIRT_BASE,
                       0x0000800000000000ull - 0x105000);
    refuses("cannot have");
    /* Starts canonical in the lower half and ends canonical in the upper. */
    setup(state);
    sample_note_number(&sample.notes[NOTE_VIRT_BASE], XEN_ELFNOTE_VIRT_BASE, 0x1000);
    sample.programs[1].memsz = 0xffff900000000000ull;
    refuses("cannot have");
    setup(state);
    sample_note_number(&sample.notes[NOTE_VIRT_BASE], XEN_ELFNOTE_VIRT_BASE, SAMPLE_VIRT_BASE + 8);
    refuses("VIRT_BASE note is not page-aligned");
}

static void refuses_missing_and_odd_notes(void **state)
{
    (void)state;
    sample.programs[2].type = 0;
    refuses("no Xen notes");
    setup(state);
    for (int i = 0; i < NOTE_COUNT; i++)
        memcpy(sample.notes[i].name, "GNU", 4);
    refuses("no Xen notes");
    setup(state);
    sample_note_drop(&sample.notes[NOTE_LOADER]);
    refuses("LOADER");
    setup(state);
    sample_note_text(&sample.notes[NOTE_LOADER], XEN_ELFNOTE_LOADER, "generi");
    refuses("LOADER");
    setup(state);
    sample_note_text(&sample.notes[NOTE_VERSION], XEN_ELFNOTE_XEN_VERSION, "xen-3.1");
    refuses("XEN_VERSION");
    setup(state);
    sample.notes[NOTE_ENTRY].descsz = 5;
    refuses("neither 4 nor 8");
    setup(state);
    sample.notes[NOTE_MODULE].descsz = 0xffffffff;
    refuses("past the note segment");
    setup(state);
    sample.notes[NOTE_MODULE].namesz = 0xfffffffd;
    refuses("past the note segment");
    setup(state);
    sample.programs[2].filesz = sizeof(sample);
    refuses("note segment lies outside");
}

static void refuses_pointers_out_of_the_image(void **state)
{
    (void)state;
    sample_note_number(&sample.notes[NOTE_ENTRY], XEN_ELFNOTE_ENTRY, SAMPLE_VIRT_BASE + 0x109000);
    refuses("entry point");
    setup(state);
    sample_note_number(&sample.notes[NOTE_HYPERCALL_PAGE], XEN_ELFNOTE_HYPERCALL_PAGE,
                       SAMPLE_VIRT_BASE + 0x109000);
    refuses("HYPERCALL_PAGE note points outside");
    setup(state);
    sample_note_number(&sample.notes[NOTE_HYPERCALL_PAGE], XEN_ELFNOTE_HYPERCALL_PAGE,
                       SAMPLE_VIRT_BASE + 0x101010);
    refuses("HYPERCALL_PAGE note is not page-aligned");
    setup(state);
    sample.programs[1].memsz = 0x4fff; /* the page would reach one byte over the end */
    sample_note_number(&sample.notes[NOTE_HYPERCALL_PAGE], XEN_ELFNOTE_HYPERCALL_PAGE,
                       SAMPLE_VIRT_BASE + 0x108000);
    refuses("HYPERCALL_PAGE note points outside");
    setup(state);
    sample_note_number(&sample.notes[NOTE_INIT_P2M], XEN_ELFNOTE_INIT_P2M, 0xffff830000000000ull);
    refuses("INIT_P2M");
    setup(state);
    sample_note_number(&sample.notes[NOTE_INIT_P2M], XEN_ELFNOTE_INIT_P2M, 0x8000000001ull);
    refuses("INIT_P2M note is not page-aligned");
}

static const char *parse_copy(const void *file, size_t size)
{
    void *copy = malloc(size != 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, file, size);
    const char *reason = guest_image_parse(copy, size, &image);
    free(copy);
    return reason;
}

static void survives_truncation_at_every_byte(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof(sample); size++) {
        if (parse_copy(&sample, size) == NULL)
            fail_msg("a file cut at %zu was accepted", size);
    }
}

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Interesting values in random 8-byte places of headers and notes; what passes must keep the promises. */
static void survives_mutated_fields(void **state)
{
    static const uint64_t values[] = {0,          1,          0x7fffffff, 0x80000000,           0xffffffff,
                                      UINT64_MAX, 1ull << 63, 1ull << 47, 0xffff800000000000ull};
    (void)state;
    for (int round = 0; round < 20000; round++) {
        setup(state);
        for (uint64_t hits = random_next() % 3 + 1; hits != 0; hits--) {
            size_t at = random_next() % (offsetof(struct sample_guest, text) - 8);
            uint64_t value = values[random_next() % (sizeof(values) / sizeof(values[0]))] + random_next() % 2;
            memcpy((uint8_t *)&sample + at, &value, (size_t)1 << random_next() % 4);
        }
        if (parse_copy(&sample, sizeof(sample)) != NULL)
            continue;
        for (uint32_t i = 0; i < image.segment_count; i++) {
            const struct guest_segment *segment = &image.segments[i];
            assert_true(segment->file_size <= segment->memory_size);
            assert_true(segment->file_offset + segment->file_size <= sizeof(sample));
            assert_true(segment->address >= image.virt_base);
        }
        assert_true(image.entry >= image.kernel_start && image.entry < image.kernel_end);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(accepts_a_good_file, setup),
        cmocka_unit_test_setup(falls_back_as_small_kernels_expect, setup),
        cmocka_unit_test_setup(takes_virtual_p_paddr_with_offset, setup),
        cmocka_unit_test_setup(takes_numbers_of_four_bytes, setup),
        cmocka_unit_test_setup(refuses_what_is_no_64_bit_pv_kernel, setup),
        cmocka_unit_test_setup(refuses_wild_program_headers, setup),
        cmocka_unit_test_setup(refuses_wild_segments, setup),
        cmocka_unit_test_setup(refuses_addresses_a_guest_cannot_have, setup),
        cmocka_unit_test_setup(refuses_missing_and_odd_notes, setup),
        cmocka_unit_test_setup(refuses_pointers_out_of_the_image, setup),
        cmocka_unit_test_setup(survives_truncation_at_every_byte, setup),
        cmocka_unit_test_setup(survives_mutated_fields, setup),
    };
    return cmocka_run_group_tests_name("guest_elf", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The loader's parser of the embedded hypervisor image: each promise of boot/elf.h broken once. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/elf.h"

#define BASE 0xffff82d080200000ull

static struct sample {
    Elf64_Ehdr header;
    Elf64_Phdr segment[9];
    Elf64_Shdr section[3];
    uint8_t bytes[0x100];
} sample;
static struct elf_image image;

static int setup(void **state)
{
    (void)state;
    sample = (struct sample){
        .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                   .e_type = ET_EXEC,
                   .e_machine = EM_X86_64,
                   .e_entry = BASE + 8,
                   .e_phoff = offsetof(struct sample, segment),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 3,
                   .e_shoff = offsetof(struct sample, section),
                   .e_shentsize = sizeof(Elf64_Shdr),
                   .e_shnum = 3},
        .segment = {{.p_type = PT_LOAD,
                     .p_flags = PF_R | PF_X,
                     .p_vaddr = BASE,
                     .p_offset = offsetof(struct sample, bytes),
                     .p_filesz = 0x20,
                     .p_memsz = 0x20},
                    {.p_type = PT_NOTE, .p_vaddr = 7, .p_offset = ~0ull},
                    {.p_type = PT_LOAD,
                     .p_flags = PF_R | PF_W,
                     .p_vaddr = BASE + 0x3000,
                     .p_offset = offsetof(struct sample, bytes) + 0x20,
                     .p_filesz = 0x20,
                     .p_memsz = 0x1001}},
        .section = {{.sh_type = SHT_NULL},
                    {.sh_type = SHT_SYMTAB,
                     .sh_link = 2,
                     .sh_offset = offsetof(struct sample, bytes) + 0x40,
                     .sh_size = 0x30},
                    {.sh_type = SHT_STRTAB,
                     .sh_offset = offsetof(struct sample, bytes) + 0x70,
                     .sh_size = 0x90}},
    };
    return 0;
}

/* In a block of exactly that size, so that ASan sees a read past its end. */
static const char *parse_bytes(size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memcpy(exact, &sample, size);
    const char *wrong = elf_parse(exact, size, &image);
    free(exact);
    return wrong;
}

static void refuses(const char *part)
{
    const char *wrong = parse_bytes(sizeof(sample));
    assert_non_null(wrong);
    if (strstr(wrong, part) == NULL)
        fail_msg("refused with \"%s\", not with \"...%s...\"", wrong, part);
    setup(NULL);
}

static void accepts_a_good_image(void **state)
{
    (void)state;
    assert_null(parse_bytes(sizeof(sample)));
    assert_int_equal(image.entry, BASE + 8);
    assert_int_equal(image.start, BASE);
    assert_int_equal(image.end, BASE + 0x5000);
    assert_int_equal(image.segment_count, 2);
    assert_int_equal(image.segments[0].flags, ELF_SEGMENT_X);
    assert_int_equal(image.segments[1].flags, ELF_SEGMENT_W);
    assert_int_equal(image.segments[1].memory_size, 0x1001);
    assert_int_equal(image.symtab_size, 0x30);
    assert_int_equal(image.strtab_offset, offsetof(struct sample, bytes) + 0x70);
}

static void refuses_every_truncation_of_the_headers(void **state)
{
    (void)state;
    for (size_t size = 0; size < offsetof(struct sample, segment[3]); size++)
        assert_non_null(parse_bytes(size));
}

static void refuses_other_kinds_of_file(void **state)
{
    (void)state;
    sample.header.e_ident[0] = 'M';
    refuses("not an ELF");
    sample.header.e_ident[EI_CLASS] = ELFCLASS32;
    refuses("x86-64");
    sample.header.e_ident[EI_DATA] = ELFDATA2MSB;
    refuses("x86-64");
    sample.header.e_machine = EM_AARCH64;
    refuses("x86-64");
    sample.header.e_type = ET_DYN; /* its relocations would go undone */
    refuses("fixed address");
}

static void refuses_wild_program_headers(void **state)
{
    (void)state;
    sample.header.e_phentsize = 32;
    refuses("program headers");
    sample.header.e_phoff = UINT64_MAX - 7;
    refuses("program headers");
    sample.header.e_phoff += 4;
    refuses("program headers");
    sample.header.e_phnum = UINT16_MAX;
    refuses("program headers");
}

static void refuses_segments_outside_the_file(void **state)
{
    (void)state;
    sample.segment[2].p_offset = sizeof(sample);
    refuses("outside the file");
    sample.segment[2].p_offset = UINT64_MAX - 0xf;
    refuses("outside the file");
    sample.segment[0].p_filesz = 0x21;
    refuses("misaligned or absurdly large");
}

static void refuses_segments_in_wrong_places(void **state)
{
    (void)state;
    sample.segment[0].p_vaddr += 8;
    refuses("misaligned");
    sample.segment[2].p_vaddr = 0x200000;
    refuses("not linked high");
    sample.segment[2].p_vaddr = 0x0000900000000000ull;
    refuses("not linked high");
    sample.segment[2].p_vaddr = 0xfffffffffffff000ull; /* its end would wrap */
    refuses("not linked high");
    sample.segment[2].p_vaddr = BASE;
    refuses("overlap");
    sample.segment[2].p_vaddr = BASE - 0x1000;
    refuses("out of order");
    sample.segment[2].p_vaddr = BASE + (65ull << 20);
    refuses("absurdly large");
    sample.segment[2].p_memsz = UINT64_MAX;
    refuses("absurdly large");
    sample.segment[0].p_vaddr = 0xffff837fff000000ull;
    sample.segment[2].p_vaddr = 0xffff838000000000ull;
    refuses("512 GiB");
}

static void refuses_what_breaks_w_xor_x(void **state)
{
    (void)state;
    sample.segment[2].p_flags = PF_R | PF_W | PF_X;
    refuses("writable and executable");
}

static void refuses_an_entry_that_is_not_code(void **state)
{
    (void)state;
    sample.header.e_entry = BASE + 0x20;
    refuses("entry");
    sample.header.e_entry = BASE + 0x3000;
    refuses("entry");
    sample.header.e_entry = 0;
    refuses("entry");
    sample.header.e_phnum = 0;
    refuses("entry");
}

static void refuses_too_many_segments(void **state)
{
    (void)state;
    sample.header.e_phnum = 9;
    for (unsigned i = 0; i < 9; i++) {
        sample.segment[i] = sample.segment[0];
        sample.segment[i].p_vaddr = BASE + i * 0x1000ull;
    }
    refuses("too many");
}

static void does_without_symbols(void **state)
{
    (void)state;
    sample.section[1].sh_link = 3;
    assert_null(parse_bytes(sizeof(sample)));
    assert_int_equal(image.symtab_size, 0);
    setup(NULL);
    sample.section[2].sh_size = UINT64_MAX;
    assert_null(parse_bytes(sizeof(sample)));
    assert_int_equal(image.symtab_size, 0);
    setup(NULL);
    sample.header.e_shoff = sizeof(sample) - 8;
    assert_null(parse_bytes(sizeof(sample)));
    assert_int_equal(image.strtab_size, 0);
    setup(NULL);
    sample.header.e_shoff += 1;
    assert_null(parse_bytes(sizeof(sample)));
    assert_int_equal(image.symtab_size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(accepts_a_good_image, setup),
        cmocka_unit_test_setup(refuses_every_truncation_of_the_headers, setup),
        cmocka_unit_test_setup(refuses_other_kinds_of_file, setup),
        cmocka_unit_test_setup(refuses_wild_program_headers, setup),
        cmocka_unit_test_setup(refuses_segments_outside_the_file, setup),
        cmocka_unit_test_setup(refuses_segments_in_wrong_places, setup),
        cmocka_unit_test_setup(refuses_what_breaks_w_xor_x, setup),
        cmocka_unit_test_setup(refuses_an_entry_that_is_not_code, setup),
        cmocka_unit_test_setup(refuses_too_many_segments, setup),
        cmocka_unit_test_setup(does_without_symbols, setup),
    };
    return cmocka_run_group_tests_name("boot_elf", tests, NULL, NULL);
}

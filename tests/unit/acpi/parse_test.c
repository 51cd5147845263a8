/* SPDX-License-Identifier: MIT */
/*
 * The ACPI parsers on good tables, on tables cut at every byte, and on tables with any bit flipped. Every
 * table lies in memory of exactly its size, so that the sanitizer sees a read beyond it.
 */
#include "acpi/parse.h"

#include "table_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* A copy of exactly size bytes, on the heap. */
static uint8_t *exact(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    memcpy(copy, bytes, size);
    return copy;
}

static void run_all_parsers(const uint8_t *bytes, size_t size)
{
    struct acpi_rsdp rsdp;
    struct acpi_fadt fadt;
    struct acpi_ioapic ioapics[4];
    struct acpi_mcfg windows[4];
    uint32_t refused;
    uint8_t a, b;
    bool whole;

    acpi_parse_rsdp(bytes, size, &rsdp);
    acpi_parse_fadt(bytes, size, &fadt);
    acpi_parse_s5(bytes, size, &a, &b);
    assert_true(acpi_parse_ioapics(bytes, size, ioapics, 4, &whole) <= 4);
    acpi_parse_hpet(bytes, size);
    assert_true(acpi_parse_mcfg(bytes, size, windows, 4, &refused) <= 4);
    if (size >= ACPI_HEADER_SIZE)
        acpi_check_header(bytes);
    acpi_check_table(bytes, size);
    for (uint32_t i = 0; i < acpi_root_entries(size, true); i++)
        acpi_root_entry(bytes, i, true);
    for (uint32_t i = 0; i < acpi_root_entries(size, false); i++)
        acpi_root_entry(bytes, i, false);
}

static const struct {
    const char *name;
    size_t (*make)(uint8_t *);
} tables[] = {{"DSDT", make_dsdt}, {"APIC", make_madt}, {"HPET", make_hpet}, {"MCFG", make_mcfg}};

static size_t make_fadt_plain(uint8_t *bytes)
{
    return make_fadt(bytes, 0x7f001000);
}

static void cut_everywhere(size_t (*make)(uint8_t *))
{
    uint8_t bytes[512];
    size_t size = make(bytes);

    for (size_t cut = 0; cut <= size; cut++) {
        uint8_t *copy = exact(bytes, cut);

        run_all_parsers(copy, cut);
        free(copy);
    }
}

static void flip_everywhere(size_t (*make)(uint8_t *))
{
    uint8_t bytes[512];
    size_t size = make(bytes);

    for (size_t bit = 0; bit < size * 8; bit++) {
        uint8_t *copy = exact(bytes, size);

        copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        run_all_parsers(copy, size);
        free(copy);
    }
}

static void test_cut_and_flipped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        cut_everywhere(tables[i].make);
        flip_everywhere(tables[i].make);
    }
    cut_everywhere(make_fadt_plain);
    flip_everywhere(make_fadt_plain);
}

static void test_rsdp(void **state)
{
    (void)state;
    uint8_t bytes[RSDP_TEST_SIZE];
    struct acpi_rsdp rsdp;

    make_rsdp(bytes, 0, 0x1000, 0x2000);
    assert_null(acpi_parse_rsdp(bytes, ACPI_RSDP_SIZE_FIRST, &rsdp));
    assert_int_equal(rsdp.rsdt, 0x1000);
    assert_int_equal(rsdp.xsdt, 0); /* revision 0 has none, whatever the bytes say */

    make_rsdp(bytes, 2, 0x1000, 0x123456789000);
    assert_null(acpi_parse_rsdp(bytes, sizeof bytes, &rsdp));
    assert_int_equal(rsdp.xsdt, 0x123456789000);
    assert_non_null(acpi_parse_rsdp(bytes, sizeof bytes - 1, &rsdp));

    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_non_null(acpi_parse_rsdp(bytes, sizeof bytes, &rsdp));
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    put(bytes, 20, 0xffffffff, 4); /* length of an absurd size, with its checksums right */
    mend(bytes, sizeof bytes, 32);
    assert_non_null(acpi_parse_rsdp(bytes, sizeof bytes, &rsdp));
}

static void test_header(void **state)
{
    (void)state;
    uint8_t bytes[64] = {0};

    put_header(bytes, "TEST", sizeof bytes);
    assert_null(acpi_check_header(bytes));
    assert_null(acpi_check_table(bytes, sizeof bytes));
    assert_non_null(acpi_check_table(bytes, sizeof bytes - 1));
    bytes[40] ^= 1;
    assert_non_null(acpi_check_table(bytes, sizeof bytes));
    put(bytes, 4, 35, 4);
    assert_non_null(acpi_check_header(bytes));
    put(bytes, 4, ACPI_TABLE_SIZE_MAX + 1u, 4);
    assert_non_null(acpi_check_header(bytes));
    put(bytes, 4, 64, 4);
    bytes[2] = 0;
    assert_non_null(acpi_check_header(bytes));
}

static void test_fadt(void **state)
{
    (void)state;
    uint8_t bytes[FADT_TEST_SIZE];
    struct acpi_fadt fadt;

    make_fadt(bytes, 0x7f001000);
    assert_true(acpi_parse_fadt(bytes, sizeof bytes, &fadt));
    assert_int_equal(fadt.dsdt, 0x7f001000);
    assert_int_equal(fadt.pm1a_control, 0x704); /* the extended field wins */
    assert_int_equal(fadt.pm_timer, 0x708);
    assert_int_equal(fadt.pm1b_control, 0);

    bytes[172] = 0; /* in memory: not a port */
    bytes[208] = 1;
    put(bytes, 212, 0x12340000, 8); /* no port at all */
    assert_true(acpi_parse_fadt(bytes, sizeof bytes, &fadt));
    assert_int_equal(fadt.pm1a_control, 0x604);
    assert_int_equal(fadt.pm_timer, 0x608);

    assert_true(acpi_parse_fadt(bytes, 116, &fadt)); /* ACPI 1.0 */
    assert_int_equal(fadt.pm1a_control, 0x604);
    assert_false(acpi_parse_fadt(bytes, 115, &fadt));

    put(bytes, 64, 0x21, 4); /* the mask of the interrupt controller is no power register */
    assert_true(acpi_parse_fadt(bytes, 116, &fadt));
    assert_int_equal(fadt.pm1a_control, 0);
    put(bytes, 112, 1u << 20, 4);
    assert_true(acpi_parse_fadt(bytes, 116, &fadt));
    assert_true(fadt.hardware_reduced);
    assert_int_equal(fadt.pm_timer, 0);
}

static bool s5_of(const uint8_t *body, size_t size, uint8_t *a, uint8_t *b)
{
    uint8_t bytes[128] = {0}, *copy;
    bool found;

    memcpy(bytes + 36, body, size);
    copy = exact(bytes, 36 + size);
    found = acpi_parse_s5(copy, 36 + size, a, b);
    free(copy);
    return found;
}
#define S5(...) s5_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), &a, &b)

static void test_s5(void **state)
{
    (void)state;
    uint8_t a = 0xee, b = 0xee;

    assert_true(S5(0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 0x05, 0x0a, 0x03));
    assert_int_equal(a, 5);
    assert_int_equal(b, 3);
    assert_true(S5(0x08, 0x5c, '_', 'S', '5', '_', 0x12, 0x04, 0x02, 0x00, 0x01));
    assert_int_equal(a, 0);
    assert_int_equal(b, 1);
    assert_true(S5(0x08, '_', 'S', '5', '_', 0x12, 0x48, 0x00, 0x02, 0x0b, 7, 0, 0x0a, 6)); /* long length */
    assert_int_equal(a, 7);
    assert_int_equal(b, 6);

    a = b = 0xee;
    assert_false(S5('_', 'S', '5', '_'));                                              /* nothing else */
    assert_false(S5(0x10, '_', 'S', '5', '_', 0x12, 0x06, 2, 0x0a, 5, 0x0a, 3));       /* not a name */
    assert_false(S5(0x08, '_', 'S', '5', '_', 0x11, 0x06, 2, 0x0a, 5, 0x0a, 3));       /* not a package */
    assert_false(S5(0x08, '_', 'S', '5', '_', 0x12, 0x06, 1, 0x0a, 5, 0x0a, 3));       /* one element */
    assert_false(S5(0x08, '_', 'S', '5', '_', 0x12, 0x03, 2, 0x0a, 5, 0x0a, 3));       /* ends too early */
    assert_false(S5(0x08, '_', 'S', '5', '_', 0x12, 0x3f, 2, 0x0a, 5, 0x0a, 3));       /* beyond the table */
    assert_false(S5(0x08, '_', 'S', '5', '_', 0x12, 0xcf, 0xff, 0xff, 0xff, 2, 0, 0)); /* 256 MiB */
    assert_false(S5(0x08, '_', 'S', '5', '_', 0x12, 0x00, 2, 0x0a, 5, 0x0a, 3));       /* length 0 */
    assert_false(S5(0x08, '_', 'S', '5', '_', 0x12, 0x06, 2, 'A', 'B', 'C', 'D'));     /* names inside */
    assert_int_equal(a, 0xee);
    assert_int_equal(b, 0xee);
}

static void test_madt(void **state)
{
    (void)state;
    uint8_t bytes[128];
    size_t size = make_madt(bytes);
    struct acpi_ioapic list[4];
    bool whole;

    assert_int_equal(acpi_parse_ioapics(bytes, size, list, 4, &whole), 2);
    assert_true(whole);
    assert_int_equal(list[1].id, 8);
    assert_int_equal(list[1].base, 0xfec01000);
    assert_int_equal(list[1].gsi_base, 24);
    assert_int_equal(acpi_parse_ioapics(bytes, size, list, 1, &whole), 1);

    bytes[44 + 8 + 1] = 0; /* an entry of no length must not be walked for ever */
    assert_int_equal(acpi_parse_ioapics(bytes, size, list, 4, &whole), 0);
    assert_false(whole);
    bytes[44 + 8 + 1] = 255; /* beyond the end */
    assert_int_equal(acpi_parse_ioapics(bytes, size, list, 4, &whole), 0);
    assert_false(whole);
    bytes[44 + 8 + 1] = 11; /* too short for an IO-APIC: skipped, and what follows is out of step */
    assert_int_equal(acpi_parse_ioapics(bytes, 44 + 8 + 11, list, 4, &whole), 0);
    assert_true(whole);
}

static void test_hpet_and_mcfg(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct acpi_mcfg list[2];
    uint32_t refused;
    size_t size = make_hpet(bytes);

    assert_int_equal(acpi_parse_hpet(bytes, size), 0xfed00000);
    assert_int_equal(acpi_parse_hpet(bytes, size - 1), 0);
    bytes[40] = 1;
    assert_int_equal(acpi_parse_hpet(bytes, size), 0);

    size = make_mcfg(bytes);
    assert_int_equal(acpi_parse_mcfg(bytes, size, list, 2, &refused), 1);
    assert_int_equal(refused, 0);
    assert_int_equal(list[0].base, 0xb0000000);
    assert_int_equal(list[0].last_bus, 0xff);
    static const uint64_t absurd[] = {0, 0xb0001000, 0xfffffffff0000000, 0x10000000000000};
    for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++) {
        put(bytes, 44, absurd[i], 8);
        assert_int_equal(acpi_parse_mcfg(bytes, size, list, 2, &refused), 0);
        assert_int_equal(refused, 1);
    }
    make_mcfg(bytes);
    bytes[54] = 9;
    bytes[55] = 8;
    assert_int_equal(acpi_parse_mcfg(bytes, size, list, 2, &refused), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rsdp),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_fadt),
        cmocka_unit_test(test_s5),
        cmocka_unit_test(test_madt),
        cmocka_unit_test(test_hpet_and_mcfg),
        cmocka_unit_test(test_cut_and_flipped),
    };
    return cmocka_run_group_tests_name("acpi_parse", tests, NULL, NULL);
}

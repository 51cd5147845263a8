/* SPDX-License-Identifier: MIT */
/* Fetching tables from firmware memory that lies, changes while it is read, or does not exist. */
#include "acpi/acpi.h"
#include "acpi/parse.h"

#include "firmware.h"
#include "table_bytes.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Where each thing lies in firmware memory. */
#define RSDP_AT 0x0000u
#define RSDT_AT 0x0100u
#define XSDT_AT 0x1000u
#define FADT_AT 0x2000u
#define DSDT_AT 0x2800u
#define MADT_AT 0x3000u
#define HPET_AT 0x3800u
#define MCFG_AT 0x4000u
#define MANY_AT 0x5000u

#define ROOT_ENTRIES 4u

static const uint32_t roots[ROOT_ENTRIES] = {FADT_AT, MADT_AT, HPET_AT, MCFG_AT};

static void build(void)
{
    firmware_reset();
    captured_clear();
    make_rsdp(firmware + RSDP_AT, 2, (uint32_t)FIRMWARE_BASE + RSDT_AT, FIRMWARE_BASE + XSDT_AT);
    for (uint32_t i = 0; i < ROOT_ENTRIES; i++) {
        put(firmware + RSDT_AT, 36 + 4 * i, FIRMWARE_BASE + roots[i], 4);
        put(firmware + XSDT_AT, 36 + 8 * i, FIRMWARE_BASE + roots[i], 8);
    }
    put_header(firmware + RSDT_AT, "RSDT", 36 + 4 * ROOT_ENTRIES);
    put_header(firmware + XSDT_AT, "XSDT", 36 + 8 * ROOT_ENTRIES);
    make_fadt(firmware + FADT_AT, FIRMWARE_BASE + DSDT_AT);
    make_dsdt(firmware + DSDT_AT);
    make_madt(firmware + MADT_AT);
    make_hpet(firmware + HPET_AT);
    make_mcfg(firmware + MCFG_AT);
}

static void start(void)
{
    acpi_init(FIRMWARE_BASE + RSDP_AT);
    assert_int_equal(firmware_windows_open, 0);
}

static void query_everything(void)
{
    struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
    struct acpi_mcfg windows[4];

    acpi_power();
    acpi_ioapics(ioapics, ACPI_IOAPICS_MAX);
    acpi_hpet_base();
    acpi_mcfg(windows, 4);
}

static void assert_all_there(void)
{
    struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
    struct acpi_mcfg windows[4];
    struct acpi_power power = acpi_power();

    assert_true(power.valid);
    assert_int_equal(power.pm1a_control, 0x704);
    assert_int_equal(power.pm_timer, 0x708);
    assert_int_equal(power.s5_type_a, 5);
    assert_int_equal(power.s5_type_b, 3);
    assert_int_equal(acpi_ioapics(ioapics, ACPI_IOAPICS_MAX), 2);
    assert_int_equal(acpi_hpet_base(), 0xfed00000);
    assert_int_equal(acpi_mcfg(windows, 4), 1);
}

static void assert_nothing_there(void)
{
    size_t size;

    assert_null(acpi_table("FACP", 0, &size));
    assert_false(acpi_power().valid);
    assert_int_equal(acpi_hpet_base(), 0);
}

static void test_good(void **state)
{
    (void)state;
    size_t size;

    build();
    start();
    assert_all_there();
    assert_int_equal(firmware_frames_held, 5); /* the root table's copy is not kept */
    assert_non_null(acpi_table("DSDT", 0, &size));
    assert_null(acpi_table("DSDT", 1, &size));
    assert_int_equal(size, 0);
    /* What firmware does to its memory afterwards is nobody's business. */
    memset(firmware, 0xff, sizeof firmware);
    assert_all_there();
}

static void test_revision_0(void **state)
{
    (void)state;
    build();
    make_rsdp(firmware + RSDP_AT, 0, (uint32_t)FIRMWARE_BASE + RSDT_AT, 0);
    start();
    assert_all_there();
}

static void test_bad_xsdt_falls_back(void **state)
{
    (void)state;
    build();
    firmware[XSDT_AT + 40] ^= 1;
    start();
    assert_all_there();
    assert_int_equal(captured_count("XSDT"), 1);

    build();
    memcpy(firmware + XSDT_AT, "XXXX", 4);
    mend(firmware + XSDT_AT, 36 + 8 * ROOT_ENTRIES, TABLE_CHECKSUM);
    start();
    assert_all_there();
}

static void test_no_root(void **state)
{
    (void)state;
    static const uint64_t wrong[] = {
        0, 1, 0x1000, FIRMWARE_BASE + FIRMWARE_SIZE - 10, 1ull << 40, UINT64_MAX - 10};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        build();
        acpi_init(wrong[i]);
        assert_nothing_there();
        assert_true(captured_count("acpi:") > 0);
    }
    build();
    make_rsdp(firmware + RSDP_AT, 2, 0, 0);
    start();
    assert_nothing_there();
}

/* One bad table costs that table only. */
static void test_one_bad_table(void **state)
{
    (void)state;
    size_t size;

    build();
    firmware[MADT_AT + 50] ^= 1;
    start();
    assert_null(acpi_table("APIC", 0, &size));
    assert_non_null(acpi_table("HPET", 0, &size));
    assert_int_equal(captured_count("checksum"), 1);

    build();
    put(firmware + MADT_AT, 4, 0xffffffff, 4);
    put(firmware + HPET_AT, 4, 0, 4);
    put(firmware + MCFG_AT, 4, FIRMWARE_SIZE, 4); /* reaches beyond memory */
    start();
    assert_null(acpi_table("APIC", 0, &size));
    assert_null(acpi_table("HPET", 0, &size));
    assert_null(acpi_table("MCFG", 0, &size));
    assert_true(acpi_power().valid);
    assert_int_equal(captured_count("is refused"), 3);
}

static void grow_madt(uint32_t reads)
{
    (void)reads;
    put(firmware + MADT_AT, 4, 0x4000, 4);
    mend(firmware + MADT_AT, 0x4000, TABLE_CHECKSUM);
}

/* The length that counts was checked; it is not taken again from memory that others write. */
static void test_changes_while_read(void **state)
{
    (void)state;
    size_t size;

    build();
    firmware_after_read = grow_madt;
    start();
    const struct acpi_header *madt = acpi_table("APIC", 0, &size);
    assert_true(!madt || size == madt->length);

    build();
    size_t honest = make_madt(firmware + MADT_AT);
    start();
    assert_non_null(acpi_table("APIC", 0, &size));
    assert_int_equal(size, honest);
}

static uint32_t read_to_spoil;

static void shrink_madt_at(uint32_t reads)
{
    if (reads != read_to_spoil)
        return;
    size_t size = firmware[MADT_AT + 4];
    put(firmware + MADT_AT, 4, 36, 4);
    mend(firmware + MADT_AT, size, TABLE_CHECKSUM); /* the sum is right, the length is not what it was */
}

static void test_changes_between_header_and_body(void **state)
{
    (void)state;
    size_t size;

    for (read_to_spoil = 1; read_to_spoil < 16; read_to_spoil++) {
        build();
        firmware_after_read = shrink_madt_at;
        start();
        const struct acpi_header *madt = acpi_table("APIC", 0, &size);
        if (madt)
            assert_int_equal(size, madt->length);
        query_everything();
    }
}

static void test_duplicates_and_many(void **state)
{
    (void)state;
    size_t size, entries = 300, root = 36 + 8 * entries;
    uint32_t found = 0;

    build();
    for (uint32_t i = 0; i < entries; i++)
        put(firmware + XSDT_AT, 36 + 8 * i, FIRMWARE_BASE + HPET_AT, 8);
    put(firmware + XSDT_AT, 36, FIRMWARE_BASE + XSDT_AT, 8); /* and itself */
    put_header(firmware + XSDT_AT, "XSDT", root);
    make_hpet(firmware + HPET_AT);
    start();
    assert_non_null(acpi_table("HPET", 0, &size));
    assert_null(acpi_table("HPET", 1, &size));

    build();
    for (uint32_t i = 0; i < 100; i++) {
        put(firmware + XSDT_AT, 36 + 8 * i, FIRMWARE_BASE + MANY_AT + 64 * i, 8);
        put_header(firmware + MANY_AT + 64 * i, "MANY", 40);
    }
    put_header(firmware + XSDT_AT, "XSDT", 36 + 8 * 100);
    start();
    while (acpi_table("MANY", found, &size))
        found++;
    assert_int_equal(found, 64);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (int64_t left = 0; left < 8; left++) {
        build();
        firmware_frames_left = left;
        start();
        query_everything();
    }
}

/* Any bit of any table, with a checksum that is right again. */
static void test_flipped_with_mended_checksum(void **state)
{
    (void)state;
    static const uint32_t at[] = {RSDT_AT, XSDT_AT, FADT_AT, DSDT_AT, MADT_AT, HPET_AT, MCFG_AT};

    for (size_t table = 0; table < sizeof at / sizeof at[0]; table++) {
        build();
        uint32_t size = firmware[at[table] + 4];
        for (uint32_t bit = 0; bit < size * 8; bit++) {
            build();
            firmware[at[table] + bit / 8] ^= (uint8_t)(1u << (bit % 8));
            if (bit / 8 != TABLE_CHECKSUM)
                mend(firmware + at[table], size, TABLE_CHECKSUM);
            start();
            query_everything();
        }
    }
}

static void test_power_off(void **state)
{
    (void)state;
    build();
    start();
    firmware_pm1_value = 0x1c02; /* legacy mode, an old sleep type */
    acpi_power_off();
    assert_int_equal(firmware_port_writes, 2);
    assert_int_equal(firmware_port_written[0], 0xb2);
    assert_int_equal(firmware_port_value[0], 0xa0);
    assert_int_equal(firmware_port_written[1], 0x704);
    assert_int_equal(firmware_port_value[1], 0x2003 | 5 << 10);

    build();
    firmware[DSDT_AT + 36 + 7] = 0x10; /* no \_S5 any more */
    mend(firmware + DSDT_AT, firmware[DSDT_AT + 4], TABLE_CHECKSUM);
    start();
    acpi_power_off();
    assert_int_equal(firmware_port_writes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_revision_0),
        cmocka_unit_test(test_bad_xsdt_falls_back),
        cmocka_unit_test(test_no_root),
        cmocka_unit_test(test_one_bad_table),
        cmocka_unit_test(test_changes_while_read),
        cmocka_unit_test(test_changes_between_header_and_body),
        cmocka_unit_test(test_duplicates_and_many),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_flipped_with_mended_checksum),
        cmocka_unit_test(test_power_off),
    };
    int failed = cmocka_run_group_tests_name("acpi", tests, NULL, NULL);

    firmware_reset();
    return failed;
}

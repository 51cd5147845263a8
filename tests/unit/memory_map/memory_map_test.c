/* SPDX-License-Identifier: MIT */
/*
 * Firmware's memory map as an enemy would write it. The oracle paints pages one by one: of all the entries
 * that cover a page, the most restrictive kind wins.
 */
#include "lib/log.h"
#include "mem/memory_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define PAGE    4096ull
#define PAGES   512u /* what the oracle paints */
#define ENTRIES 1200u

struct entry {
    uint32_t type, padding;
    uint64_t base, virtual, pages, attribute;
    uint64_t tail; /* firmware's entries may be longer than the specification's */
};

static struct entry entries[ENTRIES];
static uint32_t entry_count;

static void add(uint32_t type, uint64_t base, uint64_t pages)
{
    entries[entry_count++] = (struct entry){.type = type, .base = base, .pages = pages, .tail = ~0ull};
}

static bool load(uint8_t bits)
{
    struct boot_info info = {
        .memory_map = {(uint64_t)(uintptr_t)entries, entry_count * sizeof(struct entry)},
        .memory_descriptor_size = sizeof(struct entry),
    };
    return memory_map_init(&info, bits);
}

static enum log_voice last_voice;

static void hear(enum log_voice voice, const char *text, size_t length)
{
    (void)text;
    (void)length;
    last_voice = voice;
}

static int begin(void **state)
{
    (void)state;
    entry_count = 0;
    last_voice = LOG_PLAIN;
    return 0;
}

/* Refused in the voice of refusals. */
static void expect_refused(bool loaded)
{
    assert_false(loaded);
    assert_int_equal(last_voice, LOG_ALERT);
    last_voice = LOG_PLAIN;
}

static void expect(uint32_t index, uint64_t base, uint64_t size, enum memory_kind kind)
{
    assert_true(index < memory_range_count);
    assert_int_equal(memory_ranges[index].base, base);
    assert_int_equal(memory_ranges[index].size, size);
    assert_int_equal(memory_ranges[index].kind, kind);
}

enum { LOADER = 2, BOOT = 4, RUNTIME = 6, FREE = 7, ACPI = 9, NVS = 10, MMIO = 11 };

static void test_kinds_and_merging(void **state)
{
    (void)state;
    add(FREE, 0x100000, 16);
    add(FREE, 0x110000, 16);
    add(BOOT, 0x120000, 16);
    add(LOADER, 0x130000, 16);
    add(ACPI, 0x140000, 1);
    add(NVS, 0x141000, 1);
    add(RUNTIME, 0x142000, 1);
    add(77, 0x143000, 1);
    assert_true(load(36));
    assert_int_equal(memory_range_count, 7);
    expect(0, 0x100000, 0x20000, MEMORY_USABLE);
    expect(1, 0x120000, 0x10000, MEMORY_BOOT_SERVICES);
    expect(2, 0x130000, 0x10000, MEMORY_LOADER);
    expect(3, 0x140000, 0x1000, MEMORY_ACPI);
    expect(6, 0x143000, 0x1000, MEMORY_RESERVED);
    assert_int_equal(memory_max_mfn(), 0x140);
    memory_map_forget_boot_services();
    assert_int_equal(memory_range_count, 6);
    expect(0, 0x100000, 0x30000, MEMORY_USABLE);
}

static void test_frame_0_is_nobodys(void **state)
{
    (void)state;
    add(FREE, 0, 0xa0);
    assert_true(load(36));
    expect(0, PAGE, 0x9f000, MEMORY_USABLE);
}

static void test_rounding(void **state)
{
    (void)state;
    add(FREE, 0x100800, 4);
    add(MMIO, 0x200800, 4);
    add(FREE, 0x300800, 1);
    assert_true(load(36));
    assert_int_equal(memory_range_count, 2);
    expect(0, 0x101000, 0x3000, MEMORY_USABLE);
    expect(1, 0x200000, 0x5000, MEMORY_MMIO);
}

static void test_beyond_the_machine(void **state)
{
    (void)state;
    add(FREE, 0x100000, UINT64_MAX);
    add(FREE, 1ull << 36, 16);
    add(FREE, UINT64_MAX - 4095, 16);
    add(FREE, UINT64_MAX, UINT64_MAX);
    add(FREE, 0x5000, 0);
    assert_true(load(36));
    assert_int_equal(memory_range_count, 1);
    expect(0, 0x100000, (1ull << 36) - 0x100000, MEMORY_USABLE);
}

/* Ten times 512 GiB have a place in the directmap. */
static void test_beyond_the_directmap(void **state)
{
    const uint64_t tib = 1ull << 40, gib = 1ull << 30;
    (void)state;
    add(FREE, 4 * tib, 2 * tib / PAGE);
    add(BOOT, 7 * tib, tib / PAGE);
    add(MMIO, 9 * tib, gib / PAGE);
    assert_true(load(46));
    assert_int_equal(memory_range_count, 4);
    expect(0, 4 * tib, tib, MEMORY_USABLE);
    expect(1, 5 * tib, tib, MEMORY_RESERVED);
    expect(2, 7 * tib, tib, MEMORY_RESERVED);
    expect(3, 9 * tib, gib, MEMORY_MMIO);
    assert_int_equal(memory_max_mfn(), 5 * tib / PAGE);
}

static void test_a_hole_in_the_middle(void **state)
{
    (void)state;
    add(FREE, 0x100000, 256);
    add(ACPI, 0x110000, 16);
    add(MMIO, 0x114000, 1);
    assert_true(load(36));
    assert_int_equal(memory_range_count, 5);
    expect(0, 0x100000, 0x10000, MEMORY_USABLE);
    expect(1, 0x110000, 0x4000, MEMORY_ACPI);
    expect(2, 0x114000, 0x1000, MEMORY_MMIO);
    expect(3, 0x115000, 0xb000, MEMORY_ACPI);
    expect(4, 0x120000, 0xe0000, MEMORY_USABLE);
}

static void test_refusals(void **state)
{
    struct boot_info info = {0};
    (void)state;
    expect_refused(memory_map_init(&info, 36));
    add(FREE, 0x100000, 16);
    info.memory_map.base = (uint64_t)(uintptr_t)entries;
    info.memory_map.size = sizeof(struct entry);
    static const uint64_t sizes[] = {0, 1, 39, sizeof(struct entry) + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        info.memory_descriptor_size = sizes[i];
        expect_refused(memory_map_init(&info, 36));
    }
    begin(NULL);
    for (uint32_t i = 0; i < ENTRIES; i++)
        add(FREE, 0x100000 + i * 2 * PAGE, 1);
    expect_refused(load(36));
}

static enum memory_kind kind_of(uint32_t type)
{
    switch (type) {
    case FREE:
        return MEMORY_USABLE;
    case BOOT:
        return MEMORY_BOOT_SERVICES;
    case LOADER:
        return MEMORY_LOADER;
    case RUNTIME:
        return MEMORY_RUNTIME;
    case ACPI:
        return MEMORY_ACPI;
    case NVS:
        return MEMORY_NVS;
    case MMIO:
        return MEMORY_MMIO;
    default:
        return MEMORY_RESERVED;
    }
}

static void paint(uint8_t *pages)
{
    for (uint32_t i = 0; i < entry_count; i++) {
        enum memory_kind kind = kind_of(entries[i].type);
        uint64_t first = entries[i].base / PAGE;
        for (uint64_t page = first; page < first + entries[i].pages && page < PAGES; page++) {
            if (kind > pages[page] && (page != 0 || !memory_kind_is_ram(kind)))
                pages[page] = (uint8_t)kind;
        }
    }
}

static void check_against(const uint8_t *pages)
{
    uint8_t got[PAGES] = {0};
    uint64_t end = 0;
    for (uint32_t i = 0; i < memory_range_count; i++) {
        const struct memory_range *range = &memory_ranges[i];
        assert_true(range->base >= end && range->size != 0 && range->size % PAGE == 0);
        end = range->base + range->size;
        for (uint64_t page = range->base / PAGE; page < end / PAGE; page++)
            got[page] = (uint8_t)range->kind;
    }
    assert_memory_equal(got, pages, PAGES);
}

static void test_random_tangles(void **state)
{
    static const uint32_t types[] = {FREE, BOOT, LOADER, RUNTIME, ACPI, NVS, MMIO, 0, 99};
    (void)state;
    srand(1);
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t pages[PAGES] = {0};
        begin(NULL);
        unsigned count = 1 + (unsigned)rand() % 24;
        for (unsigned i = 0; i < count; i++)
            add(types[(unsigned)rand() % 9], (unsigned)rand() % PAGES * PAGE, (unsigned)rand() % 64);
        for (uint32_t i = 0; i < entry_count; i++) {
            if (entries[i].base / PAGE + entries[i].pages > PAGES)
                entries[i].pages = PAGES - entries[i].base / PAGE;
        }
        paint(pages);
        assert_true(load(36));
        check_against(pages);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_kinds_and_merging, begin),
        cmocka_unit_test_setup(test_frame_0_is_nobodys, begin),
        cmocka_unit_test_setup(test_rounding, begin),
        cmocka_unit_test_setup(test_beyond_the_machine, begin),
        cmocka_unit_test_setup(test_beyond_the_directmap, begin),
        cmocka_unit_test_setup(test_a_hole_in_the_middle, begin),
        cmocka_unit_test_setup(test_refusals, begin),
        cmocka_unit_test_setup(test_random_tangles, begin),
    };
    log_add_sink(hear);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

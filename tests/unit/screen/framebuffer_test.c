/* SPDX-License-Identifier: MIT */
/* What firmware may say of its framebuffer: each way to be wrong is told, and nothing else is refused. */
#include "screen/framebuffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1ull << 20)

static const struct memory_range ranges[] = {
    {0x1000, 0x9f000, MEMORY_USABLE},         {0x100000, 0x3ff00000, MEMORY_USABLE},
    {0x40000000, 0x1000000, MEMORY_RESERVED}, {0x41000000, 0x100000, MEMORY_ACPI},
    {0xe0000000, 0x10000000, MEMORY_MMIO},    {0x100000000, 0x40000000, MEMORY_BOOT_SERVICES},
    {0x140000000, 0x100000, MEMORY_LOADER},   {0x140100000, 0x100000, MEMORY_RUNTIME},
    {0x140200000, 0x100000, MEMORY_NVS},
};

static const struct framebuffer_machine machine = {
    .physical_bits = 39,
    .ranges = ranges,
    .range_count = sizeof ranges / sizeof ranges[0],
    .image = {0x20000000, 0x200000},
    .loader_pages = {0x20400000, 0x10000},
};

static struct boot_framebuffer good(void)
{
    return (struct boot_framebuffer){.base = 0xc0000000,
                                     .size = 1024 * 768 * 4,
                                     .virtual = BOOT_FRAMEBUFFER_VIRTUAL,
                                     .width = 1024,
                                     .height = 768,
                                     .pitch = 1024,
                                     .format = BOOT_PIXEL_BGRX};
}

static struct boot_framebuffer at(uint64_t base)
{
    struct boot_framebuffer framebuffer = good();
    framebuffer.base = base;
    framebuffer.virtual = BOOT_FRAMEBUFFER_VIRTUAL + base % (2 * MIB);
    return framebuffer;
}

static void expect(struct boot_framebuffer framebuffer, const char *words)
{
    const char *wrong = framebuffer_wrong(&framebuffer, &machine);
    if (words == NULL) {
        if (wrong != NULL)
            fail_msg("refused: %s", wrong);
        return;
    }
    if (wrong == NULL || strstr(wrong, words) == NULL)
        fail_msg("'%s' instead of '%s'", wrong != NULL ? wrong : "(nothing wrong)", words);
}

#define WITH(field, value, words)                                                                            \
    do {                                                                                                     \
        struct boot_framebuffer changed = good();                                                            \
        changed.field = (value);                                                                             \
        expect(changed, words);                                                                              \
    } while (0)

static void shapes_that_make_no_sense(void **state)
{
    (void)state;
    expect(good(), NULL);
    WITH(format, BOOT_PIXEL_RGBX, NULL);
    WITH(format, BOOT_PIXEL_OTHER, "8 bits each");
    WITH(format, BOOT_PIXEL_NONE, "8 bits each");
    WITH(format, 77, "8 bits each");
    WITH(width, 0, "smaller than 320x200");
    WITH(height, 0, "smaller than 320x200");
    WITH(height, 199, "smaller than 320x200");
    WITH(width, UINT32_MAX, "over 16383");
    WITH(height, UINT32_MAX, "over 16383");
    WITH(pitch, UINT32_MAX, "over 16383");
    WITH(pitch, 1023, "lines that are longer");
    WITH(pitch, 0, "lines that are longer");
}

static void memory_for_every_line(void **state)
{
    (void)state;
    WITH(size, 0, "too small");
    WITH(size, 1024 * 768 * 4 - 1, "too small");
    WITH(size, UINT64_MAX, NULL); /* what is not used does not matter */
    WITH(pitch, 1025, "too small");
    struct boot_framebuffer padded = good();
    padded.pitch = 1056;
    padded.size = (1056 * 767 + 1024) * 4; /* nothing behind the last line */
    expect(padded, NULL);
    assert_int_equal(boot_framebuffer_bytes(&padded), padded.size);
    padded.size--;
    expect(padded, "too small");
    struct boot_framebuffer large = good();
    large.width = large.height = large.pitch = 16383;
    large.size = UINT64_MAX;
    expect(large, "larger than 256 MiB");
}

static void addresses_where_none_can_be(void **state)
{
    (void)state;
    expect(at(0), "where none can be");
    expect(at(0xc0000002), "where none can be");
    expect(at(0xc0001234), NULL);
    expect(at(1ull << 39), "beyond");
    expect(at((1ull << 39) - 1024 * 768 * 4), NULL);
    expect(at((1ull << 39) - 1024 * 768 * 4 + 4), "beyond");
    expect(at(UINT64_MAX - 3), "beyond");
    WITH(virtual, 0, "not mapped");
    WITH(virtual, BOOT_FRAMEBUFFER_VIRTUAL + 4096, "not mapped");
}

static void memory_in_use_and_registers(void **state)
{
    (void)state;
    expect(at(0x10000000), "memory that is in use");
    expect(at(0x40000000 - 4), "memory that is in use");
    expect(at(0x40000000), NULL);                    /* reserved: where shared graphics memory is */
    expect(at(0x40f00000), "memory that is in use"); /* runs into the ACPI tables */
    expect(at(0xe0000000), NULL);
    expect(at(0x13fffff00), "memory that is in use");
    expect(at(0x140000000), "memory that is in use");
    expect(at(0x140100000), "memory that is in use");
    expect(at(0x140200000), "memory that is in use");
    expect(at(0x140300000), NULL);
    expect(at(0xfeb00000), "chipset");
    expect(at(0xfee00000), "chipset");
    expect(at(0x100000000 - 4096), "memory that is in use");
}

/* Without a memory map what is known is the hypervisor's own place. */
static void without_a_memory_map(void **state)
{
    struct framebuffer_machine blind = machine;
    struct boot_framebuffer framebuffer = at(0x30000000);

    (void)state;
    blind.range_count = 0;
    assert_null(framebuffer_wrong(&framebuffer, &blind));
    for (uint64_t base = 0x20000000 - 1024 * 768 * 4 + 4; base < 0x20410000; base += 0x1fff0) {
        framebuffer = at(base);
        assert_non_null(framebuffer_wrong(&framebuffer, &blind));
    }
    framebuffer = at(0x20410000);
    assert_null(framebuffer_wrong(&framebuffer, &blind));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_that_make_no_sense),   cmocka_unit_test(memory_for_every_line),
        cmocka_unit_test(addresses_where_none_can_be), cmocka_unit_test(memory_in_use_and_registers),
        cmocka_unit_test(without_a_memory_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

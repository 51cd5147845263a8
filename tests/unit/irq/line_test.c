/* SPDX-License-Identifier: MIT */
/* Inputs of IO-APICs: entries, levels that are held, and the end of an interrupt. */
#include "guest-abi/include/sluice/errno.h"
#include "irq/ioapic.h"
#include "irq/irq.h"
#include "irq/route.h"
#include "machine.h"
#include "tests/host/log_capture.h"

#define LOW(pin)   (0x10 + 2 * (pin))
#define HIGH(pin)  (0x11 + 2 * (pin))
#define LOW_ACTIVE 0x2000u
#define REMOTE     0x4000u
#define LEVEL      0x8000u
#define MASKED     0x10000u
#define EDGE_GSI   4u /* of the first IO-APIC, version 0x20 */
#define LEVEL_GSI  17u
#define SECOND_GSI 30u /* pin 6 of the second, version 0x11 */
#define SECOND_PIN 6u

static uint32_t gsi_of_vector[256];

static void arrived(uint32_t vector)
{
    irq_line_arrived(gsi_of_vector[vector]);
    note_vector(vector);
}

static uint32_t open_ok(uint32_t gsi)
{
    uint32_t vector;

    assert_int_equal(irq_line_open(gsi, arrived, &vector), 0);
    gsi_of_vector[vector] = gsi;
    return vector;
}

static int open_error(uint32_t gsi)
{
    uint32_t vector, handlers = machine_handlers(), entries = machine_entries();
    int error = irq_line_open(gsi, arrived, &vector);

    assert_int_equal(machine_handlers(), handlers);
    assert_int_equal(machine_entries(), entries);
    return error;
}

static int start(void **state)
{
    machine_reset(state);
    captured_clear();
    irq_ioapic_init();
    return 0;
}

static void firmware_leaves_nothing_open(void **state)
{
    (void)state;
    for (uint32_t pin = 0; pin < 24; pin++)
        assert_int_equal(ioapic_register(0, LOW(pin)), MASKED);
    for (uint32_t pin = 0; pin < 32; pin++)
        assert_int_equal(ioapic_register(1, LOW(pin)), MASKED);
    assert_int_equal(ioapic_register(0, LOW(24)), LEVEL | 0x33); /* no such pin */
    assert_int_equal(ioapic_unmasked, 0);
}

static void entries_of_vtd(void **state)
{
    (void)state;
    uint32_t vector = open_ok(LEVEL_GSI), other = open_ok(EDGE_GSI), third = open_ok(SECOND_GSI);

    /* Index 0x7ffe: its low 15 bits and the format; the vector for the end of interrupt alone. */
    assert_int_equal(ioapic_register(0, HIGH(17)), 0xfffd0000);
    assert_int_equal(ioapic_register(0, LOW(17)), MASKED | LEVEL | LOW_ACTIVE | vector);
    assert_int_equal(ioapic_register(0, HIGH(4)), 0xffff0000);
    assert_int_equal(ioapic_register(0, LOW(4)), MASKED | other);
    /* Index 0x8000 has its bit 15 elsewhere. */
    assert_int_equal(ioapic_register(1, HIGH(SECOND_PIN)), 0x00010000);
    assert_int_equal(ioapic_register(1, LOW(SECOND_PIN)), MASKED | LEVEL | LOW_ACTIVE | 0x800 | third);
    irq_line_mask(SECOND_GSI, false);
    assert_int_equal(send_line(1, SECOND_PIN), third);
    irq_line_close(LEVEL_GSI);
    irq_line_close(EDGE_GSI);
    irq_line_close(SECOND_GSI);
}

static void entries_of_amd(void **state)
{
    (void)state;
    machine.format = AMD;
    open_ok(EDGE_GSI);
    uint32_t vector = open_ok(LEVEL_GSI);

    assert_int_equal(ioapic_register(0, LOW(4)), MASKED | 0);
    assert_int_equal(ioapic_register(0, LOW(17)), MASKED | LEVEL | LOW_ACTIVE | 1);
    irq_line_mask(LEVEL_GSI, false);
    assert_int_equal(send_line(0, 17), vector);
    assert_int_equal(ioapic_register(0, LOW(17)) & REMOTE, 0);
    irq_line_close(EDGE_GSI);
    irq_line_close(LEVEL_GSI);
}

static void entries_without_remapping(void **state)
{
    (void)state;
    machine.format = COMPATIBLE;
    uint32_t vector = open_ok(LEVEL_GSI);

    assert_int_equal(ioapic_register(0, HIGH(17)), APIC_ID << 24);
    assert_int_equal(ioapic_register(0, LOW(17)), MASKED | LEVEL | LOW_ACTIVE | vector);
    irq_line_mask(LEVEL_GSI, false);
    assert_int_equal(send_line(0, 17), vector);
    irq_line_close(LEVEL_GSI);
}

/* With the register for the end (the first IO-APIC), and without (the second). */
static void a_level_is_held_until_its_end(void **state)
{
    static const uint32_t gsis[] = {LEVEL_GSI, SECOND_GSI}, pins[] = {17, SECOND_PIN};

    (void)state;
    for (uint32_t i = 0; i < FORMATS * 2; i++) {
        uint32_t ioapic = i % 2, gsi = gsis[ioapic], pin = pins[ioapic];

        machine.format = (enum machine_format)(i / 2);
        uint32_t vector = open_ok(gsi);
        assert_int_equal(send_line(ioapic, pin), 0);
        irq_line_mask(gsi, false);
        for (uint32_t turn = 0; turn < 3; turn++) {
            ioapic_ends = ioapic_unmasked = 0;
            assert_int_equal(send_line(ioapic, pin), vector);
            assert_int_equal(ioapic_ends, ioapic == 0);
            assert_int_equal(ioapic_unmasked, 0);
            assert_int_equal(ioapic_register(ioapic, LOW(pin)) & (MASKED | LEVEL | REMOTE), MASKED | LEVEL);
            assert_int_equal(send_line(ioapic, pin), 0);
            irq_line_end(gsi);
            assert_int_equal(ioapic_register(ioapic, LOW(pin)) & MASKED, 0);
        }
        /* The end of what is masked opens nothing, nor does opening the mask of what is held. */
        assert_int_equal(send_line(ioapic, pin), vector);
        irq_line_mask(gsi, true);
        irq_line_end(gsi);
        assert_int_equal(send_line(ioapic, pin), 0);
        irq_line_mask(gsi, false);
        assert_int_equal(send_line(ioapic, pin), vector);
        irq_line_mask(gsi, true);
        irq_line_mask(gsi, false);
        assert_int_equal(send_line(ioapic, pin), 0);
        irq_line_close(gsi);
        irq_line_end(gsi);
        assert_int_equal(ioapic_register(ioapic, LOW(pin)) & MASKED, MASKED);
    }
}

static void an_edge_is_not_held(void **state)
{
    (void)state;
    uint32_t vector = open_ok(EDGE_GSI);

    irq_line_mask(EDGE_GSI, false);
    ioapic_ends = 0;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(send_line(0, 4), vector);
    assert_int_equal(ioapic_ends, 0);
    irq_line_end(EDGE_GSI);
    irq_line_close(EDGE_GSI);
}

static void type_and_polarity(void **state)
{
    (void)state;
    assert_false(irq_line_is_level(15));
    assert_true(irq_line_is_level(16));
    assert_false(irq_line_is_level(IRQ_LINES_MAX));
    assert_int_equal(irq_line_configure(5, true, true), 0); /* before */
    assert_int_equal(irq_line_configure(5, false, false), -EEXIST);
    uint32_t vector = open_ok(5);
    assert_int_equal(ioapic_register(0, LOW(5)), MASKED | LEVEL | LOW_ACTIVE | vector);

    open_ok(EDGE_GSI);
    irq_line_mask(EDGE_GSI, false);
    assert_int_equal(irq_line_configure(EDGE_GSI, true, false), 0); /* after, in the unit's entry too */
    assert_int_equal(ioapic_register(0, LOW(4)) & (MASKED | LEVEL | LOW_ACTIVE), LEVEL);
    assert_int_not_equal(send_line(0, 4), 0);
    assert_int_equal(irq_line_configure(EDGE_GSI, true, false), -EEXIST);
    irq_line_close(EDGE_GSI);
    irq_line_close(5);
    assert_false(irq_line_is_level(5)); /* forgotten */
    assert_int_equal(irq_line_configure(56, true, true), -ENODEV);
    assert_int_equal(irq_line_configure(UINT32_MAX, true, true), -ENODEV);

    open_ok(LEVEL_GSI);
    machine.set_error = -EIO;
    assert_int_equal(irq_line_configure(LEVEL_GSI, false, false), -EIO);
    irq_line_close(LEVEL_GSI);
}

static void lines_that_are_not(void **state)
{
    (void)state;
    assert_int_equal(open_error(56), -ENODEV);
    assert_int_equal(open_error(IRQ_LINES_MAX), -ENODEV);
    assert_int_equal(open_error(UINT32_MAX), -ENODEV);
    uint32_t vector = open_ok(EDGE_GSI);
    assert_int_equal(open_error(EDGE_GSI), -EEXIST);
    irq_line_close(EDGE_GSI);
    assert_int_not_equal(open_ok(EDGE_GSI), vector); /* one may be on its way to that */
    irq_line_close(EDGE_GSI);
    machine.ioapic_unknown = true;
    assert_int_equal(open_error(EDGE_GSI), -ENODEV);
    machine.ioapic_unknown = false;
    machine.allocate_error = -ENOSPC;
    assert_int_equal(open_error(EDGE_GSI), -ENOSPC);
    machine.allocate_error = 0;
    machine.set_error = -EIO;
    assert_int_equal(open_error(EDGE_GSI), -EIO);
    assert_int_equal(ioapic_unmasked, 0);
}

/* Without remapping nobody asks under which name it sends. */
static void an_ioapic_that_the_iommu_does_not_know(void **state)
{
    (void)state;
    machine.format = COMPATIBLE;
    machine.ioapic_unknown = true;
    open_ok(EDGE_GSI);
    irq_line_close(EDGE_GSI);
}

/* An interrupt was on its way when the line was closed: nobody told the input of its end. */
static void a_line_opens_after_an_interrupt_in_vain(void **state)
{
    static const uint32_t gsis[] = {LEVEL_GSI, SECOND_GSI}, pins[] = {17, SECOND_PIN};

    (void)state;
    for (uint32_t ioapic = 0; ioapic < 2; ioapic++) {
        open_ok(gsis[ioapic]);
        irq_line_close(gsis[ioapic]);
        ioapic_set(ioapic, LOW(pins[ioapic]), ioapic_register(ioapic, LOW(pins[ioapic])) | REMOTE);
        uint32_t vector = open_ok(gsis[ioapic]);
        irq_line_mask(gsis[ioapic], false);
        assert_int_equal(send_line(ioapic, pins[ioapic]), vector);
        irq_line_close(gsis[ioapic]);
        assert_int_equal(send_line(ioapic, pins[ioapic]), 0);
    }
}

static void absurd_ioapics(void **state)
{
    static const uint32_t versions[] = {0xffffffff, 0x00f00020, 0x00ff0011};
    uint32_t vector;

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        machine.ioapic_version[0] = versions[i];
        captured_clear();
        irq_ioapic_init();
        assert_int_equal(captured_count("irq: there is no IO-APIC at 0xfec00000"), 1);
        assert_int_equal(irq_line_open(EDGE_GSI, arrived, &vector), -ENODEV);
        open_ok(SECOND_GSI); /* the other is there all the same */
        irq_line_close(SECOND_GSI);
    }
    machine.ioapic_version[0] = 0x170020;
    machine.ioapic_base[0] = 0xfec00ff0; /* its registers go over the page */
    captured_clear();
    irq_ioapic_init();
    assert_int_equal(captured_count("irq: the registers of IO-APIC 0 at 0xfec00ff0 cannot be mapped"), 1);
    machine.ioapic_base[0] = 0xfec00000;
    machine.no_windows = true;
    irq_ioapic_init();
    assert_int_equal(irq_line_open(SECOND_GSI, arrived, &vector), -ENODEV);
    machine.no_windows = false;
    machine.ioapics = 0;
    irq_ioapic_init();
    assert_int_equal(irq_line_open(EDGE_GSI, arrived, &vector), -ENODEV);
}

/* Registers in the middle of a page; numbers beyond IRQ_LINES_MAX, and ones that wrap. */
static void ioapics_with_numbers_of_their_own(void **state)
{
    uint32_t vector;

    (void)state;
    machine.ioapics = 4;
    machine.ioapic_gsi[1] = 0xfffffff8;
    machine.ioapic_gsi[3] = 240;
    irq_ioapic_init();
    vector = open_ok(62);
    irq_line_mask(62, false);
    assert_int_equal(send_line(2, 2), vector);
    irq_line_close(62);
    vector = open_ok(255);
    irq_line_mask(255, false);
    assert_int_equal(send_line(3, 15), vector);
    irq_line_close(255);
    assert_int_equal(open_error(256), -ENODEV);
    assert_int_equal(open_error(30), -ENODEV);
    vector = open_ok(2);
    assert_int_equal(ioapic_register(0, LOW(2)), MASKED | vector);
    irq_line_close(2);
}

#define TEST(function) MACHINE_TEST(function, start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(firmware_leaves_nothing_open),
        TEST(entries_of_vtd),
        TEST(entries_of_amd),
        TEST(entries_without_remapping),
        TEST(a_level_is_held_until_its_end),
        TEST(an_edge_is_not_held),
        TEST(type_and_polarity),
        TEST(lines_that_are_not),
        TEST(an_ioapic_that_the_iommu_does_not_know),
        TEST(a_line_opens_after_an_interrupt_in_vain),
        TEST(absurd_ioapics),
        TEST(ioapics_with_numbers_of_their_own),
    };

    return cmocka_run_group_tests_name("irq_lines", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* MSI and MSI-X: what is written, in which order, and what is left when it is over. */
#include "guest-abi/include/sluice/errno.h"
#include "irq/message.h"
#include "irq/route.h"
#include "machine.h"

#include <stdio.h>
#include <string.h>

static uint32_t open_ok(const struct pci_function *function, uint32_t entry)
{
    uint32_t vector = 0;

    assert_int_equal(irq_message_open(function, entry, note_vector, &vector), 0);
    assert_in_range(vector, IRQ_FIRST_VECTOR, IRQ_LAST_VECTOR);
    return vector;
}

static int open_error(const struct pci_function *function, uint32_t entry)
{
    uint32_t vector, handlers = machine_handlers(), entries = machine_entries();
    int error = irq_message_open(function, entry, note_vector, &vector);

    assert_int_equal(machine_handlers(), handlers);
    assert_int_equal(machine_entries(), entries);
    return error;
}

static void enable_msi(const struct pci_function *function)
{
    config_set(function, CAP_MSI + CONTROL, 2, config(function, CAP_MSI + CONTROL, 2) | MSI_ENABLE);
}

static void enable_msix(const struct pci_function *function)
{
    config_set(function, CAP_MSIX + CONTROL, 2, MSIX_ENABLE | (MSIX_ENTRIES - 1));
}

/* ---- MSI ---- */

static void msi_of_every_form(void **state)
{
    static const uint32_t forms[] = {0, WIDE, MASKABLE, WIDE | MASKABLE};

    (void)state;
    for (uint32_t i = 0; i < FORMATS * 4; i++) {
        machine.format = (enum machine_format)(i / 4);
        struct pci_function *function = machine_msi(forms[i % 4] | 0x5a); /* 32 messages, firmware's choice */
        uint32_t vector = open_ok(function, IRQ_MSI);

        assert_int_equal(config(function, CAP_MSI + CONTROL, 2), forms[i % 4] | 0xa);
        assert_int_equal(send_msi(function), 0); /* off */
        enable_msi(function);
        assert_int_equal(send_msi(function), forms[i % 4] & MASKABLE ? 0 : vector);
        irq_message_mask(vector, false);
        assert_int_equal(send_msi(function), vector);
        assert_int_equal(noted, vector);
        irq_message_mask(vector, true);
        assert_int_equal(send_msi(function), forms[i % 4] & MASKABLE ? 0 : vector);
        irq_message_close(vector);
        assert_false(config(function, CAP_MSI + CONTROL, 2) & MSI_ENABLE);
        enable_msi(function);
        config_set(function, CAP_MSI + (forms[i % 4] & WIDE ? 16 : 12), 4, 0);
        assert_int_equal(send_msi(function), 0); /* whatever the device does */
        assert_int_equal(machine_handlers() + machine_entries(), 0);
    }
}

static void msi_is_masked_before_it_is_changed(void **state)
{
    (void)state;
    struct pci_function *function = machine_msi(WIDE | MASKABLE | 0x20);
    uint32_t vector = open_ok(function, IRQ_MSI);

    assert_string_equal(machine_log, "c52:180 c60:1 c54:feefffd0 c58:0 c5c:0 ");
    irq_message_close(vector);
}

static void nothing_beside_the_capability_is_written(void **state)
{
    static const uint32_t bytes[] = {10, 14, 20, 24};
    static const uint32_t forms[] = {0, WIDE, MASKABLE, WIDE | MASKABLE};

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        struct pci_function *function = machine_msi(forms[i]);

        for (uint32_t at = CAP_MSI + bytes[i]; at < CAP_MSI + 32; at++)
            config_set(function, at, 1, 0xa5);
        /* Pending bits are the device's. */
        uint32_t end = bytes[i] - (forms[i] & MASKABLE ? 4 : 0);
        uint32_t vector = open_ok(function, IRQ_MSI);
        irq_message_mask(vector, false);
        irq_message_restore(function);
        irq_message_close(vector);
        for (uint32_t at = CAP_MSI + bytes[i]; at < CAP_MSI + 32; at++)
            assert_int_equal(config(function, at, 1), 0xa5);
        assert_int_equal(config(function, CAP_MSI + end, 1) & 0xfe, forms[i] & MASKABLE ? 0 : 0xa4);
    }
}

/* ---- MSI-X ---- */

static void msix_entries_are_written_masked(void **state)
{
    (void)state;
    struct pci_function *function = machine_msix();
    uint32_t first = open_ok(function, 0);

    machine_log_clear();
    uint32_t vector = open_ok(function, 2);
    assert_string_equal(machine_log, "tb:1 t8:feeffff0 t9:0 ta:0 tb:1 rb:1 ");
    machine_log_clear();
    irq_message_mask(vector, false);
    assert_string_equal(machine_log, "tb:0 rb:0 ");
    machine_log_clear();
    irq_message_restore(function);
    assert_non_null(strstr(machine_log, "tb:1 t8:feeffff0 t9:0 ta:0 tb:0 rb:0 "));
    irq_message_close(vector);
    irq_message_close(first);
}

static void only_what_is_open_is_unmasked(void **state)
{
    (void)state;
    for (uint32_t format = 0; format < FORMATS; format++) {
        machine.format = (enum machine_format)format;
        struct pci_function *function = machine_msix();
        uint32_t vectors[2] = {open_ok(function, 1), open_ok(function, 6)};

        enable_msix(function);
        for (uint32_t entry = 0; entry < MSIX_ENTRIES; entry++)
            assert_int_equal(*table_word(function, entry, 3), 1);
        irq_message_mask(vectors[1], false);
        for (uint32_t entry = 0; entry < MSIX_ENTRIES; entry++)
            assert_int_equal(send_msix(function, entry), entry == 6 ? vectors[1] : 0);
        irq_message_mask(vectors[0], false);
        assert_int_equal(send_msix(function, 1), vectors[0]);
        irq_message_close(vectors[1]);
        assert_int_equal(send_msix(function, 6), 0);
        assert_int_equal(send_msix(function, 1), vectors[0]);
        assert_true(config(function, CAP_MSIX + CONTROL, 2) & MSIX_ENABLE);
        irq_message_close(vectors[0]);
        assert_int_equal(config(function, CAP_MSIX + CONTROL, 2) & (MSIX_ENABLE | MSIX_MASK), MSIX_MASK);
    }
}

/* Asking may be the first use. */
static void msix_is_harmless_when_its_table_was_masked(void **state)
{
    (void)state;
    struct pci_function *function = machine_msix();

    machine_decode(function, false);
    assert_false(irq_message_is_harmless(function, true));
    assert_int_equal(*table_word(function, 3, 3), 0);
    machine_decode(function, true);
    assert_true(irq_message_is_harmless(function, true));
    for (uint32_t entry = 0; entry < MSIX_ENTRIES; entry++)
        assert_int_equal(*table_word(function, entry, 3), 1);
    assert_false(irq_message_is_harmless(function, false));
    assert_false(irq_message_is_harmless(machine_msi(0), true));
}

static void msi_is_harmless_when_it_is_open(void **state)
{
    (void)state;
    struct pci_function *function = machine_both(), *other = machine_msi(0);

    assert_false(irq_message_is_harmless(function, false));
    uint32_t vector = open_ok(function, IRQ_MSI);
    assert_true(irq_message_is_harmless(function, false));
    assert_false(irq_message_is_harmless(other, false));
    irq_message_close(vector);
    assert_false(irq_message_is_harmless(function, false));
    vector = open_ok(function, 0);
    assert_false(irq_message_is_harmless(function, false));
    irq_message_close(vector);
}

static void tables_that_are_nowhere(void **state)
{
    (void)state;
    struct pci_function *function = machine_msix();
    uint64_t base = function->bars[2].base;

    function->msix_table_offset = 0x1000 - MSIX_ENTRIES * 16 + 8; /* ends beyond */
    assert_int_equal(open_error(function, 0), -ENODEV);
    function->msix_table_offset = 0xfffffff8;
    assert_int_equal(open_error(function, 0), -ENODEV);
    function->msix_table_offset = MSIX_OFFSET;
    function->bars[2].size = 64;
    assert_int_equal(open_error(function, 0), -ENODEV);
    function->bars[2].size = 0x1000;
    function->bars[2].base = 0;
    assert_int_equal(open_error(function, 0), -ENODEV);
    function->bars[2].base = base;
    function->bars[2].kind = PCI_BAR_IO;
    assert_int_equal(open_error(function, 0), -ENODEV);
    function->bars[2].kind = PCI_BAR_MEM64;
    function->msix_bar = 7;
    assert_int_equal(open_error(function, 0), -ENODEV);
    assert_false(irq_message_is_harmless(function, true));
    function->msix_bar = 2;
    machine.no_windows = true;
    assert_int_equal(open_error(function, 0), -ENOSPC);
    assert_false(irq_message_is_harmless(function, true));
    machine.no_windows = false;
    assert_string_equal(machine_log, "");
    irq_message_close(open_ok(function, 0));
}

/* Its window is off, or it answers with all ones. */
static void a_function_that_does_not_answer(void **state)
{
    (void)state;
    struct pci_function *function = machine_msix();

    machine_decode(function, false);
    assert_int_equal(open_error(function, 0), -ENXIO);
    config_set(function, PCI_COMMAND, 2, 0xffff);
    assert_int_equal(open_error(function, 0), -ENXIO);
    assert_false(irq_message_is_harmless(function, true));
    machine_decode(function, true);
    uint32_t vector = open_ok(function, 0);
    irq_message_mask(vector, false);
    config_set(function, PCI_COMMAND, 2, 0xffff);
    machine_log_clear();
    irq_message_restore(function);
    assert_string_equal(machine_log, "");
    assert_int_equal(open_error(function, 1), -ENXIO);
    irq_message_close(vector);
    assert_int_equal(machine_handlers() + machine_entries(), 0);
}

/* A guest closes while the window is off, and opens the window again: the entry is still unmasked there. */
static void a_mask_that_the_device_missed(void **state)
{
    (void)state;
    struct pci_function *function = machine_msix();
    uint32_t kept = open_ok(function, 0), closed = open_ok(function, 1);

    irq_message_mask(kept, false);
    irq_message_mask(closed, false);
    enable_msix(function);
    machine_decode(function, false);
    irq_message_close(closed);
    assert_false(irq_message_is_harmless(function, true));
    machine_decode(function, true);
    assert_int_equal(*table_word(function, 1, 3), 0);
    assert_int_equal(send_msix(function, 1), 0);
    assert_false(config(function, CAP_MSIX + CONTROL, 2) & MSIX_ENABLE);
    assert_true(irq_message_is_harmless(function, true));
    enable_msix(function);
    assert_int_equal(*table_word(function, 1, 3), 1);
    assert_int_equal(send_msix(function, 0), kept);
    irq_message_close(kept);
}

/* ---- both ---- */

/* In reset everything reads as ones, and nothing of that is written back. */
static void msi_in_reset_is_let_alone(void **state)
{
    (void)state;
    struct pci_function *function = machine_msi(WIDE | MASKABLE);
    uint32_t vector = open_ok(function, IRQ_MSI);
    for (uint32_t at = CAP_MSI; at < CAP_MSI + 0x20; at += 4)
        config_set(function, at, 4, UINT32_MAX);
    irq_message_restore(function);
    irq_message_mask(vector, true);
    irq_message_close(vector);
    for (uint32_t at = CAP_MSI; at < CAP_MSI + 0x20; at += 4)
        assert_int_equal(config(function, at, 4), UINT32_MAX);
}

static void the_two_kinds_exclude_each_other(void **state)
{
    (void)state;
    struct pci_function *function = machine_both();
    uint32_t vector = open_ok(function, IRQ_MSI);

    assert_int_equal(open_error(function, 0), -EBUSY);
    assert_int_equal(open_error(function, IRQ_MSI), -EEXIST);
    irq_message_close(vector);
    vector = open_ok(function, 0);
    assert_int_equal(open_error(function, IRQ_MSI), -EBUSY);
    assert_int_equal(open_error(function, 0), -EEXIST);
    irq_message_close(vector);
}

static void what_a_function_has_not(void **state)
{
    (void)state;
    struct pci_function *msi = machine_msi(0), *msix = machine_msix();

    assert_int_equal(open_error(msi, 0), -ENODEV);
    assert_int_equal(open_error(msix, IRQ_MSI), -ENODEV);
    assert_int_equal(open_error(msix, MSIX_ENTRIES), -ENODEV);
    assert_int_equal(open_error(msix, IRQ_MSI - 1), -ENODEV);
    assert_string_equal(machine_log, "");
}

static void vectors_run_out_and_come_back(void **state)
{
    static const struct pci_function *functions[IRQ_VECTORS];
    static uint32_t vectors[IRQ_VECTORS];
    bool seen[256] = {false};

    (void)state;
    for (uint32_t i = 0; i < IRQ_VECTORS; i++) {
        if (i % 8 == 0)
            functions[i] = machine_msix();
        else
            functions[i] = functions[i - 1];
        vectors[i] = open_ok(functions[i], i % 8);
        assert_false(seen[vectors[i]]);
        seen[vectors[i]] = true;
    }
    struct pci_function *other = machine_msi(0);
    assert_int_equal(open_error(other, IRQ_MSI), -ENOSPC);
    irq_message_close(vectors[70]);
    assert_int_equal(open_ok(other, IRQ_MSI), vectors[70]);
    for (uint32_t i = 0; i < IRQ_VECTORS; i++)
        irq_message_close(vectors[i]);
    assert_int_equal(machine_handlers() + machine_entries(), 0);
}

static void a_refusal_of_the_unit_leaves_nothing(void **state)
{
    static const int errors[] = {-ENODEV, -ENOSPC, -ENOMEM, -EIO};

    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        struct pci_function *function = i & 4 ? machine_msix() : machine_msi(0);
        uint32_t entry = i & 4 ? 0 : IRQ_MSI;

        machine.allocate_error = errors[i % 4];
        assert_int_equal(open_error(function, entry), errors[i % 4]);
        assert_false(irq_message_is_harmless(function, false));
    }
    machine.allocate_error = 0;
    struct pci_function *function = machine_msi(0);
    machine.set_error = -EIO;
    assert_int_equal(open_error(function, IRQ_MSI), -EIO);
    machine.set_error = 0;
    machine.entries_max = 0;
    assert_int_equal(open_error(function, IRQ_MSI), -ENOSPC);
    machine.entries_max = 1;
    assert_int_equal(config(function, CAP_MSI + 4, 4), 0);
    irq_message_close(open_ok(function, IRQ_MSI));
}

/* The entry is only for the requester id under which the function's DMA shows. */
static void another_device_cannot_send_it(void **state)
{
    (void)state;
    for (enum machine_format format = VTD; format <= AMD; format++) {
        machine.format = format;
        struct pci_function *function = machine_msi(0), *other = machine_msi(MSI_ENABLE);
        uint32_t vector = open_ok(function, IRQ_MSI);

        config_set(other, CAP_MSI + 4, 4, config(function, CAP_MSI + 4, 4));
        config_set(other, CAP_MSI + 8, 2, config(function, CAP_MSI + 8, 2));
        assert_int_equal(send_msi(other), 0);
        enable_msi(function);
        assert_int_equal(send_msi(function), vector);
        irq_message_close(vector);
    }
}

static void after_a_reset_all_is_programmed_again(void **state)
{
    (void)state;
    struct pci_function *msi = machine_msi(WIDE | MASKABLE), *msix = machine_msix();
    uint32_t vectors[3] = {open_ok(msi, IRQ_MSI), open_ok(msix, 3), open_ok(msix, 4)};

    irq_message_mask(vectors[0], false);
    irq_message_mask(vectors[1], false);
    for (uint32_t at = 4; at < 20; at += 4)
        config_set(msi, CAP_MSI + at, 4, 0);
    for (uint32_t i = 0; i < MSIX_ENTRIES * 4; i++)
        *table_word(msix, 0, i) = i % 4 == 3;
    irq_message_restore(msi);
    irq_message_restore(msix);
    enable_msi(msi);
    enable_msix(msix);
    assert_int_equal(send_msi(msi), vectors[0]);
    for (uint32_t i = 0; i < MSIX_ENTRIES; i++)
        assert_int_equal(send_msix(msix, i), i == 3 ? vectors[1] : 0);
    irq_message_mask(vectors[2], false);
    assert_int_equal(send_msix(msix, 4), vectors[2]);
    for (uint32_t i = 0; i < 3; i++)
        irq_message_close(vectors[i]);
}

/* The last test: windows are for ever. */
static void tables_run_out(void **state)
{
    uint32_t vector, count = 0;
    int error = 0;

    (void)state;
    while (error == 0 && ++count < 200) {
        struct pci_function *function = machine_msix();

        error = irq_message_open(function, 0, note_vector, &vector);
        if (error == 0)
            irq_message_close(vector);
    }
    assert_int_equal(error, -ENOSPC);
    assert_false(irq_message_is_harmless(machine_msix(), true));
    irq_message_close(open_ok(machine_both(), IRQ_MSI));
}

#define TEST(function) MACHINE_TEST(function, machine_reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(msi_of_every_form),
        TEST(msi_is_masked_before_it_is_changed),
        TEST(nothing_beside_the_capability_is_written),
        TEST(msix_entries_are_written_masked),
        TEST(only_what_is_open_is_unmasked),
        TEST(msix_is_harmless_when_its_table_was_masked),
        TEST(msi_is_harmless_when_it_is_open),
        TEST(tables_that_are_nowhere),
        TEST(a_function_that_does_not_answer),
        TEST(a_mask_that_the_device_missed),
        TEST(msi_in_reset_is_let_alone),
        TEST(the_two_kinds_exclude_each_other),
        TEST(what_a_function_has_not),
        TEST(vectors_run_out_and_come_back),
        TEST(a_refusal_of_the_unit_leaves_nothing),
        TEST(another_device_cannot_send_it),
        TEST(after_a_reset_all_is_programmed_again),
        TEST(tables_run_out),
    };

    return cmocka_run_group_tests_name("irq", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Anything in any order; after each step nothing is open that should not be. */
#include "guest-abi/include/sluice/errno.h"
#include "irq/ioapic.h"
#include "irq/message.h"
#include "irq/route.h"
#include "machine.h"
#include "tests/adversary/random.h"

#include <string.h>

#define STEPS     20000u
#define FUNCTIONS 4u /* MSI, MSI-X, both, MSI without mask bits */
#define LINES     60u
#define MASKED    0x10000u

/* What the test believes, by vector: a message of a function, or a line. */
static struct source {
    bool open, unmasked, held;
    struct pci_function *function; /* NULL: a line */
    uint32_t number;
} sources[IRQ_VECTORS];
static struct pci_function *functions[FUNCTIONS];
static uint64_t seed;

static uint32_t below(uint32_t limit)
{
    return random_below(&seed, limit);
}

static void arrived(uint32_t vector)
{
    struct source *source = &sources[vector - IRQ_FIRST_VECTOR];

    assert_true(source->open);
    note_vector(vector);
    if (source->function != NULL)
        return;
    irq_line_arrived(source->number);
    source->held = irq_line_is_level(source->number);
}

static struct source *find(const struct pci_function *function, uint32_t number)
{
    for (uint32_t i = 0; i < IRQ_VECTORS; i++) {
        if (sources[i].open && sources[i].function == function && sources[i].number == number)
            return &sources[i];
    }
    return NULL;
}

/* ---- steps ---- */

static void open(void)
{
    uint32_t vector = 0, function = below(FUNCTIONS + 2), number = below(LINES);
    struct pci_function *of = function < FUNCTIONS ? functions[function] : NULL;

    if (of != NULL)
        number = below(3) == 0 ? IRQ_MSI : below(MSIX_ENTRIES + 1);
    int error =
        of != NULL ? irq_message_open(of, number, arrived, &vector) : irq_line_open(number, arrived, &vector);
    if (find(of, number) != NULL)
        assert_int_equal(error, -EEXIST);
    if (error != 0)
        return;
    struct source *source = &sources[vector - IRQ_FIRST_VECTOR];
    assert_false(source->open); /* no vector has two owners */
    *source = (struct source){.open = true, .function = of, .number = number};
}

static void with_one(void)
{
    uint32_t index = below(IRQ_VECTORS);

    for (uint32_t i = 0; i < IRQ_VECTORS && !sources[index].open; i++)
        index = (index + 1) % IRQ_VECTORS;
    struct source *source = &sources[index];
    uint32_t vector = IRQ_FIRST_VECTOR + (uint32_t)(source - sources), what = below(4);

    if (!source->open)
        return;
    if (what == 0) {
        if (source->function != NULL)
            irq_message_close(vector);
        else
            irq_line_close(source->number);
        source->open = false;
        return;
    }
    if (what == 1 && source->function == NULL) {
        irq_line_end(source->number);
        source->held = false;
        return;
    }
    source->unmasked = below(2);
    if (source->function != NULL)
        irq_message_mask(vector, !source->unmasked);
    else
        irq_line_mask(source->number, !source->unmasked);
}

static void enable(struct pci_function *function)
{
    bool msix = below(2);

    if ((msix ? function->cap_msix : function->cap_msi) == 0 || !irq_message_is_harmless(function, msix))
        return;
    uint32_t at = msix ? CAP_MSIX + CONTROL : CAP_MSI + CONTROL, control = config(function, at, 2);
    config_set(function, at, 2, msix ? (control & ~MSIX_MASK) | MSIX_ENABLE : control | MSI_ENABLE);
}

/* The device forgets, as PCIe 4.0, 6.6.2, has it. */
static void reset(struct pci_function *function)
{
    machine_decode(function, false);
    if (function->cap_msix) {
        config_set(function, CAP_MSIX + CONTROL, 2, MSIX_ENTRIES - 1);
        for (uint32_t i = 0; i < MSIX_ENTRIES * 4; i++)
            *table_word(function, 0, i) = i % 4 == 3;
    }
    if (function->cap_msi) {
        config_set(function, CAP_MSI + CONTROL, 2,
                   config(function, CAP_MSI + CONTROL, 2) & (WIDE | MASKABLE));
        for (uint32_t at = 4; at < 20; at += 4)
            config_set(function, CAP_MSI + at, 4, 0);
    }
}

static void with_function(void)
{
    struct pci_function *function = functions[below(FUNCTIONS)];

    switch (below(6)) {
    case 0:
        reset(function);
        break;
    case 1:
        machine_decode(function, below(4) != 0);
        break;
    case 2:
        irq_message_restore(function);
        break;
    case 3:
        machine.set_error = below(8) == 0 ? -EIO : 0;
        machine.allocate_error = below(8) == 0 ? -ENOSPC : 0;
        break;
    default:
        enable(function);
    }
}

/* What the device may send comes to its own owner, or to nobody. */
static void send(void)
{
    struct pci_function *function = functions[below(FUNCTIONS)];
    uint32_t entry = below(MSIX_ENTRIES), vector = 0;

    if (function->cap_msix)
        vector = send_msix(function, entry);
    if (vector == 0 && function->cap_msi) {
        entry = IRQ_MSI;
        vector = send_msi(function);
    }
    if (vector != 0)
        assert_ptr_equal(&sources[vector - IRQ_FIRST_VECTOR], find(function, entry));
}

static void send_wire(void)
{
    uint32_t gsi = below(56), vector = gsi < 24 ? send_line(0, gsi) : send_line(1, gsi - 24);

    if (vector != 0)
        assert_ptr_equal(&sources[vector - IRQ_FIRST_VECTOR], find(NULL, gsi));
}

/* ---- the check ---- */

static void check_function(const struct pci_function *function)
{
    bool msix_on = function->cap_msix && config(function, CAP_MSIX + CONTROL, 2) & MSIX_ENABLE;

    if (function->cap_msi && config(function, CAP_MSI + CONTROL, 2) & MSI_ENABLE)
        assert_non_null(find(function, IRQ_MSI));
    for (uint32_t entry = 0; msix_on && entry < MSIX_ENTRIES; entry++) {
        const struct source *source = find(function, entry);

        if (*table_word(function, entry, 3) == 0)
            assert_true(source != NULL && source->unmasked);
    }
}

static void check(void)
{
    uint32_t open = 0;

    for (uint32_t i = 0; i < IRQ_VECTORS; i++)
        open += sources[i].open;
    assert_int_equal(machine_handlers(), open);
    assert_int_equal(machine_entries(), machine.format == COMPATIBLE ? 0 : open);
    for (uint32_t i = 0; i < FUNCTIONS; i++)
        check_function(functions[i]);
    for (uint32_t gsi = 0; gsi < 56; gsi++) {
        const struct source *source = find(NULL, gsi);
        uint32_t low =
            gsi < 24 ? ioapic_register(0, 0x10 + 2 * gsi) : ioapic_register(1, 0x10 + 2 * (gsi - 24));
        bool unmasked = source != NULL && source->unmasked && !source->held;

        assert_int_equal(low & MASKED, unmasked ? 0 : MASKED);
    }
}

static void walk(enum machine_format format)
{
    machine.format = format;
    for (uint32_t i = 0; i < STEPS; i++) {
        switch (below(8)) {
        case 0:
        case 1:
            open();
            break;
        case 2:
        case 3:
            with_one();
            break;
        case 4:
            (void)irq_line_configure(below(LINES), below(2), below(2));
            break;
        case 5:
            with_function();
            break;
        case 6:
            send();
            break;
        default:
            send_wire();
        }
        check();
    }
    assert_true(noted_count > 100);
    for (uint32_t i = 0; i < IRQ_VECTORS; i++) {
        if (!sources[i].open)
            continue;
        if (sources[i].function != NULL)
            irq_message_close(IRQ_FIRST_VECTOR + i);
        else
            irq_line_close(sources[i].number);
        sources[i].open = false;
    }
    assert_int_equal(machine_handlers() + machine_entries(), 0);
}

static int start(void **state)
{
    machine_reset(state);
    irq_ioapic_init();
    functions[0] = machine_msi(WIDE | MASKABLE);
    functions[1] = machine_msix();
    functions[2] = machine_both();
    functions[3] = machine_msi(0);
    return 0;
}

static void without_remapping(void **state)
{
    (void)state;
    seed = 1;
    walk(COMPATIBLE);
}

static void in_the_way_of_vtd(void **state)
{
    (void)state;
    seed = 2;
    walk(VTD);
}

static void in_the_way_of_amd(void **state)
{
    (void)state;
    seed = 3;
    walk(AMD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(without_remapping, start),
        MACHINE_TEST(in_the_way_of_vtd, start),
        MACHINE_TEST(in_the_way_of_amd, start),
    };

    return cmocka_run_group_tests_name("irq_random", tests, NULL, NULL);
}

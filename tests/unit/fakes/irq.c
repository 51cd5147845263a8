/* SPDX-License-Identifier: MIT */
#include "irq.h"

#include "acpi/acpi.h"
#include "guest-abi/include/sluice/errno.h"
#include "irq/ioapic.h"
#include "irq/message.h"
#include "irq/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct pci_function functions[] = {
    {.id = FAKE_DEVICE, .cap_msi = 0x50, .cap_msix = 0x60, .msix_table_entries = FAKE_ENTRIES},
    {.id = FAKE_OTHER, .cap_msi = 0x50},
    {.id = FAKE_BRIDGE, .cap_msi = 0x50, .kind = PCI_KIND_BRIDGE},
    {.id = FAKE_HIDDEN, .cap_msi = 0x50, .hidden = true},
};

/* By vector: a message, or a line where there is no function. */
static struct {
    bool open, masked, held, level;
    const struct pci_function *function;
    uint32_t number;
    interrupt_fn handler;
} sources[IRQ_VECTORS];
static bool configured[FAKE_LINES], level[FAKE_LINES];

uint32_t fake_irq_restored;
int fake_irq_error;

struct pci_function *pci_find(uint16_t id)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (functions[i].id == id)
            return &functions[i];
    }
    return NULL;
}

uint32_t acpi_mcfg(struct acpi_mcfg *list, uint32_t capacity)
{
    assert_true(capacity > 0);
    list[0] = (struct acpi_mcfg){.base = FAKE_MCFG, .last_bus = 0xff};
    return 1;
}

static int find(const struct pci_function *function, uint32_t number)
{
    for (uint32_t i = 0; i < IRQ_VECTORS; i++) {
        if (sources[i].open && sources[i].function == function && sources[i].number == number)
            return (int)i;
    }
    return -1;
}

static int open_source(const struct pci_function *function, uint32_t number, interrupt_fn handler,
                       uint32_t *vector)
{
    if (fake_irq_error)
        return fake_irq_error;
    if (find(function, number) >= 0)
        return -EEXIST;
    for (uint32_t i = 0; i < IRQ_VECTORS; i++) {
        if (sources[i].open)
            continue;
        sources[i].open = sources[i].masked = true;
        sources[i].held = false;
        sources[i].function = function;
        sources[i].number = number;
        sources[i].handler = handler;
        *vector = IRQ_FIRST_VECTOR + i;
        return 0;
    }
    return -ENOSPC;
}

uint32_t fake_irq_open(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < IRQ_VECTORS; i++)
        count += sources[i].open;
    return count;
}

/* ---- messages ---- */

int irq_message_open(const struct pci_function *function, uint32_t entry, interrupt_fn handler,
                     uint32_t *vector)
{
    if (entry != IRQ_MSI && entry >= function->msix_table_entries)
        return -ENODEV;
    return open_source(function, entry, handler, vector);
}

void irq_message_close(uint32_t vector)
{
    assert_true(sources[vector - IRQ_FIRST_VECTOR].open && sources[vector - IRQ_FIRST_VECTOR].function);
    sources[vector - IRQ_FIRST_VECTOR].open = false;
}

void irq_message_mask(uint32_t vector, bool masked)
{
    assert_true(sources[vector - IRQ_FIRST_VECTOR].open && sources[vector - IRQ_FIRST_VECTOR].function);
    sources[vector - IRQ_FIRST_VECTOR].masked = masked;
}

void irq_message_restore(const struct pci_function *function)
{
    assert_non_null(function);
    fake_irq_restored++;
}

bool irq_message_is_harmless(const struct pci_function *function, bool msix)
{
    for (uint32_t i = 0; i < IRQ_VECTORS; i++) {
        if (sources[i].open && sources[i].function == function && (sources[i].number != IRQ_MSI) == msix)
            return true;
    }
    return false;
}

bool fake_irq_send(uint16_t id, uint32_t entry)
{
    int at = find(pci_find(id), entry);

    if (at < 0 || sources[at].masked)
        return false;
    sources[at].handler(IRQ_FIRST_VECTOR + (uint32_t)at);
    return true;
}

/* ---- lines ---- */

static int line(uint32_t gsi)
{
    int at = find(NULL, gsi);

    assert_true(at >= 0);
    return at;
}

int irq_line_open(uint32_t gsi, interrupt_fn handler, uint32_t *vector)
{
    return gsi < FAKE_LINES ? open_source(NULL, gsi, handler, vector) : -ENODEV;
}

void irq_line_close(uint32_t gsi)
{
    sources[line(gsi)].open = false;
    configured[gsi] = false;
}

void irq_line_mask(uint32_t gsi, bool masked)
{
    sources[line(gsi)].masked = masked;
}

int irq_line_configure(uint32_t gsi, bool to_level, bool low)
{
    (void)low;
    if (gsi >= FAKE_LINES)
        return -ENODEV;
    if (configured[gsi])
        return -EEXIST;
    configured[gsi] = true;
    level[gsi] = to_level;
    return 0;
}

bool irq_line_is_level(uint32_t gsi)
{
    return gsi < FAKE_LINES && (configured[gsi] ? level[gsi] : gsi >= 16);
}

void irq_line_arrived(uint32_t gsi)
{
    sources[line(gsi)].held = irq_line_is_level(gsi);
}

void irq_line_end(uint32_t gsi)
{
    sources[line(gsi)].held = false;
}

bool fake_irq_assert(uint32_t gsi)
{
    int at = find(NULL, gsi);

    if (at < 0 || sources[at].masked || sources[at].held)
        return false;
    sources[at].handler(IRQ_FIRST_VECTOR + (uint32_t)at);
    return true;
}

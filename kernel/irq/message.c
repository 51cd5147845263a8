/* SPDX-License-Identifier: MIT */
/* PCI 3.0, 6.8.1 (MSI) and 6.8.2 (MSI-X). */
#include "irq/message.h"

#include "guest-abi/include/sluice/errno.h"
#include "irq/route.h"
#include "mem/map.h"

#include <stddef.h>

struct source {
    struct irq_route route;
    const struct pci_function *function; /* NULL: not open */
    uint32_t entry;                      /* IRQ_MSI, or the index in the MSI-X table */
    bool masked;
};
static struct source sources[IRQ_VECTORS]; /* by vector */

/* ---- MSI ---- */

#define MSI_CONTROL       2u
#define MSI_ADDRESS       4u
#define MSI_MANY          0x0070u /* more messages than one: never */
#define MSI_WIDE          0x0080u
#define MSI_MASKABLE      0x0100u
#define MSI_DATA(wide)    ((wide) ? 12u : 8u)
#define MSI_MASK(wide)    ((wide) ? 16u : 12u)
#define MSI_MASK_BYTES    4u
#define MSI_ADDRESS_BYTES 4u

static uint32_t msi_read(const struct pci_function *function, uint32_t at, uint8_t bytes)
{
    return pci_read(function->id, (uint16_t)(function->cap_msi + at), bytes);
}

static void msi_write(const struct pci_function *function, uint32_t at, uint8_t bytes, uint32_t value)
{
    pci_write(function->id, (uint16_t)(function->cap_msi + at), bytes, value);
}

/* A function in reset reads as ones: what it can do is not known then. */
static bool answers(uint32_t control)
{
    return control != UINT16_MAX;
}

static void mask_msi(const struct source *source)
{
    uint32_t control = msi_read(source->function, MSI_CONTROL, 2);

    if (answers(control) && (control & MSI_MASKABLE))
        msi_write(source->function, MSI_MASK(control & MSI_WIDE), MSI_MASK_BYTES, source->masked ? 1 : 0);
}

static void program_msi(const struct source *source)
{
    const struct pci_function *function = source->function;
    uint32_t control = msi_read(function, MSI_CONTROL, 2), wide = control & MSI_WIDE;

    if (!answers(control))
        return;
    if (control & MSI_MANY)
        msi_write(function, MSI_CONTROL, 2, control & ~MSI_MANY);
    mask_msi(source);
    msi_write(function, MSI_ADDRESS, MSI_ADDRESS_BYTES, (uint32_t)source->route.message.address);
    if (wide)
        msi_write(function, MSI_ADDRESS + MSI_ADDRESS_BYTES, MSI_ADDRESS_BYTES,
                  (uint32_t)(source->route.message.address >> 32));
    msi_write(function, MSI_DATA(wide), 2, source->route.message.data);
}

/* ---- MSI-X ---- */

#define TABLES_MAX 128u
#define PAGE_MASK  0xfffull

/* An entry, in 32-bit words. */
#define MSIX_ENTRY_WORDS  4u
#define MSIX_ADDRESS_LOW  0u
#define MSIX_ADDRESS_HIGH 1u
#define MSIX_DATA         2u
#define MSIX_VECTOR       3u
#define MSIX_MASKED       1u

struct table {
    const struct pci_function *function;
    volatile uint32_t *words;
    bool stale; /* the device missed a mask, since its window was off: it must not have MSI-X on */
};
static struct table tables[TABLES_MAX]; /* windows are for ever, and so are these */
static uint32_t table_count;

static struct table *find_table(const struct pci_function *function)
{
    for (uint32_t i = 0; i < table_count; i++) {
        if (tables[i].function == function)
            return &tables[i];
    }
    return NULL;
}

static volatile uint32_t *entry_of(const struct source *source)
{
    return find_table(source->function)->words + source->entry * MSIX_ENTRY_WORDS;
}

/* False when the device did not take it: its registers are asleep, or a bridge above does not pass it on. */
static bool mask_all(const struct table *table)
{
    bool all = true;

    for (uint32_t i = 0; i < table->function->msix_table_entries; i++) {
        volatile uint32_t *control = &table->words[i * MSIX_ENTRY_WORDS + MSIX_VECTOR];

        *control = MSIX_MASKED;
        all = all && (*control & MSIX_MASKED) && *control != UINT32_MAX;
    }
    return all;
}

/* Where the table is in memory: a window with one does not move. 0: nowhere. */
static uint64_t table_address(const struct pci_function *function)
{
    const struct pci_bar *bar = function->msix_bar < PCI_BARS ? &function->bars[function->msix_bar] : NULL;
    uint64_t size = function->msix_table_entries * MSIX_ENTRY_WORDS * sizeof(uint32_t);

    if (bar == NULL || bar->base == 0 || (bar->kind != PCI_BAR_MEM32 && bar->kind != PCI_BAR_MEM64) ||
        size > bar->size || function->msix_table_offset > bar->size - size)
        return 0;
    return bar->base + function->msix_table_offset;
}

static bool decodes_memory(const struct pci_function *function)
{
    uint32_t command = pci_read(function->id, PCI_COMMAND, 2);

    return command != UINT16_MAX && (command & PCI_COMMAND_MEMORY) != 0;
}

/* Firmware may have left entries open; from here on only those are that are opened here. */
static int take_table(const struct pci_function *function)
{
    uint64_t address = table_address(function), offset = address & PAGE_MASK;
    uint64_t size = offset + function->msix_table_entries * MSIX_ENTRY_WORDS * sizeof(uint32_t);

    if (address == 0)
        return -ENODEV;
    if (table_count == TABLES_MAX)
        return -ENOSPC;
    volatile uint8_t *window = mmio_map(address - offset, (size + PAGE_MASK) & ~PAGE_MASK);
    if (window == NULL)
        return -ENOSPC;
    tables[table_count++] = (struct table){function, (volatile uint32_t *)(window + offset), true};
    return 0;
}

/* What the device has is read back, so that no message is on its way under the old rule. False as of
 * mask_all(). */
static bool mask_entry(const struct source *source)
{
    volatile uint32_t *words = entry_of(source);

    words[MSIX_VECTOR] = source->masked ? MSIX_MASKED : 0;
    return (words[MSIX_VECTOR] & MSIX_MASKED) == (source->masked ? MSIX_MASKED : 0);
}

static void program_entry(const struct source *source)
{
    volatile uint32_t *words = entry_of(source);

    words[MSIX_VECTOR] = MSIX_MASKED;
    words[MSIX_ADDRESS_LOW] = (uint32_t)source->route.message.address;
    words[MSIX_ADDRESS_HIGH] = (uint32_t)(source->route.message.address >> 32);
    words[MSIX_DATA] = source->route.message.data;
    (void)mask_entry(source);
}

/* ---- both ---- */

static void program(const struct source *source)
{
    if (source->entry == IRQ_MSI)
        program_msi(source);
    else if (decodes_memory(source->function))
        program_entry(source);
}

static bool is_msix(const struct source *source)
{
    return source->entry != IRQ_MSI;
}

static bool is_open(const struct pci_function *function, bool msix)
{
    for (uint32_t i = 0; i < IRQ_VECTORS; i++) {
        if (sources[i].function == function && is_msix(&sources[i]) == msix)
            return true;
    }
    return false;
}

/* Its table has no entry open that is not open here. The function decodes memory. */
static int ready_table(const struct pci_function *function)
{
    int error = find_table(function) == NULL ? take_table(function) : 0;

    if (error != 0)
        return error;
    struct table *table = find_table(function);
    if (!table->stale)
        return 0;
    if (!mask_all(table))
        return -ENXIO;
    table->stale = false;
    irq_message_restore(function);
    return 0;
}

static bool table_is_harmless(const struct pci_function *function)
{
    const struct table *table = find_table(function);

    if (table != NULL && !table->stale)
        return true;
    return decodes_memory(function) && ready_table(function) == 0;
}

bool irq_message_is_harmless(const struct pci_function *function, bool msix)
{
    if (!msix)
        return is_open(function, false);
    return function->cap_msix != 0 && table_is_harmless(function);
}

static bool entry_is_open(const struct pci_function *function, uint32_t entry)
{
    for (uint32_t i = 0; i < IRQ_VECTORS; i++) {
        if (sources[i].function == function && sources[i].entry == entry)
            return true;
    }
    return false;
}

/* Whether the function has this kind, and is ready to be programmed. */
static int prepare(const struct pci_function *function, uint32_t entry)
{
    bool msix = entry != IRQ_MSI;

    if (msix ? function->cap_msix == 0 || entry >= function->msix_table_entries : function->cap_msi == 0)
        return -ENODEV;
    if (entry_is_open(function, entry))
        return -EEXIST;
    if (is_open(function, !msix))
        return -EBUSY;
    if (!msix)
        return 0;
    if (!decodes_memory(function))
        return -ENXIO;
    return ready_table(function);
}

int irq_message_open(const struct pci_function *function, uint32_t entry, interrupt_fn handler,
                     uint32_t *vector)
{
    struct irq_route route;
    int error = prepare(function, entry);

    if (error == 0)
        error = irq_route_open(&route, 0, function->requester_id, false, handler);
    if (error != 0)
        return error;
    struct source *source = &sources[route.vector - IRQ_FIRST_VECTOR];
    *source = (struct source){.route = route, .function = function, .entry = entry, .masked = true};
    *vector = route.vector;
    program(source);
    return 0;
}

void irq_message_mask(uint32_t vector, bool masked)
{
    struct source *source = &sources[vector - IRQ_FIRST_VECTOR];

    source->masked = masked;
    if (source->entry == IRQ_MSI) {
        mask_msi(source);
    } else if (!decodes_memory(source->function) || !mask_entry(source)) {
        find_table(source->function)->stale = true;
        pci_stop_message(source->function, true);
    }
}

void irq_message_close(uint32_t vector)
{
    struct source *source = &sources[vector - IRQ_FIRST_VECTOR];
    const struct pci_function *function = source->function;
    bool msix = is_msix(source);

    irq_message_mask(vector, true);
    source->function = NULL;
    if (!is_open(function, msix))
        pci_stop_message(function, msix);
    irq_route_close(&source->route);
}

void irq_message_restore(const struct pci_function *function)
{
    for (uint32_t i = 0; i < IRQ_VECTORS; i++) {
        if (sources[i].function == function)
            program(&sources[i]);
    }
}

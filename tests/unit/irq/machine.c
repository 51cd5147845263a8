/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include "acpi/acpi.h"
#include "cpu/lapic.h"
#include "cpu/trap.h"
#include "drivers/iommu/iommu.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/map.h"
#include "registers.h"
#include "tests/unit/fakes/pci_model.h"

#include <stdio.h>
#include <string.h>

struct machine machine;
char machine_log[4096];
uint32_t noted, noted_count, ioapic_ends, ioapic_unmasked;

static interrupt_fn handlers[256];

void machine_log_clear(void)
{
    machine_log[0] = '\0';
}

static void note(char kind, uint32_t at, uint32_t value)
{
    size_t length = strlen(machine_log);

    if (length < sizeof machine_log - 32)
        snprintf(machine_log + length, sizeof machine_log - length, "%c%x:%x ", kind, at, value);
}

/* ---- functions ---- */

#define FUNCTIONS  300u
#define FIRST_BAR  0x80000000ull
#define BAR_BYTES  0x1000u
#define TABLE_BARS (REGISTERS_PAGES - 4) /* the pages that are left are the IO-APICs' */

static struct pci_function functions[FUNCTIONS];
static uint32_t function_count;
static uint32_t tables[FUNCTIONS][MSIX_ENTRIES * 4];

static uint32_t index_of(const struct pci_function *function)
{
    return (uint32_t)(function - functions);
}

static struct pci_function *add(void)
{
    struct pci_function *function = &functions[function_count];
    uint16_t id = (uint16_t)(0x100 + function_count++);

    assert_true(function_count <= FUNCTIONS);
    *function = (struct pci_function){.id = id, .requester_id = (uint16_t)(id + 0x1000)};
    model_add(id, 0x1234, 0x5678, 0xff0000, 0);
    machine_decode(function, true);
    return function;
}

static void add_msi(struct pci_function *function, uint32_t control)
{
    function->cap_msi = CAP_MSI;
    model_capability(model_find(function->id), CAP_MSI, 5, CAP_MSIX);
    model_set(model_find(function->id), CAP_MSI + CONTROL, control, 2);
}

static void add_msix(struct pci_function *function)
{
    uint32_t index = index_of(function);

    function->cap_msix = CAP_MSIX;
    model_capability(model_find(function->id), CAP_MSIX, 0x11, 0);
    model_set(model_find(function->id), CAP_MSIX + CONTROL, MSIX_ENTRIES - 1, 2);
    function->msix_bar = 2;
    function->msix_table_offset = MSIX_OFFSET;
    function->msix_table_entries = MSIX_ENTRIES;
    function->bars[2] = (struct pci_bar){PCI_BAR_MEM64, false, FIRST_BAR + index * BAR_BYTES, BAR_BYTES};
    memset(tables[index], 0, sizeof tables[index]); /* firmware left all entries open */
}

struct pci_function *machine_msi(uint32_t control)
{
    struct pci_function *function = add();

    add_msi(function, control);
    return function;
}

struct pci_function *machine_msix(void)
{
    struct pci_function *function = add();

    add_msix(function);
    return function;
}

struct pci_function *machine_both(void)
{
    struct pci_function *function = machine_msi(WIDE | MASKABLE);

    add_msix(function);
    return function;
}

uint32_t config(const struct pci_function *function, uint32_t offset, uint8_t bytes)
{
    return model_get(model_find(function->id), offset, bytes);
}

void config_set(const struct pci_function *function, uint32_t offset, uint8_t bytes, uint32_t value)
{
    model_set(model_find(function->id), offset, value, bytes);
}

void machine_decode(const struct pci_function *function, bool on)
{
    config_set(function, PCI_COMMAND, 2, on ? PCI_COMMAND_MEMORY : 0);
}

uint32_t *table_word(const struct pci_function *function, uint32_t entry, uint32_t word)
{
    return &tables[index_of(function)][4 * entry + word];
}

uint32_t pci_count(void)
{
    return function_count;
}

struct pci_function *pci_at(uint32_t index)
{
    return &functions[index];
}

uint32_t pci_read(uint16_t id, uint16_t offset, uint8_t bytes)
{
    return model_get(model_find(id), offset, bytes);
}

void pci_write(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    note('c', offset, value);
    model_set(model_find(id), offset, value, bytes);
}

/* ---- IO-APICs: 82093AA, 3.2 ---- */

#define ENTRY_LEVEL  0x8000u
#define ENTRY_REMOTE 0x4000u /* a level was sent, and its end has not come */
#define ENTRY_MASKED 0x10000u
#define END_REGISTER 0x40u
#define VERSION      1u
#define IOAPIC_INDEX 0x210u

static struct {
    uint32_t select, registers[IOAPIC_INDEX];
} ioapics[4];

static void ioapic_end(uint32_t ioapic, uint32_t vector)
{
    ioapic_ends++;
    assert_true((machine.ioapic_version[ioapic] & 0xff) >= 0x20);
    for (uint32_t at = 0x10; at < IOAPIC_INDEX; at += 2) {
        uint32_t *low = &ioapics[ioapic].registers[at];

        if ((*low & 0xff) == vector && (*low & ENTRY_LEVEL))
            *low &= ~ENTRY_REMOTE;
    }
}

static void ioapic_write(uint32_t ioapic, uint32_t at, uint32_t value)
{
    uint32_t *word = &ioapics[ioapic].registers[at];

    assert_in_range(at, 0x10, IOAPIC_INDEX - 1);
    if (at & 1) {
        /* No interrupt with half an address. */
        assert_true(word[-1] & ENTRY_MASKED);
        *word = value;
        return;
    }
    ioapic_unmasked += !(value & ENTRY_MASKED);
    *word = (value & ~ENTRY_REMOTE) | (value & ENTRY_LEVEL ? *word & ENTRY_REMOTE : 0);
}

uint32_t ioapic_register(uint32_t ioapic, uint32_t index)
{
    return index == VERSION ? machine.ioapic_version[ioapic] : ioapics[ioapic].registers[index];
}

void ioapic_set(uint32_t ioapic, uint32_t index, uint32_t value)
{
    ioapics[ioapic].registers[index] = value;
}

uint32_t acpi_ioapics(struct acpi_ioapic *list, uint32_t capacity)
{
    assert_true(capacity >= machine.ioapics);
    for (uint32_t i = 0; i < machine.ioapics; i++)
        list[i] = (struct acpi_ioapic){
            .id = (uint8_t)i, .base = (uint32_t)machine.ioapic_base[i], .gsi_base = machine.ioapic_gsi[i]};
    return machine.ioapics;
}

/* ---- memory ---- */

static volatile uint8_t *memory;
static uint32_t page_function[TABLE_BARS]; /* whose table is seen in that page */
static uint32_t pages_used;

static uint32_t *table_at(uint32_t offset)
{
    uint32_t word = (offset % 4096 - MSIX_OFFSET) / 4;

    assert_true(offset % 4096 >= MSIX_OFFSET && word < MSIX_ENTRIES * 4);
    assert_true(config(&functions[page_function[offset / 4096]], PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
    return &tables[page_function[offset / 4096]][word];
}

static uint32_t read_register(uint32_t offset)
{
    uint32_t page = offset / 4096;

    if (page >= TABLE_BARS) {
        uint32_t ioapic = page - TABLE_BARS;

        assert_int_equal(offset % 4096 - machine.ioapic_base[ioapic] % 4096, 0x10);
        return ioapic_register(ioapic, ioapics[ioapic].select);
    }
    uint32_t *word = table_at(offset);
    note('r', (offset % 4096 - MSIX_OFFSET) / 4, *word);
    return *word;
}

static void write_register(uint32_t offset, uint32_t value)
{
    uint32_t page = offset / 4096;

    if (page < TABLE_BARS) {
        note('t', (offset % 4096 - MSIX_OFFSET) / 4, value);
        *table_at(offset) = value;
        return;
    }
    uint32_t ioapic = page - TABLE_BARS, at = offset % 4096 - machine.ioapic_base[ioapic] % 4096;
    if (at == 0)
        ioapics[ioapic].select = value;
    else if (at == END_REGISTER)
        ioapic_end(ioapic, value);
    else
        ioapic_write(ioapic, ioapics[ioapic].select, value);
}

volatile void *mmio_map(uint64_t physical, uint64_t size)
{
    assert_true(physical % 4096 == 0 && size == 4096);
    if (machine.no_windows)
        return NULL;
    for (uint32_t i = 0; i < machine.ioapics; i++) {
        if (physical == (machine.ioapic_base[i] & ~0xfffull))
            return memory + (TABLE_BARS + i) * 4096;
    }
    assert_in_range(physical, FIRST_BAR, FIRST_BAR + (FUNCTIONS - 1) * BAR_BYTES);
    /* Many tests in one program: pages of functions that are gone are used again. */
    uint32_t page = pages_used++ % TABLE_BARS;
    page_function[page] = (uint32_t)((physical - FIRST_BAR) / BAR_BYTES);
    return memory + page * 4096;
}

/* ---- CPU ---- */

uint32_t lapic_id(void)
{
    return APIC_ID;
}

void interrupt_set_handler(uint32_t vector, interrupt_fn handler)
{
    assert_in_range(vector, 0x40, 0xef);
    assert_true(handler == NULL || handlers[vector] == NULL);
    handlers[vector] = handler;
}

uint32_t machine_handlers(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < 256; i++)
        count += handlers[i] != NULL;
    return count;
}

void note_vector(uint32_t vector)
{
    noted = vector;
    noted_count++;
}

static uint32_t interrupt(uint32_t vector)
{
    if (handlers[vector] == NULL)
        return 0;
    handlers[vector](vector);
    return vector;
}

/* ---- IOMMU ---- */

#define ENTRIES     256u
/* So that some of VT-d's have bit 15 of the index; AMD's messages have eleven bits. */
#define FIRST_ENTRY (machine.format == VTD ? 0x7ffeu : 0u)

static struct {
    bool used, set;
    uint16_t requester_id;
    uint8_t vector;
    bool level;
} entries[ENTRIES];

bool iommu_interrupts_remapped(void)
{
    return machine.format != COMPATIBLE;
}

uint32_t machine_entries(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < ENTRIES; i++)
        count += entries[i].used;
    return count;
}

int iommu_interrupt_allocate(uint16_t segment, uint16_t requester_id, uint32_t *index)
{
    assert_true(machine.format != COMPATIBLE && segment == 0);
    if (machine.allocate_error != 0)
        return machine.allocate_error;
    for (uint32_t i = 0; i < machine.entries_max; i++) {
        if (entries[i].used)
            continue;
        entries[i].used = true;
        entries[i].set = false;
        entries[i].requester_id = requester_id;
        *index = FIRST_ENTRY + i;
        return 0;
    }
    return -ENOSPC;
}

int iommu_interrupt_set(uint16_t segment, uint16_t requester_id, uint32_t index,
                        const struct iommu_interrupt *interrupt, struct iommu_message *message)
{
    uint32_t i = index - FIRST_ENTRY;

    assert_true(segment == 0 && i < ENTRIES && entries[i].used);
    assert_int_equal(entries[i].requester_id, requester_id);
    assert_int_equal(interrupt->destination, APIC_ID);
    if (machine.set_error != 0)
        return machine.set_error;
    entries[i].set = true;
    entries[i].vector = interrupt->vector;
    entries[i].level = interrupt->level;
    if (machine.format == VTD)
        *message = (struct iommu_message){0xfee00010 | (index & 0x7fff) << 5 | index >> 15 << 2, 0};
    else
        *message = (struct iommu_message){0xfee00000, index | (interrupt->level ? 0x8000 : 0)};
    return 0;
}

int iommu_interrupt_free(uint16_t segment, uint16_t requester_id, uint32_t index)
{
    uint32_t i = index - FIRST_ENTRY;

    assert_true(segment == 0 && i < ENTRIES && entries[i].used);
    assert_int_equal(entries[i].requester_id, requester_id);
    entries[i].used = entries[i].set = false;
    return machine.set_error;
}

int iommu_interrupt_source(enum iommu_interrupt_source kind, uint8_t id, uint16_t *segment,
                           uint16_t *requester_id)
{
    assert_int_equal(kind, IOMMU_SOURCE_IOAPIC);
    *segment = 0;
    *requester_id = (uint16_t)(IOAPIC_SOURCE + id);
    return machine.ioapic_unknown ? -ENOENT : 0;
}

static uint32_t by_entry(uint32_t index, uint16_t requester_id, bool level)
{
    uint32_t i = index - FIRST_ENTRY;

    if (i >= ENTRIES || !entries[i].set || entries[i].requester_id != requester_id)
        return 0;
    assert_int_equal(entries[i].level, level);
    return interrupt(entries[i].vector);
}

/* What the unit does with a message: VT-d 5.1.2.2 and 5.1.3, AMD 48882 2.2.5.1; without one, the CPU. */
static uint32_t deliver(uint64_t address, uint32_t data, uint16_t requester_id, bool level)
{
    /* A write to memory, as of a device that has forgotten its message. */
    if (address >> 20 != 0xfee)
        return 0;
    if (machine.format == VTD) {
        assert_int_equal(address & 0x10, 0x10);
        return by_entry((uint32_t)(address >> 5 & 0x7fff) | (uint32_t)(address >> 2 & 1) << 15, requester_id,
                        level);
    }
    if (machine.format == AMD)
        return by_entry(data & 0x7ff, requester_id, level);
    assert_int_equal(address, 0xfee00000 | APIC_ID << 12);
    assert_int_equal(data & 0x700, 0);
    return interrupt(data & 0xff);
}

/* ---- what devices do ---- */

uint32_t send_msi(const struct pci_function *function)
{
    uint32_t control = config(function, CAP_MSI + CONTROL, 2), wide = control & WIDE ? 4 : 0;
    uint64_t address = config(function, CAP_MSI + 4, 4);

    assert_int_equal(control & 0x70, 0);
    if (wide)
        address |= (uint64_t)config(function, CAP_MSI + 8, 4) << 32;
    if (!(control & MSI_ENABLE) || (control & MASKABLE && config(function, CAP_MSI + 12 + wide, 4) & 1))
        return 0;
    return deliver(address, config(function, CAP_MSI + 8 + wide, 2), function->requester_id, false);
}

uint32_t send_msix(const struct pci_function *function, uint32_t entry)
{
    uint32_t control = config(function, CAP_MSIX + CONTROL, 2);
    const uint32_t *words = table_word(function, entry, 0);

    if ((control & (MSIX_ENABLE | MSIX_MASK)) != MSIX_ENABLE || words[3] & 1)
        return 0;
    return deliver(words[0] | (uint64_t)words[1] << 32, words[2], function->requester_id, false);
}

uint32_t send_line(uint32_t ioapic, uint32_t pin)
{
    uint32_t *low = &ioapics[ioapic].registers[0x10 + 2 * pin], high = low[1];
    bool level = (*low & ENTRY_LEVEL) != 0;

    if (*low & (ENTRY_MASKED | ENTRY_REMOTE))
        return 0;
    if (level)
        *low |= ENTRY_REMOTE;
    return deliver(0xfee00000 | high >> 16 << 4 | (*low >> 11 & 1) << 2, *low & 0x7ff,
                   (uint16_t)(IOAPIC_SOURCE + ioapic), level);
}

/* ---- tests ---- */

void machine_run(void **state)
{
    const struct machine_test *test = *state;

    registers_arm();
    test->run(state);
}

int machine_reset(void **state)
{
    (void)state;
    if (memory == NULL)
        memory = registers_init(read_register, write_register);
    registers_arm();
    for (uint32_t i = 0; i < 256; i++)
        assert_null(handlers[i]);
    assert_int_equal(machine_entries(), 0);
    memset(ioapics, 0, sizeof ioapics);
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t at = 0x10; at < IOAPIC_INDEX; at += 2)
            ioapics[i].registers[at] = ENTRY_LEVEL | 0x33; /* firmware left it open */
    machine = (struct machine){.format = VTD,
                               .entries_max = ENTRIES,
                               .ioapics = 2,
                               .ioapic_base = {0xfec00000, 0xfec01000, 0xfec02400, 0xfec03000},
                               .ioapic_gsi = {0, 24, 60, 100},
                               .ioapic_version = {0x170020, 0x1f0011, 0x170020, 0x170020}};
    noted = noted_count = ioapic_ends = ioapic_unmasked = 0;
    machine_log_clear();
    return 0;
}

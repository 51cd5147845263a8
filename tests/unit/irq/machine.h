/* SPDX-License-Identifier: MIT */
/*
 * A machine for irq/: functions with MSI and MSI-X, IO-APICs, and an IOMMU that remaps in VT-d's way, in
 * AMD's, or not at all. What a device sends goes the whole way: message, entry, vector, handler.
 */
#ifndef SLUICE_TESTS_IRQ_MACHINE_H
#define SLUICE_TESTS_IRQ_MACHINE_H

#include "pci/pci.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum machine_format { COMPATIBLE, VTD, AMD };
#define FORMATS 3

#define CAP_MSI     0x50u
#define CAP_MSIX    0x70u
#define CONTROL     2u
#define MSI_ENABLE  0x1u
#define MSIX_ENABLE 0x8000u
#define MSIX_MASK   0x4000u
#define WIDE        0x80u
#define MASKABLE    0x100u

#define MSIX_ENTRIES  8u
#define MSIX_OFFSET   0x800u /* of the table in its BAR */
#define APIC_ID       5u
#define IOAPIC_SOURCE 0xf0u /* requester id of the IO-APIC with id 0; and so on */

/* Machine state that a test sets; as after machine_reset(). */
struct machine {
    enum machine_format format;
    uint32_t entries_max;          /* of the IOMMU's table */
    int allocate_error, set_error; /* what the IOMMU answers; 0: it works */
    bool no_windows;               /* mmio_map() gives nothing */
    uint32_t ioapics;              /* how many firmware names */
    uint64_t ioapic_base[4];
    uint32_t ioapic_gsi[4], ioapic_version[4]; /* the version register; all ones: nobody answers */
    bool ioapic_unknown;                       /* to the IOMMU */
};
extern struct machine machine;

/* Nothing is open; the functions and IO-APICs of the test before are gone. */
int machine_reset(void **state);

/* A test whose accesses to registers are seen. setup: calls machine_reset(). */
struct machine_test {
    void (*run)(void **state);
};
void machine_run(void **state);
#define MACHINE_TEST(function, setup)                                                                        \
    {                                                                                                        \
#function, machine_run, setup, NULL, &(struct machine_test)                                          \
        {                                                                                                    \
            function                                                                                         \
        }                                                                                                    \
    }

/* New functions, decoding memory, never used before. control: of MSI, as firmware left it. */
struct pci_function *machine_msi(uint32_t control);
struct pci_function *machine_msix(void);
struct pci_function *machine_both(void);

/* What there is in configuration space. */
uint32_t config(const struct pci_function *function, uint32_t offset, uint8_t bytes);
void config_set(const struct pci_function *function, uint32_t offset, uint8_t bytes, uint32_t value);
void machine_decode(const struct pci_function *function, bool on);

/* A word of the MSI-X table, as the device has it: 0, 1 address, 2 data, 3 mask. */
uint32_t *table_word(const struct pci_function *function, uint32_t entry, uint32_t word);

/* The device sends, if it may; the vector that reached the CPU, 0 for none, or none with a handler. */
uint32_t send_msi(const struct pci_function *function);
uint32_t send_msix(const struct pci_function *function, uint32_t entry);
/* The input's wire is active for one look of the IO-APIC's. */
uint32_t send_line(uint32_t ioapic, uint32_t pin);

/* Register of an IO-APIC as it has it: 0x10 + 2 * pin and the one after. */
uint32_t ioapic_register(uint32_t ioapic, uint32_t index);
void ioapic_set(uint32_t ioapic, uint32_t index, uint32_t value);
extern uint32_t ioapic_ends;     /* writes to the register of the end of interrupt */
extern uint32_t ioapic_unmasked; /* writes that left an entry unmasked */

/* In order, "AT:VALUE " in hexadecimal: c configuration written, t word of an MSI-X table written, r read. */
extern char machine_log[4096];
void machine_log_clear(void);

uint32_t machine_handlers(void);   /* vectors that have one */
uint32_t machine_entries(void);    /* the IOMMU's entries in use */
void note_vector(uint32_t vector); /* a handler */
extern uint32_t noted, noted_count;

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What a case needs of one vendor's IOMMU and cannot ask of drivers/iommu/iommu.h: QEMU's device, the
 * firmware table, the unit seen with hardware's eyes, and ways to disturb it. vendor_vtd.c and vendor_amdvi.c
 * each define all of it; a program is linked with one of them, so that the same case runs on both.
 */
#ifndef SLUICE_TESTS_VENDOR_H
#define SLUICE_TESTS_VENDOR_H

#include "drivers/iommu/iommu.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- QEMU and the table ---- */

/* Kinds of machine; they may be combined. */
#define MACHINE_PLAIN             0x0u
#define MACHINE_BRIDGE            0x1u  /* a second edu, behind a PCIe-to-PCI bridge */
#define MACHINE_WIDE              0x2u  /* the widest bus addresses that the unit offers */
#define MACHINE_REMEMBERS_ABSENCE 0x4u  /* the unit says that it caches that nothing is mapped */
#define MACHINE_NO_WIDTH          0x8u  /* the unit has no usable width of bus addresses */
#define MACHINE_SHORT_ENTRIES     0x10u /* interrupt entries of the shortest kind there is */

/* The words after -device, and the patterns of trace events that vendor_counts() needs; NULL ends them. */
const char *vendor_device(uint32_t kind);
const char *const *vendor_trace(void);
/* QEMU is up: does what firmware does before any program runs, and forgets all disturbances. */
void vendor_started(uint32_t kind);
/* Width of a bus address on such a machine, bits. */
uint8_t vendor_bus_bits(uint32_t kind);

extern const uint64_t vendor_base;       /* physical address of the registers */
extern const uint16_t vendor_bridged_id; /* what DMA from behind the bridge shows, under QEMU */
extern const uint16_t vendor_ioapic_id;  /* what QEMU's IO-APIC shows */
/* The first QEMU whose IO-APIC passes by this unit. */
extern const uint32_t vendor_ioapic_bypasses_from;
extern const uint32_t vendor_interrupts; /* entries that a requester may get */

/* The firmware table, structure by structure. A reserved range is [first, last] in bytes. */
void vendor_table_begin(void);
void vendor_table_unit(uint64_t base, bool everything);
void vendor_table_device(uint16_t id); /* of the unit before */
void vendor_table_bridge(uint16_t id, uint8_t secondary_bus);
void vendor_table_ioapic(void); /* number 0, of the unit before, as vendor_ioapic_id */
/* HPET number 0, whose interrupts show that id. */
void vendor_table_hpet(uint16_t id);
void vendor_table_reserved(uint64_t first, uint64_t last, uint16_t id);
/* Fills in the vendor, the table and its size. */
void vendor_setup(struct iommu_setup *setup);

/* ---- between the driver and QEMU ---- */

/* The driver's register accesses; they reach QEMU unless a disturbance is meant to change them. */
uint64_t vendor_mmio_read(uint64_t physical, uint8_t bytes);
void vendor_mmio_write(uint64_t physical, uint8_t bytes, uint64_t value);
/* What the driver is to see of a configuration register that QEMU says holds `value`. */
uint32_t vendor_pci_read(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value);

/* ---- the unit ---- */

/* Firmware's translation: on, every device of bus 0 passed through, with a queue of its own. */
void vendor_firmware_leaves_it_on(void);
/* Translation is on, with a queue, and with nothing else that firmware may have left. */
bool vendor_is_on(void);
/* True when everything was invalidated exactly once so far. */
bool vendor_invalidated_all_once(void);
/* Number of the latest wait posted, and whether the unit has finished it. */
uint32_t vendor_waits(void);
bool vendor_wait_is_done(void);

/* The requester's entry as the unit may see it at this moment: valid, but not with all that makes it right.
 */
bool vendor_entry_is_half(uint16_t id);
void vendor_isolate(uint16_t id);

/* The latest invalidation of translations that was posted, before the latest wait. */
struct vendor_invalidation {
    uint16_t domain;
    uint64_t bfn, frames;
    bool tables_stay; /* the unit may keep what it knows of tables that are not leaves */
};
struct vendor_invalidation vendor_last_invalidation(void);

/* What the product counted, and QEMU's trace event that must have come as often. */
struct vendor_count {
    const char *event;
    uint64_t count;
};
#define VENDOR_COUNTS_MAX 8u
uint32_t vendor_counts(struct vendor_count counts[VENDOR_COUNTS_MAX]);

/* The redirection entry of an IO-APIC's pin that sends the message. */
uint64_t vendor_pin_entry(struct iommu_message message, struct iommu_interrupt interrupt);

/* ---- disturbances ---- */

/* Puts a record into the queue that the unit must refuse, as if the driver had posted it. */
void vendor_post_refused(void);
/* Spoils the record at the tail if it invalidates translations: true when it did. */
bool vendor_spoil_invalidation(void);
/* From now on every wait of the driver's is refused. */
void vendor_spoil_waits(void);
/* The unit takes nothing from its queue any more, and the driver does not know. */
void vendor_stop_answering(void);

/* ---- faults ---- */

/* A DMA of the requester's was blocked: where QEMU does not write what hardware logs then, this does. */
void vendor_log_blocked(uint16_t id, bool write, uint64_t bfn);
/* Something blocked waits to be read; faults were lost for want of room. */
bool vendor_fault_is_pending(void);
bool vendor_fault_was_lost(void);
/* More blocked than there is room for: the requester's DMA at bfn is the first, others follow. */
void vendor_lose_faults(uint16_t id, uint64_t bfn);
/* The fault event would be sent as this MSI. */
bool vendor_fault_event_is(uint64_t address, uint32_t data);

/* What the driver says of the same thing in the vendor's own terms. */
enum vendor_words {
    WORDS_NO_WIDTH,
    WORDS_REFUSED,         /* a record of the queue */
    WORDS_REFUSED_EXACTLY, /* ... the one that vendor_post_refused() posts */
    WORDS_NOT_ATTACHED,    /* blocked: the device is in no context */
    WORDS_BUS_UNKNOWN,     /* ... nor is any other of its bus */
    WORDS_BEYOND_WIDTH,
    WORDS_FAULTS_LOST,
};
const char *vendor_words(enum vendor_words words);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A machine with many IOMMU units in several segments, behind host.h: memory, configuration space, time, and
 * model units of either vendor (vtd_unit.c, amdvi_unit.c).
 *
 * A unit walks tables in memory, keeps what it found until it is told to forget, and counts what it is told.
 * What the specification forbids fails the test that does it. A unit that is not coherent sees only lines
 * that were written back.
 */
#ifndef SLUICE_TESTS_UNITS_MACHINE_H
#define SLUICE_TESTS_UNITS_MACHINE_H

#include "drivers/iommu/iommu.h"

#include <stdbool.h>
#include <stdint.h>

#define MACHINE_UNITS_MAX 65u /* one more than Sluice keeps */
#define MACHINE_SEGMENTS  4u
#define MACHINE_FUNCTIONS 1024u
#define MACHINE_NO_UNIT   MACHINE_UNITS_MAX
#define MACHINE_BITS      40u
#define MACHINE_FIRST_MFN 0x100000ull /* the hypervisor's memory, from 4 GiB on */
#define MACHINE_FRAMES    0x40000ull
#define MACHINE_GUEST_MFN 0x200000ull /* from here on, frames are somebody else's */
#define MACHINE_BASE(u)   (0xd0000000ull + (uint64_t)(u)*0x80000ull)

/* What a unit has been told. */
struct unit_done {
    uint32_t device;        /* what is known of one requester */
    uint32_t pages, domain; /* translations of some pages, or of a whole domain */
    uint32_t global;        /* everything of one kind, or of every kind */
    uint32_t interrupts, waits;
    uint32_t widest; /* largest order of pages */
};

#define UNIT_CACHED 64u

struct unit {
    /* what it is */
    uint64_t base;
    uint16_t segment;
    uint64_t cap, ecap; /* VT-d */
    uint64_t features;  /* AMD-Vi */
    bool caches_absence;
    /* levers */
    bool silent;     /* nothing answers */
    bool drop_waits; /* no command is ever done */
    /* observations */
    struct unit_done done;
    /* registers of VT-d */
    struct {
        uint32_t status, protected_memory, fault_event[4];
        uint64_t root, root_in_use, command, queue_head, queue_tail, queue_base, interrupts, address, iotlb;
        bool forgot_devices, forgot_pages; /* since it has this root */
    } vtd;
    /* registers of AMD-Vi, by number: those from 0, and those from 2000h */
    struct {
        uint64_t low[7], high[5];
    } amdvi;
    /* what it remembers */
    struct unit_device {
        bool valid;
        uint16_t id;
        uint64_t low, high; /* the entry, all of it that says what DMA does */
    } devices[UNIT_CACHED];
    struct unit_page {
        bool valid;
        uint16_t domain;
        uint64_t bfn, entry; /* entry: with the permissions of the whole walk; 0: absent */
    } pages[UNIT_CACHED];
};

struct machine_function {
    uint16_t segment, id;
    uint16_t shows; /* the requester id that its DMA shows to the unit */
    uint32_t unit;  /* which its DMA passes */
    bool is_unit;   /* the function of an AMD-Vi unit: does no DMA of its own */
    uint8_t config[256];
};

struct machine {
    enum iommu_vendor vendor;
    uint32_t unit_count, function_count;
    bool has_written; /* a unit is not coherent: what was written back is kept apart */
    uint64_t next_frame, time;
    /* Which allocation fails, from the next one on; negative: none. And frames that were not given back. */
    int64_t failing_allocation, frames_out;
    uint64_t stores, released;
    struct unit units[MACHINE_UNITS_MAX];
    struct machine_function functions[MACHINE_FUNCTIONS];
};
extern struct machine machine;

/* No units, no functions, all memory free. */
void machine_reset(enum iommu_vendor vendor);
/* The same machine as it was before Sluice: levers and functions stay. */
void machine_restart(void);
/* A unit at MACHINE_BASE(index), with everything that its vendor's can do; its index. */
uint32_t machine_add_unit(uint16_t segment);
struct machine_function *machine_add_function(uint16_t segment, uint16_t id, uint32_t unit);
void machine_add_bridge(uint16_t segment, uint16_t id, uint32_t unit, uint8_t secondary, uint8_t subordinate);
/* The PCI function of an AMD-Vi unit, its capability at UNIT_CAPABILITY. */
#define UNIT_CAPABILITY 0x40u
void machine_add_unit_function(uint16_t segment, uint16_t id, uint32_t unit);
/* NULL: nothing is there. */
struct machine_function *machine_function_at(uint16_t segment, uint16_t id);
bool machine_is_master(const struct machine_function *function);

/* True when the unit translates with tables in Sluice's memory. */
bool machine_is_on(const struct unit *unit);
/* An access. True: it passed, *mfn is where to. A unit that is off lets everything pass. */
bool machine_dma(struct unit *unit, uint16_t id, uint64_t bfn, bool write, uint64_t *mfn);

/* ---- between machine.c and the units ---- */

/* Where a leaf of that level, at that address, has the page of bfn. */
uint64_t machine_page_in(uint64_t address, uint64_t bfn, uint32_t level);

struct unit_model {
    void (*reset)(struct unit *unit);
    uint64_t (*read)(struct unit *unit, uint32_t offset, uint32_t bytes);
    void (*write)(struct unit *unit, uint32_t offset, uint64_t value, uint32_t bytes);
    bool (*is_on)(const struct unit *unit);
    bool (*dma)(struct unit *unit, uint16_t id, uint64_t bfn, bool write, uint64_t *mfn);
};
extern const struct unit_model vtd_unit_model, amdvi_unit_model;

/* Memory as a unit sees it, which must be Sluice's. */
const void *machine_memory_of(const struct unit *unit, uint64_t address, uint64_t size);
void machine_store(uint64_t address, const void *value, uint64_t size);

/* What the unit knows, NULL if nothing; the room where it will be remembered; and forgetting. */
struct unit_device *unit_known_device(struct unit *unit, uint16_t id);
struct unit_page *unit_known_page(struct unit *unit, uint16_t domain, uint64_t bfn);
void unit_remember_device(struct unit *unit, uint16_t id, uint64_t low, uint64_t high);
void unit_remember_page(struct unit *unit, uint16_t domain, uint64_t bfn, uint64_t entry);
void unit_forget_devices(struct unit *unit);
void unit_forget_pages(struct unit *unit);
void unit_forget_domain(struct unit *unit, uint16_t domain);
void unit_forget_range(struct unit *unit, uint16_t domain, uint64_t bfn, uint64_t frames);

#endif

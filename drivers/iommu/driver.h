/* SPDX-License-Identifier: MIT */
/*
 * Between iommu.c and a vendor's folder, and nobody else: what a context is, and what a vendor can do.
 */
#ifndef SLUICE_IOMMU_DRIVER_H
#define SLUICE_IOMMU_DRIVER_H

#include "drivers/iommu/finding.h"
#include "drivers/iommu/iommu.h"
#include "drivers/iommu/page_table.h"

#define IOMMU_UNITS_MAX    64u /* a context keeps the set of its units in 64 bits */
#define IOMMU_CONTEXTS_MAX 32u
#define IOMMU_MSI_BFN      0xfee00u /* device writes there are interrupts */
#define IOMMU_MSI_FRAMES   0x100u
#define IOMMU_RESERVED_MAX 64u /* a set of reserved ranges is 64 bits */

struct iommu_context {
    uint64_t end; /* BFNs from here on need a closer look: map.c. 0 when dead */
    uint64_t max_bfn, max_mfn;
    bool dead;         /* one of its units has stopped answering */
    bool flush_on_map; /* one of its units caches that nothing is mapped, or buffers writes */
    uint16_t domain;   /* id in the hardware's tables and caches */
    uint64_t units;    /* set of the units that have it attached */
    uint64_t reserved; /* set of the reserved ranges it maps */
    struct page_table table;
};

/* What every unit can do: a context must suit them all. */
struct iommu_limits {
    uint8_t levels, levels_max; /* a tree begins with the first and may grow to the second */
    uint8_t leaf_level;         /* highest level whose entries may be leaves: 1, 2 or 3 */
    uint8_t address_bits;       /* width of a bus address */
    bool coherent;
    bool flush_on_map;
    uint32_t domains;
};

/* Entries that remap interrupts, as hardware sees them, and whose they are. It has a page of its own. */
#define IOMMU_INTERRUPTS_MAX 1024u
struct iommu_interrupt_table {
    uint32_t unit;
    uint32_t count;           /* entries, a multiple of 64, IOMMU_INTERRUPTS_MAX at most */
    uint32_t destination_max; /* highest APIC id that an entry can name */
    void *entries;
    uint64_t entries_mfn;
    uint64_t used[IOMMU_INTERRUPTS_MAX / 64];
    uint16_t owner[IOMMU_INTERRUPTS_MAX]; /* requester id, of those in use */
};
_Static_assert(sizeof(struct iommu_interrupt_table) <= 4096, "a page");

/*
 * What a flush asks of each unit: to forget the blocks, naturally aligned, one descriptor for each. Where
 * there are none, or a unit has no descriptor for the largest: all of the domain, by one.
 */
struct iommu_plan {
    uint16_t domain;
    bool leaf_only; /* no entry that points at a table has changed */
    uint32_t order_max, count;
    struct iommu_block {
        uint64_t bfn;
        uint32_t order;
    } blocks[IOMMU_FLUSH_RANGES];
};

struct iommu_driver {
    const char *name;
    const struct page_format *format;
    int (*init)(const struct iommu_setup *setup, struct iommu_limits *limits);
    /* Names the reserved ranges, of machine addresses of so many bits, and attaches their devices to boot
     * contexts. */
    void (*reserve)(uint8_t address_bits);
    int (*enable)(void);
    int (*attach)(struct iommu_context *context, uint16_t segment, uint16_t requester_id);
    int (*detach)(uint16_t segment, uint16_t requester_id);
    bool (*covers)(uint16_t segment, uint16_t requester_id);
    uint16_t (*alias_of)(uint16_t segment, uint16_t requester_id); /* NULL: firmware names no aliases */
    /* A tree has a new root: its devices are told, by one store each. NULL: trees do not grow. 0 or -EIO. */
    int (*root_changed)(struct iommu_context *context);
    struct iommu_context *(*context_of)(uint32_t unit, uint16_t requester_id); /* or NULL */
    /* Takes a requester's translation away, without further fault records. */
    void (*isolate)(uint32_t unit, uint16_t requester_id);
    uint32_t (*unit_count)(void);
    bool (*unit_dead)(uint32_t unit);
    struct iommu_range (*unit_registers)(uint32_t unit);
    void (*invalidate)(uint32_t unit, const struct iommu_plan *plan); /* posts it and a wait; one bell */
    /* Both for one page, of which only the leaf has changed. 0, or -EIO and the unit is dead. */
    int (*forget_page)(uint32_t unit, uint16_t domain, uint64_t bfn);
    int (*wait)(uint32_t unit); /* until that wait is done: 0, or -EIO and the unit is dead */
    void (*read_faults)(void);  /* reads, reports and clears what is there */
    /* The table of the requester's entries, or NULL: -ENODEV no unit or no remapping, -ENOMEM, -EIO. `make`:
     * where there is none, it is made. */
    int (*interrupt_table)(uint16_t segment, uint16_t requester_id, bool make,
                           struct iommu_interrupt_table **table);
    /* Sets or (NULL) blocks an entry, makes the unit forget the old one and waits. 0 or -EIO. */
    int (*interrupt_write)(const struct iommu_interrupt_table *table, uint16_t requester_id, uint32_t index,
                           const struct iommu_interrupt *interrupt);
    struct iommu_message (*interrupt_message)(uint32_t index, const struct iommu_interrupt *interrupt);
    int (*interrupt_source)(enum iommu_interrupt_source kind, uint8_t id, uint16_t *segment,
                            uint16_t *requester_id);
    bool (*interrupts_remapped)(void);
};

extern const struct iommu_driver vtd_driver, amdvi_driver;

/* The vendor's that iommu_init() found units with, or NULL. */
const struct iommu_driver *iommu_driver(void);

/* Logs what a firmware table's parser and policy found. */
void iommu_report_findings(const char *table, const struct findings *findings);

/* Adds a reserved range, or finds the same one; its number, or -ENOSPC. One place is kept for a window.
 * flags: IOMMU_READ, IOMMU_WRITE. */
int iommu_reserved_add(uint64_t bfn, uint64_t frames, enum iommu_reserved_kind kind, uint32_t flags);

/* The boot context that maps exactly this set of reserved ranges and nothing else. */
int iommu_boot_context(uint64_t ranges, struct iommu_context **context);

/* The context that a unit has the requester in, or NULL. */
struct iommu_context *iommu_context_of(uint32_t unit, uint16_t requester_id);

/* The context with that domain id, or NULL. */
struct iommu_context *iommu_context_of_domain(uint16_t domain);

/* A unit tells that it is dead: its contexts are. */
void iommu_unit_died(uint32_t unit);

/* A requester that must do no more DMA: at its source, and in the unit's tables. */
void iommu_isolate(uint32_t unit, uint16_t segment, uint16_t requester_id);

/* ---- flush.c ---- */

void iommu_flush_by(const struct iommu_driver *in_use);

/* ---- map.c ---- */

void iommu_map_begin(const struct iommu_driver *in_use);
/* BFNs that never reach a page table beside the interrupt window: HyperTransport. Maps there are refused. */
void iommu_map_window(uint64_t bfn, uint64_t frames);
/* To be called when a tree is made; from then on map.c sees to it. */
void iommu_map_set_end(struct iommu_context *context);

/* ---- reserved.c: a vendor names what its firmware table reserves, between begin and attach ---- */

void iommu_reserve_begin(void);
/* Registers of a unit, which no range may hold; a bfn of 0 is none. */
void iommu_reserve_registers(uint64_t bfn, uint64_t frames);
/* [base, limit] in bytes, limit inclusive, rounded to frames. The range's number; -EPERM refused, in a
 * sentence. */
int iommu_reserve(uint64_t base, uint64_t limit, uint32_t flags, uint8_t address_bits);
/* The device reaches that range and, until somebody attaches it elsewhere, nothing else. A negative number:
 * it was refused, and the device stays blocked. */
void iommu_reserve_for(uint16_t segment, uint16_t id, int range);
/* The same for every function that is there. */
void iommu_reserve_for_all(uint16_t segment, uint16_t first, uint16_t last, int range);
void iommu_reserve_attach(void);
/* The device needs memory that it cannot be given. */
bool iommu_reserve_is_refused(uint16_t segment, uint16_t id);

/* ---- fault.c ---- */

enum iommu_access { IOMMU_ACCESS_READ, IOMMU_ACCESS_WRITE, IOMMU_ACCESS_INTERRUPT };

struct iommu_fault {
    uint32_t unit;
    uint16_t segment, source; /* requester id */
    enum iommu_access access;
    uint64_t bfn;       /* of an interrupt: its index or address */
    uint8_t code;       /* hardware's number for it */
    bool by_page_table; /* absent or not permitted there: the bus map may know better than the reason */
    const char *reason; /* in words */
};
/* Counts and logs a blocked access, with a limit; isolates a device that storms. */
void iommu_fault_report(const struct iommu_fault *fault);
/* The same for what concerns no device: the record as it was. */
void iommu_fault_note(const char *text, uint32_t unit, uint64_t low, uint64_t high);
/* Records were lost. */
void iommu_fault_lost(uint32_t unit);

/* Stops a requester's DMA at its source, or at the bridge that speaks for it. */
void iommu_cut_off(uint16_t segment, uint16_t requester_id);

#endif

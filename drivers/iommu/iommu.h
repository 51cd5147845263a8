/* SPDX-License-Identifier: MIT */
/*
 * The whole interface of the IOMMU subsystem, the same for VT-d and AMD-Vi.
 *
 * A context is one bus address space: a page-table tree that devices (requester ids) are attached to.
 * Map and unmap write entries and note in an explicit accumulator what must be invalidated; it is flushed
 * by iommu_flush(), earlier only when it is full or the table pages parked in it are missed. What an entry
 * referred to, and table pages that came free, stay parked in the accumulator and are released only after the
 * invalidation that covers them has completed. If it does not complete, the unit is dead and they are never
 * released.
 *
 * Units: BFN and MFN are 4 KiB frame numbers; an order o covers 2^o frames, naturally aligned.
 * Errors: negative numbers of guest-abi/include/sluice/errno.h. Not reentrant: one CPU, interrupts off.
 */
#ifndef SLUICE_IOMMU_H
#define SLUICE_IOMMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- bringing the units up ---- */

enum iommu_vendor { IOMMU_VENDOR_NONE = 0, IOMMU_VENDOR_VTD, IOMMU_VENDOR_AMDVI };

struct iommu_setup {
    enum iommu_vendor vendor;
    const void *table;      /* private, checksummed copy of the DMAR or IVRS */
    size_t table_size;      /* bytes, header included */
    uint8_t physical_bits;  /* width of a machine address */
    uint64_t fault_address; /* MSI that fault events are sent as */
    uint32_t fault_data;
    bool x2apic; /* the CPU's local APIC is in x2APIC mode: APIC ids of 32 bits */
};

/*
 * Bits of a machine address that devices, and the units themselves, can put on the bus, as firmware's table
 * has it; 64 where it does not say. Reads nothing but the table.
 */
uint32_t iommu_dma_bits(const struct iommu_setup *setup);

/*
 * Parses the table, finds the units, builds default-deny tables and identity-maps the reserved ranges for
 * the devices they name. Touches no translation-enable bit. 0; -ENODEV no usable unit (each refusal was
 * logged with the missing feature); -ENOMEM.
 */
int iommu_init(const struct iommu_setup *setup);

/* Points every unit at its tables, flushes, enables translation, then drops protected ranges. A unit that
 * does not come on is dead. 0, or -EIO when none came on. */
int iommu_enable(void);

/* ---- contexts ---- */

struct iommu_context;

#define IOMMU_READ     0x1u
#define IOMMU_WRITE    0x2u
#define IOMMU_WITHHELD 0x4u  /* software bit: write was asked for and is withheld */
#define IOMMU_PREMAP   0x8u  /* software bit: put there at boot, not by the guest */
#define IOMMU_LOCKED   0x10u /* software bit: reserved range, immutable */

/* quota: most table pages the context may hold, set aside now. Reserved ranges are in it already. */
int iommu_context_create(struct iommu_context **context, uint32_t quota);

/*
 * Lets the requester id do DMA in the context; until then it is blocked. 0; -ENODEV no unit covers it; -EPERM
 * firmware reserves memory for it that it cannot have; -ENOMEM; -EIO unit dead.
 */
int iommu_attach(struct iommu_context *context, uint16_t segment, uint16_t requester_id);

/*
 * Blocks the requester id again, and any alias of it; when it returns the unit has forgotten what the id
 * could reach. What is attached to nothing stays as it is. 0; -ENODEV no unit covers it; -EIO unit dead.
 */
int iommu_detach(uint16_t segment, uint16_t requester_id);

/* True when some unit judges the DMA of the requester id. */
bool iommu_covers(uint16_t segment, uint16_t requester_id);

/* The requester id as which firmware says that this one shows: the same one when there is no other. */
uint16_t iommu_alias(uint16_t segment, uint16_t requester_id);

uint64_t iommu_max_bfn(const struct iommu_context *context);
uint32_t iommu_tables_used(const struct iommu_context *context);
uint32_t iommu_tables_peak(const struct iommu_context *context);
uint32_t iommu_tables_quota(const struct iommu_context *context);
/* Of those that are not used, how many splitting every large leaf would take: none may be taken for a map. */
uint32_t iommu_tables_kept(const struct iommu_context *context);

/* ---- map, unmap, lookup, flush ---- */

#define IOMMU_FLUSH_PARKED 512u       /* runs of entries an accumulator can hold */
#define IOMMU_FLUSH_FRAMES (1u << 18) /* and frames, more or less: their release is not interrupted */
#define IOMMU_FLUSH_RANGES 8u         /* separate BFN ranges before it widens to the whole domain */

struct iommu_range {
    uint64_t bfn, frames;
};

/* Frames that followed each other on the bus and in the machine, under the same flags. */
struct iommu_frames {
    uint64_t entry; /* of the first one, as it was */
    uint64_t count;
};

#define IOMMU_NO_TABLE UINT32_MAX

/* Explicit flush accumulator. One context at a time; start with iommu_flush_begin(). */
struct iommu_flush {
    struct iommu_context *context;
    struct iommu_range ranges[IOMMU_FLUSH_RANGES];
    uint32_t range_count;
    bool whole_domain;
    bool tables_changed; /* entries that point at tables, perhaps: no hint */
    uint32_t parked_count;
    uint32_t parked_tables; /* list of table pages, IOMMU_NO_TABLE ends it; engine's business */
    uint64_t parked_frames;
    struct iommu_frames parked[IOMMU_FLUSH_PARKED];
};

void iommu_flush_begin(struct iommu_flush *flush, struct iommu_context *context);

/* True when the next element might not fit: flush first. */
static inline bool iommu_flush_full(const struct iommu_flush *flush)
{
    return flush->parked_count >= IOMMU_FLUSH_PARKED || flush->parked_frames >= IOMMU_FLUSH_FRAMES;
}

/*
 * Maps [bfn, bfn + 2^order) to [mfn, ...) with flags (at least R or W effective or withheld). A present
 * entry is replaced by one 64-bit store. The caller has taken the references. 0; -EINVAL beyond the bus
 * width or misaligned; -EACCES touches a locked entry; -ENOMEM quota; -EIO unit dead. On an error no
 * mapping changed (a tree may have grown). Whatever the order, 2 MiB and 1 GiB that continue each other end
 * up in one entry where the units allow; the quota is as if they did not, so that no unmap ever lacks a
 * table. Rather than overrun the accumulator, or fail for want of tables that are parked in it, the
 * accumulator is flushed early.
 */
int iommu_map(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t order, uint32_t flags,
              struct iommu_flush *flush);

/*
 * As iommu_map() for `frames` consecutive frames, quickly: the boot-time map. Stops at the first error;
 * *done frames were mapped. Flushes by itself when the accumulator is full.
 */
int iommu_map_run(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint64_t frames, uint32_t flags,
                  struct iommu_flush *flush, uint64_t *done);

/* One frame of a list. */
struct iommu_element {
    uint64_t bfn, mfn;
    uint32_t flags; /* as of iommu_map() */
    int32_t status; /* the caller's: nothing looks at it */
};

/*
 * As iommu_map() of order 0 for each element in turn, quickly: what a batch of scattered frames takes. Stops
 * at the first error; *done elements were mapped.
 */
int iommu_map_list(struct iommu_context *context, const struct iommu_element *list, uint32_t count,
                   struct iommu_flush *flush, uint32_t *done);

/* Removes what is there; absent is success. -EINVAL, -EACCES (locked), -EIO as above. Never allocates. */
int iommu_unmap(struct iommu_context *context, uint64_t bfn, uint32_t order, struct iommu_flush *flush);

/*
 * As iommu_unmap() for each of `frames` consecutive BFNs in turn, quickly; leaves that the range covers go
 * whole. Stops at the first error; *done frames hold nothing. Flushes by itself when the accumulator is full.
 */
int iommu_unmap_run(struct iommu_context *context, uint64_t bfn, uint64_t frames, struct iommu_flush *flush,
                    uint64_t *done);

/* As iommu_unmap() of order 0 for each element in turn, quickly; only their BFNs count. Stops at the first
 * error; *done elements hold nothing. */
int iommu_unmap_list(struct iommu_context *context, const struct iommu_element *list, uint32_t count,
                     struct iommu_flush *flush, uint32_t *done);

/* True for a BFN whose accesses never reach a page table: interrupts, and HyperTransport where there is. */
bool iommu_is_window(uint64_t bfn);

struct iommu_mapping {
    uint64_t mfn;
    uint32_t flags; /* IOMMU_* */
};

/*
 * As iommu_unmap() of order 0. Where that takes one store and nothing else is owed, the page is forgotten at
 * once, *gone is what was there, and the reference is for the caller to drop; else gone->flags is 0, and the
 * flush, which must then follow, does the rest.
 */
int iommu_unmap_page(struct iommu_context *context, uint64_t bfn, struct iommu_mapping *gone,
                     struct iommu_flush *flush);

/*
 * Gives the entry of bfn, which must lead to mfn, other flags (as of iommu_map(), and IOMMU_PREMAP as it is).
 * What it stands for stays referred to. 0; -ENOENT no such entry; -EACCES locked; -EIO unit dead. Splits what
 * is larger, for which there is always a table; needs a flush before it can be relied on.
 */
int iommu_rewrite(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t flags,
                  struct iommu_flush *flush);

/* What a device would get at bfn. 0, -ENOENT, -EINVAL beyond the bus width. */
int iommu_lookup(const struct iommu_context *context, uint64_t bfn, struct iommu_mapping *mapping);

/*
 * Posts the fewest descriptors that cover the accumulator and one wait per unit, waits with a bound, then
 * releases what is parked and empties the accumulator. Nothing is posted when nothing is owed, but what was
 * mapped may reach hardware only now: call it after maps, too. 0 or -EIO.
 */
int iommu_flush(struct iommu_flush *flush);

/* ---- reserved ranges ---- */

enum iommu_reserved_kind { IOMMU_KIND_IDENTITY = 1, IOMMU_KIND_MSI = 2, IOMMU_KIND_HYPERTRANSPORT = 3 };

struct iommu_reserved {
    uint64_t bfn, frames;
    enum iommu_reserved_kind kind;
    uint32_t flags; /* IOMMU_READ, IOMMU_WRITE: what its devices may do there */
};

uint32_t iommu_reserved_count(void);
struct iommu_reserved iommu_reserved_at(uint32_t index);

/* ---- interrupts ---- */

enum iommu_interrupt_source { IOMMU_SOURCE_IOAPIC, IOMMU_SOURCE_HPET };

/* What the CPU gets: fixed delivery to one local APIC. */
struct iommu_interrupt {
    uint8_t vector; /* 0x10 and up */
    bool level;
    uint32_t destination; /* APIC id, physical; no broadcast */
};

/* What the device must send for it. An IO-APIC's entry has the index of the address, and vector and level. */
struct iommu_message {
    uint64_t address;
    uint32_t data;
};

/*
 * An entry for the requester id in its unit's table, blocked until it is set; its index. 0; -ENODEV no unit
 * covers it, or that unit does not remap interrupts; -ENOSPC its table is full; -ENOMEM; -EIO unit dead.
 */
int iommu_interrupt_allocate(uint16_t segment, uint16_t requester_id, uint32_t *index);

/*
 * Sets the entry, or blocks it with NULL; when it returns the unit has forgotten what was there. *message is
 * what the device must be programmed with, if message is not NULL. 0; -ENOENT not an entry of the
 * requester's; -EINVAL vector or destination; -ENODEV, -EIO as above.
 */
int iommu_interrupt_set(uint16_t segment, uint16_t requester_id, uint32_t index,
                        const struct iommu_interrupt *interrupt, struct iommu_message *message);

/* Blocks the entry and gives it back. Errors as of iommu_interrupt_set(); after -EIO it is nobody's. */
int iommu_interrupt_free(uint16_t segment, uint16_t requester_id, uint32_t index);

/* Requester id that an IO-APIC (by its id) or an HPET (by its number) shows, as firmware says. 0 or -ENOENT.
 */
int iommu_interrupt_source(enum iommu_interrupt_source kind, uint8_t id, uint16_t *segment,
                           uint16_t *requester_id);

/* True when every unit that firmware names remaps interrupts. */
bool iommu_interrupts_remapped(void);

/* ---- faults, counters, description ---- */

/* The fault MSI's handler: reads, decodes, logs with a limit, clears, re-arms. */
void iommu_fault_interrupt(void);
/* Reopens log limits and looks for faults that raised no interrupt; call about every 100 ms from a timer. */
void iommu_fault_tick(void);

struct iommu_counters {
    uint64_t flushes;                                        /* iommu_flush() calls that posted something */
    uint64_t context_global, context_domain, context_device; /* of what devices are in which context */
    uint64_t iotlb_global, iotlb_domain, iotlb_page;         /* descriptors, by granularity */
    uint64_t device_iotlb, interrupt_entry;
    uint64_t waits;
    uint64_t faults, faults_suppressed;
    uint64_t maps, unmaps; /* elements */
};
extern struct iommu_counters iommu_counters;

uint32_t iommu_unit_count(void);
bool iommu_unit_dead(uint32_t unit);
/* Physical page ranges of the units' registers: never to be mapped by anyone else. */
struct iommu_range iommu_unit_registers(uint32_t unit);
#define IOMMU_REGISTERS_MAX 256u
/*
 * Registers that firmware names, of units that cannot be used as well, and what else nobody's CPU or DMA may
 * be let to. index counts from 0 and is below IOMMU_REGISTERS_MAX; frames 0 ends the list.
 */
struct iommu_range iommu_registers_at(uint32_t index);
/* True when firmware reserved memory for the device, or for more devices than are kept in mind. */
bool iommu_has_reserved(uint16_t segment, uint16_t id);
/* True when the requester (segment 0) did nothing but fault: its bus mastering stays off. */
bool iommu_is_isolated(uint16_t requester_id);
const char *iommu_vendor_name(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share: the unit.
 *
 * unit.c finds units and brings them up; dmar.c and scope.c know what firmware says, reserve.c which memory
 * it reserves; device.c holds the root and context tables; interrupt.c the interrupt-remapping table; queue.c
 * invalidates; fault.c reads what was blocked.
 */
#ifndef SLUICE_VTD_VTD_H
#define SLUICE_VTD_VTD_H

#include "drivers/iommu/driver.h"
#include "drivers/iommu/host.h"
#include "drivers/iommu/ring.h"
#include "drivers/iommu/vtd/dmar.h"
#include "drivers/iommu/vtd/regs.h"

#define VTD_WAIT_NS 1000000000ull /* longest that a unit may take for one command */

struct vtd_unit {
    volatile uint8_t *registers;
    uint64_t base, size; /* bytes */
    uint64_t cap, ecap;
    uint32_t index;
    uint16_t segment;
    bool dead;
    bool enabled; /* translation is on, with our tables */
    bool queued;  /* the invalidation queue is on; otherwise the registers are used */
    struct vtd_entry *root;
    uint64_t root_mfn;
    struct ring queue;
    uint32_t queue_written; /* the first record that is not written back yet */
    uint32_t drain;         /* the DRAIN bits of its IOTLB descriptors */
    uint64_t queue_mfn;
    volatile uint32_t *status; /* the unit writes the number of the latest wait it has finished */
    uint64_t status_address;
    uint32_t waits;         /* number of the latest wait posted */
    uint64_t fault_address; /* the MSI of its fault event */
    uint32_t fault_data;
    uint32_t recoveries; /* refused descriptors since the last good wait */
    bool x2apic;         /* entries of the interrupt-remapping table have 32-bit APIC ids */
    bool remaps;         /* interrupt remapping is on, with our table */
    struct iommu_interrupt_table *interrupts; /* NULL: the unit does not remap interrupts */
};

extern const struct page_format vtd_page_format;

static inline uint32_t vtd_read32(const struct vtd_unit *unit, uint32_t offset)
{
    return host_mmio_read32(unit->registers + offset);
}
static inline uint64_t vtd_read64(const struct vtd_unit *unit, uint32_t offset)
{
    return host_mmio_read64(unit->registers + offset);
}
static inline void vtd_write32(const struct vtd_unit *unit, uint32_t offset, uint32_t value)
{
    host_mmio_write32(unit->registers + offset, value);
}
static inline void vtd_write64(const struct vtd_unit *unit, uint32_t offset, uint64_t value)
{
    host_mmio_write64(unit->registers + offset, value);
}
static inline bool vtd_is_coherent(const struct vtd_unit *unit)
{
    return (unit->ecap & VTD_ECAP_C) != 0;
}

/* ---- unit.c ---- */

struct vtd_unit *vtd_unit_at(uint32_t index);
uint32_t vtd_unit_count(void);
/* The unit that the requester's DMA passes, or NULL: none, or one that is not usable. */
struct vtd_unit *vtd_unit_of(uint16_t segment, uint16_t requester_id);
/* Waits with a bound until (register & mask) == value. */
bool vtd_poll32(const struct vtd_unit *unit, uint32_t offset, uint32_t mask, uint32_t value);
/* The unit stopped answering: its devices are cut off, its contexts fail from now on. */
void vtd_unit_dies(struct vtd_unit *unit, const char *what);
/* Sets or clears one global bit, waits for its status. One-shot commands: on. False: no answer. */
bool vtd_global_command(struct vtd_unit *unit, uint32_t bit, bool on);

/* ---- reserve.c ---- */

/* Adds the usable RMRRs to the reserved ranges and lets their devices reach them and nothing else. */
void vtd_reserved_init(const struct dmar *dmar, uint8_t address_bits);

/* ---- device.c ---- */

/* An empty root table: every requester is blocked. */
bool vtd_context_init(struct vtd_unit *unit);
int vtd_attach(struct iommu_context *context, uint16_t segment, uint16_t requester_id);
int vtd_detach(uint16_t segment, uint16_t requester_id);
bool vtd_covers(uint16_t segment, uint16_t requester_id);
/* The context that the requester is in, or NULL. */
struct iommu_context *vtd_context_of(const struct vtd_unit *unit, uint16_t requester_id);
/* Takes a requester's translation away, without further fault records. */
void vtd_isolate(struct vtd_unit *unit, uint16_t requester_id);
/* Clears bus mastering of everything that is attached. */
void vtd_cut_off_all(const struct vtd_unit *unit);

/* ---- interrupt.c ---- */

/* A table in which every interrupt is blocked, where the unit can remap; if not, says why. False: no memory.
 */
bool vtd_interrupts_init(struct vtd_unit *unit, bool firmware_allows, bool x2apic);
/* Which IO-APICs and HPETs *dmar names. unit_of[i]: our unit of DRHD i, or NULL. */
void vtd_sources_init(const struct dmar *dmar, struct vtd_unit *const *unit_of);
/* Points the unit at its table, or switches remapping off. What failed, or NULL. */
const char *vtd_interrupts_take_over(struct vtd_unit *unit);
/* Switches remapping on where there is a table, after the first invalidation. False: no answer. */
bool vtd_interrupts_enable(struct vtd_unit *unit);
int vtd_interrupt_table(uint16_t segment, uint16_t requester_id, bool make,
                        struct iommu_interrupt_table **table);
int vtd_interrupt_write(const struct iommu_interrupt_table *table, uint16_t requester_id, uint32_t index,
                        const struct iommu_interrupt *interrupt);
struct iommu_message vtd_interrupt_message(uint32_t index, const struct iommu_interrupt *interrupt);
int vtd_interrupt_source(enum iommu_interrupt_source kind, uint8_t id, uint16_t *segment,
                         uint16_t *requester_id);

extern struct vtd_unit vtd_units[]; /* unit.c's, by index */

/* ---- queue.c ---- */

bool vtd_queue_init(struct vtd_unit *unit);   /* memory only */
bool vtd_queue_enable(struct vtd_unit *unit); /* whatever firmware left is drained and replaced */
void vtd_post_context_global(struct vtd_unit *unit);
void vtd_post_context_device(struct vtd_unit *unit, uint16_t domain, uint16_t requester_id);
void vtd_post_iotlb_global(struct vtd_unit *unit);
void vtd_post_iotlb_domain(struct vtd_unit *unit, uint16_t domain);
void vtd_post_interrupts_global(struct vtd_unit *unit); /* these two only on a unit with a queue */
void vtd_post_interrupt_entry(struct vtd_unit *unit, uint32_t index);
void vtd_submit(struct vtd_unit *unit);
int vtd_wait(struct vtd_unit *unit);
/* What a flush takes, as the driver's functions of these names. */
void vtd_invalidate(uint32_t index, const struct iommu_plan *plan);
int vtd_wait_for(uint32_t index);
int vtd_forget_page(uint32_t index, uint16_t domain, uint64_t bfn);

/* ---- fault.c ---- */

/* Clears what firmware left in the records, and lets the fault event interrupt. */
void vtd_fault_enable(struct vtd_unit *unit);
/* Reads, decodes and reports what is there, and clears it. */
void vtd_read_faults(void);

#endif

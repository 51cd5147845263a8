/* SPDX-License-Identifier: MIT */
/*
 * What the files of this folder share: the unit.
 *
 * unit.c finds units and brings them up; ivrs.c and scope.c know what firmware says, reserve.c which memory
 * it reserves; device.c holds the device table; interrupt.c the interrupt tables; queue.c sends commands;
 * fault.c reads the event log.
 */
#ifndef SLUICE_AMDVI_AMDVI_H
#define SLUICE_AMDVI_AMDVI_H

#include "drivers/iommu/amdvi/ivrs.h"
#include "drivers/iommu/amdvi/regs.h"
#include "drivers/iommu/driver.h"
#include "drivers/iommu/host.h"
#include "drivers/iommu/ring.h"

#define AMDVI_WAIT_NS 1000000000ull /* longest that a unit may take for one command */
#define AMDVI_NO_SLOT UINT32_MAX

struct amdvi_unit {
    volatile uint8_t *registers;
    uint64_t base;     /* physical address of the registers, bytes */
    uint64_t features; /* EFR: what the register says */
    uint64_t control;  /* what the control register holds */
    uint32_t index;
    uint16_t segment, id; /* its own PCI function */
    uint16_t capability;  /* offset of its capability in configuration space, 0: none */
    uint8_t flags;        /* IVHD flags */
    bool caches_absence;  /* NpCache */
    bool dead;
    bool enabled;              /* translation is on, with our tables */
    uint64_t interrupt_format; /* of the control bits GAEn and XTEn, those that the unit runs with */
    struct amdvi_device *devices;
    uint64_t devices_mfn;
    struct ring commands;
    uint64_t commands_mfn;
    struct ring events;
    uint64_t events_mfn;
    volatile uint64_t *status; /* the unit stores the number of the latest wait it has finished */
    uint64_t status_address;
    uint64_t waits;         /* number of the latest wait posted */
    uint64_t fault_address; /* the MSI of its event interrupt */
    uint32_t fault_data;
    uint32_t recoveries; /* refused commands since the last good wait */
};

extern const struct page_format amdvi_page_format;

static inline uint64_t amdvi_read(const struct amdvi_unit *unit, uint32_t offset)
{
    return host_mmio_read64(unit->registers + offset);
}
static inline void amdvi_write(const struct amdvi_unit *unit, uint32_t offset, uint64_t value)
{
    host_mmio_write64(unit->registers + offset, value);
}

/* ---- unit.c ---- */

struct amdvi_unit *amdvi_unit_at(uint32_t index);
uint32_t amdvi_unit_count(void);
/* The unit that the requester's DMA passes, or NULL: none, or one that is not usable. */
struct amdvi_unit *amdvi_unit_of(uint16_t segment, uint16_t requester_id);
/* The requester id that the device's DMA shows: its own, or the alias that firmware names. */
uint16_t amdvi_alias_of(uint16_t segment, uint16_t requester_id);
/* Waits with a bound until (status & mask) == value. */
bool amdvi_poll_status(const struct amdvi_unit *unit, uint64_t mask, uint64_t value);
/* The unit stopped answering: its devices are cut off, its contexts fail from now on. */
void amdvi_unit_dies(struct amdvi_unit *unit, const char *what);
/* Sets or clears bits of the control register. */
void amdvi_control(struct amdvi_unit *unit, uint64_t bits, bool on);

/* ---- reserve.c ---- */

/* Adds the usable memory blocks to the reserved ranges and lets their devices reach them and nothing else. */
void amdvi_reserved_init(const struct ivrs *ivrs, uint8_t address_bits);

/* ---- device.c ---- */

/* A device table that denies everything to every requester id. */
bool amdvi_devices_init(struct amdvi_unit *unit);
int amdvi_attach(struct iommu_context *context, uint16_t segment, uint16_t requester_id);
int amdvi_detach(uint16_t segment, uint16_t requester_id);
bool amdvi_covers(uint16_t segment, uint16_t requester_id);
/* The context's tree has a new root: every device in it is told. 0 or -EIO. */
int amdvi_root_changed(struct iommu_context *context);
/* The context that the requester is in, or NULL. */
struct iommu_context *amdvi_context_of(const struct amdvi_unit *unit, uint16_t requester_id);
/* Takes a requester's translation away, without further events. */
void amdvi_isolate(struct amdvi_unit *unit, uint16_t requester_id);
/* Clears bus mastering of everything that is attached. */
void amdvi_cut_off_all(const struct amdvi_unit *unit);

/* ---- interrupt.c ---- */

/* How wide entries of interrupt tables and their APIC ids are. */
void amdvi_interrupts_init(struct amdvi_unit *unit, bool x2apic);
/* Which IO-APICs and HPETs *ivrs names. unit_of[i]: our unit of the i-th block, or NULL. */
void amdvi_sources_init(const struct ivrs *ivrs, struct amdvi_unit *const *unit_of);
int amdvi_interrupt_table(uint16_t segment, uint16_t requester_id, bool make,
                          struct iommu_interrupt_table **table);
int amdvi_interrupt_write(const struct iommu_interrupt_table *table, uint16_t requester_id, uint32_t index,
                          const struct iommu_interrupt *interrupt);
struct iommu_message amdvi_interrupt_message(uint32_t index, const struct iommu_interrupt *interrupt);
int amdvi_interrupt_source(enum iommu_interrupt_source kind, uint8_t id, uint16_t *segment,
                           uint16_t *requester_id);

/* ---- queue.c ---- */

bool amdvi_queue_init(struct amdvi_unit *unit); /* memory only */
/* Stops what firmware left and points the unit at our buffer; it runs from CmdBufEn and IommuEn on. */
bool amdvi_queue_enable(struct amdvi_unit *unit);
void amdvi_post_device(struct amdvi_unit *unit, uint16_t requester_id);
void amdvi_post_domain(struct amdvi_unit *unit, uint16_t domain);
void amdvi_post_interrupts(struct amdvi_unit *unit, uint16_t requester_id);
/* Everything the unit may know, whoever had it before; also submits and waits where that takes many
 * commands. */
void amdvi_post_everything(struct amdvi_unit *unit);
/* Posts and submits what a flush asks for. */
void amdvi_invalidate(struct amdvi_unit *unit, const struct iommu_plan *plan);
/* The same for one page, and waits. 0 or -EIO. */
int amdvi_forget_page(struct amdvi_unit *unit, uint16_t domain, uint64_t bfn);
void amdvi_submit(struct amdvi_unit *unit);
int amdvi_wait(struct amdvi_unit *unit);

/* ---- fault.c ---- */

bool amdvi_fault_init(struct amdvi_unit *unit); /* memory only */
/* Points the unit at our event log and sets up its interrupt. */
bool amdvi_fault_enable(struct amdvi_unit *unit);
/* Reads, decodes and reports what one unit has logged, and restarts a log that overflowed. */
void amdvi_read_events(struct amdvi_unit *unit);
void amdvi_read_faults(void);
/* Slot of the command that the log calls illegal, without taking the event; or AMDVI_NO_SLOT. */
uint32_t amdvi_illegal_slot(const struct amdvi_unit *unit);

#endif

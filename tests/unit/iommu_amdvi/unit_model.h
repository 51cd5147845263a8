/* SPDX-License-Identifier: MIT */
/*
 * A strict model of AMD-Vi units behind host.h: spec 48882 revision 3.08 as far as Sluice relies on it. What
 * the specification leaves undefined, or what would open a gap, fails the test that does it.
 *
 * A unit keeps device entries and translations until a command makes it forget them. It knows commands only
 * while IommuEn and CmdBufEn are set, halts at an illegal one, and logs events until its log is full.
 */
#ifndef SLUICE_TESTS_AMDVI_UNIT_MODEL_H
#define SLUICE_TESTS_AMDVI_UNIT_MODEL_H

#include "drivers/iommu/amdvi/regs.h"
#include "drivers/iommu/iommu.h"

#include <stdbool.h>
#include <stdint.h>

#define MODEL_UNITS     2u
#define MODEL_FIRST_MFN 0x100000u
#define MODEL_FRAMES    4096u
#define MODEL_BASE(u)   (0xfeb80000ull + (uint64_t)(u)*0x80000ull)
#define MODEL_UNIT_ID   0x02u                                /* 00:00.2, and 20:00.2 */
#define MODEL_EFR       (AMDVI_FEATURE_INV_ALL | 2ull << 10) /* HATS 2: six levels */
#define MODEL_CACHED    64u

struct model_unit {
    /* registers */
    uint64_t device_table, command_base, event_base, control, exclusion_base, exclusion_limit, features;
    uint64_t command_head, command_tail, event_head, event_tail, status;
    /* what it remembers */
    struct amdvi_device known[AMDVI_DEVICES];
    bool is_known[AMDVI_DEVICES];
    struct {
        bool valid;
        uint16_t domain;
        uint64_t bfn, entry;
    } cached[MODEL_CACHED];
    /* levers */
    bool drop_waits;        /* COMPLETION_WAIT does not store */
    uint32_t refuse;        /* so many of the next commands are illegal, whatever they are */
    uint64_t refuse_opcode; /* ... of this opcode only; 0: any */
    bool late;              /* events: the tail moves, the record comes with model_late_events() */
    /* observations */
    uint32_t commands[16];                 /* by opcode */
    uint32_t refused, lost_events, starts; /* starts: of the event log */
    struct ring_record last_pages;         /* the latest INVALIDATE_IOMMU_PAGES */
};
extern struct model_unit model_units[MODEL_UNITS];

/* The machine: memory, configuration space, time. */
struct model_machine {
    uint64_t released; /* frames let go */
    uint64_t stores, pauses;
    void (*on_store)(void);
    void (*on_pause)(void);
};
extern struct model_machine model_machine;

void model_reset(void);
/* Functions are 00:00.0 to 00:07.0, each a bus master. */
bool model_is_master(uint16_t id);
/* A register of the unit's MSI capability, as configuration space has it. */
uint32_t model_msi(uint32_t unit, uint32_t offset);
void *model_memory(uint64_t address, uint64_t size);

/* ---- between machine_model.c and unit_model.c ---- */

void model_reset_units(void);
uint64_t model_read(uint32_t unit, uint32_t offset);
void model_write(uint32_t unit, uint32_t offset, uint64_t value);
/* A store has changed this qword: entries of device tables in use and of the command buffers are judged. */
void model_judge_device(const struct amdvi_device *device);
void model_judge_store(const uint64_t *address, bool both_halves);

/* An access of a device. True: it passed, *mfn is where to. False: it was blocked and, unless SA is set,
 * logged. */
bool model_dma(uint32_t unit, uint16_t id, uint64_t bfn, bool write, uint64_t *mfn);
void model_event(uint32_t unit, uint64_t low, uint64_t high);
/* Records that were late are written. */
void model_late_events(uint32_t unit);

#endif

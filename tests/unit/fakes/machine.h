/* SPDX-License-Identifier: MIT */
/*
 * A small machine for host tests of pv/: RAM, a frame table with the rules of mem/frame.h, a
 * machine-to-physical list, guest memory that can fault, and a TLB that remembers when it was flushed.
 */
#ifndef SLUICE_TESTS_MACHINE_H
#define SLUICE_TESTS_MACHINE_H

#include "mem/frame.h"
#include "pv/guest.h"

#include <stdint.h>

#define MACHINE_FRAMES 8192u
#define MACHINE_MMIO   0x90000u /* frame of a device's registers */
#define MACHINE_MSIX   0x90001u /* frame the CPU may only read */
#define MACHINE_ACPI   0x90002u
#define MACHINE_APIC   0xfee00u /* denied, like everything that is not above */
/* Every frame from here on counts as device registers; UINT64_MAX: none. */
extern uint64_t machine_device_from;

extern struct frame machine_frames[MACHINE_FRAMES];
extern uint64_t machine_m2p[MACHINE_FRAMES];
/* withhold.c: what withhold() gives, and how often each was called. */
extern int machine_withhold_error;
extern uint32_t machine_withheld, machine_restored, machine_restore_ends;
extern uint64_t machine_loaded_l4; /* by tlb_load() */
extern uint32_t machine_policies;  /* times that the guest's windows were worked out */

/* What map_descriptor_page() and descriptors_load_ldt() were given. */
extern uint64_t machine_descriptor_pages[MAP_LDT_PAGE + MAP_LDT_PAGES];
extern uint32_t machine_ldt_entries;

/* All frames the guest's, untyped, unreferenced; RAM holds 0x5a bytes; counters at zero. */
void machine_reset(void);

uint64_t *machine_page(uint64_t mfn);

/* Called at every TLB flush, with the address for INVLPG or UINT64_MAX; may be NULL. */
extern void (*machine_on_flush)(uint64_t address);
extern uint32_t machine_full_flushes, machine_page_flushes;

/* Guest memory: addresses are host addresses; those below one page, and those from here on, fault. */
extern uint64_t machine_fault_from;

/* What the preemption point answers, and how often it was asked. */
extern bool machine_work_pending;
extern uint32_t machine_preemption_points;

/* The last call of hypercall_continue(). */
extern struct hypercall_args machine_continued;
extern uint32_t machine_continuations;

#endif

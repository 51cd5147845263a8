/* SPDX-License-Identifier: MIT */
/*
 * The model machine around the real sources: RAM in one block, a CPU that walks the guest's page tables in it
 * and remembers what it found until it is told to forget, and devices behind the model IOMMU.
 */
#ifndef SLUICE_ADVERSARY_MACHINE_H
#define SLUICE_ADVERSARY_MACHINE_H

#include "drivers/iommu/iommu.h"
#include "mem/frame.h"

#include <stdbool.h>
#include <stdint.h>

#define RAM_FRAMES  640u
#define GUEST_PAGES 288u

/* Frames outside of RAM. */
#define MFN_MMIO       0x90000u /* registers of a device of the guest's */
#define MFN_MSIX       0x90001u /* which the CPU may only read */
#define MFN_LOCAL_APIC 0xfee00u

struct machine_options {
    enum iommu_vendor vendor;
    uint64_t seed;
    uint64_t check_every, check_from; /* actions */
    bool trace;
};
extern struct machine_options machine_options;

/* What a life tells its parent, which outlives it. */
struct progress {
    uint64_t seed, actions, steps, checks, crashes, shutdowns, stranded, dma_writes, faults, calls_done,
        interrupts;
    char act[64];
};
extern struct progress *progress;

static inline struct frame *machine_frame(uint64_t mfn)
{
    return &frame_table[mfn];
}

/* Pages of descriptors that the processor reads: GDT, then LDT, as map_descriptor_page() counts. */
#define DESCRIPTOR_PAGES (MAP_LDT_PAGE + MAP_LDT_PAGES)
extern uint64_t machine_descriptor_pages[DESCRIPTOR_PAGES];

/* Random numbers of the machine's own doing: what it caches, when it interrupts. */
extern uint64_t machine_random;

/* Builds the machine and its guest, and fills in `world`. */
void machine_boot(void);

/* A rule is broken: says which, with the seed and the step, and ends the process with status 1. */
_Noreturn void machine_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- memory.c: the CPU ---- */

/* The byte at a guest address, or NULL where the access faults. */
uint8_t *cpu_reach(uint64_t address, bool write);
/* Caches a translation of its own accord, as CPUs do. */
void cpu_speculate(uint64_t address);
/* No translation that is cached leads where it must not. */
void cpu_check(void);
extern uint64_t cpu_loaded_l4;

/* ---- recount.c ---- */

/* Counts every reference and type again from what stands in memory; fails where a record says otherwise. */
void recount(void);

/* ---- clock.c ---- */

/* Lets in what is pending. */
void machine_interrupts(void);

/* ---- privileged.c ---- */

/* Instructions that only ring 0 has are done, or stepped over, from now on. */
void privileged_init(void);
/* The CPU sleeps until something happens (clock.c). */
void machine_halt(void);

#endif

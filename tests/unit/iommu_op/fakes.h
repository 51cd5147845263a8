/* SPDX-License-Identifier: MIT */
/*
 * The world around iommu_op.c, small enough to look through: a guest of a few pages, a frame table, one bus
 * address space, an accumulator that releases only at its flush, and a continuation that is only noted.
 */
#ifndef SLUICE_TEST_IOMMU_OP_FAKES_H
#define SLUICE_TEST_IOMMU_OP_FAKES_H

#include "cpu/trap.h"
#include "drivers/iommu/iommu.h"
#include "guest-abi/include/sluice/errno.h"
#include "guest-abi/include/sluice/iommu_op.h"
#include "mem/frame.h"
#include "mem/guest_copy.h"
#include "pv/guest.h"
#include "pv/hypercall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The guest's pages, from GUEST_BASE: writable, then one read-only, then one that is not mapped. */
#define GUEST_BASE       0x400000ull
#define PAGES_WRITABLE   32u
#define GUEST_READ_ONLY  (GUEST_BASE + PAGES_WRITABLE * FRAME_SIZE)
#define GUEST_UNMAPPED   (GUEST_READ_ONLY + FRAME_SIZE)
#define NOT_CANONICAL    0x0000800000000000ull
#define HYPERVISOR_SPACE 0xffff820000000000ull

/* Machine frames. */
#define FRAMES         4096u
#define MFN_OWN        0x10u  /* to 0x3ff: the guest's, type none */
#define MFN_TABLE      0x400u /* the guest's, a page table */
#define MFN_HYPERVISOR 0x401u
#define MFN_FIRMWARE   0x402u
#define MFN_FREE       0x403u
#define MFN_HOLE       0x404u /* inside the table, not RAM, nobody's */
#define MFN_OWN_MMIO   0xfe000u
#define MFN_IOMMU      0xfed90u
#define MFN_LAPIC      0xfee00u

/* Bus frames. */
#define BUS_FRAMES       4096u
#define MAX_BFN          0x7ffffffull /* 39 bits */
#define BFN_PREMAPPED    0x20u        /* present at boot: MFN 0x20, R|W */
#define BFN_RESERVED     0x800u       /* an RMRR of two frames */
#define BFN_BEYOND_MODEL 0x7fffff0ull

struct fake_entry {
    bool present;
    uint64_t mfn;
    uint32_t flags;
};

struct fakes {
    struct fake_entry bus[BUS_FRAMES];
    uint8_t memory[(PAGES_WRITABLE + 1) * 4096];
    unsigned int maps, unmaps, flushes, lookups;
    unsigned int reads, read_bytes, writes; /* copies from and to the guest */
    unsigned int preemption_points;
    unsigned int preempt_at; /* cpu_preemption_point() number that says yes; 0 = never */
    bool flush_fails, unit_dead, out_of_tables, policy_says_mmio;
    uint64_t readable_end; /* guest addresses from here on fault; 0: the pages' own end */
    uint32_t parked_limit; /* the accumulator counts as full from here */
    uint64_t unparked;     /* the parked frame that came free last */
    bool continued;
    struct hypercall_args next;
};
extern struct fakes fake;

void fakes_reset(void);

/* References and guest-made writable bus entries of a frame, as the fake frame table counts them. */
uint32_t references(uint64_t mfn);
uint32_t bus_writable(uint64_t mfn);
void fill_references(uint64_t mfn);
void set_owner(uint64_t mfn, enum frame_owner owner);

/* The guest's array at GUEST_BASE. */
struct iommu_map_op *element(unsigned int index);
void set_element(unsigned int index, uint64_t bfn, uint64_t mfn, uint32_t flags);
#define UNTOUCHED 1

/* Through the slot, as the guest would; upper halves are passed on as they are. */
long call(uint64_t subop, uint64_t array, uint64_t count);
/* Calls again for as long as a continuation is asked for; counts them. */
long call_to_the_end(uint64_t subop, uint64_t array, uint64_t count, unsigned int *continuations);

/* test_arguments.c; the number of tests that failed. */
int run_argument_tests(void);

#endif

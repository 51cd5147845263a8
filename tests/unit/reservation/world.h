/* SPDX-License-Identifier: MIT */
/*
 * The world around the guest's reservation: a few MiB of frames, the first half the guest's, the second half
 * free; a bus that keeps books; guest memory. Every step that can fail is counted, and one of them can be
 * told to.
 */
#ifndef SLUICE_TEST_RESERVATION_WORLD_H
#define SLUICE_TEST_RESERVATION_WORLD_H

#include "guest-abi/include/sluice/errno.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "mem/map.h"
#include "pv/reservation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FRAMES     4096u
#define OWN_FIRST  16u
#define FREE_FIRST 2048u

struct world {
    uint32_t steps;   /* that could have failed */
    uint32_t fail_at; /* which of them does; 0 = none */
    bool failed;
    bool premap;
    bool preempt;
    bool unit_dead;
    bool closed[FRAMES]; /* whose bus entries wait for the flush */
    uint32_t continuations;
    struct hypercall_args next;
};
extern struct world world;
extern struct frame frames[FRAMES];
extern uint64_t m2p[FRAMES];

int world_begin(void **state);

/* Frames that an extent could be made of, counted by their owner. */
uint32_t free_frames(void);

/* Guest addresses are host addresses. */
static inline uint64_t guest_pointer(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

/* A byte of the frame's contents, all bytes of which are taken to be the same. */
uint8_t *contents(uint64_t mfn);

int run_extent_tests(void);

#endif

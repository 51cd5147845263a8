/* SPDX-License-Identifier: MIT */
/* What the files of the multitasking guest share. */
#ifndef TASKS_H
#define TASKS_H

#include "kit/guest.h"
#include "kit/user.h"

/* A task's addresses: 2 MiB, translated by one level 1 table. */
#define SPACE_BASE  0x400000ul
#define SPACE_PAGES 512u
#define SPACE_END   (SPACE_BASE + SPACE_PAGES * PAGE_SIZE)
#define HEAP_BASE   (SPACE_BASE + 0x80000)
#define HEAP_PAGES  64u
#define STACK_END   SPACE_END
#define STACK_PAGES 4u

/* System calls: number in RAX, arguments in RDI and RSI, result in RAX. */
enum { CALL_SAY = 1, CALL_YIELD, CALL_EXIT };

/*
 * An address space: two L4s that lead to the same tables below. The kernel's has the kernel's memory as well;
 * the user's has nothing else.
 */
struct space {
    uint64_t tables[3]; /* PFNs: level 1, 2, 3 */
    uint64_t kernel_l4, user_l4;
    uint64_t pages[SPACE_PAGES]; /* PFN of what is mapped there, or 0 */
};

/* ---- space.c ---- */
bool space_create(struct space *space);
/* Lets the hypervisor forget its tables; false when one of them is not plain memory afterwards. */
bool space_destroy(struct space *space);
/* Maps a frame at a page of the space. */
bool space_map(struct space *space, uint64_t address, uint64_t pfn, uint64_t flags);
/* A page of zeroes of its own. */
bool space_map_new(struct space *space, uint64_t address);
bool space_has(const struct space *space, uint64_t address, uint64_t bytes);
/* Loads both L4s; NULL: the guest's first one, and no user mode. */
void space_load(const struct space *space);

/* ---- programs.c: entry points, in the image as it lies at user_image ---- */
enum { SQUARES, PRIMES, NOSY, ENDLESS, PROGRAMS };
struct program {
    const char *name;
    void (*entry)(void);
};
extern const struct program programs[];

#endif

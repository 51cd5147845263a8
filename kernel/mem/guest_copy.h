/* SPDX-License-Identifier: MIT */
/*
 * The one place where the hypervisor touches guest memory through guest addresses. It runs on the
 * guest's own tables, in ring 0, under CR0.WP: a read-only page refuses a write here as it would there.
 * The only entries with U clear are the hypervisor's own slots, and those are refused by range first.
 */
#ifndef SLUICE_MEM_GUEST_COPY_H
#define SLUICE_MEM_GUEST_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where the loaded L4 shows itself, one slot; 0 = nowhere. Through it the hypervisor's own slots appear as
 * tables of the guest, and ring 0 could follow them where the guest cannot; so no guest pointer leads there.
 */
void guest_linear_set(uint64_t base);

/* What is from here on is the guest's; of the rest, the function knows. */
extern uint64_t guest_quick_start;
bool guest_range_allowed(uint64_t address, uint64_t last);

/* 0, or -EFAULT when [address, address+count) is not canonical, touches the hypervisor, wraps or faults.
 * A failed copy may have moved a prefix. count 0 always succeeds and looks at nothing. */
int copy_from_guest(void *destination, uint64_t address, size_t count);
int copy_to_guest(uint64_t address, const void *source, size_t count);

/* False when a copy of that range is refused for its addresses: what fails otherwise is a page fault. */
bool guest_range_is_tried(uint64_t address, size_t count);

/* Single aligned-or-not scalars, in line with one exception-table entry each. */
int get_guest_u64(uint64_t *value, uint64_t address);

/* In line: two, three or eight words at once, a few, scalars. */
#ifdef SLUICE_HOST_TEST
bool in_guest(uint64_t address, size_t count);
static inline void open_guest(void)
{
}
static inline void close_guest(void)
{
}
#define PUT_GUEST_WORD(address, index, value, fault)                                                         \
    do {                                                                                                     \
        if (put_guest_u64((address) + 8 * (index), value))                                                   \
            goto fault;                                                                                      \
    } while (0)
int get_guest_words2(uint64_t words[2], uint64_t address);
int get_guest_words3(uint64_t words[3], uint64_t address);
int get_guest_words8(uint64_t words[8], uint64_t address);
int get_guest_words(uint64_t *words, uint64_t address, size_t count);
int put_guest_words(uint64_t address, const uint64_t *words, size_t count);
int put_guest_u64(uint64_t address, uint64_t value);
int get_guest_u32(uint32_t *value, uint64_t address);
int put_guest_u32(uint64_t address, uint32_t value);
#else
#include "mem/guest_access.h"
#endif

/* Puts value at address, address + stride, ..., count times, as far as there is no fault. */
int put_guest_u32_each(uint64_t address, uint64_t stride, uint32_t count, uint32_t value);

/* 0 when the four bytes can be written, now and until the guest or its tables have a say. What is there
 * stays. */
int probe_guest_u32(uint64_t address);

#endif

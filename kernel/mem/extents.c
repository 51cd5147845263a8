/* SPDX-License-Identifier: MIT */
/*
 * Free memory for the guest: the buddy system. Free extents of one size are in a list, one list for each
 * place of the MFN's highest bit, so that "below so many bits" is a matter of which lists are looked at.
 * Everything takes a bounded number of steps beside what the size of the extent asks for.
 */
#include "lib/string.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "mem/map.h"

#define ZONES  32u /* by the place of the highest bit: frame numbers in lists have 32 bits */
#define ORDERS (EXTENT_ORDER_MAX + 1)

static uint32_t heads[ZONES][ORDERS]; /* MFN of the first extent; 0 = none */
static uint32_t present[ZONES];       /* bit: the list of that order is not empty */

static uint32_t highest_bit(uint64_t number)
{
    return 63u - (uint32_t)__builtin_clzll(number);
}

/* ---- one list ---- */

static void enter(uint64_t mfn, uint32_t order)
{
    uint32_t zone = highest_bit(mfn), first = heads[zone][order];
    struct frame *frame = frame_of(mfn);

    frame->order = (uint8_t)(order + 1);
    frame->next = first;
    frame->previous = 0;
    if (first != 0)
        frame_of(first)->previous = mfn;
    heads[zone][order] = (uint32_t)mfn;
    present[zone] |= 1u << order;
}

static void leave(uint64_t mfn, uint32_t order)
{
    uint32_t zone = highest_bit(mfn);
    struct frame *frame = frame_of(mfn);

    if (frame->next != 0)
        frame_of(frame->next)->previous = frame->previous;
    if (frame->previous != 0)
        frame_of(frame->previous)->next = frame->next;
    else
        heads[zone][order] = frame->next;
    if (heads[zone][order] == 0)
        present[zone] &= ~(1u << order);
    frame->order = 0;
    frame->next = 0;
    frame->previous = 0;
}

/* ---- halves ---- */

static bool is_free_extent(uint64_t mfn, uint32_t order)
{
    const struct frame *frame = frame_of(mfn);

    return frame != NULL && frame->owner == FRAME_FREE && frame->order == order + 1;
}

/* Enters the extent, joined with its other half for as long as that is free as well. MFN 0 never is. */
static void put(uint64_t mfn, uint32_t order)
{
    while (order < EXTENT_ORDER_MAX && is_free_extent(mfn ^ 1ull << order, order)) {
        leave(mfn ^ 1ull << order, order);
        mfn &= ~(1ull << order);
        order++;
    }
    enter(mfn, order);
}

/* ---- the interface ---- */

void extents_add(uint64_t mfn, uint64_t count)
{
    while (count != 0) {
        uint32_t order = highest_bit(count), aligned = (uint32_t)__builtin_ctzll(mfn);

        order = aligned < order ? aligned : order;
        order = order < EXTENT_ORDER_MAX ? order : EXTENT_ORDER_MAX;
        put(mfn, order);
        mfn += 1ull << order;
        count -= 1ull << order;
    }
}

/* From the highest zone that will do: what few can use is kept. */
uint64_t extent_alloc(uint32_t order, uint32_t mfn_bits)
{
    for (uint32_t zone = mfn_bits < ZONES ? mfn_bits : ZONES; zone-- != 0;) {
        uint32_t fitting = present[zone] >> order;
        if (fitting == 0)
            continue;

        uint32_t found = order + (uint32_t)__builtin_ctz(fitting);
        uint64_t mfn = heads[zone][found];
        leave(mfn, found);
        while (found-- > order)
            enter(mfn + (1ull << found), found);
        for (uint64_t i = 0; i < 1ull << order; i++)
            frame_of(mfn + i)->owner = FRAME_GUEST;
        memset(phys_to_virt(mfn << FRAME_SHIFT), 0, FRAME_SIZE << order);
        return mfn;
    }
    return 0;
}

void extent_free(uint64_t mfn, uint32_t order)
{
    for (uint64_t i = 0; i < 1ull << order; i++)
        *frame_of(mfn + i) = (struct frame){.owner = FRAME_FREE};
    put(mfn, order);
}

void frame_unpark(uint64_t mfn)
{
    extent_free(mfn, 0);
}

/* SPDX-License-Identifier: MIT */
/* decrease_reservation and populate_physmap, and what XENMEM_exchange shares with them. */
#include "pv/reservation.h"

#include "cpu/trap.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/string.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/bus.h"

#define NOBODYS UINT64_MAX /* M2P word of a frame that is not the guest's */

/* Frames between two preemption points: each is zeroed. */
#define BATCH_FRAMES  512u
#define ORDER_MAX     9u
#define ADDRESS_FLAGS XENMEMF_address_bits(0xffu)
#define NODE_FLAGS    (XENMEMF_node(0xfeu) | XENMEMF_exact_node_request)

/* ---- out ---- */

static bool is_held(const struct frame *frame)
{
    uint64_t bus = (uint64_t)frame->bus_writable + frame->bus_readers;

    bus += (frame->flags & FRAME_PREMAPPED) != 0;
    return frame->type_references != 0 || frame->references != bus || frame->bus_readers == FRAME_READERS_MAX;
}

/* The owner tells that it is on its way: a frame that is named twice is not the guest's the second time. */
int leaving_add(struct leaving *list, uint64_t mfn)
{
    struct frame *frame = frame_of(mfn);

    if (frame == NULL || frame->owner != FRAME_GUEST)
        return -EINVAL;
    if (is_held(frame))
        return -EBUSY;
    frame->owner = FRAME_PARKED;
    frame->next = (uint32_t)list->first;
    list->first = mfn;
    list->count++;
    return 0;
}

int leaving_close_bus(const struct leaving *list)
{
    int error = 0;

    for (uint64_t mfn = list->first; mfn != 0 && error == 0; mfn = frame_of(mfn)->next)
        error = guest_bus_close_frame(mfn);
    int flushed = guest_bus_flush();
    return error != 0 ? error : flushed;
}

static uint64_t take_first(struct leaving *list)
{
    uint64_t mfn = list->first;
    struct frame *frame = frame_of(mfn);

    list->first = frame->next;
    list->count--;
    frame->next = 0;
    return mfn;
}

void leaving_finish(struct leaving *list)
{
    guest.pages_now -= list->count;
    while (list->first != 0) {
        uint64_t mfn = take_first(list);

        m2p_set(mfn, NOBODYS);
        memset(phys_to_virt(mfn << FRAME_SHIFT), 0, FRAME_SIZE);
        if (frame_of(mfn)->references == 0)
            extent_free(mfn, 0);
    }
}

void leaving_cancel(struct leaving *list)
{
    while (list->first != 0)
        frame_of(take_first(list))->owner = FRAME_GUEST;
}

/* ---- in ---- */

uint32_t extent_mfn_bits(uint32_t mem_flags)
{
    uint32_t bits = XENMEMF_get_address_bits(mem_flags);

    if (bits == 0)
        return UINT32_MAX;
    return bits > FRAME_SHIFT ? bits - FRAME_SHIFT : 0;
}

int extent_gain(uint32_t order, uint32_t mfn_bits, uint64_t pfn, uint64_t *mfn)
{
    uint64_t frames = 1ull << order;

    *mfn = extent_alloc(order, mfn_bits);
    if (*mfn == 0)
        return -ENOMEM;
    guest.pages_now += frames;
    for (uint64_t i = 0; i < frames; i++)
        m2p_set(*mfn + i, pfn + i);
    int error = guest_bus_open_frames(*mfn, frames);
    if (error != 0)
        extent_lose(*mfn, order);
    return error;
}

void extent_lose(uint64_t mfn, uint32_t order)
{
    struct leaving list = {0};

    for (uint64_t i = 0; i < 1ull << order; i++)
        (void)leaving_add(&list, mfn + i); /* nothing holds what has just come */
    (void)leaving_close_bus(&list);        /* what no unit has forgotten stays parked */
    leaving_finish(&list);
}

/* ---- the arrays of the calls ---- */

/* Where a call is in its array. */
struct progress {
    struct xen_memory_reservation reservation;
    uint64_t done;   /* extents */
    uint64_t budget; /* extents that this entry may still do */
};

static long begin(struct progress *at, uint64_t argument, uint64_t start)
{
    struct xen_memory_reservation *reservation = &at->reservation;

    if (copy_from_guest(reservation, argument, sizeof *reservation))
        return -EFAULT;
    if (!reservation_is_own(reservation->domid))
        return -ESRCH;
    if (reservation->extent_order > ORDER_MAX || reservation->nr_extents > UINT32_MAX ||
        (reservation->mem_flags & ~(ADDRESS_FLAGS | NODE_FLAGS)) != 0 || start > reservation->nr_extents)
        return -EINVAL;
    at->done = start;
    at->budget = guest.continue_every ? guest.continue_every : UINT64_MAX;
    return 0;
}

static uint64_t frames_of(const struct progress *at)
{
    return 1ull << at->reservation.extent_order;
}

/* Extents to do before the next preemption point. */
static uint64_t batch_size(const struct progress *at)
{
    uint64_t left = at->reservation.nr_extents - at->done, batch = BATCH_FRAMES / frames_of(at);

    batch = batch < left ? batch : left;
    return batch < at->budget ? batch : at->budget;
}

static uint64_t element(const struct progress *at, uint64_t index)
{
    return at->reservation.extent_start + (at->done + index) * sizeof(uint64_t);
}

/* One batch after the other; each says how many of its extents it did. */
static long run(struct cpu_regs *regs, const struct hypercall_args *args, struct progress *at,
                uint64_t (*batch)(const struct progress *at, uint64_t count))
{
    for (uint64_t count; (count = batch_size(at)) != 0;) {
        uint64_t done = batch(at, count);

        at->done += done;
        at->budget -= done;
        if (done != count || at->done == at->reservation.nr_extents)
            return (long)at->done;
        if (at->budget == 0 || cpu_preemption_point())
            break;
    }
    if (at->done == at->reservation.nr_extents)
        return (long)at->done;

    struct hypercall_args rest = *args;

    rest.a[0] = (args->a[0] & ((1u << MEMOP_COMMAND_BITS) - 1)) | at->done << MEMOP_COMMAND_BITS;
    return hypercall_continue(regs, &rest);
}

/* ---- decrease_reservation ---- */

/* The whole extent, or nothing of it. */
static bool add_extent(struct leaving *list, uint64_t mfn, uint64_t frames)
{
    struct leaving extent = {0};
    bool whole = true;

    for (uint64_t i = 0; i < frames && whole; i++)
        whole = leaving_add(&extent, mfn + i) == 0;
    if (!whole) {
        leaving_cancel(&extent);
        return false;
    }
    /* The extent's first frame was added first, so that it ends the chain. */
    frame_of(mfn)->next = (uint32_t)list->first;
    list->first = extent.first;
    list->count += extent.count;
    return true;
}

static uint64_t decrease_batch(const struct progress *at, uint64_t count)
{
    struct leaving list = {0};
    uint64_t done = 0, mfn;

    while (done < count && !get_guest_u64(&mfn, element(at, done)) && add_extent(&list, mfn, frames_of(at)))
        done++;
    if (leaving_close_bus(&list)) {
        leaving_cancel(&list);
        return 0;
    }
    leaving_finish(&list);
    return done;
}

long decrease_reservation(struct cpu_regs *regs, const struct hypercall_args *args, uint64_t start)
{
    struct progress at;
    long error = begin(&at, args->a[1], start);

    return error ? error : run(regs, args, &at, decrease_batch);
}

/* ---- populate_physmap ---- */

static bool populate(const struct progress *at, uint64_t address)
{
    uint32_t order = at->reservation.extent_order;
    uint64_t pfn, mfn;

    if (guest.pages_now + frames_of(at) > guest.nr_pages || get_guest_u64(&pfn, address) ||
        extent_gain(order, extent_mfn_bits(at->reservation.mem_flags), pfn, &mfn))
        return false;
    if (!put_guest_u64(address, mfn))
        return true;
    extent_lose(mfn, order);
    return false;
}

/* A unit that does not answer at the flush is dead, and its devices are cut off; the frames are the guest's
 * nevertheless. */
static uint64_t populate_batch(const struct progress *at, uint64_t count)
{
    uint64_t done = 0;

    while (done < count && populate(at, element(at, done)))
        done++;
    (void)guest_bus_flush();
    return done;
}

long populate_physmap(struct cpu_regs *regs, const struct hypercall_args *args, uint64_t start)
{
    struct progress at;
    long error = begin(&at, args->a[1], start);

    return error ? error : run(regs, args, &at, populate_batch);
}

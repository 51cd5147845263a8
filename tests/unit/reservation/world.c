/* SPDX-License-Identifier: MIT */
#include "world.h"
#include "pv/hypercall.h"

#include "cpu/trap.h"
#include "mem/guest_copy.h"
#include "pv/bus.h"

#include <stdlib.h>
#include <string.h>

bool hypercall_was_long;

struct world world;
struct guest guest;
struct frame frames[FRAMES];
struct frame *frame_table = frames;
uint64_t frame_table_count = FRAMES;
uint64_t m2p[FRAMES];
uint64_t *m2p_list = m2p;
uint64_t test_direct_base;

/* The lists of earlier tests are emptied, since their heads are extents.c's own. */
static void drain(void)
{
    for (uint32_t order = EXTENT_ORDER_MAX + 1; order-- != 0;) {
        while (extent_alloc(order, 64) != 0)
            continue;
    }
}

int world_begin(void **state)
{
    (void)state;
    if (test_direct_base == 0)
        test_direct_base = (uint64_t)(uintptr_t)aligned_alloc(FRAME_SIZE, FRAMES * FRAME_SIZE);
    drain();
    memset(&world, 0, sizeof world);
    memset(&guest, 0, sizeof guest);
    memset(frames, 0, sizeof frames);
    memset(phys_to_virt(0), 0x5a, FRAMES * FRAME_SIZE);
    for (uint64_t mfn = OWN_FIRST; mfn < FRAMES; mfn++) {
        frames[mfn].owner = mfn < FREE_FIRST ? FRAME_GUEST : FRAME_FREE;
        m2p[mfn] = mfn < FREE_FIRST ? mfn - OWN_FIRST : UINT64_MAX;
    }
    extents_add(FREE_FIRST, FRAMES - FREE_FIRST);
    guest.nr_pages = guest.pages_now = FREE_FIRST - OWN_FIRST;
    return 0;
}

uint32_t free_frames(void)
{
    uint32_t count = 0;
    for (uint64_t mfn = 0; mfn < FRAMES; mfn++)
        count += frames[mfn].owner == FRAME_FREE;
    return count;
}

uint8_t *contents(uint64_t mfn)
{
    return phys_to_virt(mfn << FRAME_SHIFT);
}

static bool fails(void)
{
    if (++world.steps != world.fail_at)
        return false;
    world.failed = true;
    return true;
}

/* ---- guest memory ---- */

int copy_from_guest(void *destination, uint64_t address, size_t count)
{
    if (address == 0 || fails())
        return -EFAULT;
    memcpy(destination, (const void *)(uintptr_t)address, count);
    return 0;
}

int get_guest_u64(uint64_t *value, uint64_t address)
{
    return copy_from_guest(value, address, sizeof *value);
}

int put_guest_u64(uint64_t address, uint64_t value)
{
    if (address == 0 || fails())
        return -EFAULT;
    memcpy((void *)(uintptr_t)address, &value, sizeof value);
    return 0;
}

/* ---- the bus: the entry is gone at once, but its reference only with the flush ---- */

int guest_bus_open_frames(uint64_t mfn, uint64_t count)
{
    for (uint64_t i = 0; i < count && world.premap; i++) {
        assert_int_equal(frames[mfn + i].owner, FRAME_GUEST);
        if (fails())
            return -ENOMEM;
        frames[mfn + i].references++;
        frames[mfn + i].flags |= FRAME_PREMAPPED;
    }
    return 0;
}

int guest_bus_close_frame(uint64_t mfn)
{
    assert_false(world.closed[mfn]); /* a list that has a frame twice has no end */
    world.closed[mfn] = true;
    return 0;
}

int guest_bus_flush(void)
{
    if (world.unit_dead || fails()) {
        world.unit_dead = true; /* and answers never again */
        memset(world.closed, 0, sizeof world.closed);
        return -EIO;
    }
    for (uint64_t mfn = 0; mfn < FRAMES; mfn++) {
        if (world.closed[mfn] && (frames[mfn].flags & FRAME_PREMAPPED) != 0)
            frames_premap_put(mfn, 1);
        world.closed[mfn] = false;
    }
    return 0;
}

/* ---- the way out ---- */

bool cpu_preemption_point(void)
{
    return world.preempt;
}

long hypercall_continue(struct cpu_regs *regs, const struct hypercall_args *args)
{
    (void)regs;
    world.continuations++;
    world.next = *args;
    return 0x5eed;
}

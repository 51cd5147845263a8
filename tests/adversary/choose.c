/* SPDX-License-Identifier: MIT */
#include "tests/adversary/choose.h"

#include "tests/adversary/random.h"

#define PAGE         4096u
#define ADDRESS_MASK 0x000ffffffffff000ull
#define SCRATCH_TAIL 2048u /* the longest that is put at the end */

struct belief beliefs[WORLD_ARENA_MAX];
static uint64_t state;
static uint32_t scratch_used, scratch_end;

void choose_begin(uint64_t seed)
{
    state = random_seeded(seed);
    for (uint32_t i = 0; i < WORLD_ARENA_MAX; i++)
        beliefs[i] = (struct belief){0, false, false};
    scratch_reset();
}

uint32_t below(uint32_t limit)
{
    return random_below(&state, limit);
}

bool one_in(uint32_t of)
{
    return below(of) == 0;
}

uint64_t any_word(void)
{
    static const uint64_t words[] = {0,
                                     1,
                                     2,
                                     7,
                                     8,
                                     0xfff,
                                     0x1000,
                                     0x7fffffff,
                                     0x80000000,
                                     0xffffffff,
                                     0x100000000,
                                     0x7fffffffffffffff,
                                     0x8000000000000000,
                                     0xffffffffffffffff};

    switch (below(4)) {
    case 0:
        return below(16);
    case 1:
        return words[below(sizeof words / sizeof words[0])];
    case 2:
        return random_next(&state) >> below(64);
    default:
        return random_next(&state);
    }
}

uint32_t any_page(void)
{
    return below(world.arena_frames);
}

uint32_t page_of_level(uint32_t level)
{
    uint32_t first = any_page();

    for (uint32_t i = 0; i < world.arena_frames; i++) {
        uint32_t page = (first + i) % world.arena_frames;

        if (beliefs[page].level == level && !beliefs[page].left)
            return page;
    }
    return first;
}

uint64_t home(uint32_t page)
{
    return world.arena_va + (uint64_t)page * PAGE;
}

uint64_t any_mfn(void)
{
    switch (below(16)) {
    case 0:
    case 1:
        return world.table_mfn[1 + below(4)];
    case 2:
    case 3:
        return world.foreign_mfn[below(world.foreign_count)];
    case 4:
        return world.arena_mfn[page_of_level(1 + below(4))];
    case 5:
        return one_in(2) ? world.machine_frames - 2 + below(4) : random_next(&state) >> (24 + below(16));
    default:
        return world.arena_mfn[any_page()];
    }
}

/* On the bus: few places, so that they meet, and places where frames are mapped at their own number. */
uint64_t any_bfn(void)
{
    static const uint32_t edges[] = {0, 1, 510, 511, 512, 513, 1023, 1024, 262143, 262144};

    switch (below(16)) {
    case 0:
        return any_word();
    case 1:
        return world.bus_last - below(4);
    case 2:
        return 0xfee00 + below(256);
    case 3:
        return world.bus_first + edges[below(sizeof edges / sizeof edges[0])];
    case 4:
    case 5:
    case 6:
        return any_mfn();
    default:
        return world.bus_first + below(48);
    }
}

uint32_t any_slot(void)
{
    static const uint32_t slots[] = {0, 1, 2, 3, 255, 256, 271, 272, 511};

    return one_in(16) ? below(512) : slots[below(sizeof slots / sizeof slots[0])];
}

static uint64_t any_flags(void)
{
    static const uint64_t flags[] = {
        READ_WRITE, READ_ONLY,         PRESENT | WRITABLE | USER, PRESENT | USER, READ_WRITE | NO_EXECUTE,
        PRESENT,    PRESENT | WRITABLE};

    switch (below(24)) {
    case 0:
        return below(4096);
    case 1:
        return any_word() & 0xfff0000000000fff;
    default:
        return flags[below(one_in(4) ? sizeof flags / sizeof flags[0] : 4)];
    }
}

static uint64_t wanted_entry(uint32_t level)
{
    if (one_in(6))
        return 0;
    if (one_in(32))
        return any_word();
    if (level == 1)
        return any_mfn() << 12 | any_flags();
    /* A table below, of the right level as a rule. */
    uint32_t below_it = one_in(16) ? 1 + below(4) : level - 1;
    uint64_t mfn = one_in(16) ? any_mfn() : world.arena_mfn[page_of_level(below_it)];

    return mfn << 12 | (one_in(8) ? any_flags() : READ_WRITE);
}

uint64_t any_entry(uint32_t level)
{
    uint64_t entry = wanted_entry(level);

    return world_lives_by((entry & ADDRESS_MASK) >> 12) ? entry & ~(uint64_t)WRITABLE : entry;
}

/* Through the slots that any_slot() favours. */
uint64_t any_address(void)
{
    uint64_t address = one_in(3) ? 511 : below(4);

    if (one_in(3))
        return home(any_page()) + 8 * below(512);
    for (uint32_t level = 3; level >= 1; level--)
        address = address << 9 | any_slot();
    address = address << 12 | 8 * below(512);
    return (uint64_t)((int64_t)(address << 16) >> 16);
}

uint64_t any_count(uint32_t sensible)
{
    static const uint64_t counts[] = {0,          1,           0x7fffffff,        0x80000000,
                                      0xffffffff, 0x100000001, 0xffffffffffffffff};

    if (!one_in(12))
        return sensible;
    return one_in(3) ? sensible + 1 : counts[below(sizeof counts / sizeof counts[0])];
}

/*
 * What an earlier step left may be taken for arguments that a fragile world does not survive, such as another
 * base. Zeros are none.
 */
static void scratch_clear(void)
{
    static const uint8_t nothing[PAGE];
    uint32_t end = world.scratch_bytes - SCRATCH_TAIL;

    for (uint32_t at = 0; at < scratch_used; at += PAGE)
        world_put(world.scratch_va + at, nothing, scratch_used - at < PAGE ? scratch_used - at : PAGE);
    world_put(world.scratch_va + end, nothing, SCRATCH_TAIL);
}

void scratch_reset(void)
{
    if (world.fragile)
        scratch_clear();
    scratch_used = 8 * below(64);
    scratch_end = world.scratch_bytes;
}

/* Sometimes at the very end, behind which nothing is; never over what was put there before. */
uint64_t scratch_put(const void *bytes, uint32_t count)
{
    uint32_t room = (count + 7) & ~7u, place = scratch_used;

    if (scratch_end == world.scratch_bytes && one_in(16))
        scratch_end = place = world.scratch_bytes - count;
    else if (room > scratch_end - scratch_used)
        return world.scratch_va + world.scratch_bytes;
    else
        scratch_used += room;
    world_put(world.scratch_va + place, bytes, count);
    return world.scratch_va + place;
}

uint64_t any_pointer(uint64_t good)
{
    static const uint64_t wild[] = {0,
                                    8,
                                    0x00007ffffffffff8,
                                    0x0000800000000000,
                                    0xffff7ffffffffff8,
                                    0xffff800000000000,
                                    0xffff820000000000,
                                    0xffff830000000000,
                                    0xffff87fffffffffc,
                                    0xffffffffffffffff};

    if (!one_in(16))
        return good;
    /* What stands in the arena may be taken for a call that a fragile world does not survive. */
    switch (world.fragile ? 3 * below(2) : below(4)) {
    case 0:
        return wild[below(sizeof wild / sizeof wild[0])];
    case 1:
        return home(any_page()) + 8 * below(512);
    case 2:
        return home(any_page()) + PAGE - 4;
    default:
        return world.scratch_va + world.scratch_bytes - 4 * below(8);
    }
}

/* SPDX-License-Identifier: MIT */
/* Frames that leave and come: exchange is all or nothing whatever fails, and what is held does not leave. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#define NOBODYS UINT64_MAX

static uint64_t in_list[8], out_list[8];
static struct xen_memory_exchange exchange;

/* Eight frames, one by one, for two extents of four. */
static void ask_for_exchange(void)
{
    for (uint64_t i = 0; i < 8; i++)
        in_list[i] = OWN_FIRST + 10 + 3 * i;
    out_list[0] = 500;
    out_list[1] = 700;
    exchange = (struct xen_memory_exchange){
        .in = {.extent_start = guest_pointer(in_list), .nr_extents = 8, .domid = DOMID_SELF},
        .out = {.extent_start = guest_pointer(out_list),
                .nr_extents = 2,
                .extent_order = 2,
                .domid = DOMID_SELF},
    };
}

static long call_exchange(void)
{
    return memory_exchange(guest_pointer(&exchange));
}

static void premap_own_frames(void)
{
    world.premap = true;
    for (uint64_t mfn = OWN_FIRST; mfn < FREE_FIRST; mfn++) {
        frames[mfn].flags = FRAME_PREMAPPED;
        frames[mfn].references = 1;
    }
}

static void expect_new_frame(uint64_t mfn, uint64_t pfn)
{
    assert_int_equal(frames[mfn].owner, FRAME_GUEST);
    assert_int_equal(frames[mfn].next, 0);
    assert_int_equal(frames[mfn].references, world.premap);
    assert_int_equal(m2p[mfn], pfn);
    assert_int_equal(*contents(mfn), 0);
}

static void expect_exchanged(void)
{
    assert_int_equal(exchange.nr_exchanged, 8);
    for (uint64_t i = 0; i < 2; i++) {
        assert_int_equal(out_list[i] & 3, 0);
        for (uint64_t j = 0; j < 4; j++)
            expect_new_frame(out_list[i] + j, (i == 0 ? 500 : 700) + j);
    }
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(frames[in_list[i]].owner, FRAME_FREE);
        assert_int_equal(m2p[in_list[i]], NOBODYS);
        assert_int_equal(*contents(in_list[i]), 0);
    }
    assert_int_equal(guest.pages_now, guest.nr_pages);
    assert_int_equal(free_frames(), FRAMES - FREE_FIRST);
}

static void an_exchange_is_done_in_whole(void **state)
{
    (void)state;
    ask_for_exchange();
    assert_int_equal(call_exchange(), 0);
    expect_exchanged();

    world_begin(NULL);
    premap_own_frames();
    ask_for_exchange();
    assert_int_equal(call_exchange(), 0);
    expect_exchanged();
}

/* The guest's frames as they were; those that it did not get are not its own, but may be lost to a dead unit.
 */
static void expect_nothing_changed(const struct frame *before)
{
    assert_int_equal(exchange.nr_exchanged, 0);
    assert_int_equal(guest.pages_now, guest.nr_pages);
    for (uint64_t mfn = 0; mfn < FREE_FIRST; mfn++) {
        assert_int_equal(frames[mfn].owner, before[mfn].owner);
        assert_int_equal(frames[mfn].references, before[mfn].references);
        assert_int_equal(frames[mfn].flags, before[mfn].flags);
        assert_int_equal(frames[mfn].next, 0);
        assert_int_equal(*contents(mfn), 0x5a);
        if (mfn >= OWN_FIRST)
            assert_int_equal(m2p[mfn], mfn - OWN_FIRST);
    }
    for (uint64_t mfn = FREE_FIRST; mfn < FRAMES; mfn++) {
        assert_int_equal(frames[mfn].owner,
                         world.unit_dead && frames[mfn].references != 0 ? FRAME_PARKED : FRAME_FREE);
        assert_int_equal(m2p[mfn], NOBODYS);
    }
}

/* Whatever step fails, all is as before. */
static void an_exchange_is_done_in_whole_or_not_at_all(void **state)
{
    static struct frame before[FRAMES];

    for (unsigned premapped = 0; premapped < 2; premapped++) {
        uint32_t failures = 0;

        for (uint32_t step = 1;; step++, failures++) {
            world_begin(state);
            if (premapped)
                premap_own_frames();
            ask_for_exchange();
            memcpy(before, frames, sizeof before);
            world.fail_at = step;
            long result = call_exchange();
            if (!world.failed)
                break;
            assert_true(result < 0);
            expect_nothing_changed(before);
        }
        /* The structure, 8 + 2 reads, 2 + 1 writes, the flush, and the new frames on the bus. */
        assert_int_equal(failures, premapped ? 23 : 15);
        expect_exchanged();
    }
}

static void an_exchange_without_memory_is_not_begun(void **state)
{
    static struct frame before[FRAMES];

    for (uint32_t left = 0; left < 2; left++) {
        world_begin(state);
        premap_own_frames();
        ask_for_exchange();
        memcpy(before, frames, sizeof before);
        for (uint32_t i = 0; i < (FRAMES - FREE_FIRST) / 4 - left; i++)
            frames[extent_alloc(2, 64)].owner = FRAME_GUEST;
        assert_int_equal(call_exchange(), -ENOMEM);
        assert_int_equal(exchange.nr_exchanged, 0);
        assert_int_equal(guest.pages_now, guest.nr_pages);
        for (uint64_t i = 0; i < 8; i++)
            assert_memory_equal(&frames[in_list[i]], &before[in_list[i]], sizeof(struct frame));
        assert_int_equal(free_frames(), left * 4);
    }
}

static void the_size_of_an_exchange_is_bounded(void **state)
{
    (void)state;
    ask_for_exchange();
    exchange.in.extent_order = 1;
    assert_int_equal(call_exchange(), -EINVAL); /* not as many out as in */
    ask_for_exchange();
    exchange.in.nr_extents = exchange.out.nr_extents = 4097;
    exchange.out.extent_order = 0;
    assert_int_equal(call_exchange(), -E2BIG);
    exchange.in.nr_extents = exchange.out.nr_extents = 1ull << 60; /* 0, if it were shifted */
    exchange.in.extent_order = exchange.out.extent_order = 4;
    assert_int_equal(call_exchange(), -E2BIG);
    exchange.in.nr_extents = exchange.out.nr_extents = 1;
    exchange.in.extent_order = exchange.out.extent_order = 13;
    assert_int_equal(call_exchange(), -E2BIG);
    exchange.in.extent_order = exchange.out.extent_order = 64;
    assert_int_equal(call_exchange(), -E2BIG);
    ask_for_exchange();
    exchange.nr_exchanged = 1;
    assert_int_equal(call_exchange(), -EINVAL);
    ask_for_exchange();
    exchange.out.domid = 1;
    assert_int_equal(call_exchange(), -ESRCH);
    exchange.out.domid = 0;
    exchange.out.mem_flags = XENMEMF_address_bits(23); /* 2048 frames are below */
    assert_int_equal(call_exchange(), -ENOMEM);
    exchange.out.mem_flags = XENMEMF_address_bits(24);
    assert_int_equal(call_exchange(), 0);
}

/* ---- who may leave ---- */

static long leave(uint64_t mfn)
{
    struct leaving list = {0};
    long error = leaving_add(&list, mfn);

    assert_int_equal(list.count, error == 0);
    leaving_cancel(&list);
    return error;
}

static void what_is_held_does_not_leave(void **state)
{
    struct frame *frame = &frames[100];
    bool writes;
    (void)state;

    assert_int_equal(leave(100), 0);
    assert_int_equal(leave(FREE_FIRST), -EINVAL);
    assert_int_equal(leave(0), -EINVAL);
    assert_int_equal(leave(FRAMES), -EINVAL);
    assert_int_equal(leave(UINT64_MAX), -EINVAL);
    assert_int_equal(frame_get(frame), 0); /* a read-only page-table entry */
    assert_int_equal(leave(100), -EBUSY);
    frame_put(frame);
    for (int type = FRAME_TYPE_WRITABLE; type <= FRAME_TYPE_SEGMENT; type++) {
        assert_int_equal(frame_get_type(frame, (enum frame_type)type), 0);
        assert_int_equal(leave(100), -EBUSY);
        frame_put_type(frame);
        assert_int_equal(leave(100), 0);
    }
    /* Its devices alone: with and without W. */
    assert_int_equal(frame_bus_get(100, 7, true, &writes), 0);
    assert_int_equal(frame_bus_get(100, 8, false, &writes), 0);
    assert_int_equal(leave(100), 0);
    assert_int_equal(frame_get(frame), 0);
    assert_int_equal(leave(100), -EBUSY);
    frame_put(frame);
    frame->bus_readers = FRAME_READERS_MAX;
    frame->references = FRAME_READERS_MAX + 1;
    assert_int_equal(leave(100), -EBUSY);
}

static void a_frame_leaves_once(void **state)
{
    (void)state;
    ask_for_exchange();
    in_list[7] = in_list[0];
    assert_int_equal(call_exchange(), -EINVAL);
    assert_int_equal(frames[in_list[0]].owner, FRAME_GUEST);
    ask_for_exchange();
    assert_int_equal(frame_get(&frames[in_list[5]]), 0);
    assert_int_equal(call_exchange(), -EBUSY);
    assert_int_equal(frames[in_list[0]].owner, FRAME_GUEST);
}

static void what_devices_reach_is_parked(void **state)
{
    bool writes;
    (void)state;
    premap_own_frames();
    ask_for_exchange();
    assert_int_equal(frame_bus_get(in_list[3], 7, true, &writes), 0);
    assert_int_equal(frame_bus_get(in_list[3], 8, false, &writes), 0);
    assert_int_equal(call_exchange(), 0);
    assert_int_equal(frames[in_list[3]].owner, FRAME_PARKED);
    assert_int_equal(frames[in_list[3]].references, 2);
    assert_int_equal(m2p[in_list[3]], NOBODYS);
    assert_int_equal(frames[in_list[2]].owner, FRAME_FREE);
    assert_int_equal(leave(in_list[3]), -EINVAL);
    frame_bus_put(in_list[3], true);
    assert_int_equal(frames[in_list[3]].owner, FRAME_PARKED);
    frame_bus_put(in_list[3], false);
    assert_int_equal(frames[in_list[3]].owner, FRAME_FREE);
    assert_int_equal(free_frames(), FRAMES - FREE_FIRST);
}

/* ---- decrease and populate ---- */

static struct xen_memory_reservation reservation;
static uint64_t list[600];

static long call(uint64_t command, uint64_t start)
{
    const struct hypercall_args args = {{command, guest_pointer(&reservation)}};

    return command == XENMEM_decrease_reservation ? decrease_reservation(NULL, &args, start)
                                                  : populate_physmap(NULL, &args, start);
}

static void ask(uint64_t extents, uint32_t order)
{
    reservation = (struct xen_memory_reservation){.extent_start = guest_pointer(list),
                                                  .nr_extents = extents,
                                                  .extent_order = order,
                                                  .domid = DOMID_SELF};
}

static void what_leaves_can_come_back(void **state)
{
    (void)state;
    premap_own_frames();
    for (uint64_t i = 0; i < 4; i++)
        list[i] = OWN_FIRST + 8 * i;
    ask(4, 2);
    assert_int_equal(call(XENMEM_decrease_reservation, 0), 4);
    assert_int_equal(guest.pages_now, guest.nr_pages - 16);
    assert_int_equal(frames[OWN_FIRST + 24 + 3].owner, FRAME_FREE);
    assert_int_equal(frames[OWN_FIRST + 4].owner, FRAME_GUEST);
    for (uint64_t i = 0; i < 17; i++)
        list[i] = 3000 + i;
    ask(17, 0);
    assert_int_equal(call(XENMEM_populate_physmap, 0), 16); /* and no more than it had */
    for (uint64_t i = 0; i < 16; i++)
        expect_new_frame(list[i], 3000 + i);
    assert_int_equal(list[16], 3016);
    assert_int_equal(guest.pages_now, guest.nr_pages);
}

static void an_extent_leaves_in_whole(void **state)
{
    (void)state;
    list[0] = OWN_FIRST;
    list[1] = FREE_FIRST - 2; /* its second half is free already */
    ask(2, 2);
    assert_int_equal(call(XENMEM_decrease_reservation, 0), 1);
    assert_int_equal(frames[FREE_FIRST - 2].owner, FRAME_GUEST);
    assert_int_equal(frames[FREE_FIRST - 2].next, 0);
    assert_int_equal(frames[OWN_FIRST + 3].owner, FRAME_FREE);
    assert_int_equal(guest.pages_now, guest.nr_pages - 4);
    list[0] = list[1] = OWN_FIRST + 100; /* one twice */
    ask(2, 0);
    assert_int_equal(call(XENMEM_decrease_reservation, 0), 1);
}

static void a_populated_frame_is_told_of_or_not_given(void **state)
{
    for (uint32_t step = 1;; step++) {
        world_begin(state);
        premap_own_frames();
        guest.pages_now -= 4;
        list[0] = 100;
        ask(1, 2);
        world.fail_at = step;
        long done = call(XENMEM_populate_physmap, 0);
        if (!world.failed)
            break;
        if (done == 1)
            continue; /* the last flush alone */
        assert_true(done == 0 || done == -EFAULT);
        assert_int_equal(free_frames(), FRAMES - FREE_FIRST);
        assert_int_equal(guest.pages_now, guest.nr_pages - 4);
    }
}

static void nothing_leaves_while_the_bus_leads_to_it(void **state)
{
    (void)state;
    premap_own_frames();
    list[0] = OWN_FIRST;
    ask(1, 3);
    world.unit_dead = true;
    assert_int_equal(call(XENMEM_decrease_reservation, 0), 0);
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(frames[OWN_FIRST + i].owner, FRAME_GUEST);
    assert_int_equal(guest.pages_now, guest.nr_pages);
    assert_int_equal(*contents(OWN_FIRST), 0x5a);
}

static void a_long_call_goes_on_where_it_was(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 600; i++)
        list[i] = OWN_FIRST + i;
    ask(600, 0);
    world.preempt = true;
    assert_int_equal(call(XENMEM_decrease_reservation, 0), 0x5eed);
    assert_int_equal(world.next.a[0], XENMEM_decrease_reservation | 512u << MEMOP_COMMAND_BITS);
    assert_int_equal(world.next.a[1], guest_pointer(&reservation));
    assert_int_equal(guest.pages_now, guest.nr_pages - 512);
    assert_int_equal(call(XENMEM_decrease_reservation, 512), 600);
    assert_int_equal(guest.pages_now, guest.nr_pages - 600);
    guest.continue_every = 7;
    for (uint64_t i = 0; i < 600; i++)
        list[i] = i;
    uint64_t start = 0;
    while (call(XENMEM_populate_physmap, start) == 0x5eed) {
        assert_int_equal(world.next.a[0] >> MEMOP_COMMAND_BITS, start + 7);
        start += 7;
    }
    assert_int_equal(guest.pages_now, guest.nr_pages);
}

static void the_arguments_are_looked_at(void **state)
{
    (void)state;
    for (uint64_t command = 1; command <= 6; command += 5) {
        ask(1, 10);
        assert_int_equal(call(command, 0), -EINVAL);
        ask(1, 64);
        assert_int_equal(call(command, 0), -EINVAL);
        ask(1ull << 32, 0);
        assert_int_equal(call(command, 0), -EINVAL);
        ask(1, 0);
        assert_int_equal(call(command, 2), -EINVAL);
        reservation.mem_flags = 1u << 16; /* populate on demand */
        assert_int_equal(call(command, 0), -EINVAL);
        ask(1, 0);
        reservation.domid = 5;
        assert_int_equal(call(command, 0), -ESRCH);
        ask(0, 0);
        assert_int_equal(call(command, 0), 0);
        reservation.extent_start = 0;
        reservation.nr_extents = 1;
        assert_int_equal(call(command, 0), 0);
    }
    assert_int_equal(guest.pages_now, guest.nr_pages);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, world_begin)
    const struct CMUnitTest tests[] = {
        T(an_exchange_is_done_in_whole),
        T(an_exchange_is_done_in_whole_or_not_at_all),
        T(an_exchange_without_memory_is_not_begun),
        T(the_size_of_an_exchange_is_bounded),
        T(what_is_held_does_not_leave),
        T(a_frame_leaves_once),
        T(what_devices_reach_is_parked),
        T(what_leaves_can_come_back),
        T(an_extent_leaves_in_whole),
        T(a_populated_frame_is_told_of_or_not_given),
        T(nothing_leaves_while_the_bus_leads_to_it),
        T(a_long_call_goes_on_where_it_was),
        T(the_arguments_are_looked_at),
    };
    return cmocka_run_group_tests_name("reservation", tests, NULL, NULL) + run_extent_tests();
}

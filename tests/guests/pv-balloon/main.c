/* SPDX-License-Identifier: MIT */
/*
 * Rule: decrease_reservation takes frames away, populate_physmap gives zeroed ones for PFNs, never more than
 * the guest began with; both return how many extents they did, the first ones, and an extent is done in
 * whole.
 *
 * From: guest-abi/pv_memory.md, "decrease_reservation and populate_physmap". A frame that something still
 * held was let go by others (XSA-252).
 *
 * Method: 600 frames go and come back, in one call and cut into continuations; then extents of which a part
 * cannot go, frames that are held, wild pointers, and every error.
 *
 * Errors: -ESRCH, -EINVAL, -EFAULT; else the number of extents.
 *
 * run: default
 * run: every-7 options="continue-every=7"
 * run: no-premap options="premap=off"
 */
#include "common/pointers.h"
#include "common/reservation.h"

#define FRAMES 600u

static uint64_t pfns[FRAMES], list[FRAMES + 1];
static struct xen_memory_reservation reservation;

static long decrease(uint64_t count, uint32_t order)
{
    reservation = extents(list, count, order);
    return memory_op(XENMEM_decrease_reservation, &reservation);
}

static long populate(uint64_t count, uint32_t order)
{
    reservation = extents(list, count, order);
    return memory_op(XENMEM_populate_physmap, &reservation);
}

static void list_mfns(void)
{
    for (uint32_t i = 0; i < FRAMES; i++)
        list[i] = pfn_to_mfn(pfns[i]);
}

static void all_go_and_come_back(void)
{
    long before = reservation_now();
    list_mfns();
    EXPECT_RETURN(decrease(FRAMES, 0), FRAMES);
    EXPECT_RETURN(reservation_now(), before - FRAMES);
    expect_gone(list[0]);
    expect_gone(list[FRAMES - 1]);
    memcpy(list, pfns, sizeof pfns);
    list[FRAMES] = pfns[0];
    EXPECT_RETURN(populate(FRAMES + 1, 0), FRAMES); /* and not one more than there were */
    EXPECT(list[FRAMES] == pfns[0], "an extent that was not given was written: 0x%lx", list[FRAMES]);
    EXPECT_RETURN(reservation_now(), before);
    for (uint32_t i = 0; i < FRAMES; i++) {
        EXPECT(m2p_word(list[i]) == pfns[i], "the M2P says 0x%lx for PFN 0x%lx", m2p_word(list[i]), pfns[i]);
        p2m_set(pfns[i], list[i]);
        if (i % 100 == 0)
            expect_zeroed(list[i]);
    }
    EXPECT_RETURN(populate(1, 0), 0);
}

static void larger_extents(void)
{
    list_mfns();
    EXPECT_RETURN(decrease(512, 0), 512);
    list[0] = pfns[0];
    reservation = extents(list, 1, 9);
    reservation.mem_flags = XENMEMF_address_bits(32);
    EXPECT_RETURN(memory_op(XENMEM_populate_physmap, &reservation), 1);
    EXPECT((list[0] & 511) == 0 && list[0] < 1ul << 20, "MFN 0x%lx is not what was asked for", list[0]);
    for (uint32_t i = 0; i < 512; i++)
        p2m_set(pfns[i], list[0] + i);
    /* A part of it is held: none of the extent goes. */
    void *page = map_frame(list[0] + 300, MAP_RAM_READ);
    EXPECT_RETURN(decrease(1, 9), 0);
    unmap_frames(page, 1);
    EXPECT(m2p_word(list[0]) == pfns[0], "a part of an extent went");
    EXPECT_RETURN(decrease(1, 9), 1);
    for (uint32_t i = 0; i < 512; i++)
        list[i] = pfns[i];
    EXPECT_RETURN(populate(512, 0), 512);
    for (uint32_t i = 0; i < 512; i++)
        p2m_set(pfns[i], list[i]);
}

static void the_first_that_cannot_ends_it(uint64_t mfn, const char *what)
{
    list_mfns();
    list[2] = mfn;
    long done = decrease(4, 0);
    EXPECT(done == 2, "%s: %ld extents went, not 2", what, done);
    list[0] = pfns[0];
    list[1] = pfns[1];
    EXPECT_RETURN(populate(2, 0), 2);
    p2m_set(pfns[0], list[0]);
    p2m_set(pfns[1], list[1]);
}

static void frames_that_cannot_go(void)
{
    struct pte_place place;
    if (!page_table_walk(hypercall_pointer(&reservation), 1, &place))
        report_error("the guest's own page tables cannot be walked");
    the_first_that_cannot_ends_it(place.table_mfn, "a page table");
    the_first_that_cannot_ends_it(virt_to_mfn(&reservation), "a page in use");
    the_first_that_cannot_ends_it(start_info->shared_info >> PAGE_SHIFT, "a frame of the hypervisor's");
    the_first_that_cannot_ends_it(UINT64_MAX, "no frame");
    the_first_that_cannot_ends_it(pfn_to_mfn(pfns[0]), "one that is gone already");
}

static void wrong_arguments(uint32_t command)
{
    reservation = extents(list, 1, 0);
    reservation.domid = 1;
    EXPECT_RETURN(memory_op(command, &reservation), -ESRCH);
    reservation = extents(list, 1, 10);
    EXPECT_RETURN(memory_op(command, &reservation), -EINVAL);
    reservation = extents(list, 1, 0xffffffff);
    EXPECT_RETURN(memory_op(command, &reservation), -EINVAL);
    reservation = extents(list, 1ul << 32, 0);
    EXPECT_RETURN(memory_op(command, &reservation), -EINVAL);
    reservation = extents(list, 1, 0);
    reservation.mem_flags = 1u << 16;
    EXPECT_RETURN(memory_op(command, &reservation), -EINVAL);
    reservation = extents(list, 1, 0);
    EXPECT_RETURN(memory_op(command | 2u << 6, &reservation), -EINVAL);
    reservation = extents(list, 0, 0);
    EXPECT_RETURN(memory_op(command, &reservation), 0);
    for (uint32_t i = 0; i < WILD_POINTERS; i++) {
        EXPECT_RETURN(memory_op(command, (void *)(uintptr_t)wild_pointers[i]), -EFAULT);
        reservation = extents((const uint64_t *)(uintptr_t)wild_pointers[i], 4, 0);
        EXPECT_RETURN(memory_op(command, &reservation), 0);
    }
}

/* What cannot be told of is not given. */
static void a_list_that_cannot_be_written(void)
{
    const void *seen;
    uint64_t *page = read_only_page(&seen);
    list_mfns();
    EXPECT_RETURN(decrease(1, 0), 1);
    long before = reservation_now();
    page[0] = pfns[0];
    reservation = extents(seen, 1, 0);
    EXPECT_RETURN(memory_op(XENMEM_populate_physmap, &reservation), 0);
    EXPECT_RETURN(reservation_now(), before);
    list[0] = pfns[0];
    EXPECT_RETURN(populate(1, 0), 1);
    p2m_set(pfns[0], list[0]);
}

void guest_main(void)
{
    domid_t self = DOMID_SELF;
    for (uint32_t i = FRAMES; i-- != 0;)
        pfns[i] = unmapped_pfn();
    wrong_arguments(XENMEM_decrease_reservation);
    wrong_arguments(XENMEM_populate_physmap);
    for (uint32_t round = 0; round < 4; round++)
        all_go_and_come_back();
    larger_extents();
    frames_that_cannot_go();
    a_list_that_cannot_be_written();
    EXPECT_RETURN(reservation_now(), (long)start_info->nr_pages);
    EXPECT_RETURN(memory_op(XENMEM_maximum_reservation, &self), (long)start_info->nr_pages);
    domid_t stranger = 1;
    EXPECT_RETURN(memory_op(XENMEM_current_reservation, &stranger), -ESRCH);
    EXPECT_RETURN(memory_op(XENMEM_maximum_reservation, &stranger), -ESRCH);
    report_success("frames go and come back");
}

/* SPDX-License-Identifier: MIT */
/*
 * Rule: XENMEM_exchange gives frames that are contiguous, naturally aligned, below the address asked for and
 * zeroed, for as many that nothing holds; in whole or not at all: nr_exchanged is every extent and the result
 * 0, or nr_exchanged is 0 and the result an errno, and then nothing has changed.
 *
 * From: guest-abi/pv_memory.md, "XENMEM_exchange". Pointers into the hypervisor were let through by others
 * (XSA-29, XSA-212); so were frames that were still mapped, or named twice.
 *
 * Method: 512 scattered frames are exchanged for 2 MiB and back again, many times, so that a lost frame is
 * missed. Then every error is asked for, and the frames are looked at after each.
 *
 * Errors: -ESRCH, -EINVAL, -E2BIG, -EBUSY, -ENOMEM, -EFAULT.
 *
 * run: default
 * run: linear options="p2m=linear"
 * run: no-premap options="premap=off"
 * run: no-iommu options="iommu=off"
 */
#include "common/pointers.h"
#include "common/reservation.h"

#define FRAMES 512u
#define ORDER  9u
#define ROUNDS 40u

static uint64_t pfns[FRAMES], mfns[FRAMES], firsts[FRAMES];
static struct xen_memory_exchange exchange;

static void ask(uint64_t count_in, uint32_t order_in, uint64_t count_out, uint32_t order_out)
{
    exchange = (struct xen_memory_exchange){.in = extents(mfns, count_in, order_in),
                                            .out = extents(firsts, count_out, order_out)};
    for (uint32_t i = 0; i < FRAMES; i++) {
        mfns[i] = pfn_to_mfn(pfns[i]);
        firsts[i] = pfns[i];
    }
}

static void expect_error(long wanted, const char *what)
{
    long result = memory_op(XENMEM_exchange, &exchange);
    EXPECT(result == wanted, "%s: %ld, not %ld", what, result, wanted);
    EXPECT(exchange.nr_exchanged == 0, "%s: nr_exchanged is %lu", what, exchange.nr_exchanged);
    for (uint32_t i = 0; i < FRAMES; i++)
        EXPECT(m2p_word(pfn_to_mfn(pfns[i])) == pfns[i], "%s: PFN 0x%lx has lost its frame", what, pfns[i]);
    EXPECT_RETURN(reservation_now(), (long)start_info->nr_pages);
}

/* The 512 PFNs are in a row, so that the extent serves them all. */
static void for_one_extent(uint32_t address_bits)
{
    ask(FRAMES, 0, 1, ORDER);
    exchange.out.mem_flags = XENMEMF_address_bits(address_bits);
    EXPECT_RETURN(memory_op(XENMEM_exchange, &exchange), 0);
    EXPECT_RETURN(exchange.nr_exchanged, FRAMES);
    EXPECT((firsts[0] & (FRAMES - 1)) == 0, "the extent at 0x%lx is not aligned", firsts[0]);
    EXPECT(firsts[0] + FRAMES <= 1ul << (address_bits - PAGE_SHIFT), "the extent at 0x%lx is too high",
           firsts[0]);
    for (uint32_t i = 0; i < FRAMES; i++) {
        EXPECT(m2p_word(firsts[0] + i) == pfns[i], "the M2P says 0x%lx for frame %u", m2p_word(firsts[0] + i),
               i);
        EXPECT(m2p_word(mfns[i]) == NO_FRAME, "the M2P still knows MFN 0x%lx", mfns[i]);
        p2m_set(pfns[i], firsts[0] + i);
    }
    expect_gone(mfns[0]);
    expect_gone(mfns[FRAMES - 1]);
    expect_zeroed(firsts[0]);
    expect_zeroed(firsts[0] + FRAMES - 1);
}

static void for_single_frames(void)
{
    ask(1, ORDER, FRAMES, 0);
    EXPECT_RETURN(memory_op(XENMEM_exchange, &exchange), 0);
    EXPECT_RETURN(exchange.nr_exchanged, 1);
    for (uint32_t i = 0; i < FRAMES; i++) {
        EXPECT(m2p_word(firsts[i]) == pfns[i], "the M2P says 0x%lx for frame %u", m2p_word(firsts[i]), i);
        p2m_set(pfns[i], firsts[i]);
    }
    expect_zeroed(firsts[7]);
}

static void many_times(void)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for_one_extent(32);
        uint64_t *page = map_frame(pfn_to_mfn(pfns[0]), MAP_RAM);
        if (!page)
            report_error("a page of the extent cannot be mapped: %ld", window_error);
        *page = 0x5ec4e7; /* nobody finds it */
        unmap_frames(page, 1);
        for_single_frames();
    }
}

static void wrong_arguments(void)
{
    ask(FRAMES, 0, 1, ORDER);
    exchange.in.domid = 1;
    expect_error(-ESRCH, "another domain");
    ask(FRAMES, 0, 1, ORDER - 1);
    expect_error(-EINVAL, "less out than in");
    ask(4097, 0, 4097, 0);
    expect_error(-E2BIG, "4097 frames");
    ask(1ul << 60, 4, 1ul << 60, 4);
    expect_error(-E2BIG, "a number that overflows");
    ask(1, 13, 1, 13);
    expect_error(-E2BIG, "order 13");
    ask(1, 0xffffffff, 1, 0xffffffff);
    expect_error(-E2BIG, "order 2^32 - 1");
    ask(FRAMES, 0, 1, ORDER);
    exchange.out.mem_flags = XENMEMF_address_bits(12);
    expect_error(-ENOMEM, "below 4 KiB");
    ask(FRAMES, 0, 1, ORDER);
    exchange.nr_exchanged = 1;
    EXPECT_RETURN(memory_op(XENMEM_exchange, &exchange), -EINVAL);
    ask(0, 0, 0, 0);
    EXPECT_RETURN(memory_op(XENMEM_exchange, &exchange), 0);
    EXPECT_RETURN(exchange.nr_exchanged, 0);
}

static void frame_in_the_middle(uint64_t mfn, long wanted, const char *what)
{
    ask(FRAMES, 0, 1, ORDER);
    mfns[FRAMES / 2] = mfn;
    expect_error(wanted, what);
}

static void frames_that_cannot_go(void)
{
    struct pte_place place;
    uint64_t mapped = pfn_to_mfn(pfns[3]);

    if (!page_table_walk(hypercall_pointer(&exchange), 1, &place))
        report_error("the guest's own page tables cannot be walked");
    frame_in_the_middle(place.table_mfn, -EBUSY, "a page table");
    frame_in_the_middle(virt_to_mfn(&exchange), -EBUSY, "the structure's own page");
    frame_in_the_middle(start_info->shared_info >> PAGE_SHIFT, -EINVAL, "a frame of the hypervisor's");
    frame_in_the_middle(UINT64_MAX, -EINVAL, "no frame");
    frame_in_the_middle(0, -EINVAL, "MFN 0");
    frame_in_the_middle(pfn_to_mfn(pfns[0]), -EINVAL, "the same frame twice");
    for (uint32_t writable = 0; writable < 2; writable++) {
        void *page = map_frame(mapped, writable ? MAP_RAM : MAP_RAM_READ);
        if (!page)
            report_error("a page cannot be mapped: %ld", window_error);
        ask(FRAMES, 0, 1, ORDER);
        expect_error(-EBUSY, writable ? "a frame that is mapped" : "a frame that is mapped read-only");
        unmap_frames(page, 1);
    }
    ask(1, ORDER, FRAMES, 0);
    mfns[0] = UINT64_MAX - 3;
    expect_error(-EINVAL, "an extent that wraps");
}

static void wild_arrays(void)
{
    for (uint32_t i = 0; i < WILD_POINTERS; i++) {
        EXPECT_RETURN(memory_op(XENMEM_exchange, (void *)(uintptr_t)wild_pointers[i]), -EFAULT);
        ask(FRAMES, 0, 1, ORDER);
        exchange.in.extent_start = wild_pointers[i];
        expect_error(-EFAULT, "a wild list of what goes");
        ask(FRAMES, 0, FRAMES, 0);
        exchange.out.extent_start = wild_pointers[i];
        expect_error(-EFAULT, "a wild list of what comes");
    }
    /* Readable, but what has come cannot be told: at the third of three extents, and at the structure. */
    const void *seen;
    uint64_t *page = read_only_page(&seen);
    uint64_t *list = (uint64_t *)(uintptr_t)seen;
    ask(2, 0, 2, 0);
    page[0] = pfns[0];
    page[1] = pfns[1];
    exchange.out.extent_start = hypercall_pointer(list);
    expect_error(-EFAULT, "a list that cannot be written");
    uint64_t *edge = (uint64_t *)(void *)page_end() - 2;
    edge[0] = pfns[0];
    edge[1] = pfns[1];
    ask(3, 0, 3, 0);
    exchange.out.extent_start = hypercall_pointer(edge);
    expect_error(-EFAULT, "a list that ends in the middle");
    ask(1, 0, 1, 0);
    memcpy(page, &exchange, sizeof exchange);
    EXPECT_RETURN(memory_op(XENMEM_exchange, (void *)(uintptr_t)seen), -EFAULT);
    EXPECT(m2p_word(mfns[0]) == pfns[0], "a frame went though nobody could be told");
}

void guest_main(void)
{
    for (uint32_t i = FRAMES; i-- != 0;)
        pfns[i] = unmapped_pfn();
    wrong_arguments();
    frames_that_cannot_go();
    wild_arrays();
    many_times();
    report_success("%u exchanges of %u frames, and every error leaves all as it was", 2 * ROUNDS, FRAMES);
}

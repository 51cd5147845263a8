/* SPDX-License-Identifier: MIT */
/* IOMMUOP: what the front doors do to the bus, to frames and to statuses, rule by rule of the reference text.
 */
#include "fakes.h"

#define RW (IOMMU_MAP_OP_readable | IOMMU_MAP_OP_writeable)
#define R  IOMMU_MAP_OP_readable
#define W  IOMMU_MAP_OP_writeable

static int fresh(void **state)
{
    (void)state;
    fakes_reset();
    return 0;
}

static void expect_entry(uint64_t bfn, uint64_t mfn, uint32_t flags)
{
    assert_true(fake.bus[bfn].present);
    assert_int_equal(fake.bus[bfn].mfn, mfn);
    assert_int_equal(fake.bus[bfn].flags, flags);
}

static long map_one(uint64_t bfn, uint64_t mfn, uint32_t flags)
{
    set_element(0, bfn, mfn, flags);
    return call(IOMMUOP_map_page, GUEST_BASE, 1);
}

static void expect_refused(uint64_t bfn, uint64_t mfn, uint32_t flags, int status)
{
    unsigned int maps = fake.maps;

    assert_int_equal(map_one(bfn, mfn, flags), -EFAULT);
    assert_int_equal(element(0)->status, status);
    assert_int_equal(fake.maps, maps);
}

/* ---- rule 1 and the plain cases ---- */

static void maps_each_permission(void **state)
{
    (void)state;
    assert_int_equal(map_one(1, MFN_OWN, R), 0);
    expect_entry(1, MFN_OWN, IOMMU_READ);
    assert_int_equal(map_one(2, MFN_OWN + 1, W), 0);
    expect_entry(2, MFN_OWN + 1, IOMMU_WRITE);
    assert_int_equal(map_one(3, MFN_OWN + 2, RW), 0);
    expect_entry(3, MFN_OWN + 2, IOMMU_READ | IOMMU_WRITE);
    assert_int_equal(references(MFN_OWN), 2);
    assert_int_equal(bus_writable(MFN_OWN), 0);
    assert_int_equal(bus_writable(MFN_OWN + 2), 1);
}

static void reads_an_element_once_and_writes_four_bytes(void **state)
{
    (void)state;
    set_element(0, 5, MFN_OWN, RW);
    assert_int_equal(call(IOMMUOP_map_page, GUEST_BASE, 1), 0);
    assert_int_equal(fake.reads, 1);
    assert_int_equal(fake.read_bytes, 24);
    assert_int_equal(fake.writes, 1);
    assert_int_equal(element(0)->bfn, 5);
    assert_int_equal(element(0)->mfn, MFN_OWN);
    assert_int_equal(element(0)->flags, RW);
    assert_int_equal(element(0)->status, 0);
    assert_int_equal(element(1)->status, 0); /* the bytes behind it are as they were: zero */
}

static void counts_elements(void **state)
{
    (void)state;
    set_element(0, 1, MFN_OWN, RW);
    set_element(1, 2, MFN_OWN, R);
    set_element(2, 3, MFN_OWN, 0); /* an unmap */
    assert_int_equal(call(IOMMUOP_map_page, GUEST_BASE, 3), 0);
    assert_int_equal(call(IOMMUOP_unmap_page, GUEST_BASE, 2), 0);
    assert_int_equal(guest.elements_mapped, 2);
    assert_int_equal(guest.elements_unmapped, 3);
}

/* ---- rule 5 ---- */

static void replaces_and_releases_the_old_frame_once(void **state)
{
    (void)state;
    assert_int_equal(map_one(9, MFN_OWN, RW), 0);
    assert_int_equal(map_one(9, MFN_OWN + 1, R), 0);
    expect_entry(9, MFN_OWN + 1, IOMMU_READ);
    assert_int_equal(references(MFN_OWN), 1);
    assert_int_equal(bus_writable(MFN_OWN), 0);
    assert_int_equal(references(MFN_OWN + 1), 2);
    /* The same frame again: still exactly one reference of the bus. */
    assert_int_equal(map_one(9, MFN_OWN + 1, R), 0);
    assert_int_equal(references(MFN_OWN + 1), 2);
}

static void replaces_a_premap_entry(void **state)
{
    (void)state;
    assert_int_equal(map_one(BFN_PREMAPPED, MFN_OWN, RW), 0);
    expect_entry(BFN_PREMAPPED, MFN_OWN, IOMMU_READ | IOMMU_WRITE);
    assert_int_equal(references(BFN_PREMAPPED), 1);
    /* And with itself: the guest's entry takes the premap's place. */
    fakes_reset();
    assert_int_equal(map_one(BFN_PREMAPPED, BFN_PREMAPPED, RW), 0);
    expect_entry(BFN_PREMAPPED, BFN_PREMAPPED, IOMMU_READ | IOMMU_WRITE);
    assert_int_equal(references(BFN_PREMAPPED), 2);
    assert_int_equal(bus_writable(BFN_PREMAPPED), 1);
}

static void map_without_flags_unmaps(void **state)
{
    (void)state;
    assert_int_equal(map_one(9, MFN_OWN, RW), 0);
    set_element(0, 9, ~0ull, 0); /* the frame is not looked at */
    assert_int_equal(call(IOMMUOP_map_page, GUEST_BASE, 1), 0);
    assert_int_equal(element(0)->status, 0);
    assert_false(fake.bus[9].present);
    assert_int_equal(references(MFN_OWN), 1);
}

static void unmap_of_an_absent_bfn_succeeds(void **state)
{
    (void)state;
    set_element(0, 9, 0, 0);
    assert_int_equal(call(IOMMUOP_unmap_page, GUEST_BASE, 1), 0);
    assert_int_equal(element(0)->status, 0);
}

static void unmap_ignores_mfn_and_flags(void **state)
{
    (void)state;
    assert_int_equal(map_one(9, MFN_OWN, RW), 0);
    set_element(0, 9, MFN_HYPERVISOR, 0xdeadbeef);
    assert_int_equal(call(IOMMUOP_unmap_page, GUEST_BASE, 1), 0);
    assert_int_equal(element(0)->status, 0);
    assert_int_equal(element(0)->flags, 0xdeadbeef);
    assert_false(fake.bus[9].present);
}

static void unmap_needs_no_table_memory(void **state)
{
    (void)state;
    assert_int_equal(map_one(9, MFN_OWN, RW), 0);
    fake.out_of_tables = true;
    set_element(0, 9, 0, 0);
    assert_int_equal(call(IOMMUOP_unmap_page, GUEST_BASE, 1), 0);
}

/* ---- statuses ---- */

static void bad_words_are_einval(void **state)
{
    (void)state;
    expect_refused(5, MFN_OWN, 4, -EINVAL);
    expect_refused(5, MFN_OWN, 0x80000001, -EINVAL);
    expect_refused(MAX_BFN + 1, MFN_OWN, RW, -EINVAL);
    expect_refused(~0ull, MFN_OWN, RW, -EINVAL);
    expect_refused(~0ull, MFN_HYPERVISOR, RW, -EINVAL); /* before the frame is looked at */
    expect_refused(MAX_BFN + 1, MFN_OWN, 0, -EINVAL);
    set_element(0, MAX_BFN + 1, 0, 0);
    assert_int_equal(call(IOMMUOP_unmap_page, GUEST_BASE, 1), -EFAULT);
    assert_int_equal(element(0)->status, -EINVAL);
}

static void frames_of_others_are_eperm(void **state)
{
    const uint64_t forbidden[] = {MFN_HYPERVISOR, MFN_FIRMWARE, MFN_FREE,   MFN_HOLE,   MFN_IOMMU,
                                  MFN_LAPIC,      FRAMES,       1ull << 40, 1ull << 52, ~0ull};

    (void)state;
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
        expect_refused(5, forbidden[i], R, -EPERM);
        expect_refused(5, forbidden[i], RW, -EPERM);
    }
    assert_false(fake.bus[5].present);
}

static void own_mmio_is_mapped_without_a_reference(void **state)
{
    (void)state;
    assert_int_equal(map_one(5, MFN_OWN_MMIO, RW), 0);
    expect_entry(5, MFN_OWN_MMIO, IOMMU_READ | IOMMU_WRITE);
    /* A map that then fails must not give back what it never took. */
    fake.out_of_tables = true;
    expect_refused(6, MFN_OWN_MMIO, RW, -ENOMEM);
}

static void ram_is_never_taken_for_device_registers(void **state)
{
    (void)state;
    fake.policy_says_mmio = true; /* whatever the device policy holds of it */
    expect_refused(5, MFN_HYPERVISOR, RW, -EPERM);
    expect_refused(5, MFN_FREE, RW, -EPERM);
    assert_int_equal(map_one(5, MFN_HOLE, RW), 0);
}

/* For a guest that is trusted: any frame but the hypervisor's, and no books. */
static void a_trusted_guest_names_any_frame_but_the_hypervisors(void **state)
{
    static const uint64_t allowed[] = {MFN_OWN, MFN_TABLE, MFN_FREE, MFN_FIRMWARE, MFN_HOLE, MFN_OWN_MMIO};
    static const uint64_t refused[] = {MFN_HYPERVISOR, MFN_IOMMU, MFN_LAPIC};

    (void)state;
    guest.iommu_doors = IOMMU_DOORS_TRUST;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        for (uint32_t flags = R; flags <= RW; flags++) {
            assert_int_equal(map_one(5, allowed[i], flags), 0);
            expect_entry(5, allowed[i], flags | IOMMU_PREMAP);
            set_element(0, 6, allowed[i], flags);
            assert_int_equal(iommu_map_one(GUEST_BASE), 0);
            expect_entry(6, allowed[i], flags | IOMMU_PREMAP);
        }
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        expect_refused(7, refused[i], RW, -EPERM);
        set_element(0, 7, refused[i], RW);
        assert_int_equal(iommu_map_one(GUEST_BASE), -EPERM);
    }
    assert_int_equal(references(MFN_OWN), 1);
    assert_int_equal(references(MFN_TABLE), 1);
    assert_int_equal(bus_writable(MFN_OWN), 0);
    expect_refused(BFN_RESERVED, MFN_OWN, RW, -EACCES);
    assert_int_equal(map_one(BFN_RESERVED, BFN_RESERVED, RW), 0);
    assert_int_equal(map_one(5, 0, 0), 0);
    assert_false(fake.bus[5].present);
    assert_int_equal(references(MFN_OWN), 1);
}

static void parked_frames_wait_for_their_last_entry(void **state)
{
    (void)state;
    assert_int_equal(map_one(5, MFN_OWN, RW), 0);
    assert_int_equal(map_one(6, MFN_OWN, R), 0);
    set_owner(MFN_OWN, FRAME_PARKED);
    frame_put(frame_of(MFN_OWN)); /* the one that all of them begin with */
    expect_refused(7, MFN_OWN, RW, -EPERM);
    assert_int_equal(map_one(5, 0, 0), 0);
    assert_int_equal(fake.unparked, 0);
    assert_int_equal(map_one(6, 0, 0), 0);
    assert_int_equal(fake.unparked, MFN_OWN);
}

static void write_is_withheld_on_a_page_table(void **state)
{
    (void)state;
    assert_int_equal(map_one(5, MFN_TABLE, RW), 0);
    expect_entry(5, MFN_TABLE, IOMMU_READ | IOMMU_WITHHELD);
    assert_int_equal(bus_writable(MFN_TABLE), 1);
    assert_int_equal(map_one(6, MFN_TABLE, R), 0);
    expect_entry(6, MFN_TABLE, IOMMU_READ);
    expect_refused(7, MFN_TABLE, W, -EPERM);
    assert_int_equal(references(MFN_TABLE), 3);
    assert_int_equal(bus_writable(MFN_TABLE), 1);
}

static void reserved_ranges_are_immutable(void **state)
{
    (void)state;
    expect_refused(BFN_RESERVED, MFN_OWN, RW, -EACCES);
    expect_refused(BFN_RESERVED, MFN_HYPERVISOR, RW, -EACCES);
    expect_refused(BFN_RESERVED, BFN_RESERVED, R, -EACCES);
    expect_refused(BFN_RESERVED, BFN_RESERVED + 1, RW, -EACCES);
    expect_refused(BFN_RESERVED, 0, 0, -EACCES);
    assert_int_equal(references(MFN_OWN), 1);
    set_element(0, BFN_RESERVED + 1, 0, 0);
    assert_int_equal(call(IOMMUOP_unmap_page, GUEST_BASE, 1), -EFAULT);
    assert_int_equal(element(0)->status, -EACCES);
    expect_entry(BFN_RESERVED, BFN_RESERVED, IOMMU_READ | IOMMU_WRITE | IOMMU_LOCKED);
}

static void a_map_equal_to_the_installed_one_succeeds(void **state)
{
    (void)state;
    /* Its frames are firmware's: the frame check alone would refuse them. */
    assert_int_equal(map_one(BFN_RESERVED, BFN_RESERVED, RW), 0);
    assert_int_equal(element(0)->status, 0);
    /* Also where they are RAM of the guest. */
    set_owner(BFN_RESERVED, FRAME_GUEST);
    assert_int_equal(map_one(BFN_RESERVED, BFN_RESERVED, RW), 0);
    assert_int_equal(references(BFN_RESERVED), 0);
    assert_int_equal(fake.maps, 0);
}

static void the_msi_window_takes_no_map_and_any_unmap(void **state)
{
    (void)state;
    expect_refused(0xfee00, MFN_OWN, RW, -EACCES);
    expect_refused(0xfeeff, 0xfeeff, R, -EACCES);
    assert_int_equal(map_one(0xfee00, 0, 0), 0);
    set_element(0, 0xfee00, 0, 0);
    set_element(1, 0xfeeff, 0, 0);
    assert_int_equal(call(IOMMUOP_unmap_page, GUEST_BASE, 2), 0);

    /* Its neighbours are ordinary. */
    expect_refused(0xfedff, MFN_OWN, RW, -ENOMEM); /* the model's bus ends earlier: it got to the engine */
    expect_refused(0xfef00, MFN_OWN, RW, -ENOMEM);
}

static void no_memory_leaves_no_reference(void **state)
{
    (void)state;
    fake.out_of_tables = true;
    expect_refused(5, MFN_OWN, RW, -ENOMEM);
    assert_int_equal(references(MFN_OWN), 1);
    assert_int_equal(bus_writable(MFN_OWN), 0);
}

static void a_full_reference_count_is_enomem(void **state)
{
    (void)state;
    fill_references(MFN_OWN);
    expect_refused(5, MFN_OWN, RW, -ENOMEM);
}

/* ---- rule 2 ---- */

static void stops_at_the_first_bad_element(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 5; i++)
        set_element(i, i, MFN_OWN + i, RW);
    element(2)->mfn = MFN_HYPERVISOR;
    assert_int_equal(call(IOMMUOP_map_page, GUEST_BASE, 5), -EFAULT);
    assert_int_equal(element(0)->status, 0);
    assert_int_equal(element(1)->status, 0);
    assert_int_equal(element(2)->status, -EPERM);
    assert_int_equal(element(3)->status, UNTOUCHED);
    assert_int_equal(element(4)->status, UNTOUCHED);
    assert_true(fake.bus[1].present);
    assert_false(fake.bus[3].present);
    assert_int_equal(fake.flushes, 1);
    assert_false(fake.continued);
}

static void flushes_before_it_returns_an_error(void **state)
{
    (void)state;
    assert_int_equal(map_one(9, MFN_OWN, RW), 0);
    set_element(0, 9, 0, 0);
    set_element(1, BFN_RESERVED, 0, 0);
    fake.flushes = 0;
    assert_int_equal(call(IOMMUOP_unmap_page, GUEST_BASE, 2), -EFAULT);
    assert_int_equal(fake.flushes, 1);
    assert_int_equal(references(MFN_OWN), 1); /* released by that flush */
}

/* ---- rules 3, 4 and 7 ---- */

static void one_flush_for_a_whole_array(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 256; i++)
        set_element(i, i, MFN_OWN + i, RW);
    assert_int_equal(call(IOMMUOP_map_page, GUEST_BASE, 256), 0);
    assert_int_equal(fake.flushes, 1);
    assert_int_equal(call(IOMMUOP_unmap_page, GUEST_BASE, 256), 0);
    assert_int_equal(fake.flushes, 2);
    assert_int_equal(references(MFN_OWN + 255), 1);
}

static void continues_at_every_index(void **state)
{
    (void)state;
    for (uint32_t every = 1; every <= 20; every++) {
        unsigned int continuations;

        fakes_reset();
        guest.continue_every = every;
        for (unsigned int i = 0; i < 20; i++)
            set_element(i, i, MFN_OWN + i, RW);
        assert_int_equal(call_to_the_end(IOMMUOP_map_page, GUEST_BASE, 20, &continuations), 0);
        assert_int_equal(continuations, (20 - 1) / every);
        assert_int_equal(fake.flushes, continuations + 1);
        assert_int_equal(fake.maps, 20);
        for (unsigned int i = 0; i < 20; i++) {
            assert_int_equal(element(i)->status, 0);
            assert_int_equal(references(MFN_OWN + i), i + MFN_OWN == BFN_PREMAPPED ? 3 : 2);
        }
    }
}

static void a_continuation_keeps_what_it_does_not_advance(void **state)
{
    (void)state;
    guest.continue_every = 3;
    for (unsigned int i = 0; i < 5; i++)
        set_element(i, i, MFN_OWN + i, RW);
    assert_int_equal(call(IOMMUOP_map_page | 0xabcd00000000, GUEST_BASE, 5 | 0x700000000), 0x5eed);
    assert_true(fake.continued);
    assert_int_equal((uint32_t)fake.next.a[0], IOMMUOP_map_page);
    assert_int_equal(fake.next.a[1], GUEST_BASE + 3 * 24);
    assert_int_equal(fake.next.a[2], 2);
    assert_int_equal(fake.flushes, 1);
    assert_int_equal(element(3)->status, UNTOUCHED);
}

static void yields_to_pending_work(void **state)
{
    unsigned int continuations;

    (void)state;
    for (unsigned int i = 0; i < 100; i++)
        set_element(i, i, MFN_OWN + i, RW);
    fake.preempt_at = 1;
    assert_int_equal(call_to_the_end(IOMMUOP_map_page, GUEST_BASE, 100, &continuations), 0);
    assert_int_equal(continuations, 1);
    assert_true(fake.preemption_points >= 1); /* at least one every 64 elements */
    assert_int_equal(fake.maps, 100);
}

static void yields_when_the_accumulator_is_full(void **state)
{
    unsigned int continuations;

    (void)state;
    fake.parked_limit = 20;
    for (unsigned int i = 0; i < 50; i++) {
        set_element(i, 100 + i, MFN_OWN + i, RW);
    }
    assert_int_equal(call(IOMMUOP_map_page, GUEST_BASE, 50), 0);
    assert_int_equal(call_to_the_end(IOMMUOP_unmap_page, GUEST_BASE, 50, &continuations), 0);
    assert_int_equal(continuations, 2);
    assert_int_equal(references(MFN_OWN + 49), 1);
}

static void a_bad_element_behind_a_continuation_is_still_found(void **state)
{
    unsigned int continuations;

    (void)state;
    guest.continue_every = 1;
    for (unsigned int i = 0; i < 5; i++)
        set_element(i, i, MFN_OWN + i, RW);
    element(3)->flags = 8;
    assert_int_equal(call_to_the_end(IOMMUOP_map_page, GUEST_BASE, 5, &continuations), -EFAULT);
    assert_int_equal(continuations, 3);
    assert_int_equal(element(3)->status, -EINVAL);
    assert_int_equal(element(4)->status, UNTOUCHED);
}

static void a_failed_flush_is_eio_and_releases_nothing(void **state)
{
    (void)state;
    assert_int_equal(map_one(9, MFN_OWN, RW), 0);
    fake.flush_fails = true;
    set_element(0, 9, 0, 0);
    assert_int_equal(call(IOMMUOP_unmap_page, GUEST_BASE, 1), -EIO);
    assert_int_equal(element(0)->status, 0); /* done to the tables */
    assert_int_equal(references(MFN_OWN), 2);
    /* Instead of a continuation, and instead of the error of an element, too. */
    guest.continue_every = 1;
    set_element(1, 10, 0, 0);
    assert_int_equal(call(IOMMUOP_unmap_page, GUEST_BASE, 2), -EIO);
    assert_false(fake.continued);
    expect_entry(BFN_RESERVED, BFN_RESERVED, IOMMU_READ | IOMMU_WRITE | IOMMU_LOCKED);
    set_element(0, BFN_RESERVED, 0, 0);
    assert_int_equal(call(IOMMUOP_unmap_page, GUEST_BASE, 1), -EIO);
    assert_int_equal(element(0)->status, -EACCES);
}

static void a_dead_unit_is_eio(void **state)
{
    (void)state;
    fake.unit_dead = true;
    assert_int_equal(map_one(9, MFN_OWN, RW), -EIO);
    assert_int_equal(element(0)->status, -EIO);
    assert_int_equal(references(MFN_OWN), 1);
    set_element(0, 9, 0, 0);
    assert_int_equal(call(IOMMUOP_unmap_page, GUEST_BASE, 1), -EIO);
}

#define TEST(function) cmocka_unit_test_setup(function, fresh)

int main(void)
{
    const struct CMUnitTest behaviour[] = {
        TEST(maps_each_permission),
        TEST(reads_an_element_once_and_writes_four_bytes),
        TEST(counts_elements),
        TEST(replaces_and_releases_the_old_frame_once),
        TEST(replaces_a_premap_entry),
        TEST(map_without_flags_unmaps),
        TEST(unmap_of_an_absent_bfn_succeeds),
        TEST(unmap_ignores_mfn_and_flags),
        TEST(unmap_needs_no_table_memory),
        TEST(bad_words_are_einval),
        TEST(frames_of_others_are_eperm),
        TEST(own_mmio_is_mapped_without_a_reference),
        TEST(ram_is_never_taken_for_device_registers),
        TEST(a_trusted_guest_names_any_frame_but_the_hypervisors),
        TEST(parked_frames_wait_for_their_last_entry),
        TEST(write_is_withheld_on_a_page_table),
        TEST(reserved_ranges_are_immutable),
        TEST(a_map_equal_to_the_installed_one_succeeds),
        TEST(the_msi_window_takes_no_map_and_any_unmap),
        TEST(no_memory_leaves_no_reference),
        TEST(a_full_reference_count_is_enomem),
        TEST(stops_at_the_first_bad_element),
        TEST(flushes_before_it_returns_an_error),
        TEST(one_flush_for_a_whole_array),
        TEST(continues_at_every_index),
        TEST(a_continuation_keeps_what_it_does_not_advance),
        TEST(yields_to_pending_work),
        TEST(yields_when_the_accumulator_is_full),
        TEST(a_bad_element_behind_a_continuation_is_still_found),
        TEST(a_failed_flush_is_eio_and_releases_nothing),
        TEST(a_dead_unit_is_eio),
    };
    int failed = cmocka_run_group_tests(behaviour, NULL, NULL);

    return failed + run_argument_tests();
}

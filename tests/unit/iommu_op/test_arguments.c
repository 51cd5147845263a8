/* SPDX-License-Identifier: MIT */
/* IOMMUOP: every argument at its edges, the extensions, and the physdev door. */
#include "fakes.h"

#include <string.h>

#define RW (IOMMU_MAP_OP_readable | IOMMU_MAP_OP_writeable)

static int fresh(void **state)
{
    (void)state;
    fakes_reset();
    return 0;
}

static const uint32_t known[] = {IOMMUOP_map_page, IOMMUOP_unmap_page, IOMMUOP_query, IOMMUOP_get_reserved,
                                 IOMMUOP_lookup_page};
#define KNOWN (sizeof known / sizeof known[0])

/* ---- order of checks: feature, sub-op, count ---- */

static void feature_off_is_enosys_on_every_door(void **state)
{
    (void)state;
    guest.iommu_doors = IOMMU_DOORS_CLOSED;
    for (size_t i = 0; i < KNOWN; i++) {
        assert_int_equal(call(known[i], 0, 0), -ENOSYS);
        assert_int_equal(call(known[i], GUEST_BASE, 1), -ENOSYS);
        assert_int_equal(call(known[i], GUEST_BASE, 0xffffffff), -ENOSYS);
    }
    assert_int_equal(iommu_map_one(GUEST_BASE), -ENOSYS);
    assert_int_equal(iommu_map_one(0), -ENOSYS);
    assert_int_equal(fake.reads + fake.writes, 0);
}

static void unknown_subops_are_enosys_before_count(void **state)
{
    const uint32_t unknown[] = {0, 3, 4, 0xff, 0x103, 0x7fffffff, 0xffffffff};

    (void)state;
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_int_equal(call(unknown[i], 0, 0), -ENOSYS);
        assert_int_equal(call(unknown[i], GUEST_BASE, 0xffffffff), -ENOSYS);
    }
}

static void count_zero_is_the_probe(void **state)
{
    const uint64_t pointers[] = {0, 1, NOT_CANONICAL, HYPERVISOR_SPACE, ~0ull};

    (void)state;
    for (size_t i = 0; i < KNOWN; i++) {
        for (size_t p = 0; p < sizeof pointers / sizeof pointers[0]; p++)
            assert_int_equal(call(known[i], pointers[p], 0), 0);
    }
    assert_int_equal(fake.reads + fake.writes + fake.flushes, 0);
}

static void count_beyond_int32_is_einval_before_the_pointer(void **state)
{
    (void)state;
    for (size_t i = 0; i < KNOWN; i++) {
        assert_int_equal(call(known[i], 0, 0x80000000), -EINVAL);
        assert_int_equal(call(known[i], 0, 0xffffffff), -EINVAL);
    }
    assert_int_equal(fake.reads + fake.writes, 0);
}

static void the_highest_count_is_taken_and_bounded_by_the_first_fault(void **state)
{
    (void)state;
    memset(fake.memory, 0, sizeof fake.memory);
    fake.memory[16] = 8; /* an unknown flag in the first element */
    assert_int_equal(call(IOMMUOP_map_page, GUEST_BASE, INT32_MAX), -EFAULT);
    assert_int_equal(element(0)->status, -EINVAL);
    assert_int_equal(fake.reads, 1);
}

static void upper_halves_are_ignored(void **state)
{
    (void)state;
    set_element(0, 5, MFN_OWN, RW);
    set_element(1, 6, MFN_OWN, RW);
    assert_int_equal(call(0xffffffff00000000 | IOMMUOP_map_page, GUEST_BASE, 0x8000000000000001), 0);
    assert_int_equal(element(0)->status, 0);
    assert_int_equal(element(1)->status, UNTOUCHED);
    assert_int_equal(call(0x100000000 | IOMMUOP_unmap_page, 0, 0xffffffff00000000), 0);
    assert_int_equal(call(0x100000000 | IOMMUOP_query, GUEST_BASE, 0x100000001), 0);
    assert_int_equal(element(0)->bfn & 0xffffffff, 1); /* the version */
}

/* ---- pointers ---- */

static void bad_pointers_are_efault(void **state)
{
    const uint64_t bad[] = {
        0,
        1,
        NOT_CANONICAL,
        NOT_CANONICAL - 8, /* straddles the edge */
        HYPERVISOR_SPACE,
        0xffff7ffffffffff8, /* non-canonical, just below the hypervisor */
        0xffff87fffffffff8, /* straddles the hypervisor's end */
        GUEST_BASE - 8,
        GUEST_UNMAPPED - 8,
        GUEST_UNMAPPED,
        ~0ull,
        0xfffffffffffffff0, /* wraps */
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t s = 0; s < KNOWN; s++) {
            uint32_t count = known[s] == IOMMUOP_get_reserved ? 8 : 1;

            assert_int_equal(call(known[s], bad[i], count), -EFAULT);
        }
        assert_int_equal(iommu_map_one(bad[i]), -EFAULT);
    }
    assert_int_equal(fake.maps + fake.unmaps, 0);
}

static void an_unaligned_array_works(void **state)
{
    struct iommu_map_op op = {5, MFN_OWN, RW, UNTOUCHED};

    (void)state;
    memcpy(&fake.memory[3], &op, sizeof op);
    assert_int_equal(call(IOMMUOP_map_page, GUEST_BASE + 3, 1), 0);
    memcpy(&op, &fake.memory[3], sizeof op);
    assert_int_equal(op.status, 0);
}

static void an_array_that_runs_into_a_hole_does_what_comes_before(void **state)
{
    uint64_t array = GUEST_READ_ONLY - 2 * 24 - 8;
    size_t offset = array - GUEST_BASE;
    struct iommu_map_op op = {0x900, MFN_OWN, RW, UNTOUCHED};

    (void)state;
    for (unsigned int i = 0; i < 3; i++, op.bfn++)
        memcpy(&fake.memory[offset + i * 24], &op, sizeof op);
    /* The third element can be read, but its status lies in a read-only page. */
    assert_int_equal(call(IOMMUOP_map_page, array, 3), -EFAULT);
    assert_true(fake.bus[0x900].present);
    assert_true(fake.bus[0x901].present);
    assert_true(fake.bus[0x902].present); /* a failed status write leaves the mapping done */
    assert_int_equal(fake.flushes, 1);
    assert_int_equal(references(MFN_OWN), 4);
}

static void an_array_cut_short_is_done_up_to_the_cut(void **state)
{
    (void)state;
    for (unsigned int there = 0; there < 40; there++) {
        fakes_reset();
        for (unsigned int i = 0; i < 40; i++)
            set_element(i, 0x900 + i, MFN_OWN + i, RW);
        fake.readable_end = GUEST_BASE + there * 24 + 23;
        assert_int_equal(call(IOMMUOP_map_page, GUEST_BASE, 40), -EFAULT);
        assert_int_equal(fake.maps, there);
        assert_int_equal(fake.flushes, 1);
        for (unsigned int i = 0; i < there; i++)
            assert_int_equal(element(i)->status, 0);
        assert_int_equal(element(there)->status, UNTOUCHED);
        fake.readable_end = 0;
    }
}

/* Two elements whose statuses can be written, then two whose statuses cannot: the first of these is done. */
static void an_array_that_runs_into_a_read_only_page(void **state)
{
    static const uint32_t calls[] = {IOMMUOP_map_page, IOMMUOP_unmap_page};
    const uint64_t start = GUEST_READ_ONLY - 2 * sizeof(struct iommu_map_op);
    struct iommu_map_op ops[4];

    (void)state;
    for (unsigned int k = 0; k < 2; k++) {
        for (unsigned int i = 0; i < 4; i++) {
            ops[i] = (struct iommu_map_op){0x900 + i, MFN_OWN + i, RW, UNTOUCHED};
            fake.bus[0x900 + i].present = k == 1;
        }
        memcpy(&fake.memory[start - GUEST_BASE], ops, sizeof ops);
        assert_int_equal(call(calls[k], start, 4), -EFAULT);
        memcpy(ops, &fake.memory[start - GUEST_BASE], sizeof ops);
        for (unsigned int i = 0; i < 4; i++) {
            assert_int_equal(ops[i].status, i < 2 ? 0 : UNTOUCHED);
            assert_int_equal(fake.bus[0x900 + i].present, (i < 3) == (k == 0));
        }
    }
}

static void a_read_only_element_is_done_but_efault(void **state)
{
    struct iommu_map_op op = {0x900, MFN_OWN, RW, UNTOUCHED};

    (void)state;
    memcpy(&fake.memory[GUEST_READ_ONLY - GUEST_BASE], &op, sizeof op);
    assert_int_equal(call(IOMMUOP_map_page, GUEST_READ_ONLY, 1), -EFAULT);
    assert_true(fake.bus[0x900].present);
    assert_int_equal(call(IOMMUOP_lookup_page, GUEST_READ_ONLY, 1), -EFAULT);
    assert_int_equal(call(IOMMUOP_query, GUEST_READ_ONLY, 1), -EFAULT);
    assert_int_equal(call(IOMMUOP_get_reserved, GUEST_READ_ONLY, 2), -EFAULT);
}

/* ---- extensions ---- */

static void query_describes_the_feature(void **state)
{
    struct iommu_query *answer = (struct iommu_query *)(void *)fake.memory;

    (void)state;
    memset(fake.memory, 0xff, 64);
    assert_int_equal(call(IOMMUOP_query, GUEST_BASE, 1), 0);
    assert_int_equal(answer->version, 1);
    assert_int_equal(answer->features, 1 | 2 | 8 | 16 | 32);
    assert_int_equal(answer->max_bfn, MAX_BFN);
    assert_int_equal(answer->premap, 1);
    assert_int_equal(answer->reserved_ranges, 2);
    assert_int_equal(answer->table_quota, 1234);
    assert_int_equal(answer->table_used, 7);
    assert_int_equal(fake.memory[32], 0xff);
    guest.premap = false;
    assert_int_equal(call(IOMMUOP_query, GUEST_BASE, 1), 0);
    assert_int_equal(answer->features, 1 | 2 | 16 | 32);
    assert_int_equal(answer->premap, 0);
    assert_int_equal(call(IOMMUOP_query, GUEST_BASE, 2), -EINVAL);
}

static void get_reserved_fills_or_says_enobufs(void **state)
{
    struct iommu_reserved_range *list = (struct iommu_reserved_range *)(void *)fake.memory;

    (void)state;
    memset(fake.memory, 0xff, 128);
    assert_int_equal(call(IOMMUOP_get_reserved, GUEST_BASE, 1), -ENOBUFS);
    assert_int_equal(fake.memory[0], 0xff);
    assert_int_equal(call(IOMMUOP_get_reserved, GUEST_BASE, 2), 2);
    assert_int_equal(list[0].start, BFN_RESERVED);
    assert_int_equal(list[0].frames, 2);
    assert_int_equal(list[0].kind, IOMMU_RESERVED_identity);
    assert_int_equal(list[0].zero, 0);
    assert_int_equal(list[1].start, 0xfee00);
    assert_int_equal(list[1].frames, 0x100);
    assert_int_equal(list[1].kind, IOMMU_RESERVED_msi);
    assert_int_equal(fake.memory[48], 0xff);
    assert_int_equal(call(IOMMUOP_get_reserved, GUEST_BASE, INT32_MAX), 2);
}

static void lookup_reports_what_a_device_would_get(void **state)
{
    unsigned int continuations;

    (void)state;
    set_element(0, 5, MFN_OWN, RW);
    set_element(1, 6, MFN_TABLE, RW);
    assert_int_equal(call(IOMMUOP_map_page, GUEST_BASE, 2), 0);
    set_element(0, 5, 0, 0xffffffff);
    set_element(1, 6, 0, 0);
    set_element(2, 7, 0x77, 0x55);
    set_element(3, 5, 0x77, 0x55);
    guest.continue_every = 1;
    assert_int_equal(call_to_the_end(IOMMUOP_lookup_page, GUEST_BASE, 4, &continuations), -EFAULT);
    assert_int_equal(continuations, 2);
    assert_int_equal(element(0)->mfn, MFN_OWN);
    assert_int_equal(element(0)->flags, RW);
    assert_int_equal(element(0)->status, 0);
    assert_int_equal(element(1)->mfn, MFN_TABLE);
    assert_int_equal(element(1)->flags, IOMMU_MAP_OP_readable | IOMMU_MAP_OP_write_withheld);
    assert_int_equal(element(2)->status, -ENOENT);
    assert_int_equal(element(2)->mfn, 0x77);
    assert_int_equal(element(2)->flags, 0x55);
    assert_int_equal(element(3)->status, UNTOUCHED);
    set_element(0, MAX_BFN + 1, 0, 0);
    assert_int_equal(call(IOMMUOP_lookup_page, GUEST_BASE, 1), -EFAULT);
    assert_int_equal(element(0)->status, -EINVAL);
}

/* ---- the physdev door ---- */

static void physdev_door_maps_unmaps_and_returns_the_status(void **state)
{
    (void)state;
    set_element(0, 5, MFN_OWN, RW);
    assert_int_equal(iommu_map_one(GUEST_BASE), 0);
    assert_int_equal(element(0)->status, 0);
    assert_true(fake.bus[5].present);
    assert_int_equal(fake.flushes, 1);
    set_element(0, 5, MFN_HYPERVISOR, RW);
    assert_int_equal(iommu_map_one(GUEST_BASE), -EPERM);
    assert_int_equal(element(0)->status, -EPERM);
    set_element(0, 5, 0, 0);
    assert_int_equal(iommu_map_one(GUEST_BASE), 0);
    assert_false(fake.bus[5].present);
    assert_int_equal(references(MFN_OWN), 1);
    fake.flush_fails = true;
    set_element(0, 6, MFN_OWN, RW);
    assert_int_equal(iommu_map_one(GUEST_BASE), -EIO);
}

static void physdev_door_needs_a_writable_status(void **state)
{
    struct iommu_map_op op = {0x900, MFN_OWN, RW, UNTOUCHED};

    (void)state;
    memcpy(&fake.memory[GUEST_READ_ONLY - GUEST_BASE], &op, sizeof op);
    assert_int_equal(iommu_map_one(GUEST_READ_ONLY), -EFAULT);
    assert_int_equal(fake.flushes, 1);
}

#define TEST(function) cmocka_unit_test_setup(function, fresh)

int run_argument_tests(void)
{
    const struct CMUnitTest arguments[] = {
        TEST(feature_off_is_enosys_on_every_door),
        TEST(unknown_subops_are_enosys_before_count),
        TEST(count_zero_is_the_probe),
        TEST(count_beyond_int32_is_einval_before_the_pointer),
        TEST(the_highest_count_is_taken_and_bounded_by_the_first_fault),
        TEST(upper_halves_are_ignored),
        TEST(bad_pointers_are_efault),
        TEST(an_unaligned_array_works),
        TEST(an_array_that_runs_into_a_hole_does_what_comes_before),
        TEST(an_array_cut_short_is_done_up_to_the_cut),
        TEST(an_array_that_runs_into_a_read_only_page),
        TEST(a_read_only_element_is_done_but_efault),
        TEST(query_describes_the_feature),
        TEST(get_reserved_fills_or_says_enobufs),
        TEST(lookup_reports_what_a_device_would_get),
        TEST(physdev_door_maps_unmaps_and_returns_the_status),
        TEST(physdev_door_needs_a_writable_status),
    };

    return cmocka_run_group_tests(arguments, NULL, NULL);
}

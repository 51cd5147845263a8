/* SPDX-License-Identifier: MIT */
/*
 * The guest's bus at boot: its own frames and nothing else at BFN = MFN, tables without W, every entry with a
 * reference; and each device it owns, under every id its DMA can carry.
 */
#include "world.h"

/* ---- the boot-time map ---- */

static void own_frames_and_nothing_else(void **state)
{
    (void)state;
    static const enum frame_owner others[] = {FRAME_NOT_RAM, FRAME_HYPERVISOR, FRAME_FREE, FRAME_FIRMWARE};
    for (unsigned i = 0; i < 4; i++) {
        machine_frames[i].owner = (uint8_t)others[i];
        machine_frames[1000 + i * 2].owner = (uint8_t)others[i];
        machine_frames[MACHINE_FRAMES - 1 - i].owner = (uint8_t)others[i];
    }
    assert_true(open_bus());
    for (uint64_t mfn = 0; mfn < MACHINE_FRAMES; mfn++) {
        bool own = machine_frames[mfn].owner == FRAME_GUEST;
        assert_int_equal(entry_flags[mfn], own ? IOMMU_READ | IOMMU_WRITE | IOMMU_PREMAP : 0);
        assert_int_equal(machine_frames[mfn].references, own ? 1 : 0);
        assert_int_equal(machine_frames[mfn].flags, own ? FRAME_PREMAPPED : 0);
        assert_int_equal(machine_frames[mfn].bus_writable, 0); /* that counts the guest's own entries */
    }
    assert_int_equal(flushes, 1);
}

static void no_device_writes_a_table(void **state)
{
    (void)state;
    for (uint32_t type = FRAME_TYPE_WRITABLE; type <= FRAME_TYPE_SEGMENT; type++)
        frame_get_type(frame_of(100 + type), (enum frame_type)type);
    frame_get_type(frame_of(200), FRAME_TYPE_L1);
    frame_put_type(frame_of(200)); /* was a table, is none any more */
    assert_true(open_bus());
    const uint32_t withheld = IOMMU_READ | IOMMU_WITHHELD | IOMMU_PREMAP;
    const uint32_t plain = IOMMU_READ | IOMMU_WRITE | IOMMU_PREMAP;
    assert_int_equal(entry_flags[99], plain);
    assert_int_equal(entry_flags[100 + FRAME_TYPE_WRITABLE], plain);
    for (uint32_t type = FRAME_TYPE_L1; type <= FRAME_TYPE_SEGMENT; type++)
        assert_int_equal(entry_flags[100 + type], withheld);
    assert_int_equal(entry_flags[200], plain);
    assert_int_equal(machine_frames[100 + FRAME_TYPE_L4].references, 2);
}

static void frames_beyond_the_bus_are_left_out(void **state)
{
    (void)state;
    max_bfn = 4095;
    assert_true(open_bus());
    assert_int_equal(machine_frames[4095].flags, FRAME_PREMAPPED);
    assert_int_equal(machine_frames[4096].flags, 0);
    assert_int_equal(machine_frames[4096].references, 0);
}

static void premap_off_maps_nothing(void **state)
{
    (void)state;
    premap_option = false;
    assert_true(open_bus());
    assert_false(guest.premap);
    assert_int_equal(entry_flags[0], 0);
    assert_int_equal(machine_frames[0].references, 0);
    assert_true(is_attached(pci_id(0, 1, 0)));
}

static void a_failed_map_refuses_the_boot(void **state)
{
    (void)state;
    map_error = -ENOMEM;
    assert_false(open_bus());
    assert_non_null(strstr(log_text, "refused: bus: the guest's memory cannot be mapped"));
}

/* ---- devices and modes ---- */

static void every_own_device_under_every_id(void **state)
{
    (void)state;
    assert_true(open_bus());
    assert_true(is_attached(pci_id(0, 1, 0)));
    assert_true(is_attached(pci_id(0, 3, 0)));
    assert_true(is_attached(pci_id(2, 0, 0)));
    assert_true(is_attached(pci_id(2, 5, 0)));
    assert_true(is_attached(pci_id(0, 31, 0)));
    assert_false(is_attached(pci_id(0, 0, 0)));
    assert_false(is_attached(pci_id(0, 2, 0)));
    assert_false(is_attached(pci_id(0, 4, 0)));
    assert_int_equal(cleared_count, 0);
    assert_int_equal(machine_policies, 0);
    assert_non_null(strstr(log_text, "group of 3: 00:1f.0, 00:1f.2, 00:1f.3"));
    assert_non_null(strstr(log_text, "group of 2: 00:03.0, 02:05.0"));
    assert_null(strstr(log_text, "group of 1"));
}

static void a_device_behind_no_unit_is_shut_out(void **state)
{
    (void)state;
    uncovered = pci_id(0, 1, 0);
    assert_true(open_bus());
    assert_int_equal(cleared_count, 1);
    assert_true(is_master_cleared(pci_id(0, 1, 0)));
    assert_true(functions[1].hidden);
    assert_int_equal(machine_policies, 1);
    assert_non_null(strstr(log_text, "device 00:01.0 is behind no IOMMU unit"));
    assert_true(is_attached(pci_id(0, 31, 2))); /* the others do not suffer */
}

/* The chipset is not the guest's, in whole. */
static void expect_no_chipset(void)
{
    for (uint32_t i = 6; i < FUNCTIONS; i++) {
        assert_false(is_attached(functions[i].id));
        assert_true(functions[i].hidden);
    }
    assert_true(is_master_cleared(pci_id(0, 31, 2)));
    assert_true(is_master_cleared(pci_id(0, 31, 3)));
    assert_true(is_attached(pci_id(0, 1, 0)));
    assert_int_equal(machine_policies, 1);
}

static void a_group_is_given_whole_or_not_at_all(void **state)
{
    static const struct {
        int error;
        const char *words;
    } cases[] = {
        {-ENODEV, "group 00:1f.0, 00:1f.2, 00:1f.3: 00:1f.3 is behind no IOMMU unit"},
        {-EIO, "00:1f.3 is behind an IOMMU unit that does not answer"},
        {-ENOMEM, "00:1f.3 finds no room in the tables of its IOMMU unit"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(state);
        uncovered = pci_id(0, 31, 3); /* the last of them: the others are attached already */
        attach_error = cases[i].error;
        assert_true(open_bus());
        expect_no_chipset();
        assert_non_null(strstr(log_text, cases[i].words));
    }
    /* The first of them: the others are not tried. */
    setup(state);
    uncovered = pci_id(0, 31, 0);
    assert_true(open_bus());
    expect_no_chipset();
    assert_int_equal(attach_calls, 5); /* 00:01.0, the bridge, two of 02:05.0, 00:1f.0 */
}

/* What firmware's reserved ranges put there before the guest came is taken away as well. */
static void a_reserved_range_does_not_outlive_its_group(void **state)
{
    (void)state;
    attached[attached_count++] = pci_id(0, 31, 3);
    uncovered = pci_id(0, 31, 0);
    assert_true(open_bus());
    expect_no_chipset();
}

static void a_group_behind_a_bridge_falls_with_its_id(void **state)
{
    (void)state;
    uncovered = pci_id(2, 0, 0); /* no function, but what those behind the bridge show as */
    assert_true(open_bus());
    assert_false(is_attached(pci_id(2, 5, 0)));
    assert_false(is_attached(pci_id(0, 3, 0)));
    assert_true(functions[3].hidden && functions[5].hidden);
    assert_true(is_master_cleared(pci_id(0, 3, 0)) && is_master_cleared(pci_id(2, 5, 0)));
    assert_non_null(strstr(log_text, "group 00:03.0, 02:05.0: 02:05.0 is behind no IOMMU unit"));
}

/* A bridge's own requests are interrupts: nobody is kept from its devices by them. */
static void a_bridge_alone_spoils_nothing(void **state)
{
    (void)state;
    uncovered = pci_id(0, 3, 0);
    assert_true(open_bus());
    assert_true(is_attached(pci_id(2, 5, 0)) && is_attached(pci_id(2, 0, 0)));
    assert_int_equal(cleared_count, 0);
}

/* Firmware says that a function shows as a bridge, which leads to a device that has nothing to do with it. */
static void the_way_to_others_stays_open(void **state)
{
    (void)state;
    functions[3].pcie_type = PCIE_TYPE_ROOT_PORT;
    functions[3].access_control = true;
    functions[5].requester_id = functions[5].id;
    alias_from = pci_id(0, 1, 0);
    alias_to = pci_id(0, 3, 0);
    uncovered = pci_id(0, 1, 0);
    assert_true(open_bus());
    assert_non_null(strstr(log_text, "group 00:01.0, 00:03.0: 00:01.0 is behind no IOMMU unit"));
    assert_true(functions[1].hidden);
    assert_false(functions[3].hidden || functions[5].hidden);
    assert_int_equal(cleared_count, 1);
    assert_false(is_attached(pci_id(0, 3, 0)));
    assert_true(is_attached(pci_id(2, 5, 0)));
}

static void a_split_group_is_nobodys(void **state)
{
    (void)state;
    functions[8].hidden = functions[8].bypasses_iommu = true;
    assert_true(open_bus());
    expect_no_chipset();
    assert_non_null(strstr(log_text, "group 00:1f.0, 00:1f.2, 00:1f.3: 00:1f.3 passes by the IOMMU"));

    setup(state);
    functions[7].hidden = true; /* its header is of a kind that nobody knows */
    assert_true(open_bus());
    expect_no_chipset();
    assert_non_null(strstr(log_text, "00:1f.2 is hidden"));

    setup(state);
    functions[8].bypasses_iommu = true; /* allow-bypass */
    assert_true(open_bus());
    assert_true(is_attached(pci_id(0, 31, 2)));
    assert_int_equal(cleared_count, 0);
}

static void phantom_functions_are_attached(void **state)
{
    (void)state;
    functions[1].phantoms = 0x30;
    assert_true(open_bus());
    assert_true(is_attached(pci_id(0, 1, 4)) && is_attached(pci_id(0, 1, 5)));

    setup(state);
    functions[1].phantoms = 0x30;
    uncovered = pci_id(0, 1, 5);
    assert_true(open_bus());
    assert_false(is_attached(pci_id(0, 1, 0)) || is_attached(pci_id(0, 1, 4)));
    assert_true(functions[1].hidden);
}

static void mode_none_keeps_what_no_unit_judges_from_the_guest(void **state)
{
    (void)state;
    mode_option = "none";
    uncovered = pci_id(0, 31, 3);
    assert_true(open_bus());
    assert_int_equal(attached_count, 0);
    assert_true(functions[7].hidden && functions[8].hidden);
    assert_true(is_master_cleared(pci_id(0, 31, 2)) && is_master_cleared(pci_id(0, 31, 3)));
    assert_false(functions[1].hidden);
}

static void mode_none_blocks_all(void **state)
{
    (void)state;
    mode_option = "none";
    assert_true(open_bus());
    assert_null(guest.context);
    assert_int_equal(guest.iommu_doors, IOMMU_DOORS_CLOSED);
    assert_int_equal(attached_count, 0);
    assert_int_equal(entry_flags[0], 0);
}

static void without_an_iommu_there_is_no_bus(void **state)
{
    (void)state;
    guest.iommu_on = false;
    assert_true(open_bus());
    assert_null(guest.context);
    assert_int_equal(attached_count, 0);
}

static void an_unknown_mode_is_refused_in_words(void **state)
{
    (void)state;
    mode_option = "ownd";
    assert_false(guest_bus_options());
    assert_non_null(strstr(log_text, "refused: iommu-mode=ownd is not a mode"));
    mode_option = "owned";
    assert_true(guest_bus_options());
    assert_int_equal(guest.continue_every, 3);
}

static const char *const trusting[] = {"relaxed", "draft-a-literal"};

/* All memory but the hypervisor's, and no books: nothing a trusted guest does is held against it. */
static void a_trusted_guest_has_all_ram_on_its_bus(void **state)
{
    for (size_t i = 0; i < sizeof trusting / sizeof trusting[0]; i++) {
        setup(state);
        mode_option = trusting[i];
        machine_frames[7].owner = FRAME_FREE;
        machine_frames[8].owner = FRAME_HYPERVISOR;
        machine_frames[9].owner = FRAME_NOT_RAM;
        machine_frames[10].owner = FRAME_FIRMWARE;
        machine_frames[11].owner = FRAME_FREE;
        machine_frames[MACHINE_FRAMES - 1].owner = FRAME_HYPERVISOR;
        frame_get_type(frame_of(100), FRAME_TYPE_L1);
        assert_true(open_bus());
        for (uint64_t mfn = 0; mfn < MACHINE_FRAMES; mfn++) {
            bool ram = machine_frames[mfn].owner == FRAME_GUEST || machine_frames[mfn].owner == FRAME_FREE;
            assert_int_equal(entry_flags[mfn], ram ? IOMMU_READ | IOMMU_WRITE | IOMMU_PREMAP : 0);
            assert_int_equal(machine_frames[mfn].flags, 0);
            assert_int_equal(machine_frames[mfn].references, mfn == 100);
        }
        assert_int_equal(guest.iommu_doors, IOMMU_DOORS_TRUST);
        assert_non_null(strstr(log_text, "the guest is trusted"));
        assert_string_equal(guest_bus_mode(), trusting[i]);
        /* What comes and goes was there before, and stays. */
        assert_int_equal(guest_bus_open_frames(7, 1), 0);
        assert_int_equal(guest_bus_close_frame(7), 0);
        assert_int_equal(entry_flags[7], IOMMU_READ | IOMMU_WRITE | IOMMU_PREMAP);
        assert_int_equal(machine_frames[7].references, 0);
    }
}

static void strict_closes_the_doors_and_confines(void **state)
{
    (void)state;
    mode_option = "draft-a-literal";
    strict_option = true;
    machine_frames[7].owner = FRAME_FREE;
    frame_get_type(frame_of(100), FRAME_TYPE_L1);
    assert_true(open_bus());
    assert_int_equal(guest.iommu_doors, IOMMU_DOORS_CLOSED);
    assert_int_equal(guest.iommu_mode, IOMMU_MODE_OWNED);
    assert_int_equal(entry_flags[7], 0);
    assert_int_equal(entry_flags[8], IOMMU_READ | IOMMU_WRITE | IOMMU_PREMAP);
    assert_int_equal(entry_flags[100], IOMMU_READ | IOMMU_WITHHELD | IOMMU_PREMAP);
    assert_null(strstr(log_text, "the guest is trusted"));

    setup(state);
    strict_option = true; /* says nothing in the other modes */
    assert_true(open_bus());
    assert_int_equal(guest.iommu_doors, IOMMU_DOORS_CHECK);
}

/* ---- frames that come and go ---- */

static void what_comes_is_mapped_where_nothing_is(void **state)
{
    (void)state;
    max_bfn = 3009;
    for (uint64_t mfn = 2990; mfn < 3020; mfn++)
        machine_frames[mfn].owner = FRAME_FREE;
    assert_true(open_bus());
    entry_flags[2995] = IOMMU_READ; /* the guest's own */
    for (uint64_t mfn = 2990; mfn < 3020; mfn++)
        machine_frames[mfn].owner = FRAME_GUEST;
    assert_int_equal(guest_bus_open_frames(2990, 30), 0);
    for (uint64_t mfn = 2990; mfn < 3020; mfn++) {
        bool mapped = mfn != 2995 && mfn != WINDOW_BFN && mfn <= max_bfn;
        assert_int_equal(machine_frames[mfn].references, mapped);
        assert_int_equal(machine_frames[mfn].flags, mapped ? FRAME_PREMAPPED : 0);
        if (mapped)
            assert_int_equal(entry_flags[mfn], IOMMU_READ | IOMMU_WRITE | IOMMU_PREMAP);
    }
    assert_int_equal(entry_flags[2995], IOMMU_READ);
    assert_int_equal(guest_bus_close_frame(2995), 0);
    assert_int_equal(entry_flags[2995], IOMMU_READ);
    assert_int_equal(guest_bus_close_frame(2996), 0);
    assert_int_equal(entry_flags[2996], 0);
    map_error = -ENOMEM;
    machine_frames[2996] = (struct frame){.owner = FRAME_GUEST};
    assert_int_equal(guest_bus_open_frames(2996, 1), -ENOMEM);
    assert_int_equal(machine_frames[2996].references, 0);
}

static void without_a_premap_nothing_comes(void **state)
{
    (void)state;
    premap_option = false;
    assert_true(open_bus());
    assert_int_equal(guest_bus_open_frames(100, 8), 0);
    assert_int_equal(entry_flags[100], 0);
    assert_int_equal(machine_frames[100].references, 0);
}

static void the_quota_holds_one_table_for_each_2_mib(void **state)
{
    (void)state;
    assert_true(open_bus());
    assert_true(the_context.quota >= MACHINE_FRAMES / 512 + memory_range_count + 64);
    assert_true(the_context.quota <= MACHINE_FRAMES / 512 + 512);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        T(own_frames_and_nothing_else),
        T(no_device_writes_a_table),
        T(frames_beyond_the_bus_are_left_out),
        T(premap_off_maps_nothing),
        T(a_failed_map_refuses_the_boot),
        T(every_own_device_under_every_id),
        T(a_device_behind_no_unit_is_shut_out),
        T(a_group_is_given_whole_or_not_at_all),
        T(a_reserved_range_does_not_outlive_its_group),
        T(a_group_behind_a_bridge_falls_with_its_id),
        T(a_bridge_alone_spoils_nothing),
        T(the_way_to_others_stays_open),
        T(a_split_group_is_nobodys),
        T(phantom_functions_are_attached),
        T(mode_none_blocks_all),
        T(mode_none_keeps_what_no_unit_judges_from_the_guest),
        T(without_an_iommu_there_is_no_bus),
        T(an_unknown_mode_is_refused_in_words),
        T(a_trusted_guest_has_all_ram_on_its_bus),
        T(strict_closes_the_doors_and_confines),
        T(what_comes_is_mapped_where_nothing_is),
        T(without_a_premap_nothing_comes),
        T(the_quota_holds_one_table_for_each_2_mib),
    };
    return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}

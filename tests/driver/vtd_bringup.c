/* SPDX-License-Identifier: MIT */
/* Bringing units up: refusals in words, no gap, reserved ranges, and firmware that left the unit on. */
#include "drivers/iommu/host.h"
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/driver/machine.h"
#include "tests/driver/qtest.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define RW (IOMMU_READ | IOMMU_WRITE)

static void no_address_width_is_refused(void **state)
{
    (void)state;
    machine_start(",dma-translation=off");
    assert_int_equal(machine_init(), -ENODEV);
    assert_int_equal(captured_count("no supported address width (SAGAW is 0)"), 1);
}

/* A table that calls the hypervisor's memory a unit must not make it write there. */
static void registers_over_the_hypervisor_are_refused(void **state)
{
    (void)state;
    machine_start("");
    host_record.hypervisor_first = 0x302;
    host_record.hypervisor_frames = 1;
    dmar_begin(&machine.dmar);
    dmar_drhd(&machine.dmar, 1, 0, 0x300000);
    assert_int_equal(machine_init(), -ENODEV);
    assert_int_equal(captured_count("its register address lies in memory of the hypervisor"), 1);
}

static void nothing_at_the_address_is_refused(void **state)
{
    (void)state;
    machine_start("");
    dmar_begin(&machine.dmar);
    dmar_drhd(&machine.dmar, 1, 0, 0xfec80000);
    assert_int_equal(machine_init(), -ENODEV);
    assert_int_equal(captured_count("nothing answers at its register address"), 1);
}

/* A bad entry costs what it names: its device is blocked, the good unit serves the rest. */
static void a_bad_unit_costs_its_own_devices(void **state)
{
    (void)state;
    machine_start("");
    dmar_begin(&machine.dmar);
    dmar_drhd(&machine.dmar, 0, 0, 0);
    dmar_scope(&machine.dmar, DMAR_SCOPE_ENDPOINT, 0, 6, 0);
    dmar_drhd(&machine.dmar, 1, 0, VTD_BASE);
    machine_up();
    assert_int_equal(captured_count("its register address is impossible"), 1);
    assert_int_equal(iommu_attach(machine.context, 0, 6 << 3), -ENODEV);
    assert_int_equal(iommu_attach(machine.context, 0, 7 << 3), 0);
    assert_int_equal(iommu_attach(machine.context, 1, EDU_ID), -ENODEV);
}

/* Explicit scopes as QEMU's own table has them, a bridge among them. */
static void scopes_decide_who_is_covered(void **state)
{
    (void)state;
    machine_start_with_bridge("");
    dmar_begin(&machine.dmar);
    dmar_drhd(&machine.dmar, 0, 0, VTD_BASE);
    dmar_scope(&machine.dmar, DMAR_SCOPE_ENDPOINT, 0, 4, 0);
    dmar_scope(&machine.dmar, DMAR_SCOPE_BRIDGE, 0, 5, 0);
    machine_up();
    assert_int_equal(iommu_attach(machine.context, 0, BRIDGE_ALIAS), 0);
    assert_int_equal(iommu_attach(machine.context, 0, BRIDGE_ID), 0);
    assert_int_equal(iommu_attach(machine.context, 0, 0x0200), -ENODEV);
    assert_int_equal(iommu_attach(machine.context, 0, 6 << 3), -ENODEV);
}

static void the_order_of_switching_on(void **state)
{
    (void)state;
    machine_start("");
    machine_up();
    assert_int_equal(iommu_counters.context_global, 1);
    assert_int_equal(iommu_counters.iotlb_global, 1);
    assert_int_equal(iommu_counters.waits, 1);
    assert_int_equal(qtest_read32(VTD_BASE + VTD_GSTS) & (VTD_GLOBAL_TE | VTD_GLOBAL_QIE | VTD_GLOBAL_SRTP),
                     VTD_GLOBAL_TE | VTD_GLOBAL_QIE | VTD_GLOBAL_SRTP);
    /* Queue, root table, and translation last: after that no command switches it off. */
    assert_int_equal(host_record.commands, 3);
    assert_int_equal(host_record.commands_te_off, 2);
    assert_int_equal(iommu_unit_registers(0).bfn, VTD_BASE >> 12);
}

/* The device reaches its reserved range from the first moment on, and nothing else. */
static void reserved_ranges_are_there_before_the_guest(void **state)
{
    uint64_t range, other;

    (void)state;
    machine_start("");
    range = data_frame();
    data_frame();
    other = data_frame();
    dmar_rmrr(&machine.dmar, 0, range << 12, ((range + 2) << 12) - 1);
    dmar_scope(&machine.dmar, DMAR_SCOPE_ENDPOINT, 0, 4, 0);
    assert_int_equal(machine_init(), 0);
    assert_int_equal(iommu_enable(), 0);
    assert_true(edu_reaches(range << 12, range));
    assert_true(edu_reaches((range + 1) << 12, range + 1));
    assert_false(edu_reaches(other << 12, other));

    /* Moved to the guest's context: still there, and nobody can change it. */
    assert_int_equal(iommu_context_create(&machine.context, 16), 0);
    assert_int_equal(iommu_attach(machine.context, 0, EDU_ID), 0);
    iommu_flush_begin(&machine.flush, machine.context);
    assert_true(edu_reaches(range << 12, range));
    assert_int_equal(iommu_unmap(machine.context, range, 0, &machine.flush), -EACCES);
    assert_int_equal(iommu_map(machine.context, range + 1, other, 0, RW, &machine.flush), -EACCES);
    assert_int_equal(iommu_unmap(machine.context, range & ~1ull, 1, &machine.flush), -EACCES);
    assert_true(edu_reaches((range + 1) << 12, range + 1));
    assert_int_equal(iommu_reserved_count(), 2);
    assert_int_equal(iommu_reserved_at(0).bfn, range);
    assert_int_equal(iommu_reserved_at(0).frames, 2);
    assert_int_equal(iommu_reserved_at(0).kind, IOMMU_KIND_IDENTITY);
    assert_int_equal(iommu_reserved_at(1).kind, IOMMU_KIND_MSI);
}

static void a_reserved_range_over_the_hypervisor_is_refused(void **state)
{
    (void)state;
    machine_start("");
    host_record.hypervisor_first = 0x300;
    host_record.hypervisor_frames = 1;
    dmar_rmrr(&machine.dmar, 0, 0x2ff000, 0x301fff);
    dmar_scope(&machine.dmar, DMAR_SCOPE_ENDPOINT, 0, 4, 0);
    assert_int_equal(machine_init(), 0);
    assert_int_equal(iommu_enable(), 0);
    assert_int_equal(captured_count("it holds memory of the hypervisor"), 1);
    assert_false(edu_reaches(0x2ff000, 0x2ff));
    assert_int_equal(iommu_reserved_count(), 1);
}

static void the_msi_window_cannot_be_mapped(void **state)
{
    (void)state;
    machine_start("");
    machine_up();
    assert_int_equal(iommu_map(machine.context, 0xfee00, 0x100, 0, RW, &machine.flush), -EACCES);
    assert_int_equal(iommu_map(machine.context, 0xfeeff, 0x100, 0, RW, &machine.flush), -EACCES);
    assert_int_equal(iommu_unmap(machine.context, 0xfee00, 0, &machine.flush), 0);
    assert_int_equal(iommu_map(machine.context, 0xfef00, 0x100, 0, RW, &machine.flush), 0);
}

/* As firmware might: translation on, everything of bus 0 passed through, interrupts remapped,
 * and a queue of its own. */
static void firmware_leaves_it_on(void)
{
    uint64_t root = host_frames_alloc(1), contexts = host_frames_alloc(1), queue = host_frames_alloc(1);
    struct vtd_entry *entries = host_frame_address(contexts);

    ((struct vtd_entry *)host_frame_address(root))[0] = vtd_root_entry(contexts);
    for (uint32_t i = 0; i < VTD_ENTRIES; i++)
        entries[i] = (struct vtd_entry){.low = VTD_ENTRY_PRESENT | 2u << 2, .high = 1u << 8 | 1};
    qtest_write64(VTD_BASE + VTD_IQA, queue << 12);
    qtest_write32(VTD_BASE + VTD_GCMD, VTD_GLOBAL_QIE);
    ((struct ring_record *)host_frame_address(queue))[0] = vtd_descriptor_context_global();
    ((struct ring_record *)host_frame_address(queue))[1] = vtd_descriptor_wait((queue << 12) + 0x800, 1);
    qtest_write64(VTD_BASE + VTD_IQT, 32);
    qtest_write64(VTD_BASE + VTD_RTADDR, root << 12);
    qtest_write32(VTD_BASE + VTD_GCMD, VTD_GLOBAL_QIE | VTD_GLOBAL_SRTP);
    qtest_write64(VTD_BASE + VTD_IRTA, host_frames_alloc(1) << 12 | 7);
    qtest_write32(VTD_BASE + VTD_GCMD, VTD_GLOBAL_QIE | VTD_GLOBAL_SIRTP);
    qtest_write32(VTD_BASE + VTD_GCMD, VTD_GLOBAL_QIE | VTD_GLOBAL_IRE);
    qtest_write32(VTD_BASE + VTD_GCMD, VTD_GLOBAL_QIE | VTD_GLOBAL_IRE | VTD_GLOBAL_TE);
}

static void a_running_unit_is_taken_over(void **state)
{
    uint64_t frame;

    (void)state;
    machine_start("");
    firmware_leaves_it_on();
    frame = data_frame();
    assert_true(edu_reaches(frame << 12, frame));
    machine_up();
    assert_int_equal(captured_count("firmware left unit 0 on"), 1);
    assert_int_equal(host_record.commands_te_off, 0);
    assert_int_equal(qtest_read32(VTD_BASE + VTD_GSTS) & (VTD_GLOBAL_TE | VTD_GLOBAL_IRE), VTD_GLOBAL_TE);
    assert_false(edu_reaches(frame << 12, frame));
    map_now(0x10, frame, RW);
    assert_true(edu_reaches(0x10000, frame));
    unmap_now(0x10);
    assert_false(edu_reaches(0x10000, frame));
}

static bool saw_half_an_entry;

/* With hardware's eyes: an entry that is present has all of the rest. */
static void look_at_context_entry(void)
{
    const struct vtd_entry *root = vtd_unit_at(0)->root, *table;

    if (root == NULL || (root[0].low & VTD_ENTRY_PRESENT) == 0)
        return;
    table = host_frame_address((root[0].low & VTD_ENTRY_ADDRESS) >> 12);
    if ((table[EDU_ID].low & VTD_ENTRY_PRESENT) != 0 && VTD_CONTEXT_DID(table[EDU_ID].high) == 0)
        saw_half_an_entry = true;
}

static void the_present_bit_comes_last(void **state)
{
    (void)state;
    machine_start("");
    saw_half_an_entry = false;
    host_record.on_store = look_at_context_entry;
    machine_up();
    assert_false(saw_half_an_entry);
    assert_int_equal(iommu_context_create(&machine.context, 8), 0);
    assert_int_equal(iommu_attach(machine.context, 0, EDU_ID), 0);
    vtd_isolate(vtd_unit_at(0), EDU_ID);
    assert_false(saw_half_an_entry);
}

/* Every allocation fails in turn: an error and no crash; after the last one everything works. */
static void failing_allocations(void **state)
{
    int64_t limit = 0;
    int error;

    (void)state;
    machine_start("");
    dmar_rmrr(&machine.dmar, 0, 0x300000, 0x301fff);
    dmar_scope(&machine.dmar, DMAR_SCOPE_ENDPOINT, 0, 4, 0);
    do {
        host_record.allocation_limit = limit++;
        error = machine_init();
        if (error == 0)
            error = iommu_context_create(&machine.context, 4);
        if (error == 0)
            error = iommu_attach(machine.context, 0, EDU_ID);
        assert_true(error == 0 || error == -ENOMEM);
    } while (error != 0);
    assert_in_range(limit, 4, 20);
    assert_int_equal(iommu_enable(), 0);
    iommu_flush_begin(&machine.flush, machine.context);
    host_record.allocation_limit = 0;
    map_now(0x1000, 0x700, RW);
    assert_true(edu_reaches(0x1000000, 0x700));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(no_address_width_is_refused, machine_stop),
        cmocka_unit_test_teardown(registers_over_the_hypervisor_are_refused, machine_stop),
        cmocka_unit_test_teardown(nothing_at_the_address_is_refused, machine_stop),
        cmocka_unit_test_teardown(a_bad_unit_costs_its_own_devices, machine_stop),
        cmocka_unit_test_teardown(scopes_decide_who_is_covered, machine_stop),
        cmocka_unit_test_teardown(the_order_of_switching_on, machine_stop),
        cmocka_unit_test_teardown(reserved_ranges_are_there_before_the_guest, machine_stop),
        cmocka_unit_test_teardown(a_reserved_range_over_the_hypervisor_is_refused, machine_stop),
        cmocka_unit_test_teardown(the_msi_window_cannot_be_mapped, machine_stop),
        cmocka_unit_test_teardown(a_running_unit_is_taken_over, machine_stop),
        cmocka_unit_test_teardown(the_present_bit_comes_last, machine_stop),
        cmocka_unit_test_teardown(failing_allocations, machine_stop),
    };

    return cmocka_run_group_tests_name("vtd_bringup", tests, NULL, NULL);
}

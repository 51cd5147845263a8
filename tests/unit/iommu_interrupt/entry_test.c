/* SPDX-License-Identifier: MIT */
/* Interrupt entries, bit by bit against the tables of the specs: VT-d 4.1, 9.10; AMD 48882 3.08, 2.2.5. */
#include "drivers/iommu/amdvi/regs.h"
#include "drivers/iommu/vtd/regs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* No entry is present without its source: SVT 01b, SQ 00b. */
static void vtd_entries_verify_all_of_their_source(void **state)
{
    (void)state;
    for (uint32_t id = 0; id <= 0xffff; id += 0x101) {
        struct vtd_entry entry = vtd_interrupt_entry((uint16_t)id, 0x41, false, 0, false);

        assert_int_equal(entry.low & 1, 1);
        assert_int_equal(entry.high, 0x40000 | id);
    }
}

static void vtd_entries_have_the_specs_bits(void **state)
{
    (void)state;
    assert_int_equal(vtd_interrupt_entry(0x20, 0x41, false, 5, false).low, 0x0000050000410001);
    assert_int_equal(vtd_interrupt_entry(0x20, 0xfe, true, 0xfe, false).low, 0x0000fe0000fe0011);
    assert_int_equal(vtd_interrupt_entry(0x20, 0x41, false, 0x12345678, true).low, 0x1234567800410001);
    /* What is too wide for the format reaches no neighbour. */
    assert_int_equal(vtd_interrupt_entry(0x20, 0x41, false, 0x105, false).low, 0x0000050000410001);
    assert_int_equal(VTD_MESSAGE_INDEX(0x8001u), 0x24);
    assert_int_equal(VTD_MESSAGE_INDEX(0x7fffu), 0xfffe0);
    assert_int_equal(VTD_IRTA_TABLE(0x1234, 10), 0x1234009);
    assert_int_equal(vtd_descriptor_interrupt_global().low, 0x4);
    assert_int_equal(vtd_descriptor_interrupt_entry(0x123).low, 0x12300000014);
    assert_int_equal(vtd_descriptor_interrupt_entry(0x123).high, 0);
}

static void amdvi_entries_have_the_specs_bits(void **state)
{
    struct ring_record wide = amdvi_interrupt_entry128(0x41, 0x12345678);

    (void)state;
    assert_int_equal(amdvi_interrupt_entry32(0x41, 5), 0x00410501);
    assert_int_equal(wide.low, 0x34567801);
    assert_int_equal(wide.high, 0x1200000000000041);
    assert_int_equal(amdvi_command_interrupts(0x20).low, 0x5000000000000020);
}

/* IV 1, IntTabLen 1000b (256 entries), IntCtl 10b; without a table IntCtl 00b aborts. */
static void amdvi_devices_abort_or_remap(void **state)
{
    (void)state;
    assert_int_equal(amdvi_device_interrupts(0x1234), 0x2000000001234011);
    assert_int_equal(amdvi_device_denied().interrupts[0], 1);
    assert_int_equal(amdvi_device_denied().interrupts[1], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vtd_entries_verify_all_of_their_source),
        cmocka_unit_test(vtd_entries_have_the_specs_bits),
        cmocka_unit_test(amdvi_entries_have_the_specs_bits),
        cmocka_unit_test(amdvi_devices_abort_or_remap),
    };

    return cmocka_run_group_tests_name("iommu_interrupt", tests, NULL, NULL);
}

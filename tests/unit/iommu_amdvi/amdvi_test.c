/* SPDX-License-Identifier: MIT */
/* The real AMD-Vi files against strict model units: bring-up, the device table, the command buffer. */
#include "tests/unit/iommu_amdvi/amdvi_test.h"

#include "drivers/iommu/amdvi/amdvi.h"
#include "guest-abi/include/sluice/errno.h"
#include "tests/host/ivrs_builder.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct iommu_context *context;
struct iommu_flush flush;
uint32_t test_units;
uint64_t test_firmware_efr;

int test_setup(void **state)
{
    (void)state;
    model_reset();
    captured_clear();
    test_units = 1;
    test_firmware_efr = MODEL_EFR;
    return 0;
}

/* What ALIASED does shows as ALIAS, says firmware. */
#define ALIASED DEVICE(20)
#define ALIAS   DEVICE(21)

static int init_units(void)
{
    static struct ivrs_builder table;
    struct iommu_setup setup = {.vendor = IOMMU_VENDOR_AMDVI,
                                .table = table.bytes,
                                .physical_bits = 40,
                                .fault_address = 0x1fee01000ull,
                                .fault_data = 0x41};

    ivrs_begin(&table, 0);
    for (uint32_t i = 0; i < test_units; i++) {
        ivrs_ivhd(&table, (struct ivrs_ivhd){.type = 0x11,
                                             .id = (uint16_t)(i * 0x2000u + MODEL_UNIT_ID),
                                             .capability = 0x40,
                                             .base = MODEL_BASE(i),
                                             .efr = test_firmware_efr});
        ivrs_range(&table, (uint16_t)(i * 0x2000), i == 0 ? 0x1fff : 0xffff, 0);
        if (i == 0)
            ivrs_alias(&table, ALIASED, ALIAS, 0);
    }
    setup.table_size = table.size;
    return iommu_init(&setup);
}

int test_bring_up(void)
{
    int error = init_units();

    /* A new window of the limits that faults are logged with. */
    for (uint32_t i = 0; i < 10 && error == 0; i++)
        iommu_fault_tick();
    if (error == 0)
        error = iommu_enable();
    if (error == 0)
        error = iommu_context_create(&context, 100);
    if (error == 0)
        iommu_flush_begin(&flush, context);
    return error;
}

void test_with_device(uint64_t bfn)
{
    assert_int_equal(test_bring_up(), 0);
    assert_int_equal(iommu_attach(context, 0, DEVICE(1)), 0);
    assert_int_equal(iommu_map(context, bfn, bfn + 1, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
}

static bool reaches(uint32_t unit, uint16_t id, uint64_t bfn, uint64_t expected)
{
    uint64_t mfn;

    return model_dma(unit, id, bfn, true, &mfn) && mfn == expected;
}

static bool is_blocked(uint32_t unit, uint16_t id, uint64_t bfn)
{
    uint64_t mfn;

    return !model_dma(unit, id, bfn, false, &mfn);
}

/* ---- bring-up: the model judges every register write and, when IommuEn comes, the whole device table ----
 */

static void everything_is_denied_from_the_start(void **state)
{
    (void)state;
    assert_int_equal(test_bring_up(), 0);
    for (uint32_t id = 0; id < AMDVI_DEVICES; id += 5)
        assert_true(is_blocked(0, (uint16_t)id, id));
    assert_int_equal(model_units[0].commands[AMDVI_COMMAND_ALL], 1);
    assert_int_equal(model_units[0].starts, 1);
    assert_int_equal(model_msi(0, 2), 0x0081); /* one message, on */
    assert_int_equal(model_msi(0, 4), 0x1000);
    assert_int_equal(model_msi(0, 8), 0x0001);
    assert_int_equal(model_msi(0, 12), 0x0041);
}

/* Firmware's table passes everything and its queues run: all of it goes, and IommuEn never does. */
static void a_running_unit_is_taken_over(void **state)
{
    struct model_unit *unit = &model_units[0];

    (void)state;
    unit->device_table = AMDVI_DEVICE_TABLE(host_frames_alloc(AMDVI_DEVICE_TABLE_PAGES));
    unit->command_base = AMDVI_RING_BASE(host_frames_alloc(1));
    unit->event_base = AMDVI_RING_BASE(host_frames_alloc(1));
    unit->command_head = unit->command_tail = 32;
    unit->control = AMDVI_CONTROL_ENABLE | AMDVI_CONTROL_COMMANDS | AMDVI_CONTROL_EVENT_LOG |
                    AMDVI_CONTROL_EVENT_INT | 1ull << 13 | 1ull << 15;
    unit->status = AMDVI_STATUS_COMMANDS | AMDVI_STATUS_OVERFLOW | AMDVI_STATUS_EVENT_INT;
    unit->exclusion_base = 3;
    unit->exclusion_limit = 0xffff000;
    unit->is_known[DEVICE(1)] = true; /* a zeroed entry, which passes */
    assert_int_equal(test_bring_up(), 0);
    assert_int_equal(captured_count("taken over as it runs"), 1);
    assert_true(is_blocked(0, DEVICE(1), 7));
    assert_int_equal(unit->exclusion_base, 0);
    assert_int_equal(unit->control & (1ull << 13 | 1ull << 15), 0);
    assert_int_equal(unit->status & AMDVI_STATUS_EVENT_RUN, AMDVI_STATUS_EVENT_RUN);
}

static void the_register_wins_over_firmware(void **state)
{
    (void)state;
    test_firmware_efr = MODEL_EFR | AMDVI_FEATURE_X2APIC;
    assert_int_equal(test_bring_up(), 0);
    assert_int_equal(captured_count("the unit is believed"), 1);
    test_setup(state);
    assert_int_equal(test_bring_up(), 0);
    assert_int_equal(captured_count("the unit is believed"), 0);
    test_setup(state);
    model_units[0].features |= 3ull << 10;
    assert_int_equal(test_bring_up(), -ENODEV);
    assert_int_equal(captured_count("HATS is 3"), 1);
}

static void a_unit_without_invalidate_all(void **state)
{
    (void)state;
    model_units[0].features &= ~AMDVI_FEATURE_INV_ALL;
    assert_int_equal(test_bring_up(), 0);
    assert_int_equal(model_units[0].commands[AMDVI_COMMAND_DEVICE], AMDVI_DEVICES);
    assert_int_equal(model_units[0].commands[AMDVI_COMMAND_INTERRUPTS], AMDVI_DEVICES);
    assert_int_equal(model_units[0].commands[AMDVI_COMMAND_PAGES], AMDVI_DEVICES);
    assert_int_equal(model_units[0].refused, 0);
}

/* ---- the device table ---- */

/* What the unit remembers is old each time: an entry that is not invalidated shows. */
static void attach_reattach_and_isolate(void **state)
{
    struct iommu_context *other;

    (void)state;
    assert_int_equal(test_bring_up(), 0);
    assert_true(is_blocked(0, DEVICE(1), 5));
    assert_int_equal(iommu_map(context, 5, 50, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(iommu_attach(context, 0, DEVICE(1)), 0);
    assert_true(reaches(0, DEVICE(1), 5, 50));
    assert_true(is_blocked(0, DEVICE(2), 5));
    assert_int_equal(iommu_context_create(&other, 20), 0);
    iommu_flush_begin(&flush, other);
    assert_int_equal(iommu_map(other, 5, 60, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(iommu_attach(other, 0, DEVICE(1)), 0);
    assert_true(reaches(0, DEVICE(1), 5, 60));
    amdvi_driver.isolate(0, DEVICE(1));
    assert_true(is_blocked(0, DEVICE(1), 5));
    amdvi_driver.isolate(0, DEVICE(3)); /* one that never had anything */
    assert_true(is_blocked(0, DEVICE(3), 5));
    assert_int_equal(iommu_attach(context, 0, DEVICE(1)), 0);
    assert_true(reaches(0, DEVICE(1), 5, 50));
    assert_int_equal(iommu_attach(context, 0, MODEL_UNIT_ID), -ENODEV);
    assert_int_equal(iommu_attach(context, 0, 0x3000), -ENODEV);
}

static void a_detached_device_is_blocked_under_its_alias_too(void **state)
{
    (void)state;
    test_with_device(5);
    assert_int_equal(iommu_alias(0, ALIASED), ALIAS);
    assert_int_equal(iommu_alias(0, DEVICE(1)), DEVICE(1));
    assert_int_equal(iommu_attach(context, 0, ALIASED), 0);
    assert_true(reaches(0, ALIASED, 5, 6));
    assert_true(reaches(0, ALIAS, 5, 6));
    assert_int_equal(iommu_detach(0, ALIASED), 0);
    assert_true(is_blocked(0, ALIASED, 5));
    assert_true(is_blocked(0, ALIAS, 5));
    assert_true(reaches(0, DEVICE(1), 5, 6));
    assert_false(iommu_covers(0, MODEL_UNIT_ID));
    assert_int_equal(iommu_detach(0, MODEL_UNIT_ID), -ENODEV);
    assert_int_equal(iommu_detach(0, 0x3000), -ENODEV);
}

static void what_is_unmapped_is_gone_after_the_flush(void **state)
{
    (void)state;
    test_with_device(0x1234);
    assert_true(reaches(0, DEVICE(1), 0x1234, 0x1235));
    assert_int_equal(iommu_unmap(context, 0x1234, 0, &flush), 0);
    assert_int_equal(model_machine.released, 0);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(model_machine.released, 1);
    assert_true(is_blocked(0, DEVICE(1), 0x1234));
}

static void look_at_what_is_mapped(void)
{
    assert_true(reaches(0, DEVICE(1), 5, 6));
    assert_true(reaches(0, 0x100, 5, 6));
    assert_true(reaches(1, SECOND, 5, 6));
}

/* More devices than the ring has room for; each sees the old tree until it sees the new one. */
static void a_grown_tree_is_told_to_every_device(void **state)
{
    (void)state;
    test_units = 2;
    test_with_device(5);
    for (uint32_t id = 0x100; id < 0x100 + 300; id++)
        assert_int_equal(iommu_attach(context, 0, (uint16_t)id), 0);
    assert_int_equal(iommu_attach(context, 0, SECOND), 0);
    look_at_what_is_mapped();
    model_machine.on_store = look_at_what_is_mapped;
    for (uint32_t levels = 3; levels < 6; levels++) {
        uint64_t bfn = 1ull << 9 * levels;

        assert_int_equal(iommu_map(context, bfn, 0x70 + levels, 0, RW, &flush), 0);
        assert_int_equal(iommu_flush(&flush), 0);
        for (uint32_t id = 0x100; id < 0x100 + 300; id++)
            assert_true(reaches(0, (uint16_t)id, bfn, 0x70 + levels));
        assert_true(reaches(1, SECOND, bfn, 0x70 + levels));
    }
    assert_true(is_blocked(0, DEVICE(2), 5));
}

static void only_units_of_the_context_are_flushed(void **state)
{
    uint32_t before;

    (void)state;
    test_units = 2;
    test_with_device(5);
    before = model_units[1].commands[AMDVI_COMMAND_WAIT];
    assert_int_equal(iommu_unmap(context, 5, 0, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(model_units[1].commands[AMDVI_COMMAND_WAIT], before);
    assert_true(is_blocked(1, SECOND, 5));
    assert_int_equal(iommu_attach(context, 0, SECOND), 0);
    assert_int_equal(iommu_map(context, 5, 6, 0, RW, &flush), 0);
    assert_true(reaches(1, SECOND, 5, 6));
    assert_int_equal(iommu_unmap(context, 5, 0, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_true(is_blocked(1, SECOND, 5));
}

/* ---- the command buffer ---- */

static void the_ring_wraps(void **state)
{
    (void)state;
    test_with_device(5);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(iommu_map(context, 5, i, 0, RW, &flush), 0);
        assert_int_equal(iommu_flush(&flush), 0);
        assert_true(reaches(0, DEVICE(1), 5, i));
    }
    assert_int_equal(model_units[0].refused, 0);
}

/* A no-op takes its place, everything is invalidated, and what came after it is done. */
static void an_illegal_command_is_replaced(void **state)
{
    static const uint64_t opcodes[] = {AMDVI_COMMAND_PAGES, AMDVI_COMMAND_WAIT, AMDVI_COMMAND_ALL, 0};

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        struct model_unit *unit = &model_units[0];

        test_setup(state);
        test_with_device(5);
        assert_true(reaches(0, DEVICE(1), 5, 6));
        assert_int_equal(iommu_unmap(context, 5, 0, &flush), 0);
        unit->refuse = opcodes[i] != AMDVI_COMMAND_ALL ? 1 : 2;
        unit->refuse_opcode = opcodes[i] != AMDVI_COMMAND_ALL ? opcodes[i] : 0;
        assert_int_equal(iommu_flush(&flush), 0);
        assert_int_equal(unit->refuse, 0);
        assert_true(unit->commands[AMDVI_COMMAND_ALL] >= 2);
        assert_int_equal(model_machine.released, 1);
        assert_true(is_blocked(0, DEVICE(1), 5));
        assert_false(iommu_unit_dead(0));
        assert_int_equal(captured_count("refused the command"), unit->refused);
        iommu_fault_interrupt();
        assert_int_equal(captured_count("an illegal command"), unit->refused);
        assert_int_equal(iommu_map(context, 5, 9, 0, RW, &flush), 0);
        assert_int_equal(iommu_flush(&flush), 0);
        assert_true(reaches(0, DEVICE(1), 5, 9));
    }
}

static void expect_dead(void)
{
    assert_true(iommu_unit_dead(0));
    assert_int_equal(model_machine.released, 0);
    assert_false(model_is_master(DEVICE(1)));
    assert_true(model_is_master(DEVICE(2)));
    assert_int_equal(captured_count("counts as dead"), 1);
    assert_int_equal(iommu_map(context, 9, 9, 0, RW, &flush), -EIO);
    assert_int_equal(iommu_unmap(context, 5, 0, &flush), -EIO);
    assert_int_equal(iommu_flush(&flush), -EIO);
    assert_int_equal(iommu_attach(context, 0, DEVICE(2)), -EIO);
}

static void illegal_commands_without_end_are_a_dead_unit(void **state)
{
    (void)state;
    test_with_device(5);
    assert_int_equal(iommu_unmap(context, 5, 0, &flush), 0);
    model_units[0].refuse = UINT32_MAX;
    assert_int_equal(iommu_flush(&flush), -EIO);
    expect_dead();
}

static void a_dropped_wait_is_a_dead_unit(void **state)
{
    (void)state;
    test_with_device(5);
    assert_int_equal(iommu_unmap(context, 5, 0, &flush), 0);
    model_units[0].drop_waits = true;
    assert_int_equal(iommu_flush(&flush), -EIO);
    model_units[0].drop_waits = false;
    expect_dead();
}

static void a_unit_that_dies_when_the_tree_grows(void **state)
{
    (void)state;
    test_with_device(5);
    model_units[0].drop_waits = true;
    assert_int_equal(iommu_map(context, 1ull << 27, 1, 0, RW, &flush), -EIO);
    expect_dead();
}

/* ---- builders ---- */

static void page_counts_decode_to_the_range(void **state)
{
    (void)state;
    for (uint32_t order = 0; order <= AMDVI_PAGES_ORDER_MAX; order++) {
        for (uint64_t block = 0; block < 5; block++) {
            uint64_t bfn = block << order;
            struct ring_record command = amdvi_command_pages(0xfffe, bfn, order, block % 2 == 0);
            uint64_t address = command.high >> 12;
            uint32_t bits = 0;

            assert_int_equal(command.low, 3ull << 60 | 0xfffeull << 32);
            assert_int_equal(command.high & 2, block % 2 == 0 ? 0 : 2);
            assert_int_equal(command.high & 1, order != 0);
            while ((command.high & 1) != 0 && (address >> bits & 1) != 0)
                bits++;
            assert_int_equal((command.high & 1) != 0 ? bits + 1 : 0, order);
            assert_int_equal(address >> order, block);
        }
    }
    test_with_device(0x4000);
    assert_int_equal(iommu_map(context, 0x4001, 1, 0, RW, &flush), 0);
    assert_true(reaches(0, DEVICE(1), 0x4000, 0x4001) && reaches(0, DEVICE(1), 0x4001, 1));
    assert_int_equal(iommu_unmap(context, 0x4000, 1, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
    assert_int_equal(model_units[0].last_pages.high, 0x4000ull << 12 | 3); /* two pages, and tables */
    assert_true(is_blocked(0, DEVICE(1), 0x4000) && is_blocked(0, DEVICE(1), 0x4001));
}

static void builders_make_nothing_that_is_reserved(void **state)
{
    const struct amdvi_device denied = amdvi_device_denied();
    const uint64_t ignored = 0x1full << 1;

    (void)state;
    model_judge_device(&denied);
    for (uint8_t levels = 1; levels <= 6; levels++) {
        struct ring_record dma = amdvi_device_translated(MODEL_FIRST_MFN, levels, 0xffff);
        struct amdvi_device device = {.dma = {dma.low, dma.high}, .interrupts = {1}};

        model_judge_device(&device);
        assert_int_equal(dma.low >> 9 & 7, levels);
        assert_int_equal(dma.low >> 61, 3);
    }
    for (uint32_t flags = 0; flags < PAGE_FLAGS; flags++) {
        uint64_t bits = amdvi_page_format.leaf_bits[flags];

        assert_int_equal(bits & ~(1ull | ignored | 1ull << 60 | 3ull << 61), 0);
        assert_int_equal(bits & 1, 1);
        assert_int_equal(bits >> 61, flags & RW);
    }
    for (uint32_t level = 1; level < PAGE_TABLE_LEVELS; level++)
        assert_int_equal(amdvi_page_format.table_bits[level], 1 | (uint64_t)level << 9 | 3ull << 61);
}

#define CASE(test) cmocka_unit_test_setup(test, test_setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(everything_is_denied_from_the_start),
        CASE(a_running_unit_is_taken_over),
        CASE(the_register_wins_over_firmware),
        CASE(a_unit_without_invalidate_all),
        CASE(attach_reattach_and_isolate),
        CASE(a_detached_device_is_blocked_under_its_alias_too),
        CASE(what_is_unmapped_is_gone_after_the_flush),
        CASE(a_grown_tree_is_told_to_every_device),
        CASE(only_units_of_the_context_are_flushed),
        CASE(the_ring_wraps),
        CASE(an_illegal_command_is_replaced),
        CASE(illegal_commands_without_end_are_a_dead_unit),
        CASE(a_dropped_wait_is_a_dead_unit),
        CASE(a_unit_that_dies_when_the_tree_grows),
        CASE(page_counts_decode_to_the_range),
        CASE(builders_make_nothing_that_is_reserved),
        CASE(every_event_has_words),
        CASE(page_faults_are_decoded),
        CASE(the_log_wraps),
        CASE(an_overflow_restarts_the_log),
        CASE(a_late_event_is_waited_for_and_taken_later),
        CASE(a_storm_cuts_the_device_off),
        CASE(a_storm_among_many_is_seen),
    };

    return cmocka_run_group_tests_name("iommu_amdvi", tests, NULL, NULL);
}

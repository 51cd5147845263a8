/* SPDX-License-Identifier: MIT */
/*
 * The guest's bus at boot: its own frames and nothing else at BFN = MFN, tables without W, every entry with a
 * reference; and each device it owns, under every id its DMA can carry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../fakes/machine.h"
#include "drivers/iommu/iommu.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"
#include "lib/options.h"
#include "mem/alloc.h"
#include "pci/pci.h"
#include "pv/bus.h"

struct iommu_context {
    uint32_t quota;
};

static struct iommu_context the_context;
static uint32_t entry_flags[MACHINE_FRAMES];
static uint64_t max_bfn;
static int map_error;
static int flushes;
static const char *mode_option;
static bool premap_option;
static char log_text[4096];

#define FUNCTIONS 7u
static struct pci_function functions[FUNCTIONS];
static uint16_t attached[16];
static uint32_t attached_count;
static uint16_t uncovered;      /* no unit covers this id; 0 = all are covered */
static uint16_t master_cleared; /* id whose bus mastering was switched off */
uint32_t memory_range_count = 5;

/* ---- fakes of the rooms below ---- */

void log_line(const char *format, ...)
{
    va_list args;
    size_t used = strlen(log_text);
    va_start(args, format);
    vsnprintf(log_text + used, sizeof(log_text) - used, format, args);
    va_end(args);
}

const char *option_value(const char *name)
{
    return strcmp(name, "iommu-mode") == 0 ? mode_option : NULL;
}

bool option_bool(const char *name, bool fallback)
{
    return strcmp(name, "premap") == 0 ? premap_option : fallback;
}

uint64_t option_number(const char *name, uint64_t low, uint64_t high, uint64_t fallback)
{
    (void)low;
    (void)high;
    return strcmp(name, "continue-every") == 0 ? 3 : fallback;
}

int iommu_context_create(struct iommu_context **context, uint32_t quota)
{
    the_context.quota = quota;
    *context = &the_context;
    return 0;
}

uint64_t iommu_max_bfn(const struct iommu_context *context)
{
    (void)context;
    return max_bfn;
}

uint32_t iommu_tables_used(const struct iommu_context *context)
{
    (void)context;
    return 1;
}

uint32_t iommu_tables_quota(const struct iommu_context *context)
{
    return context->quota;
}

void iommu_flush_begin(struct iommu_flush *flush, struct iommu_context *context)
{
    flush->context = context;
}

int iommu_flush(struct iommu_flush *flush)
{
    (void)flush;
    flushes++;
    return 0;
}

int iommu_map_run(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint64_t frames, uint32_t flags,
                  struct iommu_flush *flush, uint64_t *done)
{
    assert_ptr_equal(context, &the_context);
    assert_ptr_equal(flush->context, context);
    assert_int_equal(bfn, mfn);
    assert_true(frames != 0 && bfn + frames - 1 <= max_bfn);
    if (map_error != 0)
        return map_error;
    for (uint64_t i = 0; i < frames; i++) {
        assert_int_equal(entry_flags[bfn + i], 0);
        entry_flags[bfn + i] = flags;
    }
    *done = frames;
    return 0;
}

int iommu_attach(struct iommu_context *context, uint16_t segment, uint16_t requester_id)
{
    assert_ptr_equal(context, &the_context);
    assert_int_equal(segment, 0);
    if (uncovered != 0 && requester_id == uncovered)
        return -ENODEV;
    attached[attached_count++] = requester_id;
    return 0;
}

uint32_t pci_count(void)
{
    return FUNCTIONS;
}

struct pci_function *pci_at(uint32_t index)
{
    return &functions[index];
}

void pci_set_bus_master(uint16_t id, bool on)
{
    assert_false(on);
    master_cleared = id;
}

/* ---- the machine ---- */

static void add_function(uint32_t index, uint16_t id, enum pci_kind kind)
{
    functions[index] = (struct pci_function){.id = id, .requester_id = id, .kind = kind};
}

static int setup(void **state)
{
    (void)state;
    machine_reset();
    memset(entry_flags, 0, sizeof(entry_flags));
    memset(&the_context, 0, sizeof(the_context));
    log_text[0] = '\0';
    max_bfn = UINT64_MAX >> 25;
    map_error = flushes = 0;
    mode_option = NULL;
    premap_option = true;
    attached_count = uncovered = master_cleared = 0;
    guest.iommu_on = true;

    add_function(0, pci_id(0, 0, 0), PCI_KIND_HOST_BRIDGE);
    add_function(1, pci_id(0, 1, 0), PCI_KIND_ENDPOINT);
    add_function(2, pci_id(0, 2, 0), PCI_KIND_IOMMU);
    add_function(3, pci_id(0, 3, 0), PCI_KIND_BRIDGE);
    add_function(4, pci_id(0, 4, 0), PCI_KIND_ENDPOINT);
    functions[4].hidden = true;
    add_function(5, pci_id(2, 5, 0), PCI_KIND_ENDPOINT);
    functions[5].requester_id = pci_id(2, 0, 0); /* behind a PCIe-to-PCI bridge */
    add_function(6, pci_id(0, 31, 0), PCI_KIND_ISA_BRIDGE);
    return 0;
}

static bool open_bus(void)
{
    return guest_bus_options() && guest_bus_create(MACHINE_FRAMES) && guest_bus_open();
}

static bool is_attached(uint16_t id)
{
    for (uint32_t i = 0; i < attached_count; i++) {
        if (attached[i] == id)
            return true;
    }
    return false;
}

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
    assert_non_null(strstr(log_text, "cannot be mapped"));
    assert_int_equal(attached_count, 0);
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
}

static void a_device_behind_no_unit_is_shut_out(void **state)
{
    (void)state;
    uncovered = pci_id(0, 1, 0);
    assert_true(open_bus());
    assert_int_equal(master_cleared, pci_id(0, 1, 0));
    assert_true(functions[1].hidden);
    assert_non_null(strstr(log_text, "00:01.0 is behind no IOMMU unit"));
}

static void mode_none_blocks_all(void **state)
{
    (void)state;
    mode_option = "none";
    assert_true(open_bus());
    assert_null(guest.context);
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

static void modes_of_a_later_day_are_refused_in_words(void **state)
{
    (void)state;
    mode_option = "relaxed";
    assert_false(guest_bus_options());
    assert_non_null(strstr(log_text, "relaxed is not offered yet"));
    mode_option = "draft-a-literal";
    assert_false(guest_bus_options());
    mode_option = "ownd";
    assert_false(guest_bus_options());
    assert_non_null(strstr(log_text, "ownd is not a mode"));
    mode_option = "owned";
    assert_true(guest_bus_options());
    assert_int_equal(guest.continue_every, 3);
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
        T(mode_none_blocks_all),
        T(without_an_iommu_there_is_no_bus),
        T(modes_of_a_later_day_are_refused_in_words),
        T(the_quota_holds_one_table_for_each_2_mib),
    };
    return cmocka_run_group_tests_name("bus", tests, NULL, NULL);
}

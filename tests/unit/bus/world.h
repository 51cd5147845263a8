/* SPDX-License-Identifier: MIT */
/* The rooms below the guest's bus, as its one test needs them: a unit that keeps entries, and PCI functions.
 */
#ifndef SLUICE_TEST_BUS_WORLD_H
#define SLUICE_TEST_BUS_WORLD_H

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
#include "pci/group.h"
#include "pci/pci.h"
#include "pv/bus.h"

struct iommu_context {
    uint32_t quota;
};

static struct iommu_context the_context;
static uint32_t entry_flags[MACHINE_FRAMES];
static uint64_t max_bfn;
static int settled;
#define WINDOW_BFN 3000u
static int map_error;
static int flushes;
static const char *mode_option;
static bool premap_option, strict_option;
static char log_text[4096];

#define FUNCTIONS 9u
static struct pci_function functions[FUNCTIONS];
static uint16_t attached[32];
static uint32_t attached_count;
static uint32_t attach_calls;
static uint16_t uncovered; /* no unit covers this id; 0 = all are covered */
static int attach_error;   /* what it gets when it is attached */
static uint16_t alias_from, alias_to;
static uint16_t master_cleared[16]; /* ids whose bus mastering was switched off */
static uint32_t cleared_count;
uint32_t memory_range_count = 5;

/* ---- fakes of the rooms below ---- */

static void log_keep(const char *format, va_list args)
{
    size_t used = strlen(log_text);
    vsnprintf(log_text + used, sizeof(log_text) - used, format, args);
}

void log_line(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_keep(format, args);
    va_end(args);
}

/* What is a refusal begins a line with this. */
void log_say(enum log_voice voice, const char *format, ...)
{
    va_list args;
    assert_int_equal(voice, LOG_ALERT);
    va_start(args, format);
    log_keep("refused: ", args);
    log_keep(format, args);
    va_end(args);
}

const char *option_value(const char *name)
{
    return strcmp(name, "iommu-mode") == 0 ? mode_option : NULL;
}

bool option_bool(const char *name, bool fallback)
{
    if (strcmp(name, "strict") == 0)
        return strict_option;
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

uint32_t iommu_tables_kept(const struct iommu_context *context)
{
    assert_ptr_equal(context, &the_context);
    return 0;
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
    assert_int_equal(settled, 1);
    if (map_error != 0)
        return map_error;
    for (uint64_t i = 0; i < frames; i++) {
        assert_int_equal(entry_flags[bfn + i], 0);
        entry_flags[bfn + i] = flags;
    }
    *done = frames;
    return 0;
}

int iommu_map(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t order, uint32_t flags,
              struct iommu_flush *flush)
{
    uint64_t done;

    assert_int_equal(order, 0);
    return iommu_map_run(context, bfn, mfn, 1, flags, flush, &done);
}

int iommu_unmap(struct iommu_context *context, uint64_t bfn, uint32_t order, struct iommu_flush *flush)
{
    assert_ptr_equal(flush->context, context);
    assert_int_equal(order, 0);
    entry_flags[bfn] = 0;
    return 0;
}

int iommu_lookup(const struct iommu_context *context, uint64_t bfn, struct iommu_mapping *mapping)
{
    assert_ptr_equal(context, &the_context);
    mapping->flags = entry_flags[bfn];
    return entry_flags[bfn] != 0 ? 0 : -ENOENT;
}

bool iommu_is_window(uint64_t bfn)
{
    return bfn == WINDOW_BFN;
}

/* Who attaches a device later would take memory that devices reach already. */
void memory_settle(void)
{
    settled++;
}

int iommu_attach(struct iommu_context *context, uint16_t segment, uint16_t requester_id)
{
    assert_ptr_equal(context, &the_context);
    assert_int_equal(segment, 0);
    assert_int_equal(settled, 0);
    attach_calls++;
    if (uncovered != 0 && requester_id == uncovered)
        return attach_error;
    attached[attached_count++] = requester_id;
    return 0;
}

int iommu_detach(uint16_t segment, uint16_t requester_id)
{
    assert_int_equal(segment, 0);
    for (uint32_t i = 0; i < attached_count; i++) {
        if (attached[i] == requester_id)
            attached[i--] = attached[--attached_count];
    }
    return requester_id == uncovered ? -ENODEV : 0;
}

bool iommu_covers(uint16_t segment, uint16_t requester_id)
{
    assert_int_equal(segment, 0);
    return uncovered == 0 || requester_id != uncovered;
}

uint16_t iommu_alias(uint16_t segment, uint16_t requester_id)
{
    assert_int_equal(segment, 0);
    return alias_from != 0 && requester_id == alias_from ? alias_to : requester_id;
}

void pci_form_groups(uint16_t (*alias)(uint16_t id))
{
    pci_group(functions, FUNCTIONS, alias);
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
    master_cleared[cleared_count++] = id;
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
    strict_option = false;
    settled = 0;
    attached_count = uncovered = cleared_count = attach_calls = 0;
    alias_from = alias_to = 0;
    attach_error = -ENODEV;
    guest.iommu_on = true;

    add_function(0, pci_id(0, 0, 0), PCI_KIND_HOST_BRIDGE);
    add_function(1, pci_id(0, 1, 0), PCI_KIND_ENDPOINT);
    add_function(2, pci_id(0, 2, 0), PCI_KIND_IOMMU);
    add_function(3, pci_id(0, 3, 0), PCI_KIND_BRIDGE);
    add_function(4, pci_id(0, 4, 0), PCI_KIND_ENDPOINT);
    functions[4].hidden = true;
    add_function(5, pci_id(2, 5, 0), PCI_KIND_ENDPOINT);
    functions[5].requester_id = pci_id(2, 0, 0); /* behind a PCIe-to-PCI bridge */
    functions[5].parent = &functions[3];
    functions[3].is_pcie = true;
    functions[3].pcie_type = PCIE_TYPE_TO_PCI_BRIDGE;
    /* The chipset: one device, whose functions nothing keeps apart. */
    add_function(6, pci_id(0, 31, 0), PCI_KIND_ISA_BRIDGE);
    add_function(7, pci_id(0, 31, 2), PCI_KIND_ENDPOINT);
    add_function(8, pci_id(0, 31, 3), PCI_KIND_ENDPOINT);
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

static bool is_master_cleared(uint16_t id)
{
    for (uint32_t i = 0; i < cleared_count; i++) {
        if (master_cleared[i] == id)
            return true;
    }
    return false;
}

#endif

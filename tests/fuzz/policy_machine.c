/* SPDX-License-Identifier: MIT */
#include "drivers/iommu/amdvi/amdvi.h"
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"
#include "tests/fuzz/must.h"
#include "tests/fuzz/policy.h"

#include <string.h>

#define FUNCTIONS (MACHINE_BRIDGES + MACHINE_DEVICES)

struct machine machine;
struct outcome outcome;

static bool bus_in_use[MACHINE_SEGMENTS][256];
static struct amdvi_unit units[IOMMU_UNITS_MAX];
static uint32_t unit_count;

/* ---- from bytes to a machine: tests/fuzz/seeds.py writes the same ---- */

static void read_function(struct machine_function *function, const uint8_t *bytes)
{
    *function = (struct machine_function){.id = (uint16_t)(bytes[0] << 8 | bytes[1]),
                                          .present = (bytes[2] & 1) != 0,
                                          .segment = bytes[2] >> 1 & 1};
    if (function->present)
        bus_in_use[function->segment][bytes[0]] = true;
}

void machine_read(const uint8_t *bytes)
{
    memset(bus_in_use, 0, sizeof bus_in_use);
    machine.amd = (bytes[0] & 1) != 0;
    machine.counters = (bytes[0] & 2) != 0;
    machine.address_bits = (uint8_t)(30 + bytes[1] % 35);
    machine.crowd = bytes[2];
    memcpy(&machine.usable, bytes + 4, sizeof machine.usable);
    bytes += 12;
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        struct machine_function *function = &machine.functions[i];

        read_function(function, bytes);
        if (i < MACHINE_BRIDGES) {
            function->bridge = true;
            function->speaks = (bytes[2] & 4) != 0;
            function->secondary = bytes[3];
            function->subordinate = bytes[4];
        }
        bytes += i < MACHINE_BRIDGES ? 5 : 3;
    }
    for (uint32_t i = 0; i < MACHINE_HELD; i++, bytes += 6) {
        uint32_t first;

        memcpy(&first, bytes, sizeof first);
        machine.held[i] = (struct iommu_range){first, bytes[4] | (uint64_t)bytes[5] << 8};
    }
    memset(&outcome.reserved_count, 0, offsetof(struct outcome, reserved));
    unit_count = 0;
}

const struct machine_function *machine_function(uint16_t segment, uint16_t id)
{
    if (segment >= MACHINE_SEGMENTS || !bus_in_use[segment][id >> 8])
        return NULL;
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
        const struct machine_function *function = &machine.functions[i];

        if (function->present && function->segment == segment && function->id == id)
            return function;
    }
    return NULL;
}

const struct machine_function *machine_bridge(uint16_t segment, uint16_t id)
{
    const struct machine_function *function = machine_function(segment, id);

    return function != NULL && function->bridge ? function : NULL;
}

void machine_add_unit(uint64_t base)
{
    units[unit_count].base = base;
    units[unit_count++].features = machine.counters ? AMDVI_FEATURE_COUNTERS : 0;
}

/* ---- what the product asks ---- */

struct amdvi_unit *amdvi_unit_at(uint32_t index)
{
    must(index < unit_count);
    return &units[index];
}

uint32_t amdvi_unit_count(void)
{
    return unit_count;
}

/* VT-d units have what firmware says. */
struct vtd_unit *vtd_unit_at(uint32_t index)
{
    (void)index;
    must(false);
    return NULL;
}

uint32_t vtd_unit_count(void)
{
    return 0;
}

uint32_t host_pci_read(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes)
{
    const struct machine_function *function = machine_function(segment, id);

    if (function == NULL)
        return UINT32_MAX >> (32 - 8 * bytes);
    switch (offset) {
    case 0x00:
        return 0x8086;
    case 0x0e:
        return function->bridge ? 0x81 : 0x00;
    case 0x19:
        return function->secondary;
    case 0x1a:
        return function->subordinate;
    default:
        return 0;
    }
}

bool host_pci_next(uint16_t segment, uint32_t id, uint16_t *found)
{
    uint32_t next = UINT16_MAX + 1u;

    for (uint32_t i = 0; i < MACHINE_BRIDGES + MACHINE_DEVICES; i++) {
        const struct machine_function *function = &machine.functions[i];

        if (function->present && function->segment == segment && function->id >= id && function->id < next)
            next = function->id;
    }
    *found = (uint16_t)next;
    return next <= UINT16_MAX;
}

uint16_t host_pci_requester(uint16_t segment, uint16_t id)
{
    for (uint32_t i = 0; i < MACHINE_BRIDGES; i++) {
        const struct machine_function *bridge = &machine.functions[i];

        if (bridge->present && bridge->speaks && bridge->segment == segment && bridge->secondary <= id >> 8 &&
            id >> 8 <= bridge->subordinate)
            return bridge->id;
    }
    return id;
}

bool host_range_is_hypervisor(uint64_t mfn, uint64_t frames)
{
    for (uint32_t i = 0; i < MACHINE_HELD; i++)
        if (machine.held[i].frames != 0 && mfn < machine.held[i].bfn + machine.held[i].frames &&
            machine.held[i].bfn < mfn + frames)
            return true;
    return false;
}

void log_line(const char *format, ...)
{
    (void)format;
}

/* ---- what the product does ---- */

uint64_t host_range_withhold(uint64_t mfn, uint64_t frames)
{
    bool found = false;

    for (uint32_t i = 0; i < outcome.reserved_count; i++)
        if (outcome.reserved[i].bfn == mfn && outcome.reserved[i].frames == frames)
            found = outcome.withheld[i] = true;
    must(found);
    return 0;
}

/* As iommu.c has it. */
int iommu_reserved_add(uint64_t bfn, uint64_t frames, enum iommu_reserved_kind kind, uint32_t flags)
{
    uint32_t index = 0;

    while (index < outcome.reserved_count &&
           (outcome.reserved[index].bfn != bfn || outcome.reserved[index].frames != frames ||
            outcome.reserved[index].flags != flags))
        index++;
    if (index >= IOMMU_RESERVED_MAX - (kind == IOMMU_KIND_IDENTITY))
        return -ENOSPC;
    if (index == outcome.reserved_count) {
        outcome.reserved[index] = (struct iommu_reserved){bfn, frames, kind, flags};
        outcome.withheld[index] = false;
        outcome.reserved_count++;
    }
    return (int)index;
}

uint32_t iommu_reserved_count(void)
{
    return outcome.reserved_count;
}

struct iommu_reserved iommu_reserved_at(uint32_t index)
{
    return outcome.reserved[index];
}

static uint64_t context_ranges;

int iommu_boot_context(uint64_t ranges, struct iommu_context **context)
{
    must(ranges != 0);
    for (uint32_t i = 0; i < IOMMU_RESERVED_MAX; i++)
        if ((ranges >> i & 1) != 0) /* or a table of the context might lie within the range */
            must(i < outcome.reserved_count && outcome.withheld[i]);
    context_ranges = ranges;
    *context = NULL;
    return 0;
}

int iommu_attach(struct iommu_context *context, uint16_t segment, uint16_t requester_id)
{
    (void)context;
    must(outcome.attached_count < ATTACHED_MAX && outcome_ranges(segment, requester_id) == 0);
    outcome.attached[outcome.attached_count++] = (struct attached){context_ranges, segment, requester_id};
    return 0;
}

uint64_t outcome_ranges(uint16_t segment, uint16_t id)
{
    for (uint32_t i = 0; i < outcome.attached_count; i++)
        if (outcome.attached[i].segment == segment && outcome.attached[i].id == id)
            return outcome.attached[i].ranges;
    return 0;
}

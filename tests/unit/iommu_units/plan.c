/* SPDX-License-Identifier: MIT */
#include "tests/unit/iommu_units/plan.h"

#include "tests/host/dmar_builder.h"
#include "tests/host/ivrs_builder.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define INCLUDE_ALL 1u
#define ENDPOINT    1u
#define BEHIND_IT   2u /* a bridge, and what is behind it */
#define UNITY       7u /* read and write */

struct plan plan;
struct iommu_flush flush;

uint32_t unit_in(uint32_t segment, uint32_t k)
{
    uint32_t unit = k * plan.segments + segment;

    return unit < plan.units ? unit : MACHINE_NO_UNIT;
}

static uint32_t number_in_segment(uint32_t unit)
{
    return unit / plan.segments;
}

/* The unit that the device LENT(k) on this unit's bus belongs to; and the other way round. */
static uint32_t next_in_segment(uint32_t unit)
{
    return unit + plan.segments < plan.units ? unit + plan.segments : unit % plan.segments;
}

static uint32_t previous_in_segment(uint32_t unit)
{
    if (unit >= plan.segments)
        return unit - plan.segments;
    return unit + (plan.units - 1 - unit) / plan.segments * plan.segments;
}

/* ---- the machine ---- */

static void add_unit(uint32_t unit)
{
    uint16_t segment = (uint16_t)(unit % plan.segments);
    uint32_t k = number_in_segment(unit);

    (void)machine_add_unit(segment);
    plan.base[unit] = MACHINE_BASE(unit);
    plan.rest[segment] = unit; /* the last stays */
    machine_add_function(segment, OWN(k), unit);
    machine_add_bridge(segment, BRIDGE(k), unit, (uint8_t)(1 + k), (uint8_t)(1 + k));
    machine_add_function(segment, BEHIND(k), unit);
    machine_add_function(segment, BEHIND_LAST(k), unit);
    machine_add_function(segment, LENT(k), next_in_segment(unit));
    if (machine.vendor == IOMMU_VENDOR_AMDVI) {
        machine_add_function(segment, ALIASED(k), unit)->shows = ALIAS(k);
        machine_add_unit_function(segment, UNIT_ID(k), unit);
    }
}

void plan_begin(enum iommu_vendor vendor, uint32_t units, uint32_t segments)
{
    plan = (struct plan){.units = units, .segments = segments, .block_types = 1};
    captured_clear();
    machine_reset(vendor);
    for (uint32_t unit = 0; unit < units; unit++)
        add_unit(unit);
    for (uint32_t segment = 0; segment < segments; segment++) {
        machine_add_function((uint16_t)segment, REST, plan.rest[segment]);
        machine_add_function((uint16_t)segment, REST_OF_BUS_0, plan.rest[segment]);
    }
}

/* ---- the DMAR ---- */

static void put_scope(struct dmar_builder *table, uint8_t kind, uint16_t id)
{
    dmar_scope(table, kind, (uint8_t)(id >> 8), id >> 3 & 31, id & 7);
}

/* An endpoint behind a bridge of bus 0, by its path. */
static void put_path(struct dmar_builder *table, uint16_t bridge, uint16_t id)
{
    dmar_put(table, ENDPOINT, 1);
    dmar_put(table, 10, 1);
    dmar_put(table, 0, 4);
    dmar_put(table, bridge >> 3 & 31, 1);
    dmar_put(table, bridge & 7, 1);
    dmar_put(table, id >> 3 & 31, 1);
    dmar_put(table, id & 7, 1);
}

static void put_drhd(struct dmar_builder *table, uint32_t unit)
{
    uint16_t segment = (uint16_t)(unit % plan.segments);
    uint32_t k = number_in_segment(unit), lender = number_in_segment(previous_in_segment(unit));

    dmar_drhd(table, plan.rest[segment] == unit ? INCLUDE_ALL : 0, segment, plan.base[unit]);
    put_scope(table, ENDPOINT, OWN(k));
    put_scope(table, BEHIND_IT, BRIDGE(k));
    put_path(table, BRIDGE(lender), LENT(lender));
}

static void put_rmrr(struct dmar_builder *table, uint32_t unit, uint64_t first, uint64_t last)
{
    dmar_rmrr(table, (uint16_t)(unit % plan.segments), first, last);
    put_scope(table, ENDPOINT, OWN(number_in_segment(unit)));
}

static size_t write_dmar(const uint8_t **bytes)
{
    static struct dmar_builder table;

    dmar_begin(&table);
    for (uint32_t unit = 0; unit < plan.units; unit++)
        put_drhd(&table, unit);
    for (uint32_t unit = 0; unit < plan.reserved; unit++)
        put_rmrr(&table, unit, RESERVED_MFN(unit) << 12, ((RESERVED_MFN(unit) + RESERVED_FRAMES) << 12) - 1);
    for (uint32_t i = 0; i < plan.extra_count; i++)
        put_rmrr(&table, 0, plan.extra[i].bfn << 12, ((plan.extra[i].bfn + plan.extra[i].frames) << 12) - 1);
    *bytes = table.bytes;
    return table.size;
}

/* ---- the IVRS ---- */

static void put_ivhd(struct ivrs_builder *table, uint32_t unit, uint8_t type)
{
    uint16_t segment = (uint16_t)(unit % plan.segments);
    uint32_t k = number_in_segment(unit), lender = number_in_segment(previous_in_segment(unit));

    ivrs_ivhd(table, (struct ivrs_ivhd){.type = type,
                                        .id = UNIT_ID(k),
                                        .capability = UNIT_CAPABILITY,
                                        .segment = segment,
                                        .base = plan.base[unit],
                                        .efr = machine.units[unit].features});
    ivrs_select(table, OWN(k), 0);
    ivrs_select(table, BRIDGE(k), 0);
    ivrs_range(table, BEHIND(k), BEHIND(k) | 0xff, 0);
    ivrs_alias(table, ALIASED(k), ALIAS(k), 0);
    ivrs_select(table, LENT(lender), 0);
    if (plan.rest[segment] == unit)
        ivrs_all(table, 0);
}

static void put_ivmd(struct ivrs_builder *table, uint32_t unit, uint64_t bfn, uint64_t frames)
{
    ivrs_ivmd(table, 0x21, UNITY, (uint16_t)(unit % plan.segments), OWN(number_in_segment(unit)), 0,
              bfn << 12, frames << 12);
}

static size_t write_ivrs(const uint8_t **bytes)
{
    static const uint8_t types[] = {0x11, 0x10, 0x40};
    static struct ivrs_builder table;

    ivrs_begin(&table, plan.ivinfo);
    for (uint32_t unit = 0; unit < plan.units; unit++)
        for (uint32_t type = 0; type < plan.block_types; type++)
            put_ivhd(&table, unit, types[type]);
    for (uint32_t unit = 0; unit < plan.reserved; unit++)
        put_ivmd(&table, unit, RESERVED_MFN(unit), RESERVED_FRAMES);
    for (uint32_t i = 0; i < plan.extra_count; i++)
        put_ivmd(&table, 0, plan.extra[i].bfn, plan.extra[i].frames);
    *bytes = table.bytes;
    return table.size;
}

/* ---- bringing it up ---- */

int plan_init(void)
{
    struct iommu_setup setup = {.vendor = machine.vendor,
                                .physical_bits = MACHINE_BITS,
                                .fault_address = 0xfee01000ull,
                                .fault_data = 0x41};
    const uint8_t *bytes;

    setup.table_size = machine.vendor == IOMMU_VENDOR_VTD ? write_dmar(&bytes) : write_ivrs(&bytes);
    setup.table = bytes;
    return iommu_init(&setup);
}

void plan_start(void)
{
    assert_int_equal(plan_init(), 0);
    assert_int_equal(iommu_enable(), 0);
}

/* ---- contexts and DMA ---- */

void map_now(struct iommu_context *context, uint64_t bfn, uint64_t mfn)
{
    iommu_flush_begin(&flush, context);
    assert_int_equal(iommu_map(context, bfn, mfn, 0, RW, &flush), 0);
    assert_int_equal(iommu_flush(&flush), 0);
}

struct iommu_context *context_with(uint64_t bfn, uint64_t mfn)
{
    struct iommu_context *context;

    assert_int_equal(iommu_context_create(&context, 100), 0);
    map_now(context, bfn, mfn);
    return context;
}

bool arrives(const struct machine_function *function, uint64_t bfn, uint64_t mfn)
{
    uint64_t reached;

    return machine_dma(&machine.units[function->unit], function->shows, bfn, true, &reached) &&
           reached == mfn;
}

static bool passes(const struct machine_function *function, uint64_t bfn, uint32_t besides)
{
    for (uint32_t i = 0; i < machine.unit_count; i++) {
        struct unit *unit = &machine.units[i];
        uint64_t mfn;

        if (i != besides && unit->segment == function->segment && machine_is_on(unit) &&
            (machine_dma(unit, function->shows, bfn, false, &mfn) ||
             machine_dma(unit, function->shows, bfn, true, &mfn)))
            return true;
    }
    return false;
}

bool is_blocked(const struct machine_function *function, uint64_t bfn)
{
    return !passes(function, bfn, MACHINE_NO_UNIT);
}

bool passes_elsewhere(const struct machine_function *function, uint64_t bfn)
{
    return passes(function, bfn, function->unit);
}

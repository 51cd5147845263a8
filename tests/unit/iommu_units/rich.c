/* SPDX-License-Identifier: MIT */
#include "tests/unit/iommu_units/rich.h"

#include "tests/host/dmar_builder.h"
#include "tests/host/ivrs_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ID(bus, device, function) ((uint16_t)((bus) << 8 | (device) << 3 | (function)))

/* Names of DMAR structures and scopes: revision 4.1, chapter 8. */
enum { ATSR = 2, RHSA, ANDD, SATC, SIDP };
enum { ENDPOINT = 1, BRIDGE, IOAPIC, HPET, ACPI_DEVICE };

static const uint64_t reserved_frames[] = {0x80000, 0x80001, 0x80010, 0x80020, 0x8002f, 0};

uint64_t rich_reserved_frame(uint32_t index)
{
    return reserved_frames[index];
}

/* ---- VT-d: units 0 and 1 in segment 0, unit 1 has the rest; unit 2 has segment 1 ---- */

static void make_vtd_machine(void)
{
    for (uint32_t unit = 0; unit < 3; unit++)
        machine_add_unit(unit == 2 ? 1 : 0);
    machine_add_function(0, ID(0, 2, 0), 0);
    machine_add_bridge(0, ID(0, 0x1c, 0), 0, 3, 4);
    machine_add_bridge(0, ID(3, 0, 0), 0, 4, 4);
    machine_add_function(0, ID(3, 1, 0), 0);
    machine_add_function(0, ID(4, 0, 0), 0);
    machine_add_function(0, ID(4, 3, 0), 1);
    machine_add_function(0, ID(0, 0x14, 0), 1);
    machine_add_function(0, ID(0, 0x1f, 2), 1);
    machine_add_function(1, ID(0, 2, 0), 2);
    machine_add_function(1, ID(0, 0x14, 0), 2);
    machine_add_function(1, ID(3, 1, 0), 2);
}

static void scope(struct dmar_builder *table, uint8_t kind, uint8_t id, uint16_t where)
{
    dmar_scope(table, kind, (uint8_t)(where >> 8), where >> 3 & 31, where & 7);
    table->bytes[table->size - 4] = id;
}

static void two_bridges_down(struct dmar_builder *table)
{
    static const uint8_t path[] = {ENDPOINT, 12, 0, 0, 0, 0, 0x1c, 0, 0, 0, 3, 0};

    for (size_t i = 0; i < sizeof path; i++)
        dmar_put(table, path[i], 1);
}

static void put_units(struct dmar_builder *table)
{
    dmar_drhd(table, 0, 0, MACHINE_BASE(0));
    scope(table, ENDPOINT, 0, ID(0, 2, 0));
    scope(table, BRIDGE, 0, ID(0, 0x1c, 0));
    scope(table, HPET, 0, ID(0, 0x1e, 0));
    dmar_drhd(table, 0, 1, MACHINE_BASE(2));
    table->bytes[table->open + 4] = 1; /* INCLUDE_PCI_ALL */
    scope(table, ACPI_DEVICE, 1, ID(0, 0x14, 0));
    dmar_drhd(table, 1, 0, MACHINE_BASE(1));
    two_bridges_down(table);
    scope(table, IOAPIC, 2, ID(0, 0x1e, 7));
}

static void put_ranges(struct dmar_builder *table)
{
    dmar_rmrr(table, 0, 0x80000000, 0x80001fff);
    scope(table, ENDPOINT, 0, ID(0, 2, 0));
    dmar_rmrr(table, 0, 0x80010000, 0x80010fff);
    scope(table, ENDPOINT, 0, ID(0, 0x14, 0));
    two_bridges_down(table);
    dmar_rmrr(table, 1, 0x80020000, 0x8002ffff);
    scope(table, ENDPOINT, 0, ID(0, 2, 0));
}

static void put_list(struct dmar_builder *table, uint16_t type, uint8_t kind, uint16_t where)
{
    dmar_open(table, type);
    dmar_put(table, 0, 4);
    scope(table, kind, 0, where);
}

static void put_the_rest(struct dmar_builder *table)
{
    put_list(table, ATSR, BRIDGE, ID(0, 0x1c, 0));
    put_list(table, SATC, ENDPOINT, ID(0, 2, 0));
    put_list(table, SIDP, ENDPOINT, ID(0, 0x14, 0));
    dmar_open(table, RHSA);
    dmar_put(table, 0, 4);
    dmar_put(table, MACHINE_BASE(1), 8);
    dmar_put(table, 1, 4);
    dmar_open(table, ANDD);
    dmar_put(table, 0x01000000, 4);
    for (const char *name = "\\_SB.D"; *name != '\0'; name++)
        dmar_put(table, (uint8_t)*name, 1);
    dmar_put(table, 0, 1);
}

static void write_dmar(struct rich *rich)
{
    static struct dmar_builder table;

    dmar_begin(&table);
    put_units(&table);
    put_ranges(&table);
    put_the_rest(&table);
    rich->size = table.size;
    memcpy(rich->bytes, table.bytes, table.size);
}

/* ---- AMD-Vi: two units in segment 0, each in two blocks; unit 1 has the rest ---- */

#define FIRST_UNIT  ID(0, 0, 2)
#define SECOND_UNIT ID(0x20, 0, 2)

static void make_amdvi_machine(void)
{
    machine_add_unit(0);
    machine_add_unit(0);
    machine_add_unit_function(0, FIRST_UNIT, 0);
    machine_add_unit_function(0, SECOND_UNIT, 1);
    machine_add_function(0, ID(0, 2, 0), 0);
    machine_add_function(0, ID(5, 0, 0), 0);
    machine_add_function(0, ID(5, 31, 0), 0);
    machine_add_function(0, ID(6, 1, 0), 0)->shows = ID(6, 0, 0);
    machine_add_function(0, ID(0, 0x14, 0), 1);
    machine_add_function(0, ID(0x21, 0, 0), 1);
    machine_add_function(1, ID(0, 2, 0), 1);
}

static void put_first_unit(struct ivrs_builder *table, uint8_t type)
{
    ivrs_ivhd(table, (struct ivrs_ivhd){.type = type,
                                        .id = FIRST_UNIT,
                                        .capability = UNIT_CAPABILITY,
                                        .base = MACHINE_BASE(0),
                                        .efr = machine.units[0].features});
    ivrs_select(table, ID(0, 2, 0), 0);
    ivrs_range(table, ID(5, 0, 0), ID(5, 31, 7), 0);
    ivrs_padding(table);
    if (type == 0x10)
        return;
    ivrs_alias(table, ID(6, 1, 0), ID(6, 0, 0), 0);
    ivrs_alias_range(table, ID(7, 0, 0), ID(7, 3, 0), ID(7, 0, 0), 0);
    ivrs_special(table, 1, 2, ID(0, 0x14, 2), 0);
}

static void put_second_unit(struct ivrs_builder *table, uint8_t type)
{
    ivrs_ivhd(table, (struct ivrs_ivhd){.type = type,
                                        .id = SECOND_UNIT,
                                        .capability = UNIT_CAPABILITY,
                                        .base = MACHINE_BASE(1),
                                        .efr = machine.units[1].features});
    ivrs_all(table, 0);
    if (type != 0x40)
        return;
    ivrs_extended(table, ID(0x21, 0, 0), 0, 1);
    ivrs_special(table, 2, 0, ID(0, 0x14, 3), 0);
    ivrs_acpi(table, ID(0, 0x13, 0), 0, "\\_SB");
}

static void write_ivrs(struct rich *rich)
{
    static struct ivrs_builder table;

    ivrs_begin(&table, 0);
    put_first_unit(&table, 0x10);
    put_first_unit(&table, 0x11);
    put_second_unit(&table, 0x11);
    put_second_unit(&table, 0x40);
    ivrs_ivmd(&table, 0x21, 7, 0, ID(0, 2, 0), 0, 0x80000000, 0x2000);
    ivrs_ivmd(&table, 0x22, 3, 0, ID(5, 0, 0), ID(6, 31, 7), 0x80010000, 0x1000); /* to be read only */
    ivrs_ivmd(&table, 0x20, 8, 0, 0, 0, 0x80020000, 0x10000);
    rich->size = table.size;
    memcpy(rich->bytes, table.bytes, table.size);
}

void rich_make(enum iommu_vendor vendor, struct rich *rich)
{
    machine_reset(vendor);
    if (vendor == IOMMU_VENDOR_VTD) {
        make_vtd_machine();
        write_dmar(rich);
    } else {
        make_amdvi_machine();
        write_ivrs(rich);
    }
    assert_true(rich->size <= RICH_BYTES_MAX);
}

/* SPDX-License-Identifier: MIT */
/* What the hypervisor does not ask of a DMAR, and a person who wonders about a machine wants to know. */
#include "tools/tables/dmar.h"
#include "tools/tables/live.h"
#include "tools/tables/range.h"
#include "tools/tables/registers.h"
#include "tools/tables/tree.h"

#define PAGE         4096u
#define OFFSET_WIDTH 36u
#define OFFSET_FLAGS 37u
#define WIDTH_MIN    32u
#define WIDTH_MAX    57u

#define REGISTER_BYTES_MAX 0x10000u
#define RANGES_KEPT        63u /* the interrupt window takes one of IOMMU_RESERVED_MAX */

#define ADVICE_VTD_ON                                                                                        \
    "Look for VT-d in the firmware's settings and switch it on; then look for a firmware update."

#define ADVICE_REST                                                                                          \
    "Compare the units with what lspci lists. A virtual machine names its devices one by one and is right "  \
    "to."

static struct place at(const char *structure, uint32_t offset, enum severity severity)
{
    return (struct place){severity, structure, offset,
                          severity == SEVERITY_NOTE ? ADVICE_HARMLESS : ADVICE_UPDATE};
}

/* ---- units ---- */

/* No unit has more, whatever firmware says; what a unit truly needs, only the unit itself knows. */
static uint64_t register_bytes(const struct dmar_unit *unit)
{
    return unit->size < REGISTER_BYTES_MAX ? unit->size : REGISTER_BYTES_MAX;
}

/* Which units can be used. */
static void check_registers(const struct dmar *dmar, bool *usable, struct remarks *remarks)
{
    static struct registers list[DMAR_UNITS_MAX];

    for (uint32_t i = 0; i < dmar->unit_count; i++)
        list[i] = (struct registers){.structure = "DRHD",
                                     .base = dmar->units[i].base,
                                     .bytes = register_bytes(&dmar->units[i]),
                                     .align = PAGE,
                                     .offset = dmar->units[i].offset,
                                     .usable = true};
    registers_check(list, dmar->unit_count, dmar->address_width, remarks);
    for (uint32_t i = 0; i < dmar->unit_count; i++)
        usable[i] = list[i].usable;
}

/* 8.3: the unit for all the rest of a segment is the last one of it. */
static void check_order(const struct dmar *dmar, uint32_t index, struct remarks *remarks)
{
    const struct dmar_unit *unit = &dmar->units[index];

    for (uint32_t i = index + 1; unit->include_all && i < dmar->unit_count; i++)
        if (dmar->units[i].segment == unit->segment && !dmar->units[i].include_all) {
            remark(remarks, at("DRHD", unit->offset, SEVERITY_NOTE),
                   "it covers all other devices (INCLUDE_PCI_ALL) and is not the last unit of its segment, "
                   "as the "
                   "specification wants it: Sluice does not mind the order");
            return;
        }
}

static bool is_first_of_segment(const struct dmar *dmar, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (dmar->units[i].segment == dmar->units[index].segment)
            return false;
    return true;
}

static void check_rest(const struct dmar *dmar, uint32_t index, struct remarks *remarks)
{
    const struct dmar_unit *unit = &dmar->units[index];

    if (dmar->truncated || !is_first_of_segment(dmar, index))
        return;
    for (uint32_t i = 0; i < dmar->unit_count; i++)
        if (dmar->units[i].segment == unit->segment && dmar->units[i].include_all)
            return;
    remark(remarks, (struct place){SEVERITY_NOTE, "DRHD", unit->offset, ADVICE_REST},
           "no unit of segment %04x covers all other devices (INCLUDE_PCI_ALL): a device that no unit names "
           "stays "
           "blocked",
           unit->segment);
}

static void check_units(const struct dmar *dmar, bool *usable, struct remarks *remarks)
{
    if (dmar->unit_count == 0)
        remark(remarks, (struct place){SEVERITY_ERROR, "table", 0, ADVICE_VTD_ON},
               "there is no unit (DRHD) that can be read: Sluice finds no IOMMU, and refuses to start");
    check_registers(dmar, usable, remarks);
    for (uint32_t i = 0; i < dmar->unit_count; i++) {
        check_order(dmar, i, remarks);
        check_rest(dmar, i, remarks);
    }
}

/* ---- interrupt sources: scopes of units ---- */

/* Every IO-APIC that a unit names. */
struct ioapics {
    uint32_t count;
    const struct dmar_scope *list[DMAR_SCOPES_MAX];
};

static void collect_ioapics(const struct dmar *dmar, struct ioapics *ioapics)
{
    ioapics->count = 0;
    for (uint32_t i = 0; i < dmar->unit_count; i++)
        for (uint32_t s = 0; s < dmar->units[i].scopes.count; s++) {
            const struct dmar_scope *scope = dmar_scope_at(dmar, &dmar->units[i].scopes, s);

            if (scope->kind == DMAR_SCOPE_IOAPIC)
                ioapics->list[ioapics->count++] = scope;
        }
}

static void check_ioapic(const struct ioapics *ioapics, uint32_t index, struct remarks *remarks)
{
    const struct dmar_scope *later = ioapics->list[index];

    for (uint32_t i = 0; i < index; i++)
        if (ioapics->list[i]->enumeration_id == later->enumeration_id) {
            remark(remarks, at("device scope", later->offset, SEVERITY_WARNING),
                   "the IO-APIC %u is also named at byte 0x%x: Sluice believes that one",
                   later->enumeration_id, ioapics->list[i]->offset);
            return;
        }
}

static void check_sources(const struct dmar *dmar, struct remarks *remarks)
{
    static struct ioapics ioapics;

    collect_ioapics(dmar, &ioapics);
    for (uint32_t i = 0; i < ioapics.count; i++)
        check_ioapic(&ioapics, i, remarks);
    if (ioapics.count == 0 && dmar->interrupt_remapping && dmar->unit_count != 0)
        remark(remarks, at("table", 0, SEVERITY_WARNING),
               "no unit names an IO-APIC: interrupts of devices without MSI cannot be remapped, and stay "
               "blocked");
}

static void check_flags(const struct dmar *dmar, struct remarks *remarks)
{
    if (dmar->address_width < WIDTH_MIN || dmar->address_width > WIDTH_MAX)
        remark(remarks, at("header", OFFSET_WIDTH, SEVERITY_WARNING),
               "a host address width of %u bit%s is not believable", dmar->address_width,
               plural(dmar->address_width));
    if (!dmar->interrupt_remapping)
        remark(
            remarks, (struct place){SEVERITY_WARNING, "header", OFFSET_FLAGS, ADVICE_VTD_ON},
            "firmware says that this machine does not remap interrupts: a device can raise any interrupt, of "
            "the hypervisor's too");
}

/* ---- references ---- */

static const struct dmar_scope *scope_of_device(const struct dmar *dmar, const struct dmar_acpi *device)
{
    for (uint32_t i = 0; i < dmar->scope_count; i++)
        if (dmar->scopes[i].kind == DMAR_SCOPE_ACPI && dmar->scopes[i].enumeration_id == device->number)
            return &dmar->scopes[i];
    return NULL;
}

static void check_acpi(const struct dmar *dmar, struct remarks *remarks)
{
    for (uint32_t i = 0; i < dmar->acpi_count; i++) {
        const struct dmar_acpi *device = &dmar->acpi[i];
        const struct dmar_acpi *first = dmar_acpi_device(dmar, device->number);

        if (first != device)
            remark(remarks, at("ANDD", device->offset, SEVERITY_WARNING),
                   "the ANDD at byte 0x%x has the same number %u: a scope may mean either", first->offset,
                   device->number);
        else if (scope_of_device(dmar, device) == NULL)
            remark(remarks, at("ANDD", device->offset, SEVERITY_NOTE),
                   "no unit names this ACPI device: its DMA passes the unit for all other devices, if there "
                   "is one");
    }
    for (uint32_t i = 0; i < dmar->scope_count; i++)
        if (dmar->scopes[i].kind == DMAR_SCOPE_ACPI &&
            dmar_acpi_device(dmar, dmar->scopes[i].enumeration_id) == NULL)
            remark(remarks, at("device scope", dmar->scopes[i].offset, SEVERITY_WARNING),
                   "an ACPI device with number %u, which no ANDD names: Sluice knows it by its requester id "
                   "alone",
                   dmar->scopes[i].enumeration_id);
}

static void check_nodes(const struct dmar *dmar, struct remarks *remarks)
{
    for (uint32_t i = 0; i < dmar->node_count; i++) {
        uint32_t unit = 0;

        while (unit < dmar->unit_count && dmar->units[unit].base != dmar->nodes[i].base)
            unit++;
        if (unit == dmar->unit_count)
            remark(remarks, at("RHSA", dmar->nodes[i].offset, SEVERITY_NOTE),
                   "it is about a unit at 0x%llx, and there is none: Sluice does not use memory nodes",
                   (unsigned long long)dmar->nodes[i].base);
    }
}

/* ---- reserved memory ---- */

/* IO-APICs and HPETs reach no memory. */
static bool names_devices(const struct dmar *dmar, const struct dmar_scopes *scopes)
{
    for (uint32_t i = 0; i < scopes->count; i++) {
        uint8_t kind = dmar_scope_at(dmar, scopes, i)->kind;

        if (kind != DMAR_SCOPE_IOAPIC && kind != DMAR_SCOPE_HPET)
            return true;
    }
    return scopes->incomplete;
}

static void check_reserved(const struct dmar *dmar, struct remarks *remarks)
{
    static struct ranges ranges;

    ranges_begin(&ranges, RANGES_KEPT, dmar->address_width);
    for (uint32_t i = 0; i < dmar->unit_count; i++)
        ranges_block(&ranges, dmar->units[i].base, register_bytes(&dmar->units[i]),
                     "the registers of a unit");
    for (uint32_t i = 0; i < dmar->reserved_count; i++) {
        const struct dmar_reserved *range = &dmar->reserved[i];

        if (!range->malformed)
            ranges_want(&ranges, (struct range){.base = range->base,
                                                .limit = range->limit,
                                                .offset = range->offset,
                                                .what = "RMRR"});
        if (!names_devices(dmar, &range->scopes))
            remark(remarks, at("RMRR", range->offset, SEVERITY_NOTE),
                   "it names no device: Sluice keeps the memory, and nobody reaches it");
    }
    ranges_check(&ranges, remarks);
}

/* ---- who owns which device, by the hypervisor's own rules ---- */

/* Where a path over bridges ends, only the machine itself knows: without it, such scopes are not judged. */
static void forget_long_paths(struct dmar *dmar)
{
    for (uint32_t i = 0; i < dmar->scope_count; i++)
        if (dmar->scopes[i].hops > 1)
            dmar->scopes[i].kind = 0;
}

static void check_claims(const struct dmar *dmar, const bool *usable, struct remarks *remarks)
{
    static struct dmar copy;
    static struct claims claims;

    copy = *dmar;
    copy.findings.count = copy.findings.lost = 0;
    if (!live())
        forget_long_paths(&copy);
    remarks->single_only = !dmar_claim(&copy, usable, &claims);
    remark_findings(remarks, &copy.findings);
    live_check_claims(&claims, remarks);
}

void dmar_check(struct dmar *dmar, struct remarks *remarks)
{
    bool usable[DMAR_UNITS_MAX];

    remark_findings(remarks, &dmar->findings);
    check_flags(dmar, remarks);
    check_units(dmar, usable, remarks);
    check_claims(dmar, usable, remarks);
    check_sources(dmar, remarks);
    check_reserved(dmar, remarks);
    check_acpi(dmar, remarks);
    check_nodes(dmar, remarks);
}

/* SPDX-License-Identifier: MIT */
/* What the hypervisor does not ask of a DMAR, and a person who wonders about a machine wants to know. */
#include "tools/tables/dmar.h"
#include "tools/tables/live.h"
#include "tools/tables/range.h"

#define PAGE         4096u
#define OFFSET_WIDTH 36u
#define OFFSET_FLAGS 37u
#define WIDTH_MIN    32u
#define WIDTH_MAX    57u

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

static void check_registers(const struct dmar *dmar, const struct dmar_unit *unit, struct remarks *remarks)
{
    const struct place place = at("DRHD", unit->offset, SEVERITY_ERROR);

    if (unit->base == 0)
        remark(remarks, place,
               "its register address is 0: Sluice cannot use the unit, its devices stay blocked");
    else if (unit->base % PAGE != 0)
        remark(
            remarks, place,
            "its register address 0x%llx does not begin a page: Sluice cannot use the unit, its devices stay "
            "blocked",
            (unsigned long long)unit->base);
    else if (is_beyond(unit->base, dmar->address_width))
        remark(
            remarks, place,
            "its register address 0x%llx lies beyond the machine's %u bits of address: Sluice cannot use the "
            "unit, its devices stay blocked",
            (unsigned long long)unit->base, dmar->address_width);
}

static void check_shared_registers(const struct dmar *dmar, uint32_t index, struct remarks *remarks)
{
    const struct dmar_unit *later = &dmar->units[index];

    for (uint32_t i = 0; i < index && later->base != 0; i++) {
        const struct dmar_unit *earlier = &dmar->units[i];

        if (earlier->base == 0 || !overlap(earlier->base, earlier->base + earlier->size - 1, later->base,
                                           later->base + later->size - 1))
            continue;
        remark(remarks, at("DRHD", later->offset, SEVERITY_ERROR),
               "its registers are also those of the unit at byte 0x%x: Sluice uses the first, this one's "
               "devices "
               "stay blocked",
               earlier->offset);
        return;
    }
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

static void check_units(const struct dmar *dmar, struct remarks *remarks)
{
    if (dmar->unit_count == 0)
        remark(remarks, (struct place){SEVERITY_ERROR, "table", 0, ADVICE_VTD_ON},
               "there is no unit (DRHD) that can be read: Sluice finds no IOMMU, and refuses to start");
    for (uint32_t i = 0; i < dmar->unit_count; i++) {
        check_registers(dmar, &dmar->units[i], remarks);
        check_shared_registers(dmar, i, remarks);
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
               "a host address width of %u bits is not believable", dmar->address_width);
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

static void check_reserved(const struct dmar *dmar, struct remarks *remarks)
{
    static struct ranges ranges;

    ranges_begin(&ranges, dmar->address_width);
    for (uint32_t i = 0; i < dmar->unit_count; i++)
        ranges_block(&ranges, dmar->units[i].base, dmar->units[i].size, "the registers of a unit");
    for (uint32_t i = 0; i < dmar->reserved_count; i++) {
        const struct dmar_reserved *range = &dmar->reserved[i];

        if (!range->malformed)
            ranges_want(&ranges, (struct range){range->base, range->limit, range->offset, "RMRR"});
        if (range->scopes.count == 0 && !range->scopes.incomplete)
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

static void check_claims(const struct dmar *dmar, struct remarks *remarks)
{
    static struct dmar copy;
    static struct claims claims;
    bool usable[DMAR_UNITS_MAX];

    for (uint32_t i = 0; i < DMAR_UNITS_MAX; i++)
        usable[i] = true;
    copy = *dmar;
    copy.findings.count = copy.findings.lost = 0;
    if (!live())
        forget_long_paths(&copy);
    (void)dmar_claim(&copy, usable, &claims);
    remark_findings(remarks, &copy.findings);
    live_check_claims(&claims, remarks);
}

void dmar_check(struct dmar *dmar, struct remarks *remarks)
{
    remark_findings(remarks, &dmar->findings);
    check_flags(dmar, remarks);
    check_units(dmar, remarks);
    check_claims(dmar, remarks);
    check_sources(dmar, remarks);
    check_reserved(dmar, remarks);
    check_acpi(dmar, remarks);
    check_nodes(dmar, remarks);
}

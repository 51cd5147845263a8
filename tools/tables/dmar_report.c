/* SPDX-License-Identifier: MIT */
#include "tools/tables/dmar.h"

#include "tools/tables/live.h"
#include "tools/tables/tree.h"

#include <stdio.h>

#define SCOPE_TEXT_SIZE 1024u /* a path has up to 124 hops */
#define NAME_TEXT_SIZE  512u

#define ATSR_ALL_PORTS 0x1u

const char *dmar_type_text(uint8_t type)
{
    static const char *const texts[] = {
        [DMAR_DRHD] = "DRHD", [DMAR_RMRR] = "RMRR", [DMAR_ATSR] = "ATSR", [DMAR_RHSA] = "RHSA",
        [DMAR_ANDD] = "ANDD", [DMAR_SATC] = "SATC", [DMAR_SIDP] = "SIDP",
    };

    return texts[type];
}

const struct dmar_acpi *dmar_acpi_device(const struct dmar *dmar, uint8_t number)
{
    for (uint32_t i = 0; i < dmar->acpi_count; i++)
        if (dmar->acpi[i].number == number)
            return &dmar->acpi[i];
    return NULL;
}

/* ---- scopes ---- */

/* "00:1c.0", or over bridges "00:1c.0 / 00.0", as firmware wrote it. */
static void path_text(const struct dmar *dmar, const struct dmar_scope *scope, char *text, size_t room)
{
    size_t used = (size_t)snprintf(text, room, "%02x:", scope->start_bus);

    for (uint32_t i = 0; i < scope->hops && used < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%02x.%x", i != 0 ? " / " : "",
                                 dmar->hops[scope->first_hop + i].device,
                                 dmar->hops[scope->first_hop + i].function);
}

/* What the machine says of the function at the path's end. */
static void machine_text(const struct dmar *dmar, uint16_t segment, const struct dmar_scope *scope,
                         char *text, size_t room)
{
    uint16_t id = 0;

    text[0] = 0;
    if (!live())
        return;
    if (!dmar_scope_resolve(dmar, segment, scope, &id))
        snprintf(text, room, ", over a bridge that is not there");
    else if (scope->hops > 1)
        snprintf(text, room, ", which is %02x:%02x.%x%s", id >> 8, id >> 3 & 31, id & 7,
                 live_function(segment, id));
    else
        snprintf(text, room, "%s", live_function(segment, id));
}

static void name_text(const struct input *input, const struct dmar *dmar, uint8_t number, char *text,
                      size_t room)
{
    const struct dmar_acpi *device = dmar_acpi_device(dmar, number);

    if (device == NULL)
        snprintf(text, room, "without a name");
    else
        safe_text(text, room, input->bytes + device->name, device->name_length);
}

static void scope_line(const struct input *input, const struct dmar *dmar, uint16_t segment,
                       const struct dmar_scope *scope, bool last)
{
    char path[SCOPE_TEXT_SIZE], machine[64], name[NAME_TEXT_SIZE];

    path_text(dmar, scope, path, sizeof path);
    machine_text(dmar, segment, scope, machine, sizeof machine);
    switch (scope->kind) {
    case DMAR_SCOPE_ENDPOINT:
        tree_line(last, "%s%s", path, machine);
        break;
    case DMAR_SCOPE_BRIDGE:
        tree_line(last, "%s%s, a bridge, and everything behind it", path, machine);
        break;
    case DMAR_SCOPE_IOAPIC:
        tree_line(last, "IO-APIC %u: its interrupts come from %s", scope->enumeration_id, path);
        break;
    case DMAR_SCOPE_HPET:
        tree_line(last, "HPET timer block %u: its interrupts come from %s", scope->enumeration_id, path);
        break;
    case DMAR_SCOPE_ACPI:
        name_text(input, dmar, scope->enumeration_id, name, sizeof name);
        tree_line(last, "%s%s, ACPI device %u: %s", path, machine, scope->enumeration_id, name);
        break;
    default:
        tree_line(last, "%s%s, of an unknown kind %u", path, machine, scope->kind);
    }
}

/* `more`: a line of the same branch follows. */
static void scope_lines(const struct input *input, const struct dmar *dmar, uint16_t segment,
                        const struct dmar_scopes *scopes, bool more)
{
    more |= scopes->incomplete;
    for (uint32_t i = 0; i < scopes->count; i++)
        scope_line(input, dmar, segment, dmar_scope_at(dmar, scopes, i), !more && i + 1 == scopes->count);
}

static void lost_line(const struct dmar_scopes *scopes, bool last)
{
    if (scopes->incomplete)
        tree_line(last, "and what cannot be read; see the findings");
}

/* ---- the structures ---- */

static void report_units(const struct input *input, const struct dmar *dmar)
{
    for (uint32_t i = 0; i < dmar->unit_count; i++) {
        const struct dmar_unit *unit = &dmar->units[i];

        printf("\nUnit %u (DRHD): segment %04x, %s of registers at 0x%llx; it covers\n", i, unit->segment,
               size_text(unit->size), (unsigned long long)unit->base);
        scope_lines(input, dmar, unit->segment, &unit->scopes, unit->include_all);
        lost_line(&unit->scopes, !unit->include_all);
        if (unit->include_all)
            tree_line(true, "every device of the segment that no other unit names");
        else if (unit->scopes.count == 0 && !unit->scopes.incomplete)
            tree_line(true, "nothing");
    }
}

static void report_reserved(const struct input *input, const struct dmar *dmar)
{
    for (uint32_t i = 0; i < dmar->reserved_count; i++) {
        const struct dmar_reserved *range = &dmar->reserved[i];
        uint64_t bytes = range->limit - range->base;
        const char *size = range->malformed ? "nothing, it seems," : size_text(bytes + 1);

        printf(
            "\nReserved memory (RMRR): segment %04x, %s from 0x%llx to 0x%llx; firmware wants it open to\n",
            range->segment, bytes == UINT64_MAX ? "all of memory" : size, (unsigned long long)range->base,
            (unsigned long long)range->limit);
        scope_lines(input, dmar, range->segment, &range->scopes, false);
        lost_line(&range->scopes, true);
        if (range->scopes.count == 0 && !range->scopes.incomplete)
            tree_line(true, "nobody");
    }
}

static void report_lists(const struct input *input, const struct dmar *dmar)
{
    static const char *const texts[] = {
        [DMAR_ATSR] = "Ports behind which devices may keep translations (ATSR; under Sluice they do not)",
        [DMAR_SATC] = "Devices of the board that may keep translations (SATC; under Sluice they do not)",
        [DMAR_SIDP] = "Devices of the board with properties of their own (SIDP; Sluice does not need them)",
    };

    for (uint32_t i = 0; i < dmar->list_count; i++) {
        const struct dmar_list *list = &dmar->lists[i];
        bool all = list->type == DMAR_ATSR && (list->flags & ATSR_ALL_PORTS) != 0;

        printf("\n%s, segment %04x\n", texts[list->type], list->segment);
        scope_lines(input, dmar, list->segment, &list->scopes, all);
        lost_line(&list->scopes, !all);
        if (all)
            tree_line(true, "all ports of the segment");
    }
}

static void report_nodes(const struct dmar *dmar)
{
    if (dmar->node_count != 0)
        printf("\nMemory that units are near to (RHSA)\n");
    for (uint32_t i = 0; i < dmar->node_count; i++)
        tree_line(i + 1 == dmar->node_count, "the unit at 0x%llx: proximity domain %u",
                  (unsigned long long)dmar->nodes[i].base, dmar->nodes[i].domain);
}

static void report_acpi(const struct input *input, const struct dmar *dmar)
{
    char name[NAME_TEXT_SIZE];

    if (dmar->acpi_count != 0)
        printf("\nNames of ACPI devices (ANDD)\n");
    for (uint32_t i = 0; i < dmar->acpi_count; i++) {
        safe_text(name, sizeof name, input->bytes + dmar->acpi[i].name, dmar->acpi[i].name_length);
        tree_line(i + 1 == dmar->acpi_count, "%u: %s", dmar->acpi[i].number, name);
    }
}

void dmar_report(const struct input *input, const struct dmar *dmar)
{
    printf("What the firmware of a machine with Intel VT-d says about its IOMMU: %u unit%s, addresses of %u "
           "bit%s.\n",
           dmar->unit_count, plural(dmar->unit_count), dmar->address_width, plural(dmar->address_width));
    printf("Interrupts are %sremapped.%s%s\n", dmar->interrupt_remapping ? "" : "not ",
           dmar->x2apic_opt_out ? " Firmware asks not to use the x2APIC; Sluice keeps the mode that it finds."
                                : "",
           dmar->dma_control_opt_in ? " Firmware may leave DMA protected at boot." : "");
    report_units(input, dmar);
    report_reserved(input, dmar);
    report_lists(input, dmar);
    report_nodes(dmar);
    report_acpi(input, dmar);
}

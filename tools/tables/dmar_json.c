/* SPDX-License-Identifier: MIT */
#include "tools/tables/dmar.h"

#include "tools/tables/json.h"

#define OFFSET_FLAGS 37u

static const char *kind_text(uint8_t kind)
{
    static const char *const texts[] = {
        [0] = "unknown",
        [DMAR_SCOPE_ENDPOINT] = "endpoint",
        [DMAR_SCOPE_BRIDGE] = "bridge",
        [DMAR_SCOPE_IOAPIC] = "ioapic",
        [DMAR_SCOPE_HPET] = "hpet",
        [DMAR_SCOPE_ACPI] = "acpi",
    };

    return texts[kind <= DMAR_SCOPE_ACPI ? kind : 0];
}

static void write_path(const struct dmar *dmar, const struct dmar_scope *scope)
{
    json_open_array("path");
    for (uint32_t i = 0; i < scope->hops; i++) {
        json_open_array(NULL);
        json_number(NULL, dmar->hops[scope->first_hop + i].device);
        json_number(NULL, dmar->hops[scope->first_hop + i].function);
        json_close_array();
    }
    json_close_array();
}

static void write_scope(const struct dmar *dmar, uint16_t segment, const struct dmar_scope *scope)
{
    uint16_t id = 0;

    json_open_object(NULL);
    json_number("offset", scope->offset);
    json_text("kind", kind_text(scope->kind));
    json_number("type", scope->kind);
    json_number("flags", scope->flags);
    json_number("start_bus", scope->start_bus);
    write_path(dmar, scope);
    json_number("enumeration_id", scope->enumeration_id);
    if (dmar_scope_resolve(dmar, segment, scope, &id))
        json_number("requester_id", id);
    else
        json_null("requester_id");
    json_close_object();
}

static void write_scopes(const struct dmar *dmar, uint16_t segment, const struct dmar_scopes *scopes)
{
    json_bool("scopes_complete", !scopes->incomplete);
    json_open_array("scopes");
    for (uint32_t i = 0; i < scopes->count; i++)
        write_scope(dmar, segment, dmar_scope_at(dmar, scopes, i));
    json_close_array();
}

static void write_units(const struct dmar *dmar)
{
    json_open_array("units");
    for (uint32_t i = 0; i < dmar->unit_count; i++) {
        const struct dmar_unit *unit = &dmar->units[i];

        json_open_object(NULL);
        json_text("type", dmar_type_text(DMAR_DRHD));
        json_number("offset", unit->offset);
        json_number("segment", unit->segment);
        json_number("base", unit->base);
        json_number("size", unit->size);
        json_bool("include_all", unit->include_all);
        write_scopes(dmar, unit->segment, &unit->scopes);
        json_close_object();
    }
    json_close_array();
}

static void write_reserved(const struct dmar *dmar)
{
    json_open_array("reserved");
    for (uint32_t i = 0; i < dmar->reserved_count; i++) {
        const struct dmar_reserved *range = &dmar->reserved[i];

        json_open_object(NULL);
        json_number("offset", range->offset);
        json_number("segment", range->segment);
        json_number("base", range->base);
        json_number("limit", range->limit);
        json_bool("malformed", range->malformed);
        write_scopes(dmar, range->segment, &range->scopes);
        json_close_object();
    }
    json_close_array();
}

static void write_lists(const struct dmar *dmar, const char *key, enum dmar_type type)
{
    json_open_array(key);
    for (uint32_t i = 0; i < dmar->list_count; i++) {
        const struct dmar_list *list = &dmar->lists[i];

        if (list->type != type)
            continue;
        json_open_object(NULL);
        json_number("offset", list->offset);
        json_number("segment", list->segment);
        json_number("flags", list->flags);
        write_scopes(dmar, list->segment, &list->scopes);
        json_close_object();
    }
    json_close_array();
}

static void write_nodes(const struct dmar *dmar)
{
    json_open_array("rhsa");
    for (uint32_t i = 0; i < dmar->node_count; i++) {
        json_open_object(NULL);
        json_number("offset", dmar->nodes[i].offset);
        json_number("base", dmar->nodes[i].base);
        json_number("domain", dmar->nodes[i].domain);
        json_close_object();
    }
    json_close_array();
}

static void write_acpi(const struct input *input, const struct dmar *dmar)
{
    json_open_array("acpi_devices");
    for (uint32_t i = 0; i < dmar->acpi_count; i++) {
        const struct dmar_acpi *device = &dmar->acpi[i];

        json_open_object(NULL);
        json_number("offset", device->offset);
        json_number("number", device->number);
        json_bytes("name", input->bytes + device->name, device->name_length);
        json_close_object();
    }
    json_close_array();
}

void dmar_json(const struct input *input, const struct dmar *dmar)
{
    json_number("host_address_width", dmar->address_width);
    json_number("flags", input->bytes[OFFSET_FLAGS]);
    json_bool("interrupt_remapping", dmar->interrupt_remapping);
    json_bool("x2apic_opt_out", dmar->x2apic_opt_out);
    json_bool("dma_control_opt_in", dmar->dma_control_opt_in);
    json_bool("complete", !dmar->truncated);
    write_units(dmar);
    write_reserved(dmar);
    write_lists(dmar, "atsr", DMAR_ATSR);
    write_lists(dmar, "satc", DMAR_SATC);
    write_lists(dmar, "sidp", DMAR_SIDP);
    write_nodes(dmar);
    write_acpi(input, dmar);
}

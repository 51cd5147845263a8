/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/dmar_same.h"

#include "tests/fuzz/must.h"
#include "tests/fuzz/table.h"

static bool same_scopes(const struct dmar_scopes *one, const struct dmar_scopes *other)
{
    return one->first == other->first && one->count == other->count && one->incomplete == other->incomplete;
}

static void check_structures(const struct dmar *one, const struct dmar *other, uint32_t shift)
{
    for (uint32_t i = 0; i < one->unit_count; i++) {
        const struct dmar_unit *a = &one->units[i], *b = &other->units[i];

        must(a->base == b->base && a->size == b->size && same_offset(a->offset, b->offset, shift));
        must(a->segment == b->segment && a->include_all == b->include_all);
        must(same_scopes(&a->scopes, &b->scopes));
    }
    for (uint32_t i = 0; i < one->reserved_count; i++) {
        const struct dmar_reserved *a = &one->reserved[i], *b = &other->reserved[i];

        must(a->base == b->base && a->limit == b->limit && same_offset(a->offset, b->offset, shift));
        must(a->segment == b->segment && same_scopes(&a->scopes, &b->scopes));
    }
    for (uint32_t i = 0; i < one->list_count; i++) {
        const struct dmar_list *a = &one->lists[i], *b = &other->lists[i];

        must(a->segment == b->segment && a->type == b->type && a->flags == b->flags);
        must(same_offset(a->offset, b->offset, shift) && same_scopes(&a->scopes, &b->scopes));
    }
    for (uint32_t i = 0; i < one->node_count; i++) {
        const struct dmar_node *a = &one->nodes[i], *b = &other->nodes[i];

        must(a->base == b->base && a->domain == b->domain && same_offset(a->offset, b->offset, shift));
    }
    for (uint32_t i = 0; i < one->acpi_count; i++) {
        const struct dmar_acpi *a = &one->acpi[i], *b = &other->acpi[i];

        must(a->number == b->number && a->name_length == b->name_length);
        must(same_offset(a->offset, b->offset, shift) && same_offset(a->name, b->name, shift));
    }
}

static void check_devices(const struct dmar *one, const struct dmar *other, uint32_t shift)
{
    for (uint32_t i = 0; i < one->scope_count; i++) {
        const struct dmar_scope *a = &one->scopes[i], *b = &other->scopes[i];

        must(a->first_hop == b->first_hop && a->hops == b->hops && a->kind == b->kind);
        must(a->flags == b->flags && a->enumeration_id == b->enumeration_id && a->start_bus == b->start_bus);
        must(same_offset(a->offset, b->offset, shift));
    }
    for (uint32_t i = 0; i < one->hop_count; i++)
        must(one->hops[i].device == other->hops[i].device &&
             one->hops[i].function == other->hops[i].function);
}

void check_same_dmar(const struct dmar *one, const struct dmar *other, uint32_t shift)
{
    must(one->address_width == other->address_width && one->truncated == other->truncated);
    must(one->interrupt_remapping == other->interrupt_remapping);
    must(one->x2apic_opt_out == other->x2apic_opt_out);
    must(one->dma_control_opt_in == other->dma_control_opt_in);
    must(one->unit_count == other->unit_count && one->reserved_count == other->reserved_count);
    must(one->list_count == other->list_count && one->node_count == other->node_count);
    must(one->acpi_count == other->acpi_count && one->scope_count == other->scope_count);
    must(one->hop_count == other->hop_count);
    check_structures(one, other, shift);
    check_devices(one, other, shift);
}

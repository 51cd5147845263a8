/* SPDX-License-Identifier: MIT */
#include "drivers/iommu/vtd/dmar.h"

#include <__fc_builtin.h>
#include <string.h>

#define BYTES 0x40000000u
static uint8_t table[BYTES];

int eva_main(void)
{
    /*@ widen_hints global:"all", DMAR_UNITS_MAX, DMAR_RESERVED_MAX, DMAR_LISTS_MAX, DMAR_NODES_MAX, DMAR_ACPI_MAX, DMAR_SCOPES_MAX, DMAR_HOPS_MAX, FINDINGS_MAX, FINDING_STRUCTURES - 1, FINDING_REASONS - 1; */
    size_t size = Frama_C_size_t_interval(0, BYTES);
    static struct dmar dmar;

    Frama_C_make_unknown((char *)table, sizeof table);
    dmar_parse(table, size, &dmar);
    //@ check dmar.unit_count <= DMAR_UNITS_MAX;
    //@ check dmar.reserved_count <= DMAR_RESERVED_MAX;
    //@ check dmar.list_count <= DMAR_LISTS_MAX;
    //@ check dmar.node_count <= DMAR_NODES_MAX;
    //@ check dmar.acpi_count <= DMAR_ACPI_MAX;
    //@ check dmar.scope_count <= DMAR_SCOPES_MAX;
    //@ check dmar.hop_count <= DMAR_HOPS_MAX;
    //@ check dmar.findings.count <= FINDINGS_MAX;
    for (uint32_t i = 0; i < dmar.findings.count; i++) {
        finding_structure_text(&dmar.findings.list[i]);
        finding_reason_text(&dmar.findings.list[i]);
    }
    return 0;
}

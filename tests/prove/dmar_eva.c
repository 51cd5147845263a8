/* SPDX-License-Identifier: MIT */
/*
 * Any bytes, of any number up to TABLE_MAX, go through the DMAR parser, for Frama-C: see docs/testing.md.
 * Nothing is assumed of them. The few exact arrays show a read that goes around table_read(), which knows the
 * size.
 */
#include "drivers/iommu/vtd/dmar.h"
#include "tests/prove/tables.h"

static void parse(const uint8_t *bytes, size_t size)
{
    static struct dmar dmar;

    dmar_parse(bytes, size, &dmar);
    //@ check dmar.unit_count <= DMAR_UNITS_MAX;
    //@ check dmar.reserved_count <= DMAR_RESERVED_MAX;
    //@ check dmar.list_count <= DMAR_LISTS_MAX;
    //@ check dmar.node_count <= DMAR_NODES_MAX;
    //@ check dmar.acpi_count <= DMAR_ACPI_MAX;
    //@ check dmar.scope_count <= DMAR_SCOPES_MAX;
    //@ check dmar.hop_count <= DMAR_HOPS_MAX;
    read_findings(&dmar.findings);
}

int main(void)
{
    /*@ widen_hints global:"all", DMAR_UNITS_MAX, DMAR_RESERVED_MAX, DMAR_SCOPES_MAX, DMAR_HOPS_MAX; */
    spoil_tables();
    parse(any_table, any_size());
    parse(no_header, sizeof no_header);
    parse(one_structure, sizeof one_structure);
    return 0;
}

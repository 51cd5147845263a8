/* SPDX-License-Identifier: MIT */
/*
 * Any bytes, of any number up to TABLE_MAX, go through the IVRS parser, for Frama-C: see docs/testing.md.
 * Nothing is assumed of them. The few exact arrays show a read that goes around table_read(), which knows the
 * size.
 */
#include "drivers/iommu/amdvi/ivrs.h"
#include "tests/prove/tables.h"

static void parse(const uint8_t *bytes, size_t size)
{
    static struct ivrs ivrs;

    ivrs_parse(bytes, size, &ivrs);
    //@ check ivrs.block_count <= IVRS_BLOCKS_MAX;
    //@ check ivrs.entry_count <= IVRS_ENTRIES_MAX;
    //@ check ivrs.special_count <= IVRS_SPECIALS_MAX;
    //@ check ivrs.memory_count <= IVRS_MEMORY_MAX;
    read_findings(&ivrs.findings);
}

int main(void)
{
    /*@ widen_hints global:"all", IVRS_BLOCKS_MAX, IVRS_ENTRIES_MAX, IVRS_SPECIALS_MAX, IVRS_MEMORY_MAX; */
    spoil_tables();
    parse(any_table, any_size());
    parse(no_header, sizeof no_header);
    parse(one_structure, sizeof one_structure);
    return 0;
}

/* SPDX-License-Identifier: MIT */
#include "drivers/iommu/amdvi/ivrs.h"

#include <__fc_builtin.h>
#include <string.h>

#define BYTES 0x40000000u
static uint8_t table[BYTES];

int eva_main(void)
{
    /*@ widen_hints global:"all", IVRS_BLOCKS_MAX, IVRS_ENTRIES_MAX, IVRS_SPECIALS_MAX, IVRS_MEMORY_MAX, FINDINGS_MAX, FINDING_STRUCTURES - 1, FINDING_REASONS - 1; */
    size_t size = Frama_C_size_t_interval(0, BYTES);
    static struct ivrs ivrs;

    Frama_C_make_unknown((char *)table, sizeof table);
    ivrs_parse(table, size, &ivrs);
    //@ check ivrs.block_count <= IVRS_BLOCKS_MAX;
    //@ check ivrs.entry_count <= IVRS_ENTRIES_MAX;
    //@ check ivrs.special_count <= IVRS_SPECIALS_MAX;
    //@ check ivrs.memory_count <= IVRS_MEMORY_MAX;
    //@ check ivrs.findings.count <= FINDINGS_MAX;
    for (uint32_t i = 0; i < ivrs.entry_count; i++)
        ivrs_is_aliased(&ivrs.entries[i]);
    for (uint32_t i = 0; i < ivrs.findings.count; i++) {
        finding_structure_text(&ivrs.findings.list[i]);
        finding_reason_text(&ivrs.findings.list[i]);
    }
    return 0;
}

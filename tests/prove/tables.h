/* SPDX-License-Identifier: MIT */
/* Tables of arbitrary bytes, and what is common to the proofs of the parsers. */
#ifndef SLUICE_PROVE_TABLES_H
#define SLUICE_PROVE_TABLES_H

#include "drivers/iommu/finding.h"

#include <__fc_builtin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TABLE_MAX 0x40000000u /* 1 GiB */

static uint8_t any_table[TABLE_MAX];
static uint8_t no_header[7];
static uint8_t one_structure[64];

static size_t any_size(void)
{
    return Frama_C_size_t_interval(0, TABLE_MAX);
}

static void spoil_tables(void)
{
    Frama_C_make_unknown((char *)any_table, sizeof any_table);
    Frama_C_make_unknown((char *)no_header, sizeof no_header);
    Frama_C_make_unknown((char *)one_structure, sizeof one_structure);
}

/* Each finding has its words. */
static void read_findings(const struct findings *findings)
{
    /*@ widen_hints global:"all", FINDINGS_MAX, FINDING_STRUCTURES - 1, FINDING_REASONS - 1; */
    for (uint32_t i = 0; i < findings->count; i++) {
        finding_structure_text(&findings->list[i]);
        finding_reason_text(&findings->list[i]);
    }
}

#endif

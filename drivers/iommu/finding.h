/* SPDX-License-Identifier: MIT */
/*
 * What is wrong with a firmware table, for every vendor: where, in what, and why. A finding is a number until
 * somebody wants to read it.
 */
#ifndef SLUICE_IOMMU_FINDING_H
#define SLUICE_IOMMU_FINDING_H

#include <stddef.h>
#include <stdint.h>

#define FINDINGS_MAX 64u

enum finding_structure {
    FINDING_TABLE,
    FINDING_HEADER,
    FINDING_STRUCTURE, /* of a DMAR */
    FINDING_DRHD,
    FINDING_RMRR,
    FINDING_ATSR,
    FINDING_RHSA,
    FINDING_ANDD,
    FINDING_SATC,
    FINDING_SIDP,
    FINDING_SCOPE,
    FINDING_BLOCK, /* of an IVRS */
    FINDING_IVHD,
    FINDING_IVMD,
    FINDING_ENTRY,
    FINDING_STRUCTURES,
};

enum finding_reason {
    /* the table */
    FINDING_NO_HEADER,
    FINDING_OTHER_TABLE,
    FINDING_OTHER_LENGTH,
    FINDING_ZEROES,
    FINDING_CUT,
    FINDING_LENGTH,
    /* one structure, block or entry */
    FINDING_UNKNOWN,
    FINDING_SHORT,
    FINDING_TOO_MANY,
    FINDING_LIST_LENGTH,
    FINDING_INVERTED,
    FINDING_EMPTY,
    FINDING_BEYOND,
    FINDING_DEVICES_INVERTED,
    FINDING_OF_ONE_UNIT,
    FINDING_TYPE_TWICE,
    FINDING_PATH_LENGTH,
    FINDING_PATH_IMPOSSIBLE,
    FINDING_NO_START,
    FINDING_NO_END,
    FINDING_RANGE_INVERTED,
    FINDING_NOT_SPECIAL,
    /* what the structures mean together */
    FINDING_NO_BRIDGE,
    FINDING_BRIDGE_BUSES,
    FINDING_TWO_UNITS,
    FINDING_TWO_ALIASES,
    FINDING_REASONS,
};

struct finding {
    uint32_t offset;   /* in the table, bytes */
    uint8_t structure; /* enum finding_structure */
    uint8_t reason;    /* enum finding_reason */
};

struct findings {
    uint32_t count, lost; /* lost: those that there was no room for */
    struct finding list[FINDINGS_MAX];
};

void findings_add(struct findings *findings, enum finding_structure structure, enum finding_reason reason,
                  size_t offset);

/* In words, and what it costs. */
const char *finding_structure_text(const struct finding *finding);
const char *finding_reason_text(const struct finding *finding);

#endif

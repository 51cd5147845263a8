/* SPDX-License-Identifier: MIT */
/*
 * Which unit a requester id's DMA passes, for every vendor: what firmware's structures claim, and who wins.
 * Pure: no hardware, no allocation, no log. In doubt nobody owns a device, and it stays blocked.
 */
#ifndef SLUICE_IOMMU_CLAIMS_H
#define SLUICE_IOMMU_CLAIMS_H

#include "drivers/iommu/finding.h"

#include <stdbool.h>
#include <stdint.h>

#define CLAIMS_MAX 2304u

/* One structure names requester ids as a unit's. */
struct claim {
    uint32_t offset; /* of the structure in the table */
    uint16_t segment;
    uint16_t first, last; /* requester ids, inclusive */
    uint16_t alias;       /* what their DMA shows on the bus; only if aliased */
    uint8_t unit;         /* index in firmware's table: whether that unit is usable is not known here */
    uint8_t structure;    /* enum finding_structure */
    bool aliased;
};

struct claims {
    uint32_t count;
    struct claim list[CLAIMS_MAX];
};

/* False when there is no room. */
bool claims_add(struct claims *claims, struct claim claim);

/*
 * The narrowest claim: a device over its bridge or range, that over "all the rest"; of equal ones an aliased
 * one. NULL: nobody claims the id, or the claims that count contradict each other.
 */
const struct claim *claims_find(const struct claims *claims, uint16_t segment, uint16_t requester_id);

/* Forgets every claim on more than one id: what "the rest" is, nobody knows. */
void claims_keep_single(struct claims *claims);

/* Reports claims that contradict earlier ones. */
void claims_check(const struct claims *claims, struct findings *findings);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Policy over the IVRS: which unit a requester id's DMA passes, and under which id it shows. In doubt a
 * device belongs to no unit, and stays blocked.
 */
#include "drivers/iommu/amdvi/ivrs.h"

/* Nothing stops the DMA of a device behind a unit that is not usable: it must not seem to be another's. */
static bool rest_is_known(const struct ivrs *ivrs, const bool *usable)
{
    if (ivrs->truncated)
        return false;
    for (uint32_t i = 0; i < ivrs->block_count; i++)
        if (!ivrs->blocks[i].superseded && ivrs->blocks[i].incomplete && !usable[i])
            return false;
    return true;
}

/* False when there was no room for an entry. */
static bool claim_entries(const struct ivrs *ivrs, uint32_t index, struct claims *claims)
{
    const struct ivrs_block *block = &ivrs->blocks[index];
    bool all = true;

    for (uint32_t i = 0; i < block->entries; i++) {
        const struct ivrs_entry *entry = &ivrs->entries[block->first_entry + i];

        all &= claims_add(claims, (struct claim){.unit = (uint8_t)index,
                                                 .segment = block->segment,
                                                 .structure = FINDING_ENTRY,
                                                 .offset = entry->offset,
                                                 .first = entry->first,
                                                 .last = entry->last,
                                                 .alias = entry->alias,
                                                 .aliased = ivrs_is_aliased(entry)});
    }
    return all;
}

bool ivrs_claim(struct ivrs *ivrs, const bool *usable, struct claims *claims)
{
    bool known = rest_is_known(ivrs, usable);

    _Static_assert(IVRS_ENTRIES_MAX <= CLAIMS_MAX, "a claim for each entry");
    claims->count = 0;
    for (uint32_t i = 0; i < ivrs->block_count; i++)
        if (!ivrs->blocks[i].superseded)
            known &= claim_entries(ivrs, i, claims);
    if (!known)
        claims_keep_single(claims);
    claims_check(claims, &ivrs->findings);
    return known;
}

/* SPDX-License-Identifier: MIT */
#include "drivers/iommu/claims.h"

bool claims_add(struct claims *claims, struct claim claim)
{
    if (claims->count == CLAIMS_MAX)
        return false;
    claims->list[claims->count++] = claim;
    return true;
}

static uint32_t width(const struct claim *claim)
{
    return (uint32_t)claim->last - claim->first;
}

/* Both cannot be true of one device. */
static bool contradicts(const struct claim *one, const struct claim *other)
{
    return one->unit != other->unit || (one->aliased && other->aliased && one->alias != other->alias);
}

static bool covers(const struct claim *claim, uint16_t segment, uint16_t requester_id)
{
    return claim->segment == segment && claim->first <= requester_id && requester_id <= claim->last;
}

const struct claim *claims_find(const struct claims *claims, uint16_t segment, uint16_t requester_id)
{
    const struct claim *found = NULL;
    bool doubtful = false;

    for (uint32_t i = 0; i < claims->count; i++) {
        const struct claim *one = &claims->list[i];

        if (!covers(one, segment, requester_id) || (found != NULL && width(one) > width(found)))
            continue;
        if (found == NULL || width(one) < width(found)) {
            found = one;
            doubtful = false;
            continue;
        }
        doubtful |= contradicts(one, found);
        if (one->aliased)
            found = one;
    }
    return doubtful ? NULL : found;
}

void claims_keep_single(struct claims *claims)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < claims->count; i++)
        if (width(&claims->list[i]) == 0)
            claims->list[kept++] = claims->list[i];
    claims->count = kept;
}

static bool overlap(const struct claim *one, const struct claim *other)
{
    return one->segment == other->segment && one->first <= other->last && other->first <= one->last;
}

void claims_check(const struct claims *claims, struct findings *findings)
{
    for (uint32_t i = 0; i < claims->count; i++) {
        const struct claim *later = &claims->list[i];

        for (uint32_t j = 0; j < i; j++) {
            const struct claim *earlier = &claims->list[j];

            if (!overlap(earlier, later) || width(earlier) != width(later) || !contradicts(earlier, later))
                continue;
            findings_add(findings, later->structure,
                         earlier->unit != later->unit ? FINDING_TWO_UNITS : FINDING_TWO_ALIASES,
                         later->offset);
            break;
        }
    }
}

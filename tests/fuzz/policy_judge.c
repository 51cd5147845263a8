/* SPDX-License-Identifier: MIT */
#include "drivers/iommu/host.h"
#include "tests/fuzz/must.h"
#include "tests/fuzz/policy.h"

#define SAMPLED_CLAIMS 96u /* whose edges are looked at */
#define DEVICES_KEPT   512u
#define RANGES_KEPT    62u          /* beside the windows */
#define FRAMES_KEPT    (1ull << 20) /* 4 GiB of reserved ranges */

/* ---- owners ---- */

void owner_add(struct owner *owner, uint32_t unit, uint32_t width, const uint16_t *alias)
{
    if (owner->named && width > owner->width)
        return;
    if (!owner->named || width < owner->width)
        *owner = (struct owner){.named = true, .width = width};
    owner->units[unit / 64] |= 1ull << unit % 64;
    for (uint32_t i = 0; i < 3; i++)
        if ((owner->units[i] & ~(i == unit / 64 ? 1ull << unit % 64 : 0)) != 0)
            owner->contradiction = true;
    if (alias == NULL)
        return;
    if (owner->aliased && owner->alias != *alias)
        owner->contradiction = true;
    owner->aliased = true;
    owner->alias = *alias;
}

static bool is_reported(const struct findings *findings)
{
    for (uint32_t i = 0; i < findings->count; i++)
        if (findings->list[i].reason == FINDING_TWO_UNITS || findings->list[i].reason == FINDING_TWO_ALIASES)
            return true;
    return findings->lost != 0;
}

/* Protection first, in its own words; then that nothing else is lost. */
static void judge_id(const struct policy *policy, uint16_t segment, uint16_t id)
{
    const struct claim *claim = claims_find(policy->claims, segment, id);
    struct owner owner = policy->owner_of(segment, id);

    if (claim != NULL) {
        must(claim->unit < policy->units && claim->segment == segment);
        must(claim->first <= id && id <= claim->last);
    }
    if (claim != NULL && policy->usable(claim->unit)) {
        must(owner.named && !owner.contradiction);
        must(in_set(owner.units, claim->unit));
        must(policy->rest_is_known || claim->first == claim->last);
    }
    if (owner.contradiction)
        must(is_reported(policy->findings));
    must((claim != NULL) == (owner.named && !owner.contradiction));
    if (claim != NULL) {
        must((uint32_t)claim->last - claim->first == owner.width && claim->aliased == owner.aliased);
        must(!claim->aliased || claim->alias == owner.alias);
    }
}

static void judge_around(const struct policy *policy, uint16_t segment, uint16_t id)
{
    judge_id(policy, segment, id);
    judge_id(policy, segment, (uint16_t)(id - 1));
    judge_id(policy, segment, (uint16_t)(id + 1));
}

void judge_owners(const struct policy *policy)
{
    uint32_t count = policy->claims->count < SAMPLED_CLAIMS ? policy->claims->count : SAMPLED_CLAIMS;

    must(policy->claims->count <= CLAIMS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const struct claim *claim = &policy->claims->list[i];

        judge_around(policy, claim->segment, claim->first);
        judge_around(policy, claim->segment, claim->last);
    }
    for (uint32_t i = 0; i < MACHINE_BRIDGES + MACHINE_DEVICES; i++) {
        const struct machine_function *function = &machine.functions[i];

        judge_id(policy, function->segment, function->id);
        if (function->bridge)
            judge_around(policy, function->segment, (uint16_t)(function->secondary << 8));
    }
}

/* ---- reserved ranges ---- */

static bool meets(const struct wish *wish, const struct iommu_range *range)
{
    return range->frames != 0 && wish->first <= range->bfn + (range->frames - 1) && wish->last >= range->bfn;
}

/* Whether devices may have the range, were there no limit on the size of all of them. */
static bool is_harmless(const struct wishes *wishes, const struct wish *wish)
{
    const struct iommu_range interrupts = {IOMMU_MSI_BFN, IOMMU_MSI_FRAMES};

    if (wish->malformed)
        return false;
    if (machine.address_bits < 64 && wish->last >= 1ull << (machine.address_bits - 12))
        return false;
    for (uint32_t i = 0; i < MACHINE_HELD; i++)
        if (meets(wish, &machine.held[i]))
            return false;
    for (uint32_t i = 0; i < wishes->register_count; i++)
        if (meets(wish, &wishes->registers[i]))
            return false;
    return !meets(wish, &interrupts);
}

/* Number of the range that was kept for it, or -1. */
static int number_of(const struct wish *wish)
{
    for (uint32_t i = 0; i < outcome.reserved_count; i++) {
        const struct iommu_reserved *range = &outcome.reserved[i];

        if (range->kind == IOMMU_KIND_IDENTITY && range->bfn == wish->first &&
            range->frames == wish->last - wish->first + 1 && range->flags == wish->flags)
            return (int)i;
    }
    return -1;
}

/* What is kept was wished for, does no harm, and is not too much. */
static void judge_kept(const struct wishes *wishes)
{
    uint64_t frames = 0, wished = 0;

    must(outcome.reserved_count < IOMMU_RESERVED_MAX); /* the MSI window has yet to come */
    for (uint32_t i = 0; i < outcome.reserved_count; i++) {
        const struct iommu_reserved *range = &outcome.reserved[i];

        if (range->kind != IOMMU_KIND_IDENTITY)
            continue;
        must(outcome.withheld[i] && range->flags != 0);
        frames += range->frames;
        for (uint32_t j = 0; j < wishes->count; j++)
            if (number_of(&wishes->list[j]) == (int)i)
                wished |= 1ull << i;
        must((wished >> i & 1) != 0);
    }
    must(frames <= FRAMES_KEPT);
}

static struct {
    uint16_t segment, id;
    bool found;
} sought;

static void seek(const struct wish *wish, uint16_t segment, uint16_t id)
{
    (void)wish;
    sought.found |=
        segment == sought.segment && (id == sought.id || host_pci_requester(segment, id) == sought.id);
}

static bool is_wished_for(const struct wishes *wishes, uint32_t number, const struct attached *device)
{
    sought.segment = device->segment;
    sought.id = device->id;
    sought.found = false;
    for (uint32_t i = 0; i < wishes->count && !sought.found; i++)
        if (number_of(&wishes->list[i]) == (int)number)
            wishes->each(&wishes->list[i], seek);
    return sought.found;
}

/* Firmware says of the device that it needs what it cannot have. */
static bool is_refused(const struct wishes *wishes, uint16_t segment, uint16_t id)
{
    sought.segment = segment;
    sought.id = id;
    sought.found = false;
    for (uint32_t i = 0; i < wishes->count && !sought.found; i++) {
        const struct wish *wish = &wishes->list[i];

        if (wish->flags != 0 && !wish->for_all && !is_harmless(wishes, wish))
            wishes->each(wish, seek);
    }
    return sought.found;
}

static void judge_attached(const struct wishes *wishes)
{
    must(outcome.attached_count <= DEVICES_KEPT);
    for (uint32_t i = 0; i < outcome.attached_count; i++)
        must(!is_refused(wishes, outcome.attached[i].segment, outcome.attached[i].id));
    for (uint32_t i = 0; i < outcome.attached_count; i++) {
        const struct attached *device = &outcome.attached[i];

        for (uint32_t number = 0; number < outcome.reserved_count; number++)
            if ((device->ranges >> number & 1) != 0)
                must(is_wished_for(wishes, number, device));
    }
}

/* For what each() calls. */
static const struct wishes *judged;
static bool are_few; /* so that no device was left out for want of room */

static void must_be_served(const struct wish *wish, uint16_t segment, uint16_t id)
{
    bool refused = is_refused(judged, segment, id);

    if (segment == 0 || are_few)
        must(iommu_reserve_is_refused(segment, id) == refused);
    if (are_few && !refused && is_harmless(judged, wish))
        must((outcome_ranges(segment, id) >> number_of(wish) & 1) != 0);
}

static void must_reach(const struct wish *wish, uint16_t segment, uint16_t id)
{
    must_be_served(wish, segment, id);
    must_be_served(wish, segment, host_pci_requester(segment, id));
}

static uint32_t named;

static void count_named(const struct wish *wish, uint16_t segment, uint16_t id)
{
    (void)wish, (void)segment, (void)id;
    named += 2; /* perhaps with another requester */
}

static void count_devices(const struct wishes *wishes)
{
    named = 0;
    for (uint32_t i = 0; i < wishes->count; i++)
        wishes->each(&wishes->list[i], count_named);
    are_few = named <= DEVICES_KEPT;
}

/* As long as no limit is reached, every harmless wish is granted. */
static void judge_granted(const struct wishes *wishes)
{
    uint64_t frames = 0;
    uint32_t ranges = 0;

    for (uint32_t i = 0; i < wishes->count; i++) {
        const struct wish *wish = &wishes->list[i];

        if (wish->flags == 0 || !is_harmless(wishes, wish)) {
            must(wish->flags == 0 || wish->malformed || number_of(wish) < 0);
            continue;
        }
        if (wish->last - wish->first >= FRAMES_KEPT)
            must(number_of(wish) < 0);
        ranges++;
        frames += wish->last - wish->first < FRAMES_KEPT ? wish->last - wish->first + 1 : FRAMES_KEPT + 1;
    }
    if (frames > FRAMES_KEPT || ranges > RANGES_KEPT)
        return;
    judged = wishes;
    count_devices(wishes);
    for (uint32_t i = 0; i < wishes->count; i++) {
        const struct wish *wish = &wishes->list[i];

        if (wish->flags == 0)
            continue;
        must(number_of(wish) >= 0 || !is_harmless(wishes, wish));
        wishes->each(wish, must_reach);
    }
}

void judge_reserved(const struct wishes *wishes)
{
    judge_kept(wishes);
    judge_attached(wishes);
    judge_granted(wishes);
}

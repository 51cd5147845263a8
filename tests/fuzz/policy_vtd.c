/* SPDX-License-Identifier: MIT */
/* What must come of a DMAR on the machine, from its description. */
#include "drivers/iommu/vtd/vtd.h"
#include "tests/fuzz/must.h"
#include "tests/fuzz/policy.h"

static struct dmar dmar;
static struct claims claims;
static bool usable[DMAR_UNITS_MAX];
static bool rest_is_known;

/* Where a scope leads: one function, and for a bridge the buses behind it. */
static struct place {
    bool known, behind_known;
    uint16_t id;
    const struct machine_function *bridge; /* with buses behind it */
} places[DMAR_SCOPES_MAX];

/* ---- places ---- */

static bool walk(uint16_t segment, uint8_t bus, const struct dmar_hop *path, uint32_t hops, uint16_t *id)
{
    const struct machine_function *bridge;

    *id = (uint16_t)(bus << 8 | path->device << 3 | path->function);
    if (hops == 1)
        return true;
    bridge = machine_bridge(segment, *id);
    return bridge != NULL && bridge->secondary > bus &&
           walk(segment, bridge->secondary, path + 1, hops - 1, id);
}

static void find_place(uint16_t segment, const struct dmar_scope *scope, struct place *place)
{
    const struct machine_function *bridge;

    *place = (struct place){0};
    place->known = walk(segment, scope->start_bus, &dmar.hops[scope->first_hop], scope->hops, &place->id);
    place->behind_known = place->known;
    bridge = place->known && scope->kind == DMAR_SCOPE_BRIDGE ? machine_bridge(segment, place->id) : NULL;
    if (bridge == NULL)
        return; /* nothing is behind it */
    if (bridge->secondary <= place->id >> 8 || bridge->subordinate < bridge->secondary)
        place->behind_known = false;
    else
        place->bridge = bridge;
}

static bool does_dma(const struct dmar_scope *scope)
{
    return scope->kind != DMAR_SCOPE_IOAPIC && scope->kind != DMAR_SCOPE_HPET &&
           scope->kind >= DMAR_SCOPE_ENDPOINT && scope->kind <= DMAR_SCOPE_ACPI;
}

static void find_places(uint16_t segment, const struct dmar_scopes *scopes)
{
    for (uint32_t i = scopes->first; i < (uint32_t)scopes->first + scopes->count; i++)
        find_place(segment, &dmar.scopes[i], &places[i]);
}

/* ---- owners ---- */

static bool is_usable(uint32_t unit)
{
    return usable[unit];
}

static void add_unit(struct owner *owner, uint32_t index, uint16_t id)
{
    const struct dmar_unit *unit = &dmar.units[index];

    for (uint32_t i = unit->scopes.first; i < (uint32_t)unit->scopes.first + unit->scopes.count; i++) {
        const struct place *place = &places[i];
        uint32_t bus = id >> 8;

        if (!does_dma(&dmar.scopes[i]))
            continue;
        if (place->known && place->id == id)
            owner_add(owner, index, 0, NULL);
        if (rest_is_known && place->bridge != NULL && bus >= place->bridge->secondary &&
            bus <= place->bridge->subordinate)
            owner_add(owner, index,
                      256u * (uint32_t)(place->bridge->subordinate - place->bridge->secondary) + 255u, NULL);
    }
    if (unit->include_all && rest_is_known)
        owner_add(owner, index, WIDTH_REST, NULL);
}

static struct owner owner_of(uint16_t segment, uint16_t id)
{
    struct owner owner = {0};

    for (uint32_t i = 0; i < dmar.unit_count; i++)
        if (dmar.units[i].segment == segment)
            add_unit(&owner, i, id);
    return owner;
}

static bool is_rest_known(void)
{
    for (uint32_t i = 0; i < dmar.unit_count; i++) {
        const struct dmar_scopes *scopes = &dmar.units[i].scopes;

        if (usable[i])
            continue;
        if (scopes->incomplete)
            return false;
        for (uint32_t j = scopes->first; j < (uint32_t)scopes->first + scopes->count; j++)
            if (does_dma(&dmar.scopes[j]) && !places[j].behind_known)
                return false;
    }
    return !dmar.truncated;
}

/* ---- reserved ranges ---- */

static void each_behind(const struct wish *wish, uint16_t segment, const struct place *place,
                        void (*check)(const struct wish *wish, uint16_t segment, uint16_t id))
{
    for (uint32_t i = 0; i < MACHINE_BRIDGES + MACHINE_DEVICES && place->bridge != NULL; i++) {
        const struct machine_function *function = &machine.functions[i];

        if (function->present && function->segment == segment &&
            function->id >> 8 >= place->bridge->secondary && function->id >> 8 <= place->bridge->subordinate)
            check(wish, segment, function->id);
    }
}

static void each(const struct wish *wish,
                 void (*check)(const struct wish *wish, uint16_t segment, uint16_t id))
{
    const struct dmar_reserved *range = &dmar.reserved[wish->index];

    for (uint32_t i = range->scopes.first; i < (uint32_t)range->scopes.first + range->scopes.count; i++)
        if (dmar.scopes[i].kind != DMAR_SCOPE_IOAPIC && dmar.scopes[i].kind != DMAR_SCOPE_HPET &&
            places[i].known) {
            check(wish, range->segment, places[i].id);
            each_behind(wish, range->segment, &places[i], check);
        }
}

static void check_reserved(void)
{
    static struct wish list[DMAR_RESERVED_MAX];
    static struct iommu_range registers[DMAR_UNITS_MAX];
    struct wishes wishes = {.list = list, .registers = registers, .each = each};

    for (uint32_t i = 0; i < dmar.unit_count; i++)
        if (dmar.units[i].base >= 4096)
            registers[wishes.register_count++] = (struct iommu_range){
                dmar.units[i].base / 4096, dmar.units[i].size > 16 * 4096 ? 16 : dmar.units[i].size / 4096};
    for (uint32_t i = 0; i < dmar.reserved_count; i++)
        list[wishes.count++] = (struct wish){.first = dmar.reserved[i].base / 4096,
                                             .last = dmar.reserved[i].limit / 4096,
                                             .flags = IOMMU_READ | IOMMU_WRITE,
                                             .index = i,
                                             .malformed = dmar.reserved[i].malformed};
    vtd_reserved_init(&dmar, machine.address_bits);
    judge_reserved(&wishes);
}

void policy_vtd(const uint8_t *table, size_t size)
{
    struct policy policy = {
        .claims = &claims, .findings = &dmar.findings, .usable = is_usable, .owner_of = owner_of};

    if (!dmar_parse(table, size, &dmar))
        return;
    for (uint32_t i = 0; i < dmar.unit_count; i++) {
        usable[i] = (machine.usable >> i & 1) != 0;
        find_places(dmar.units[i].segment, &dmar.units[i].scopes);
    }
    for (uint32_t i = 0; i < dmar.reserved_count; i++)
        find_places(dmar.reserved[i].segment, &dmar.reserved[i].scopes);
    rest_is_known = is_rest_known();
    must(dmar_claim(&dmar, usable, &claims) == rest_is_known);
    policy.units = dmar.unit_count;
    policy.rest_is_known = rest_is_known;
    judge_owners(&policy);
    check_reserved();
}

/* SPDX-License-Identifier: MIT */
/*
 * Policy over the DMAR: which unit a requester id's DMA passes. In doubt a device belongs to no unit, and
 * stays blocked. Bus numbers are those that firmware gave the bridges; nobody changes them.
 */
#include "drivers/iommu/host.h"
#include "drivers/iommu/vtd/dmar.h"

#define PCI_VENDOR          0x00
#define PCI_HEADER_TYPE     0x0e
#define PCI_HEADER_BRIDGE   0x01
#define PCI_SECONDARY_BUS   0x19
#define PCI_SUBORDINATE_BUS 0x1a

static bool is_bridge(uint16_t segment, uint16_t id)
{
    return host_pci_read(segment, id, PCI_VENDOR, 2) != 0xffff &&
           (host_pci_read(segment, id, PCI_HEADER_TYPE, 1) & 0x7f) == PCI_HEADER_BRIDGE;
}

/* Follows the path through the bridges: 8.3.1. */
bool dmar_scope_resolve(const struct dmar *dmar, uint16_t segment, const struct dmar_scope *scope,
                        uint16_t *id)
{
    uint32_t bus = scope->start_bus;

    for (uint32_t i = 0; i < scope->hops; i++) {
        const struct dmar_hop *hop = &dmar->hops[scope->first_hop + i];

        if (i != 0) {
            uint32_t above = bus;

            if (!is_bridge(segment, *id))
                return false;
            bus = host_pci_read(segment, *id, PCI_SECONDARY_BUS, 1) & 0xff;
            if (bus <= above)
                return false; /* a bridge without bus numbers leads nowhere */
        }
        *id = (uint16_t)(bus << 8 | (uint32_t)hop->device << 3 | hop->function);
    }
    return true;
}

bool dmar_ids_behind(uint16_t segment, uint16_t bridge, uint16_t *first, uint16_t *last)
{
    uint32_t secondary, subordinate;

    if (!is_bridge(segment, bridge))
        return false;
    secondary = host_pci_read(segment, bridge, PCI_SECONDARY_BUS, 1) & 0xff;
    subordinate = host_pci_read(segment, bridge, PCI_SUBORDINATE_BUS, 1) & 0xff;
    *first = (uint16_t)(secondary << 8);
    *last = (uint16_t)(subordinate << 8 | 0xff);
    return secondary > bridge >> 8 && subordinate >= secondary;
}

/* What is behind the bridge. False when that is not known. */
static bool claim_buses(struct dmar *dmar, struct claim claim, uint16_t bridge, struct claims *claims)
{
    if (dmar_ids_behind(claim.segment, bridge, &claim.first, &claim.last))
        return claims_add(claims, claim);
    if (!is_bridge(claim.segment, bridge))
        return true; /* nothing is behind it */
    findings_add(&dmar->findings, FINDING_SCOPE, FINDING_BRIDGE_BUSES, claim.offset);
    return false;
}

/* IO-APICs and HPETs send interrupts only: interrupt.c knows them. */
static bool does_dma(const struct dmar_scope *scope)
{
    return scope->kind == DMAR_SCOPE_ENDPOINT || scope->kind == DMAR_SCOPE_BRIDGE ||
           scope->kind == DMAR_SCOPE_ACPI;
}

/* False when a device that the scope names is not known afterwards. */
static bool claim_scope(struct dmar *dmar, struct claim claim, const struct dmar_scope *scope,
                        struct claims *claims)
{
    uint16_t id = 0;

    if (!does_dma(scope))
        return true;
    if (!dmar_scope_resolve(dmar, claim.segment, scope, &id)) {
        findings_add(&dmar->findings, FINDING_SCOPE, FINDING_NO_BRIDGE, scope->offset);
        return false;
    }
    claim.structure = FINDING_SCOPE;
    claim.offset = scope->offset;
    claim.first = claim.last = id;
    if (!claims_add(claims, claim))
        return false;
    return scope->kind != DMAR_SCOPE_BRIDGE || claim_buses(dmar, claim, id, claims);
}

/* False when the unit may have a device that is not known afterwards. */
static bool claim_unit(struct dmar *dmar, uint32_t index, struct claims *claims)
{
    const struct dmar_unit *unit = &dmar->units[index];
    struct claim claim = {.unit = (uint8_t)index, .segment = unit->segment};
    bool known = !unit->scopes.incomplete;

    for (uint32_t i = 0; i < unit->scopes.count; i++)
        known &= claim_scope(dmar, claim, &dmar->scopes[unit->scopes.first + i], claims);
    if (unit->include_all) {
        claim.structure = FINDING_DRHD;
        claim.offset = unit->offset;
        claim.last = UINT16_MAX;
        known &= claims_add(claims, claim);
    }
    return known;
}

bool dmar_claim(struct dmar *dmar, const bool *usable, struct claims *claims)
{
    bool rest_is_known = !dmar->truncated;

    claims->count = 0;
    /* Nothing stops the DMA of a device behind a unit that is not usable: it must not seem to be another's.
     */
    for (uint32_t i = 0; i < dmar->unit_count; i++)
        if (!claim_unit(dmar, i, claims) && !usable[i])
            rest_is_known = false;
    if (!rest_is_known)
        claims_keep_single(claims);
    claims_check(claims, &dmar->findings);
    return rest_is_known;
}

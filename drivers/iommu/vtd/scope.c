/* SPDX-License-Identifier: MIT */
/*
 * Policy over the DMAR: which unit a requester id's DMA passes, and who may reach which reserved range.
 * In doubt a device belongs to no unit, and stays blocked.
 */
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"

#define CLAIMS_MAX 1024u

#define PCI_VENDOR          0x00
#define PCI_HEADER_TYPE     0x0e
#define PCI_HEADER_BRIDGE   0x01
#define PCI_SECONDARY_BUS   0x19
#define PCI_SUBORDINATE_BUS 0x1a

/* Requester ids that a DRHD names. unit is NULL when that unit is not usable. */
struct claim {
    struct vtd_unit *unit;
    uint16_t segment, first, last;
};
static struct claim claims[CLAIMS_MAX];
static uint32_t claim_count;

static bool is_bridge(uint16_t segment, uint16_t id)
{
    return host_pci_read(segment, id, PCI_VENDOR, 2) != 0xffff &&
           (host_pci_read(segment, id, PCI_HEADER_TYPE, 1) & 0x7f) == PCI_HEADER_BRIDGE;
}

/* Follows the path through the bridges: 8.3.1. */
bool vtd_scope_resolve(uint16_t segment, const struct dmar_scope *scope, uint16_t *id)
{
    uint32_t bus = scope->start_bus;

    for (uint32_t hop = 0; hop < scope->hops; hop++) {
        if (hop != 0) {
            if (!is_bridge(segment, *id))
                return false;
            bus = host_pci_read(segment, *id, PCI_SECONDARY_BUS, 1) & 0xff;
        }
        *id = (uint16_t)(bus << 8 | (uint32_t)scope->path[hop].device << 3 | scope->path[hop].function);
    }
    return true;
}

static bool claim(struct vtd_unit *unit, uint16_t segment, uint32_t first, uint32_t last)
{
    if (claim_count == CLAIMS_MAX)
        return false;
    claims[claim_count++] = (struct claim){unit, segment, (uint16_t)first, (uint16_t)last};
    return true;
}

/* False when a device that the scope names is not known afterwards. */
static bool claim_scope(struct vtd_unit *unit, uint16_t segment, const struct dmar_scope *scope)
{
    uint16_t id = 0;
    uint32_t secondary, subordinate;

    if (scope->kind != DMAR_SCOPE_ENDPOINT && scope->kind != DMAR_SCOPE_BRIDGE)
        return true;
    if (!vtd_scope_resolve(segment, scope, &id)) {
        log_line("iommu: a DMAR scope leads over %02x:%02x.%x, which is no bridge: left out", id >> 8,
                 id >> 3 & 31, id & 7);
        return false;
    }
    if (!claim(unit, segment, id, id))
        return false;
    if (scope->kind != DMAR_SCOPE_BRIDGE || !is_bridge(segment, id))
        return true;
    secondary = host_pci_read(segment, id, PCI_SECONDARY_BUS, 1) & 0xff;
    subordinate = host_pci_read(segment, id, PCI_SUBORDINATE_BUS, 1) & 0xff;
    return secondary <= id >> 8 || subordinate < secondary ||
           claim(unit, segment, secondary << 8, subordinate << 8 | 0xff);
}

void vtd_scopes_init(const struct dmar *dmar, struct vtd_unit *const *unit_of)
{
    bool rest_is_known = !dmar->truncated;

    claim_count = 0;
    for (uint32_t i = 0; i < dmar->unit_count; i++) {
        const struct dmar_unit *unit = &dmar->units[i];

        for (uint32_t s = 0; s < unit->scopes; s++) {
            bool known = claim_scope(unit_of[i], unit->segment, &dmar->scopes[unit->first_scope + s]);

            /* Nothing stops the DMA of a device behind a unit that is not usable: it must not seem to be
             * another's. */
            if (!known && unit_of[i] == NULL)
                rest_is_known = false;
        }
    }
    if (!rest_is_known)
        log_line(
            "iommu: the DMAR may name units that cannot be read: only devices named one by one are served");
    for (uint32_t i = 0; i < dmar->unit_count; i++)
        if (dmar->units[i].include_all && rest_is_known)
            (void)claim(unit_of[i], dmar->units[i].segment, 0, UINT16_MAX); /* if not, they stay blocked */
}

/* The narrowest claim wins: a device over its bridge, a bridge over "all the rest"; else the first. */
struct vtd_unit *vtd_unit_of(uint16_t segment, uint16_t requester_id)
{
    struct vtd_unit *unit = NULL;
    uint32_t width = UINT32_MAX;

    for (uint32_t i = 0; i < claim_count; i++) {
        const struct claim *one = &claims[i];

        if (one->segment != segment || requester_id < one->first || requester_id > one->last ||
            (uint32_t)(one->last - one->first) >= width)
            continue;
        width = (uint32_t)(one->last - one->first);
        unit = one->unit;
    }
    return unit;
}

/* ---- reserved memory regions: 8.4 ---- */

int vtd_reserved_init(const struct dmar *dmar, uint8_t address_bits)
{
    iommu_reserve_begin();
    for (uint32_t i = 0; i < dmar->unit_count; i++)
        iommu_reserve_registers(dmar->units[i].base >> 12, VTD_REGISTER_PAGES_MAX);
    for (uint32_t i = 0; i < dmar->reserved_count; i++) {
        const struct dmar_reserved *range = &dmar->reserved[i];
        int number = iommu_reserve(range->base, range->limit, IOMMU_READ | IOMMU_WRITE, address_bits);

        if (number == -ENOSPC)
            return number;
        for (uint32_t s = 0; s < range->scopes && number >= 0; s++) {
            const struct dmar_scope *scope = &dmar->scopes[range->first_scope + s];
            uint16_t id = 0;

            if (scope->kind == DMAR_SCOPE_ENDPOINT && vtd_scope_resolve(range->segment, scope, &id))
                iommu_reserve_for(range->segment, id, number);
        }
    }
    iommu_reserve_attach();
    return 0;
}

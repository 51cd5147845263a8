/* SPDX-License-Identifier: MIT */
/*
 * Policy over the DMAR: which unit a requester id's DMA passes, and who may reach which reserved range.
 * In doubt a device belongs to no unit, and stays blocked.
 */
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"

#define CLAIMS_MAX           1024u
#define RESERVED_DEVICES_MAX 64u
#define RESERVED_BYTES_MAX   (2ull << 30) /* 4 KiB entries: more would take too long at boot */

#define INTERRUPTS_BFN    0xfee00u
#define INTERRUPTS_FRAMES 0x100u

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

/* Follows a scope's path through the bridges: 8.3.1. False when a bridge on the way is not there. */
static bool resolve(uint16_t segment, const struct dmar_scope *scope, uint16_t *id)
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
    if (!resolve(segment, scope, &id)) {
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

struct reserved_device {
    uint64_t ranges; /* set of reserved range numbers */
    uint16_t segment, id;
};

/* Writes to the interrupt window never reach memory, and nobody's DMA may command a unit, used or not. */
static bool holds_registers(const struct dmar *dmar, uint64_t first, uint64_t last)
{
    if (first < INTERRUPTS_BFN + INTERRUPTS_FRAMES && last >= INTERRUPTS_BFN)
        return true;
    for (uint32_t i = 0; i < dmar->unit_count; i++) {
        uint64_t base = dmar->units[i].base >> 12;

        if (base != 0 && first < base + VTD_REGISTER_PAGES_MAX && last >= base)
            return true;
    }
    return false;
}

/* Why a range cannot be honoured, or NULL. */
static const char *refuse_reserved(const struct dmar *dmar, const struct dmar_reserved *range,
                                   uint8_t address_bits)
{
    uint64_t first = range->base >> 12, frames = (range->limit >> 12) - first + 1;

    if (range->limit >> address_bits != 0)
        return "it lies beyond the bus width";
    if (range->limit - range->base >= RESERVED_BYTES_MAX)
        return "it is larger than 2 GiB";
    if (host_range_is_hypervisor(first, frames))
        return "it holds memory of the hypervisor";
    if (holds_registers(dmar, first, range->limit >> 12))
        return "it holds registers of an IOMMU or of the interrupt controller";
    return NULL;
}

static void add_device(struct reserved_device *devices, uint32_t *count, uint16_t segment, uint16_t id,
                       int range)
{
    uint32_t i = 0;

    while (i < *count && (devices[i].segment != segment || devices[i].id != id))
        i++;
    if (i == RESERVED_DEVICES_MAX) {
        log_line("iommu: too many devices with reserved ranges: %02x:%02x.%x stays blocked", id >> 8,
                 id >> 3 & 31, id & 7);
        return;
    }
    if (i == *count)
        devices[(*count)++] = (struct reserved_device){0, segment, id};
    devices[i].ranges |= 1ull << range;
}

static int attach_devices(const struct reserved_device *devices, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct iommu_context *context;
        int error = iommu_boot_context(devices[i].ranges, &context);

        if (error == 0)
            error = vtd_attach(context, devices[i].segment, devices[i].id);
        if (error != 0)
            log_line("iommu: device %02x:%02x.%x cannot be given its reserved ranges (%d): it stays blocked",
                     devices[i].id >> 8, devices[i].id >> 3 & 31, devices[i].id & 7, error);
    }
    return 0;
}

int vtd_reserved_init(const struct dmar *dmar, uint8_t address_bits)
{
    static struct reserved_device devices[RESERVED_DEVICES_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; i < dmar->reserved_count; i++) {
        const struct dmar_reserved *range = &dmar->reserved[i];
        const char *refusal = refuse_reserved(dmar, range, address_bits);
        uint64_t first = range->base >> 12, frames = (range->limit >> 12) - first + 1;
        int number;

        log_line("iommu: reserved range 0x%llx to 0x%llx%s%s", (unsigned long long)range->base,
                 (unsigned long long)range->limit, refusal != NULL ? " is refused: " : "",
                 refusal != NULL ? refusal : "");
        if (refusal != NULL)
            continue;
        number = iommu_reserved_add(first, frames, IOMMU_KIND_IDENTITY);
        if (number < 0)
            return number;
        host_range_withhold(first, frames); /* before the tables that map it are allocated */
        for (uint32_t s = 0; s < range->scopes; s++) {
            const struct dmar_scope *scope = &dmar->scopes[range->first_scope + s];
            uint16_t id = 0;

            if (scope->kind == DMAR_SCOPE_ENDPOINT && resolve(range->segment, scope, &id))
                add_device(devices, &count, range->segment, id, number);
        }
    }
    return attach_devices(devices, count);
}

/* SPDX-License-Identifier: MIT */
/*
 * Policy over the IVRS: which unit a requester id's DMA passes, under which id it shows, and who may reach
 * which reserved range. In doubt a device belongs to no unit, and stays blocked.
 */
#include "drivers/iommu/amdvi/amdvi.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"

/* DMA there never reaches a page table: spec 48882 revision 3.08, section 2.1.4.1. */
#define HYPERTRANSPORT_BFN    0xfd00000u
#define HYPERTRANSPORT_FRAMES 0x300000u

#define PCI_VENDOR 0x00u
#define NO_VENDOR  0xffffu

/* Requester ids that a unit's block names. unit is NULL when that unit is not usable. */
struct claim {
    struct amdvi_unit *unit;
    uint16_t segment, first, last;
    uint16_t alias;
    bool aliased;
};
static struct claim claims[IVRS_ENTRIES_MAX];
static uint32_t claim_count;

/* Nothing stops the DMA of a device behind a unit that is not usable: it must not seem to be another's. */
static bool rest_is_known(const struct ivrs *ivrs, struct amdvi_unit *const *unit_of)
{
    if (ivrs->truncated)
        return false;
    for (uint32_t i = 0; i < ivrs->unit_count; i++)
        if (ivrs->units[i].incomplete && unit_of[i] == NULL)
            return false;
    return true;
}

static void claim_entries(const struct ivrs *ivrs, const struct ivrs_unit *block, struct amdvi_unit *unit,
                          bool with_defaults)
{
    for (uint32_t i = 0; i < block->entries; i++) {
        const struct ivrs_entry *entry = &ivrs->entries[block->first_entry + i];

        if (entry->is_default && !with_defaults)
            continue;
        claims[claim_count++] = (struct claim){.unit = unit,
                                               .segment = block->segment,
                                               .first = entry->first,
                                               .last = entry->last,
                                               .alias = entry->alias,
                                               .aliased = entry->aliased};
    }
}

void amdvi_scopes_init(const struct ivrs *ivrs, struct amdvi_unit *const *unit_of)
{
    bool known = rest_is_known(ivrs, unit_of);

    claim_count = 0;
    if (!known)
        log_line("iommu: the IVRS may name units that cannot be read: only devices named one by one are "
                 "served");
    for (uint32_t i = 0; i < ivrs->unit_count; i++)
        claim_entries(ivrs, &ivrs->units[i], unit_of[i], known);
}

/* The narrowest claim wins: a device over a range, a range over "all"; else the first. */
static const struct claim *claim_of(uint16_t segment, uint16_t requester_id)
{
    const struct claim *found = NULL;
    uint32_t width = UINT32_MAX;

    for (uint32_t i = 0; i < claim_count; i++) {
        const struct claim *one = &claims[i];

        if (one->segment != segment || requester_id < one->first || requester_id > one->last ||
            (uint32_t)(one->last - one->first) >= width)
            continue;
        width = (uint32_t)(one->last - one->first);
        found = one;
    }
    return found;
}

struct amdvi_unit *amdvi_unit_of(uint16_t segment, uint16_t requester_id)
{
    const struct claim *claim = claim_of(segment, requester_id);

    return claim != NULL ? claim->unit : NULL;
}

uint16_t amdvi_alias_of(uint16_t segment, uint16_t requester_id)
{
    const struct claim *claim = claim_of(segment, requester_id);

    return claim != NULL && claim->aliased ? claim->alias : requester_id;
}

/* ---- memory blocks: 5.2.2.2 ---- */

static bool is_there(uint16_t segment, uint32_t id)
{
    return host_pci_read(segment, (uint16_t)id, PCI_VENDOR, 2) != NO_VENDOR;
}

/* Firmware names whole ranges of ids; only what is there needs the memory. */
static void reserve_for_devices(const struct ivrs_memory *memory, int number)
{
    uint32_t first = memory->all ? 0 : memory->first, last = memory->all ? UINT16_MAX : memory->last;

    for (uint32_t id = first; id <= last; id++)
        if (first == last || is_there(memory->segment, id))
            iommu_reserve_for(memory->segment, (uint16_t)id, number);
}

/* An exclusion range is a range of memory that its devices must reach, like a unity mapping. */
static uint32_t permissions(const struct ivrs_memory *memory)
{
    if ((memory->flags & IVRS_MEMORY_EXCLUSION) != 0)
        return IOMMU_READ | IOMMU_WRITE;
    if ((memory->flags & IVRS_MEMORY_UNITY) == 0)
        return 0;
    return ((memory->flags & IVRS_MEMORY_READ) != 0 ? IOMMU_READ : 0) |
           ((memory->flags & IVRS_MEMORY_WRITE) != 0 ? IOMMU_WRITE : 0);
}

/* Firmware names units that cannot be used, too; how far their registers go is not known then. */
static uint64_t register_frames(const struct ivrs_unit *block)
{
    for (uint32_t i = 0; i < amdvi_unit_count(); i++)
        if (amdvi_unit_at(i)->base == block->base &&
            (amdvi_unit_at(i)->features & AMDVI_FEATURE_COUNTERS) == 0)
            return AMDVI_REGISTER_BYTES >> 12;
    return AMDVI_REGISTER_BYTES_MAX >> 12;
}

int amdvi_reserved_init(const struct ivrs *ivrs, uint8_t address_bits)
{
    int error;

    iommu_reserve_begin();
    for (uint32_t i = 0; i < ivrs->unit_count; i++)
        iommu_reserve_registers(ivrs->units[i].base >> 12, register_frames(&ivrs->units[i]));
    iommu_reserve_registers(HYPERTRANSPORT_BFN, HYPERTRANSPORT_FRAMES);
    error = iommu_reserved_add(HYPERTRANSPORT_BFN, HYPERTRANSPORT_FRAMES, IOMMU_KIND_HYPERTRANSPORT, 0);
    for (uint32_t i = 0; i < ivrs->memory_count && error >= 0; i++) {
        const struct ivrs_memory *memory = &ivrs->memory[i];
        uint32_t flags = permissions(memory);
        int number;

        if (flags == 0)
            continue;
        number = iommu_reserve(memory->base, memory->base + memory->size - 1, flags, address_bits);
        if (number == -ENOSPC)
            error = number;
        else if (number >= 0)
            reserve_for_devices(memory, number);
    }
    iommu_reserve_attach();
    return error < 0 ? error : 0;
}

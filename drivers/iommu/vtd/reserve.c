/* SPDX-License-Identifier: MIT */
/* Reserved memory regions, spec revision 4.1, section 8.4: which devices must always reach what. */
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"

#define REGISTER_PAGES_MAX 16u /* more is no unit's, whatever firmware says */

/* What firmware says, or a unit that is used needs. */
static uint64_t register_frames(const struct dmar_unit *block)
{
    uint64_t frames = block->size / VTD_PAGE_SIZE;

    if (frames > REGISTER_PAGES_MAX)
        frames = REGISTER_PAGES_MAX;
    for (uint32_t i = 0; i < vtd_unit_count(); i++)
        if (vtd_unit_at(i)->base == block->base && vtd_unit_at(i)->size / VTD_PAGE_SIZE > frames)
            frames = vtd_unit_at(i)->size / VTD_PAGE_SIZE;
    return frames;
}

static void reserve_for_scope(const struct dmar *dmar, uint16_t segment, const struct dmar_scope *scope,
                              int number)
{
    uint16_t id = 0, first, last;

    if (scope->kind == DMAR_SCOPE_IOAPIC || scope->kind == DMAR_SCOPE_HPET)
        return; /* they reach no memory */
    if (!dmar_scope_resolve(dmar, segment, scope, &id)) {
        log_line("iommu: DMAR offset %u: a reserved range is for a device that is not there", scope->offset);
        return;
    }
    iommu_reserve_for(segment, id, number);
    if (scope->kind == DMAR_SCOPE_BRIDGE && dmar_ids_behind(segment, id, &first, &last))
        iommu_reserve_for_all(segment, first, last, number);
}

static void reserve_for_devices(const struct dmar *dmar, const struct dmar_reserved *range, int number)
{
    for (uint32_t i = 0; i < range->scopes.count; i++)
        reserve_for_scope(dmar, range->segment, &dmar->scopes[range->scopes.first + i], number);
}

void vtd_reserved_init(const struct dmar *dmar, uint8_t address_bits)
{
    _Static_assert(DMAR_UNITS_MAX <= IOMMU_REGISTERS_MAX, "of each unit");
    iommu_reserve_begin();
    for (uint32_t i = 0; i < dmar->unit_count; i++)
        iommu_reserve_registers(dmar->units[i].base >> 12, register_frames(&dmar->units[i]));
    for (uint32_t i = 0; i < dmar->reserved_count; i++) {
        const struct dmar_reserved *range = &dmar->reserved[i];
        int number = -EPERM;

        if (!range->malformed)
            number = iommu_reserve(range->base, range->limit, IOMMU_READ | IOMMU_WRITE, address_bits);
        reserve_for_devices(dmar, range, number);
    }
    iommu_reserve_attach();
}

/* SPDX-License-Identifier: MIT */
/* Reserved memory regions, spec revision 4.1, section 8.4: which devices must always reach what. */
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"

/* Firmware names units that cannot be used, too, and their registers may be more than it says. */
static uint64_t register_frames(const struct dmar_unit *unit)
{
    uint64_t frames = unit->size / VTD_PAGE_SIZE;

    return frames > VTD_REGISTER_PAGES_MAX ? frames : VTD_REGISTER_PAGES_MAX;
}

static void reserve_for_devices(const struct dmar *dmar, const struct dmar_reserved *range, int number)
{
    for (uint32_t i = 0; i < range->scopes.count; i++) {
        const struct dmar_scope *scope = &dmar->scopes[range->scopes.first + i];
        uint16_t id = 0;

        if (scope->kind == DMAR_SCOPE_ENDPOINT && dmar_scope_resolve(dmar, range->segment, scope, &id))
            iommu_reserve_for(range->segment, id, number);
    }
}

int vtd_reserved_init(const struct dmar *dmar, uint8_t address_bits)
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
        if (number == -ENOSPC)
            return number;
        reserve_for_devices(dmar, range, number);
    }
    iommu_reserve_attach();
    return 0;
}

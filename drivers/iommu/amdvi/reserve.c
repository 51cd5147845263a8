/* SPDX-License-Identifier: MIT */
/* Memory blocks, spec 48882 section 5.2.2.2: which devices must always reach what. */
#include "drivers/iommu/amdvi/amdvi.h"
#include "guest-abi/include/sluice/errno.h"

/* DMA there never reaches a page table: spec 48882 revision 3.08, section 2.1.4.1. */
#define HYPERTRANSPORT_BFN    0xfd00000u
#define HYPERTRANSPORT_FRAMES 0x300000u

/*
 * Of a range, only what is there needs the memory. A range that cannot be costs the devices it names; one for
 * all devices names none.
 */
static void reserve_for_devices(const struct ivrs_memory *memory, int number)
{
    if (number < 0 && memory->type == IVRS_IVMD_ALL)
        return;
    if (memory->first == memory->last)
        iommu_reserve_for(memory->segment, memory->first, number);
    else
        iommu_reserve_for_all(memory->segment, memory->first, memory->last, number);
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
static uint64_t register_frames(const struct ivrs_block *block)
{
    for (uint32_t i = 0; i < amdvi_unit_count(); i++)
        if (amdvi_unit_at(i)->base == block->base &&
            (amdvi_unit_at(i)->features & AMDVI_FEATURE_COUNTERS) == 0)
            return AMDVI_REGISTER_BYTES >> 12;
    return AMDVI_REGISTER_BYTES_MAX >> 12;
}

static void reserve_registers(const struct ivrs *ivrs)
{
    _Static_assert(IVRS_BLOCKS_MAX + 1 <= IOMMU_REGISTERS_MAX, "of each block, and the window");
    for (uint32_t i = 0; i < ivrs->block_count; i++)
        iommu_reserve_registers(ivrs->blocks[i].base >> 12, register_frames(&ivrs->blocks[i]));
    iommu_reserve_registers(HYPERTRANSPORT_BFN, HYPERTRANSPORT_FRAMES);
}

void amdvi_reserved_init(const struct ivrs *ivrs, uint8_t address_bits)
{
    iommu_reserve_begin();
    reserve_registers(ivrs);
    (void)iommu_reserved_add(HYPERTRANSPORT_BFN, HYPERTRANSPORT_FRAMES, IOMMU_KIND_HYPERTRANSPORT,
                             0); /* first */
    for (uint32_t i = 0; i < ivrs->memory_count; i++) {
        const struct ivrs_memory *memory = &ivrs->memory[i];
        uint32_t flags = permissions(memory);
        int number = -EPERM;

        if (flags == 0)
            continue;
        if (!memory->malformed)
            number = iommu_reserve(memory->base, memory->base + memory->size - 1, flags, address_bits);
        reserve_for_devices(memory, number);
    }
    iommu_reserve_attach();
}

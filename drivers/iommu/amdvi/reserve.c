/* SPDX-License-Identifier: MIT */
/* Memory blocks, spec 48882 section 5.2.2.2: which devices must always reach what. */
#include "drivers/iommu/amdvi/amdvi.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/string.h"

/* DMA there never reaches a page table: spec 48882 revision 3.08, section 2.1.4.1. */
#define HYPERTRANSPORT_BFN    0xfd00000u
#define HYPERTRANSPORT_FRAMES 0x300000u

#define PCI_VENDOR 0x00u
#define NO_VENDOR  0xffffu

/* Firmware names whole ranges of ids, and may do so again and again: who is there is asked once. */
static uint64_t present[AMDVI_DEVICES / 64]; /* of segment 0 */
static bool present_is_known;

static bool answers(uint16_t segment, uint32_t id)
{
    return (host_pci_read(segment, (uint16_t)id, PCI_VENDOR, 2) & NO_VENDOR) != NO_VENDOR;
}

static void find_present(void)
{
    memset(present, 0, sizeof present);
    for (uint32_t id = 0; id < AMDVI_DEVICES; id++)
        if (answers(0, id))
            present[id / 64] |= 1ull << id % 64;
    present_is_known = true;
}

static bool is_there(uint16_t segment, uint32_t id)
{
    if (segment != 0)
        return answers(segment, id);
    if (!present_is_known)
        find_present();
    return (present[id / 64] >> id % 64 & 1) != 0;
}

/*
 * Of a range, only what is there needs the memory. A range that cannot be costs the devices it names; one for
 * all devices names none.
 */
static void reserve_for_devices(const struct ivrs_memory *memory, int number)
{
    if (number < 0 && memory->type == IVRS_IVMD_ALL)
        return;
    for (uint32_t id = memory->first; id <= memory->last; id++)
        if (memory->first == memory->last || is_there(memory->segment, id))
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

int amdvi_reserved_init(const struct ivrs *ivrs, uint8_t address_bits)
{
    int error;

    present_is_known = false;
    iommu_reserve_begin();
    reserve_registers(ivrs);
    error = iommu_reserved_add(HYPERTRANSPORT_BFN, HYPERTRANSPORT_FRAMES, IOMMU_KIND_HYPERTRANSPORT, 0);
    for (uint32_t i = 0; i < ivrs->memory_count && error >= 0; i++) {
        const struct ivrs_memory *memory = &ivrs->memory[i];
        uint32_t flags = permissions(memory);
        int number = -EPERM;

        if (flags == 0)
            continue;
        if (!memory->malformed)
            number = iommu_reserve(memory->base, memory->base + memory->size - 1, flags, address_bits);
        if (number == -ENOSPC)
            error = number;
        else
            reserve_for_devices(memory, number);
    }
    iommu_reserve_attach();
    return error < 0 ? error : 0;
}

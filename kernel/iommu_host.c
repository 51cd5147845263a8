/* SPDX-License-Identifier: MIT */
/* What the IOMMU drivers need from outside (drivers/iommu/host.h), from the rooms that have it. */
#include "acpi/acpi.h"
#include "cpu/features.h"
#include "cpu/lapic.h"
#include "cpu/ops.h"
#include "cpu/time.h"
#include "drivers/iommu/host.h"
#include "drivers/iommu/iommu.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "mem/map.h"
#include "pci/pci.h"

/* ---- memory ---- */

uint64_t host_frames_alloc(uint64_t count)
{
    return frames_alloc(count);
}

void host_frames_free(uint64_t mfn, uint64_t count)
{
    frames_free(mfn, count);
}

void *host_frame_address(uint64_t mfn)
{
    return phys_to_virt(mfn << FRAME_SHIFT);
}

struct range {
    uint64_t mfn, frames;
};

static bool meets(struct range range, uint64_t base, uint64_t size)
{
    return base != 0 && range.mfn <= (base + size - 1) >> FRAME_SHIFT &&
           range.mfn + range.frames > base >> FRAME_SHIFT;
}

#define MCFG_WINDOWS 4u
#define BUS_SIZE     0x100000ull /* configuration space of one bus, bytes */

/* Who reached these would command interrupts, or every device. */
static bool meets_kept_registers(struct range range)
{
    struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
    struct acpi_mcfg windows[MCFG_WINDOWS];
    uint32_t ioapic_count = acpi_ioapics(ioapics, ACPI_IOAPICS_MAX);
    uint32_t window_count = acpi_mcfg(windows, MCFG_WINDOWS);
    bool found = meets(range, lapic_base(), FRAME_SIZE) || meets(range, acpi_hpet_base(), FRAME_SIZE);

    for (uint32_t i = 0; i < ioapic_count; i++)
        found |= meets(range, ioapics[i].base, FRAME_SIZE);
    for (uint32_t i = 0; i < window_count; i++)
        found |= meets(range, windows[i].base + windows[i].first_bus * BUS_SIZE,
                       (windows[i].last_bus - windows[i].first_bus + 1u) * BUS_SIZE);
    return found;
}

bool host_range_is_hypervisor(uint64_t mfn, uint64_t frames)
{
    if (meets_kept_registers((struct range){mfn, frames}))
        return true;
    for (uint64_t end = frame_table_end(); frames != 0 && mfn < end; mfn++, frames--) {
        if (frame_of(mfn)->owner == FRAME_HYPERVISOR)
            return true;
    }
    return false;
}

uint64_t host_range_withhold(uint64_t mfn, uint64_t frames)
{
    return memory_withhold(mfn, frames);
}

void host_frames_release(const struct iommu_frames *frames, uint32_t runs, uint64_t address_mask,
                         uint32_t flags)
{
    bool writes = (flags & (IOMMU_WRITE | IOMMU_WITHHELD)) != 0;

    if ((flags & IOMMU_LOCKED) != 0)
        return; /* a reserved range: nobody took a reference */
    for (const struct iommu_frames *end = frames + runs; frames < end; frames++) {
        uint64_t mfn = (frames->entry & address_mask) >> FRAME_SHIFT;

        if ((flags & IOMMU_PREMAP) != 0)
            frames_premap_put(mfn, frames->count);
        else if (frames->count == 1)
            frame_bus_put(mfn, writes);
        else
            frames_bus_put(mfn, frames->count, writes);
    }
}

/* ---- registers ---- */

volatile void *host_mmio_map(uint64_t physical, uint64_t size)
{
    return mmio_map(physical, size);
}

/* ---- time ---- */

uint64_t host_time_ns(void)
{
    return time_now_ns();
}

void host_pause(void)
{
    cpu_pause();
}

/* ---- configuration space: segment 0 is all there is ---- */

bool host_pci_next(uint16_t segment, uint32_t id, uint16_t *found)
{
    const struct pci_function *function = segment == 0 ? pci_next(id) : NULL;

    if (function != NULL)
        *found = function->id;
    return function != NULL;
}

uint16_t host_pci_requester(uint16_t segment, uint16_t id)
{
    const struct pci_function *function = segment == 0 ? pci_find(id) : NULL;

    return function != NULL ? function->requester_id : id;
}

uint32_t host_pci_read(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes)
{
    return segment == 0 ? pci_read(id, offset, bytes) : UINT32_MAX >> (32 - 8 * bytes);
}

void host_pci_write(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    if (segment == 0)
        pci_write(id, offset, bytes, value);
}

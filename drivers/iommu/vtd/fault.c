/* SPDX-License-Identifier: MIT */
/*
 * Primary faults: what a device tried and was not let. Spec revision 4.1, sections 7.2.1 (reasons) and 7.2.3.
 * The records are the hardware's and the device fills them: everything read is bounded.
 */
#include "drivers/iommu/vtd/vtd.h"

#define ROUNDS_MAX 4u /* passes over the records in one interrupt */

/* Table of reasons: 7.2.1, for translation in legacy mode. */
static const char *reason_text(uint8_t reason)
{
    static const char *const texts[] = {
        [0x01] = "no device of its bus may do DMA",
        [0x02] = "the device may not do DMA",
        [0x03] = "its context entry is not valid",
        [0x04] = "beyond the bus width",
        [0x05] = "no write permission",
        [0x06] = "no read permission",
        [0x07] = "the unit could not read a page table",
        [0x08] = "the unit could not read the root table",
        [0x09] = "the unit could not read the context table",
        [0x0a] = "reserved bits in the root entry",
        [0x0b] = "reserved bits in the context entry",
        [0x0c] = "reserved bits in a page-table entry",
        [0x0d] = "a translated request that is not allowed",
        [0x20] = "an interrupt request with reserved bits",
        [0x21] = "an interrupt beyond the remapping table",
        [0x22] = "an interrupt that is not present in the remapping table",
        [0x23] = "the unit could not read the interrupt-remapping table",
        [0x24] = "reserved bits in an interrupt-remapping entry",
        [0x25] = "a blocked compatibility-format interrupt",
        [0x26] = "an interrupt from the wrong source",
    };

    return reason < sizeof texts / sizeof *texts && texts[reason] != NULL ? texts[reason] : "unknown reason";
}

static enum iommu_access access_of(uint8_t reason, uint64_t high)
{
    if (VTD_REASON_IS_INTERRUPT(reason))
        return IOMMU_ACCESS_INTERRUPT;
    return (high & VTD_FAULT_READ) != 0 ? IOMMU_ACCESS_READ : IOMMU_ACCESS_WRITE;
}

static void report(const struct vtd_unit *unit, uint64_t low, uint64_t high)
{
    uint8_t reason = VTD_FAULT_REASON(high);
    const struct iommu_fault fault = {
        .unit = unit->index,
        .segment = unit->segment,
        .source = VTD_FAULT_SOURCE(high),
        .access = access_of(reason, high),
        .bfn = VTD_REASON_IS_INTERRUPT(reason) ? VTD_FAULT_INTERRUPT(low) : low >> 12,
        .code = reason,
        .by_page_table = reason == VTD_REASON_NO_WRITE || reason == VTD_REASON_NO_READ,
        .reason = reason_text(reason),
    };

    iommu_fault_report(&fault);
}

/* Takes every record that is there, from the oldest on; how many. */
static uint32_t read_records(struct vtd_unit *unit, bool quiet)
{
    uint32_t records = VTD_CAP_FAULT_RECORDS(unit->cap), taken = 0;
    uint32_t index = VTD_FSTS_INDEX(vtd_read32(unit, VTD_FSTS)) % records;

    for (uint32_t i = 0; i < records; i++, index = index + 1 < records ? index + 1 : 0) {
        uint32_t offset = VTD_CAP_FAULT_OFFSET(unit->cap) + index * 16;
        uint64_t high = vtd_read64(unit, offset + VTD_FAULT_HIGH);
        uint64_t low;

        if ((high & VTD_FAULT_F) == 0)
            continue;
        low = vtd_read64(unit, offset);
        /* Cleared before it is reported, so that the record is free again. */
        vtd_write32(unit, offset + VTD_FAULT_TOP, VTD_FAULT_TOP_CLEAR);
        if (!quiet)
            report(unit, low, high);
        taken++;
    }
    return taken;
}

static void read_faults(struct vtd_unit *unit)
{
    if ((vtd_read32(unit, VTD_FSTS) & (VTD_FSTS_PPF | VTD_FSTS_PFO)) == 0)
        return;
    for (uint32_t round = 0; round < ROUNDS_MAX && read_records(unit, false) != 0; round++)
        ;
    if ((vtd_read32(unit, VTD_FSTS) & VTD_FSTS_PFO) != 0) {
        vtd_write32(unit, VTD_FSTS, VTD_FSTS_PFO);
        iommu_fault_lost(unit->index);
    }
}

void vtd_fault_enable(struct vtd_unit *unit)
{
    vtd_write32(unit, VTD_FECTL, VTD_FECTL_MASK);
    read_records(unit, true);
    vtd_write32(unit, VTD_FSTS, VTD_FSTS_PFO);
    vtd_write32(unit, VTD_FEDATA, unit->fault_data);
    vtd_write32(unit, VTD_FEADDR, (uint32_t)unit->fault_address);
    vtd_write32(unit, VTD_FEUADDR, (uint32_t)(unit->fault_address >> 32));
    vtd_write32(unit, VTD_FECTL, 0);
}

void vtd_read_faults(void)
{
    for (uint32_t i = 0; i < vtd_unit_count(); i++)
        read_faults(vtd_unit_at(i));
}

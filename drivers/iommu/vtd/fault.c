/* SPDX-License-Identifier: MIT */
/*
 * Primary faults: what a device tried and was not let. Spec revision 4.1, sections 7.2.1 (reasons) and 7.2.3.
 * The records are the hardware's and the device fills them: everything read is bounded, and logged with a
 * limit. A device that goes on and on loses its bus mastering.
 */
#include "drivers/iommu/vtd/vtd.h"
#include "lib/log.h"

#define WINDOW_TICKS  10u   /* the limits are for so many ticks: a second */
#define STORM_FAULTS  1000u /* of one device in a window */
#define STORM_DEVICES 16u   /* devices counted at a time */
#define ROUNDS_MAX    4u    /* passes over the records in one interrupt */

static struct log_limit fault_limit = {.what = "blocked DMA", .burst = 32};
static struct log_limit overflow_limit = {.what = "lost fault records", .burst = 4};

static struct {
    uint32_t unit;
    uint16_t source;
    uint32_t faults;
} storms[STORM_DEVICES];
static uint32_t storm_count;

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

/* Hardware has one reason for "absent" and "not allowed"; the bus map can tell them apart. */
static const char *describe(const struct vtd_unit *unit, uint16_t source, uint64_t bfn, uint8_t reason)
{
    const struct iommu_context *context = vtd_context_of(unit, source);
    struct iommu_mapping mapping;

    if ((reason != 0x05 && reason != 0x06) || context == NULL)
        return reason_text(reason);
    if (iommu_lookup(context, bfn, &mapping) != 0)
        return "not present in the bus map";
    if (reason == 0x05 && (mapping.flags & IOMMU_WRITE) == 0)
        return (mapping.flags & IOMMU_WITHHELD) != 0 ? "mapped, but writing is withheld" : "mapped read-only";
    if (reason == 0x06 && (mapping.flags & IOMMU_READ) == 0)
        return "mapped write-only";
    return reason_text(reason);
}

/* True when this fault is the one too many. */
static bool storms_now(const struct vtd_unit *unit, uint16_t source)
{
    uint32_t i = 0;

    while (i < storm_count && (storms[i].unit != unit->index || storms[i].source != source))
        i++;
    if (i == STORM_DEVICES)
        return false;
    if (i == storm_count) {
        storms[i].unit = unit->index;
        storms[i].source = source;
        storms[i].faults = 0;
        storm_count++;
    }
    return ++storms[i].faults == STORM_FAULTS;
}

static void report(struct vtd_unit *unit, uint64_t low, uint64_t high)
{
    uint16_t source = VTD_FAULT_SOURCE(high);
    uint8_t reason = VTD_FAULT_REASON(high);
    uint64_t bfn = low >> 12;

    iommu_counters.faults++;
    if (log_limit_pass(&fault_limit))
        log_line("iommu: device %02x:%02x.%x %s BFN 0x%llx: %s (reason 0x%02x)", source >> 8,
                 source >> 3 & 31, source & 7, (high & VTD_FAULT_READ) != 0 ? "read from" : "write to",
                 (unsigned long long)bfn, describe(unit, source, bfn, reason), reason);
    else
        iommu_counters.faults_suppressed++;
    if (storms_now(unit, source)) {
        log_line("iommu: device %02x:%02x.%x does nothing but fault: its DMA is switched off", source >> 8,
                 source >> 3 & 31, source & 7);
        iommu_cut_off(unit->segment, source);
        vtd_isolate(unit, source);
    }
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
        if (log_limit_pass(&overflow_limit))
            log_line("iommu: unit %u had more faults than fault records", unit->index);
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

void vtd_fault_interrupt(void)
{
    for (uint32_t i = 0; i < vtd_unit_count(); i++)
        read_faults(vtd_unit_at(i));
}

void vtd_fault_tick(void)
{
    static uint32_t ticks;

    if (++ticks % WINDOW_TICKS == 0) {
        log_limit_refill(&fault_limit);
        log_limit_refill(&overflow_limit);
        storm_count = 0;
    }
    /* A fault that came between reading and clearing raised no interrupt: look again. */
    vtd_fault_interrupt();
}

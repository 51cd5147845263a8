/* SPDX-License-Identifier: MIT */
/*
 * Faults, for every vendor: what a device tried and was not let, in words. A device decides how many there
 * are, so they are logged with a limit, and one that goes on and on loses its bus mastering.
 */
#include "drivers/iommu/driver.h"
#include "lib/log.h"

#define WINDOW_TICKS  10u   /* the limits are for so many ticks: a second */
#define STORM_FAULTS  1000u /* of one device in a window */
#define STORM_DEVICES 16u   /* devices counted at a time */

static struct log_limit fault_limit = {.what = "blocked DMA", .burst = 32};
static struct log_limit lost_limit = {.what = "lost fault records", .burst = 4};

static struct {
    uint32_t unit;
    uint16_t source;
    uint32_t faults;
} storms[STORM_DEVICES];
static uint32_t storm_count;

/* Hardware cannot always tell "absent" from "not allowed"; the bus map can. */
static const char *describe(const struct iommu_fault *fault)
{
    const struct iommu_context *context;
    struct iommu_mapping mapping;

    if (!fault->by_page_table)
        return fault->reason;
    context = iommu_context_of(fault->unit, fault->source);
    if (context == NULL)
        return fault->reason;
    if (iommu_lookup(context, fault->bfn, &mapping) != 0)
        return "not present in the bus map";
    if (fault->access == IOMMU_ACCESS_WRITE && (mapping.flags & IOMMU_WRITE) == 0)
        return (mapping.flags & IOMMU_WITHHELD) != 0 ? "mapped, but writing is withheld" : "mapped read-only";
    if (fault->access == IOMMU_ACCESS_READ && (mapping.flags & IOMMU_READ) == 0)
        return "mapped write-only";
    return fault->reason;
}

static uint32_t least_faults(void)
{
    uint32_t least = 0;

    for (uint32_t i = 1; i < STORM_DEVICES; i++)
        if (storms[i].faults < storms[least].faults)
            least = i;
    return least;
}

/*
 * True when this fault is the one too many. When every place is taken, the device with the fewest faults
 * loses its own, and the newcomer begins with as many: nobody is missed, however many devices take turns.
 */
static bool storms_now(const struct iommu_fault *fault)
{
    uint32_t i = 0;

    while (i < storm_count && (storms[i].unit != fault->unit || storms[i].source != fault->source))
        i++;
    if (i == STORM_DEVICES) {
        i = least_faults();
        storms[i].unit = fault->unit;
        storms[i].source = fault->source;
    } else if (i == storm_count) {
        storms[i].unit = fault->unit;
        storms[i].source = fault->source;
        storms[i].faults = 0;
        storm_count++;
    }
    return ++storms[i].faults >= STORM_FAULTS;
}

static const char *access_text(enum iommu_access access)
{
    static const char *const texts[] = {
        [IOMMU_ACCESS_READ] = "read from BFN",
        [IOMMU_ACCESS_WRITE] = "write to BFN",
        [IOMMU_ACCESS_INTERRUPT] = "interrupt",
    };

    return texts[access];
}

void iommu_fault_report(const struct iommu_fault *fault)
{
    uint16_t source = fault->source;

    iommu_counters.faults++;
    if (log_limit_pass(&fault_limit))
        log_line("iommu: device %02x:%02x.%x %s 0x%llx: %s (reason 0x%02x)", source >> 8, source >> 3 & 31,
                 source & 7, access_text(fault->access), (unsigned long long)fault->bfn, describe(fault),
                 fault->code);
    else
        iommu_counters.faults_suppressed++;
    if (storms_now(fault) && !iommu_is_isolated(source)) {
        log_line("iommu: device %02x:%02x.%x does nothing but fault: its DMA is switched off", source >> 8,
                 source >> 3 & 31, source & 7);
        iommu_isolate(fault->unit, fault->segment, source);
    }
}

void iommu_fault_note(const char *text, uint32_t unit, uint64_t low, uint64_t high)
{
    iommu_counters.faults++;
    if (log_limit_pass(&fault_limit))
        log_line("iommu: unit %u: %s (%016llx:%016llx)", unit, text, (unsigned long long)high,
                 (unsigned long long)low);
    else
        iommu_counters.faults_suppressed++;
}

void iommu_fault_lost(uint32_t unit)
{
    if (log_limit_pass(&lost_limit))
        log_line("iommu: unit %u had more faults than fault records", unit);
}

void iommu_fault_tick(void)
{
    static uint32_t ticks;

    if (++ticks % WINDOW_TICKS == 0) {
        log_limit_refill(&fault_limit);
        log_limit_refill(&lost_limit);
        storm_count = 0;
    }
    /* A fault that came between reading and clearing raised no interrupt: look again. */
    iommu_fault_interrupt();
}

/* SPDX-License-Identifier: MIT */
#include "pv/summary.h"

#include "cpu/trap.h"
#include "drivers/iommu/iommu.h"
#include "lib/log.h"
#include "lib/printf.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "pv/bus.h"
#include "pv/hypercall.h"

/* Static: a panic may come on a stack that has no room left. */
static char text[4096];
static size_t used;

static uint64_t boot_tsc;
static uint64_t image_bytes;

static uint64_t tsc_now(void)
{
    uint32_t low;
    uint32_t high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

void summary_boot_done(const struct boot_info *info)
{
    boot_tsc = tsc_now() - info->entry_tsc;
    image_bytes = info->image.size;
}

__attribute__((format(printf, 1, 2))) static void add(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = format_string_v(text + used, sizeof(text) - used, format, args);
    va_end(args);
    size_t room = sizeof(text) - used - 1;
    if (length > 0)
        used += (size_t)length < room ? (size_t)length : room;
}

static void add_number(const char *name, uint64_t value)
{
    add(",\"%s\":%llu", name, (unsigned long long)value);
}

static const char *reason_name(enum stop_reason reason)
{
    switch (reason) {
    case STOP_GUEST_POWEROFF:
        return "poweroff";
    case STOP_GUEST_FAILED:
        return "guest-failed";
    case STOP_REFUSED:
        return "refused";
    case STOP_HYPERVISOR_FAULT:
        return "hypervisor-fault";
    }
    return "unknown";
}

static void add_hypercalls(void)
{
    const char *comma = "";
    add(",\"hypercalls\":{");
    for (uint32_t slot = 0; slot < HYPERCALL_SLOTS; slot++) {
        if (guest.hypercalls[slot] == 0 || !hypercall_is_known(slot))
            continue;
        add("%s\"%u\":%llu", comma, slot, (unsigned long long)guest.hypercalls[slot]);
        comma = ",";
    }
    add("}");
    add_number("hypercalls_unknown", guest.hypercalls_unknown);
    add_number("continuations", guest.continuations);
}

static void add_invalidations(void)
{
    const struct iommu_counters *counters = &iommu_counters;
    add_number("flushes", counters->flushes);
    add(",\"invalidations\":{\"context_global\":%llu", (unsigned long long)counters->context_global);
    add_number("context_domain", counters->context_domain);
    add_number("context_device", counters->context_device);
    add_number("iotlb_global", counters->iotlb_global);
    add_number("iotlb_domain", counters->iotlb_domain);
    add_number("iotlb_page", counters->iotlb_page);
    add_number("device_iotlb", counters->device_iotlb);
    add_number("interrupt_entry", counters->interrupt_entry);
    add("}");
    add_number("waits", counters->waits);
    add_number("faults", counters->faults);
    add_number("faults_suppressed", counters->faults_suppressed);
}

static void add_iommu(void)
{
    uint32_t units = guest.iommu_on ? iommu_unit_count() : 0;
    uint32_t dead = 0;
    for (uint32_t i = 0; i < units; i++)
        dead += iommu_unit_dead(i) ? 1 : 0;
    add(",\"iommu\":\"%s\",\"mode\":\"%s\"", guest.iommu_on ? iommu_vendor_name() : "none", guest_bus_mode());
    add_number("units", units);
    add_number("dead_units", dead);
    add_number("elements_mapped", guest.elements_mapped);
    add_number("elements_unmapped", guest.elements_unmapped);
    add_invalidations();
    add_number("tables_now", guest.context != NULL ? iommu_tables_used(guest.context) : 0);
    add_number("tables_peak", guest.context != NULL ? iommu_tables_peak(guest.context) : 0);
}

static void add_memory(void)
{
    add_number("guest_frames", guest.nr_pages);
    add_number("resident_bytes", memory_resident_bytes());
    add_number("frame_table_bytes", frame_table_bytes());
    add_number("image_bytes", image_bytes);
}

void summary_print(enum stop_reason reason)
{
    /* This line also ends one that the guest left open; the next is longer than log_line() can take. */
    log_line("run ended: %s", reason_name(reason));
    used = 0;
    add("sluice: summary {\"reason\":\"%s\"", reason_name(reason));
    add_iommu();
    add_hypercalls();
    add_memory();
    add_number("boot_tsc", boot_tsc);
    add_number("stray_interrupts", trap_stray_count());
    add("}\n");
    log_raw(LOG_RECORD, text, used);
}

/* SPDX-License-Identifier: MIT */
/*
 * The tour: a guest in ring 3 builds its own bus address space, reads a disk into it, and strays on purpose.
 * Every station says in one sentence what it does; where the IOMMU logs faults, the hypervisor's lines about
 * them appear beside it.
 */
#include "tour.h"

#include "kit/bus.h"
#include "kit/edu.h"
#include "kit/nvme.h"

#define NEEDS_DISK    1u
#define NEEDS_EDU     2u
#define NEEDS_STEERED 4u /* IOMMUOP answers */
#define ONLY_DIRECT   8u /* makes sense only where it does not */

static const struct station {
    const char *sentence;
    bool (*visit)(void);
    uint32_t needs;
} stations[] = {
    {"I ask the disk who it is.", disk_identify, NEEDS_DISK},
    {"I read the disk's first blocks into frames scattered over the machine.", disk_read, NEEDS_DISK},
    {"edu writes and reads one frame by its machine address, and nothing stands in between.", device_direct,
     NEEDS_EDU | ONLY_DIRECT},
    {"edu crosses a page edge, and the two pages lie in frames that are not neighbours.", device_page_edge,
     NEEDS_EDU | NEEDS_STEERED},
    {"I map 64 MiB in pieces of 4 KiB and again in pieces of 2 MiB, and compare what that takes.",
     pages_of_two_sizes, NEEDS_STEERED},
    {"I split a 2 MiB entry and put it together again while edu uses it; not one byte may go astray.",
     pages_split_under_dma, NEEDS_EDU | NEEDS_STEERED},
    {"edu goes to a frame of mine by its machine address, which I have unmapped; it must get nowhere.",
     device_unmapped, NEEDS_EDU | NEEDS_STEERED},
    {"edu writes to a page it may only read; the write must not arrive, and reading must still work.",
     device_read_only, NEEDS_EDU | NEEDS_STEERED},
    {"I remap a page under edu's feet; its next write must land in the new frame.", device_remapped,
     NEEDS_EDU | NEEDS_STEERED},
    {"I unmap a page that edu has just used; the very next write must be stopped.", device_unmapped_after_use,
     NEEDS_EDU | NEEDS_STEERED},
    {"I map five pages in one call and the third is wrong; two must be mapped, the rest untouched.",
     refused_bad_element, NEEDS_STEERED},
    {"I ask for the hypervisor's own memory, for edu and for myself; both must be refused.",
     refused_hypervisor_memory, NEEDS_STEERED},
    {"edu writes to one of my page tables; I may map it, but the write must be withheld.",
     refused_page_table_write, NEEDS_EDU | NEEDS_STEERED},
};

void remark(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printk("tour:   ");
    vprintk(format, arguments);
    printk("\n");
    va_end(arguments);
}

bool refute(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printk("tour:   BUT ");
    vprintk(format, arguments);
    printk("\n");
    va_end(arguments);
    return false;
}

struct frame frame_get(void)
{
    struct frame frame;
    frame.page = page_alloc(&frame.pfn);
    if (!frame.page)
        report_error("tour: out of frames or of virtual addresses");
    frame.mfn = pfn_to_mfn(frame.pfn);
    return frame;
}

/* What this machine offers, as NEEDS_* bits; says in words what it lacks. */
static uint32_t look_around(void)
{
    uint32_t found = 0;
    if (bus_init()) {
        found |= NEEDS_STEERED;
        printk("tour: IOMMUOP is here, bus frames go up to 0x%lx\n", bus_query()->max_bfn);
    } else {
        found |= ONLY_DIRECT;
        printk("tour: no IOMMUOP (the probe says -ENOSYS): I use machine addresses; nothing is protected\n");
    }
    if (nvme_present(0))
        found |= NEEDS_DISK;
    else
        printk("tour: there is no NVMe controller: the disk's stations are skipped\n");
    if (device_open())
        found |= NEEDS_EDU;
    else
        printk("tour: there is no edu device: its stations are skipped\n");
    if ((found & NEEDS_EDU) && (found & ONLY_DIRECT) && device_is_cut_off()) {
        printk(
            "tour: nothing that a device does arrives: all are blocked, and without IOMMUOP I must stop\n");
        found = 0;
    }
    return found;
}

void guest_main(void)
{
    uint32_t found = look_around(), visited = 0, passed = 0, skipped = 0;
    for (uint32_t i = 0; i < sizeof(stations) / sizeof(stations[0]); i++) {
        if (stations[i].needs & ~found) {
            skipped += !(stations[i].needs & ONLY_DIRECT);
            continue;
        }
        printk("tour: station %u: %s\n", ++visited, stations[i].sentence);
        bool good = stations[i].visit();
        printk("tour: station %u %s\n", visited, good ? "passed" : "FAILED");
        passed += good;
    }
    disk_close();
    if (skipped)
        printk("tour: %u stations skipped, for what this machine lacks\n", skipped);
    printk("tour: %u of %u stations passed\n", passed, visited);
    guest_shutdown(passed == visited ? SHUTDOWN_poweroff : SHUTDOWN_crash);
}

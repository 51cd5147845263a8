/* SPDX-License-Identifier: MIT */
/*
 * The tour: a guest in ring 3 builds its own bus address space, reads a disk into it, and strays on purpose.
 * Every station says in one sentence what it does; where the IOMMU logs faults, the hypervisor's lines about
 * them appear beside it.
 */
#include "tour.h"

#include "kit/bus.h"
#include "kit/iommu.h"

#define NEEDS_DISK    1u
#define NEEDS_EDU     2u
#define NEEDS_STEERED 4u  /* IOMMUOP answers */
#define ONLY_DIRECT   8u  /* makes sense only where it does not */
#define WITHOUT_EDU   16u /* shows with a disk what edu shows better */

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
    {"The disk brings a block to a frame of mine by its machine address, which I have unmapped; it must not "
     "arrive.",
     stray_unmapped, NEEDS_DISK | NEEDS_STEERED | WITHOUT_EDU},
    {"The disk brings a block to a page that it may only read; it must not arrive.", stray_read_only,
     NEEDS_DISK | NEEDS_STEERED | WITHOUT_EDU},
    {"I remap a page under the disk's feet; its next block must land in the new frame.", stray_remapped,
     NEEDS_DISK | NEEDS_STEERED | WITHOUT_EDU},
    {"I unmap a page that the disk has just used; the very next block must be stopped.",
     stray_unmapped_after_use, NEEDS_DISK | NEEDS_STEERED | WITHOUT_EDU},
    {"I map five pages in one call and the third is wrong; two must be mapped, the rest untouched.",
     refused_bad_element, NEEDS_STEERED},
    {"I ask for the hypervisor's own memory, for the bus and for myself; both must be refused.",
     refused_hypervisor_memory, NEEDS_STEERED},
    {"I put one of my page tables on the bus; it may be read there, but writing must be withheld.",
     refused_page_table_write, NEEDS_STEERED},
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

/* RMRR, or IVMD: bus addresses that firmware's own devices go on using. */
static void say_reserved(void)
{
    struct iommu_reserved_range ranges[16] = {{0}};
    long count = iommu_op(IOMMUOP_get_reserved, ranges, sizeof(ranges) / sizeof(ranges[0]));
    if (count == -ENOBUFS)
        printk("tour: firmware has reserved more ranges of the bus than I can list\n");
    for (long i = 0; i < count; i++)
        if (ranges[i].kind == IOMMU_RESERVED_identity)
            printk("tour: bus frames 0x%lx to 0x%lx are firmware's, for devices that it names: I map nothing "
                   "there\n",
                   ranges[i].start, ranges[i].start + ranges[i].frames - 1);
}

static uint32_t look_at_bus(void)
{
    if (!bus_init()) {
        printk("tour: no IOMMUOP (the probe says -ENOSYS): I use machine addresses; nothing is protected\n");
        return ONLY_DIRECT;
    }
    printk("tour: IOMMUOP is here, bus frames go up to 0x%lx\n", bus_query()->max_bfn);
    say_reserved();
    return NEEDS_STEERED;
}

static uint32_t look_at_disks(void)
{
    if (disk_find())
        return NEEDS_DISK;
    printk("tour: there is no disk that I can read: the disk's stations are skipped\n");
    return 0;
}

static uint32_t look_at_edu(void)
{
    if (device_open())
        return NEEDS_EDU;
    printk("tour: there is no edu device, as on any PC: its stations are skipped\n");
    return WITHOUT_EDU;
}

/* Without IOMMUOP all devices may be blocked, and only what they bring tells. */
static uint32_t say_all_blocked(void)
{
    printk("tour: nothing that a device does arrives: all are blocked, and without IOMMUOP I must stop\n");
    return 0;
}

/* What this machine offers, as NEEDS_* bits; says in words what it lacks. */
static uint32_t look_around(void)
{
    uint32_t found = look_at_bus();
    found |= look_at_edu();
    bool direct = found & ONLY_DIRECT;
    if (direct && found & NEEDS_EDU && device_is_cut_off())
        return say_all_blocked();
    found |= look_at_disks();
    if (direct && !(found & (NEEDS_EDU | NEEDS_DISK)) && disk_trouble())
        return say_all_blocked();
    return found;
}

static void say_what_was_not_shown(uint32_t found, uint32_t skipped)
{
    if (skipped)
        printk("tour: %u stations skipped, for what this machine lacks\n", skipped);
    if (found && !(found & (NEEDS_DISK | NEEDS_EDU)))
        printk("tour: nothing here to drive: no device was used. One that the hypervisor hides from me is "
               "named in its "
               "lines above\n");
}

void guest_main(void)
{
    uint32_t found = look_around(), visited = 0, passed = 0, skipped = 0;
    for (uint32_t i = 0; i < sizeof(stations) / sizeof(stations[0]); i++) {
        if (stations[i].needs & ~found) {
            skipped += !(stations[i].needs & (ONLY_DIRECT | WITHOUT_EDU));
            continue;
        }
        printk("tour: station %u: %s\n", ++visited, stations[i].sentence);
        bool good = stations[i].visit();
        printk("tour: station %u %s\n", visited, good ? "passed" : "FAILED");
        passed += good;
    }
    disk_close();
    bool broken = found && !(found & NEEDS_DISK) && disk_trouble();
    if (broken)
        printk("tour: BUT no disk controller does what it should\n");
    say_what_was_not_shown(found, skipped);
    printk("tour: %u of %u stations passed\n", passed, visited);
    guest_shutdown(passed == visited && !broken ? SHUTDOWN_poweroff : SHUTDOWN_crash);
}

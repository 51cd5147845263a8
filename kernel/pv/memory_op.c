/* SPDX-License-Identifier: MIT */
/* memory_op(cmd, argument): what memory there is, and how much of it is the guest's. */
#include "drivers/iommu/iommu.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/guest.h"
#include "pv/reservation.h"
#include "pv/types.h"

/* The guest sees the hypervisor's memory as RAM: a PFN is not an MFN, and Linux wants its text on RAM. */
static uint32_t e820_type(enum memory_kind kind)
{
    switch (kind) {
    case MEMORY_USABLE:
    case MEMORY_LOADER:
        return E820_RAM;
    case MEMORY_ACPI:
        return E820_ACPI;
    case MEMORY_NVS:
        return E820_NVS;
    case MEMORY_RUNTIME:
    case MEMORY_RESERVED:
    case MEMORY_MMIO:
    default:
        return E820_RESERVED;
    }
}

/*
 * The entry that starts at memory_ranges[*index], neighbours of one type joined; *index moves past it. Frame
 * 0 is no frame of ours (MFN 0 means "none"), but RAM of the machine like the hypervisor's own: a guest takes
 * what the map leaves out for a device's registers, and gives up the frame it has at that PFN.
 */
static struct e820_entry next_entry(uint32_t *index)
{
    const struct memory_range *range = &memory_ranges[*index];
    struct e820_entry entry = {.addr = range->base, .size = range->size, .type = e820_type(range->kind)};

    if (*index == 0 && entry.type == E820_RAM && entry.addr == FRAME_SIZE) {
        entry.addr = 0;
        entry.size += FRAME_SIZE;
    }
    for (++*index; *index < memory_range_count; ++*index) {
        range = &memory_ranges[*index];
        if (range->base != entry.addr + entry.size || e820_type(range->kind) != entry.type)
            break;
        entry.size += range->size;
    }
    return entry;
}

static long machine_memory_map(uint64_t argument)
{
    struct xen_memory_map map;
    uint32_t written = 0;

    if (copy_from_guest(&map, argument, sizeof map))
        return -EFAULT;
    for (uint32_t i = 0; i < memory_range_count; written++) {
        struct e820_entry entry = next_entry(&i);

        if (written >= map.nr_entries)
            return -EINVAL;
        if (copy_to_guest(map.buffer + written * sizeof entry, &entry, sizeof entry))
            return -EFAULT;
    }
    return put_guest_u32(argument + offsetof(struct xen_memory_map, nr_entries), written) ? -EFAULT : 0;
}

/* The guest's own, pseudo-physical view: its frames, without a hole. */
static long guest_memory_map(uint64_t argument)
{
    struct xen_memory_map map;
    struct e820_entry entry = {.addr = 0, .size = guest.nr_pages * FRAME_SIZE, .type = E820_RAM};

    if (copy_from_guest(&map, argument, sizeof map))
        return -EFAULT;
    if (map.nr_entries < 1)
        return -EINVAL;
    if (copy_to_guest(map.buffer, &entry, sizeof entry) ||
        put_guest_u32(argument + offsetof(struct xen_memory_map, nr_entries), 1))
        return -EFAULT;
    return 0;
}

static long machphys_mapping(uint64_t argument)
{
    uint64_t entries = memory_max_mfn();
    struct xen_machphys_mapping mapping = {
        .v_start = MAP_M2P_BASE,
        .v_end = MAP_M2P_BASE + ((entries * sizeof(uint64_t) + FRAME_SIZE - 1) & ~(FRAME_SIZE - 1)),
        .max_mfn = entries - 1,
    };

    return copy_to_guest(argument, &mapping, sizeof mapping) ? -EFAULT : 0;
}

static long reservation(uint64_t argument, uint64_t pages)
{
    domid_t domid;

    if (copy_from_guest(&domid, argument, sizeof domid))
        return -EFAULT;
    return reservation_is_own(domid) ? (long)pages : -ESRCH;
}

static uint32_t identity_ranges(uint64_t buffer, uint32_t capacity, int *error)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < iommu_reserved_count(); i++) {
        struct iommu_reserved range = iommu_reserved_at(i);
        struct xen_reserved_device_memory entry = {.start_pfn = range.bfn, .nr_pages = range.frames};

        if (range.kind != IOMMU_KIND_IDENTITY)
            continue;
        if (found < capacity && !*error)
            *error = copy_to_guest(buffer + found * sizeof entry, &entry, sizeof entry);
        found++;
    }
    return found;
}

/* The guest's devices share one address space, so that a range for one of them is there for each. */
static long reserved_device_memory_map(uint64_t argument)
{
    struct xen_reserved_device_memory_map map;
    int error = 0;

    if (copy_from_guest(&map, argument, sizeof map))
        return -EFAULT;
    if (map.flags & ~XENMEM_RDM_ALL)
        return -EINVAL;
    uint32_t ranges = guest.iommu_on ? identity_ranges(map.buffer, map.nr_entries, &error) : 0;
    if (put_guest_u32(argument + offsetof(struct xen_reserved_device_memory_map, nr_entries), ranges))
        return -EFAULT;
    return error ? error : ranges > map.nr_entries ? -ENOBUFS : 0;
}

long do_memory_op(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint64_t argument = args->a[1], start = args->a[0] >> MEMOP_COMMAND_BITS;
    uint64_t command = args->a[0] & ((1u << MEMOP_COMMAND_BITS) - 1);

    /* A frame whose last use as a table is over is only then free to leave. */
    if (types_owed() && !types_settle())
        return hypercall_continue(regs, args);
    if (command == XENMEM_decrease_reservation)
        return decrease_reservation(regs, args, start);
    if (command == XENMEM_populate_physmap)
        return populate_physmap(regs, args, start);
    switch (args->a[0]) {
    case XENMEM_maximum_ram_page:
        return (long)memory_max_mfn();
    case XENMEM_current_reservation:
        return reservation(argument, guest.pages_now);
    case XENMEM_maximum_reservation:
        return reservation(argument, guest.nr_pages);
    case XENMEM_memory_map:
        return guest_memory_map(argument);
    case XENMEM_machine_memory_map:
        return machine_memory_map(argument);
    case XENMEM_exchange:
        return memory_exchange(argument);
    case XENMEM_machphys_mapping:
        return machphys_mapping(argument);
    case XENMEM_reserved_device_memory_map:
        return reserved_device_memory_map(argument);
    default:
        return -ENOSYS;
    }
}

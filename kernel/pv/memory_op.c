/* SPDX-License-Identifier: MIT */
/* memory_op(cmd, argument): what memory there is, and how much of it is the guest's. */
#include "guest-abi/include/sluice/errno.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/guest.h"

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

/* The entry that starts at memory_ranges[*index], neighbours of one type joined; *index moves past it. */
static struct e820_entry next_entry(uint32_t *index)
{
    const struct memory_range *range = &memory_ranges[*index];
    struct e820_entry entry = {.addr = range->base, .size = range->size, .type = e820_type(range->kind)};

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

static long reservation(uint64_t argument)
{
    domid_t domid;

    if (copy_from_guest(&domid, argument, sizeof domid))
        return -EFAULT;
    if (domid != DOMID_SELF && domid != 0)
        return -ESRCH;
    return (long)guest.nr_pages;
}

long do_memory_op(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint64_t argument = args->a[1];

    (void)regs;
    switch (args->a[0]) {
    case XENMEM_maximum_ram_page:
        return (long)memory_max_mfn();
    case XENMEM_current_reservation:
    case XENMEM_maximum_reservation:
        return reservation(argument);
    case XENMEM_memory_map:
        return guest_memory_map(argument);
    case XENMEM_machine_memory_map:
        return machine_memory_map(argument);
    case XENMEM_machphys_mapping:
        return machphys_mapping(argument);
    default:
        return -ENOSYS;
    }
}

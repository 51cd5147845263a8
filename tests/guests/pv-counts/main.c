/* SPDX-License-Identifier: MIT */
/*
 * Rule: counts 0, 1, 2^31 and 2^32-1 are nothing special: 0 does nothing and looks at nothing; too many end
 * in an errno, soon or at the end of what is mapped. Bits above the 32 of a count are ignored.
 *
 * From: guest-abi/hypercalls.md and guest-abi/pv_memory.md.
 *
 * Method: every call that takes a count, with those counts and with arrays that end at an unmapped page.
 *
 * Errors: -EFAULT at the end of the array; -EINVAL for console_io and IOMMUOP above 2^31-1, for a
 * memory map that does not fit, and for an index or a flag that is not known; -ESRCH for another domain;
 * -ENOSYS for commands that are not known.
 *
 * run: default
 * run: continued options="continue-every=3"
 */
#include "common/pointers.h"
#include "kit/iommu.h"

static void console_counts(void)
{
    for (uint32_t i = 0; i < WILD_POINTERS; i++)
        EXPECT_RETURN(hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, 0, wild_pointers[i], 0, 0), 0);
    static const uint64_t many[] = {0x80000000, 0x80000001, 0xffffffff};
    for (uint32_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
        EXPECT_RETURN(
            hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, many[i], hypercall_pointer("x"), 0, 0),
            -EINVAL);
    }
    char *end = page_end();
    memcpy(end - 18, "up to the edge.\n\n\n", 18);
    EXPECT_RETURN(console_io(CONSOLEIO_write, 16, end - 18), 0);
    EXPECT_RETURN(console_io(CONSOLEIO_write, 0x7fffffff, end - 1), -EFAULT);
    EXPECT_RETURN(
        hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, 0x100000001, hypercall_pointer(end - 1), 0, 0),
        0);
    EXPECT_RETURN(console_io(2, 1, end - 1), -ENOSYS);
    EXPECT_RETURN(console_io(0xffffffff, 1, end - 1), -ENOSYS);
}

static void multicall_counts(void)
{
    for (uint32_t i = 0; i < WILD_POINTERS; i++)
        EXPECT_RETURN(hypercall(__HYPERVISOR_multicall, wild_pointers[i], 0, 0, 0, 0), 0);
    struct multicall_entry *last = (struct multicall_entry *)(uintptr_t)page_end() - 2;
    static const uint32_t many[] = {3, 0x7fffffff, 0x80000000, 0xffffffff};
    for (uint32_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
        last[0] = last[1] = (struct multicall_entry){.op = __HYPERVISOR_xen_version, .result = 99};
        EXPECT_RETURN(multicall(last, many[i]), -EFAULT);
        EXPECT(last[0].result == 0x40011 && last[1].result == 0x40011,
               "count 0x%x: the entries gave %ld and %ld", many[i], last[0].result, last[1].result);
    }
}

static void mmu_update_counts(void)
{
    for (uint32_t i = 0; i < WILD_POINTERS; i++)
        EXPECT_RETURN(hypercall(__HYPERVISOR_mmu_update, wild_pointers[i], 0, 0, DOMID_SELF, 0), 0);
    struct mmu_update *last = (struct mmu_update *)(uintptr_t)page_end() - 4;
    uint64_t mfn = pfn_to_mfn(frame_alloc());
    for (uint32_t i = 0; i < 4; i++)
        last[i] = (struct mmu_update){mfn << PAGE_SHIFT | MMU_MACHPHYS_UPDATE, mfn_to_pfn(mfn)};
    uint32_t done = 77;
    EXPECT_RETURN(mmu_update(last, 4, &done), 0);
    EXPECT_RETURN(done, 4);
    EXPECT_RETURN(mmu_update(last, 5, &done), -EFAULT);
    EXPECT_RETURN(done, 4);
    EXPECT_RETURN(mmu_update(last, 0x7fffffff, NULL), -EFAULT);
    done = 0;
    EXPECT_RETURN(mmu_update(last, 0xffffffff, &done), -EFAULT);
    EXPECT_RETURN(mmu_update(last, 0x80000000, NULL), 0); /* the rest of a call, of which nothing is left */
    static const uint32_t strangers[] = {0, 1, 0x7fef, 0x7ff2, 0x17ff0, 0xffffffff};
    for (uint32_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
        EXPECT_RETURN(hypercall(__HYPERVISOR_mmu_update, hypercall_pointer(last), 1, 0, strangers[i], 0),
                      -ESRCH);
}

static void map_capacities(void)
{
    static struct e820_entry list[256];
    struct xen_memory_map map = {256, hypercall_pointer(list)};
    EXPECT_RETURN(memory_op(XENMEM_machine_memory_map, &map), 0);
    uint32_t all = map.nr_entries;
    for (uint32_t capacity = 0; capacity < all; capacity++) {
        map.nr_entries = capacity;
        list[capacity].type = 0x5a5a;
        EXPECT_RETURN(memory_op(XENMEM_machine_memory_map, &map), -EINVAL);
        EXPECT(list[capacity].type == 0x5a5a, "an entry beyond the capacity of %u was written", capacity);
    }
    map.nr_entries = UINT32_MAX;
    EXPECT_RETURN(memory_op(XENMEM_machine_memory_map, &map), 0);
    EXPECT_RETURN(map.nr_entries, all);
    for (uint32_t i = 1; i < all; i++)
        EXPECT(list[i].addr >= list[i - 1].addr + list[i - 1].size, "entry %u of the memory map overlaps", i);
    for (uint32_t i = 0; i < WILD_POINTERS; i++) {
        map = (struct xen_memory_map){256, wild_pointers[i]};
        EXPECT_RETURN(memory_op(XENMEM_machine_memory_map, &map), -EFAULT);
        EXPECT_RETURN(memory_op(XENMEM_memory_map, &map), -EFAULT);
    }
    struct xen_reserved_device_memory_map reserved = {.flags = 2};
    EXPECT_RETURN(memory_op(XENMEM_reserved_device_memory_map, &reserved), -EINVAL);
    static const uint32_t unknown[] = {0, 5, 7, 8, 13, 17, 25, 0xffff, 2 | 1 << 6, 11 | 1 << 6};
    for (uint32_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        EXPECT_RETURN(memory_op(unknown[i], &map), -ENOSYS);
}

static void unknown_commands(void)
{
    uint64_t word = 0;
    EXPECT_RETURN(sched_op(SCHEDOP_yield, (void *)(uintptr_t)0x8000000000000000), 0);
    EXPECT_RETURN(sched_op(SCHEDOP_poll + 1, &word), -ENOSYS);
    EXPECT_RETURN(sched_op(0xffffffff, &word), -ENOSYS);
    EXPECT_RETURN(xen_version(10, &word), -ENOSYS);
    EXPECT_RETURN(xen_version(0xffffffff, &word), -ENOSYS);
    struct xen_feature_info features = {.submap_idx = 1};
    EXPECT_RETURN(xen_version(XENVER_get_features, &features), -EINVAL);
    EXPECT_RETURN(hypercall(__HYPERVISOR_callback_op, 2, hypercall_pointer(&word), 0, 0, 0), -ENOSYS);
    struct callback_register callback = {.type = 99};
    EXPECT_RETURN(
        hypercall(__HYPERVISOR_callback_op, CALLBACKOP_register, hypercall_pointer(&callback), 0, 0, 0),
        -ENOSYS);
}

void guest_main(void)
{
    console_counts();
    multicall_counts();
    mmu_update_counts();
    map_capacities();
    unknown_commands();
    report_success("counts end where they should");
}

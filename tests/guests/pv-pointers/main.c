/* SPDX-License-Identifier: MIT */
/*
 * Rule: a hypercall whose argument points at memory that is not mapped, not canonical, read-only where it is
 * written, or the hypervisor's, gives -EFAULT and does nothing else. It is never a fault of the hypervisor's.
 *
 * From: guest-abi/hypercalls.md and guest-abi/pv_memory.md.
 *
 * Method: for every hypercall and command that follows a pointer: wild pointers, structures of which only the
 * first byte is mapped, read-only pages for what is written.
 *
 * Errors: -EFAULT.
 *
 * run: default
 * run: no-smap cpu="max,-smap"
 * run: qemu64 cpu="qemu64"
 */
#include "common/pointers.h"

struct call {
    const char *name;
    uint64_t slot, arguments[4];
    int pointer; /* which argument points */
    bool writes; /* to what it points at */
};

static const struct call calls[] = {
    {"set_trap_table", 0, {0}, 0, false},
    {"mmu_update", 1, {0, 1, 0, DOMID_SELF}, 0, false},
    {"mmu_update's done", 1, {0, 0, 0, DOMID_SELF}, 2, true},
    {"memory_op current reservation", 12, {XENMEM_current_reservation}, 1, false},
    {"memory_op maximum reservation", 12, {XENMEM_maximum_reservation}, 1, false},
    {"memory_op memory map", 12, {XENMEM_memory_map}, 1, false},
    {"memory_op machine memory map", 12, {XENMEM_machine_memory_map}, 1, false},
    {"memory_op machphys mapping", 12, {XENMEM_machphys_mapping}, 1, true},
    {"memory_op reserved device memory map", 12, {XENMEM_reserved_device_memory_map}, 1, true},
    {"multicall", 13, {0, 1}, 0, true},
    {"xen_version extraversion", 17, {XENVER_extraversion}, 1, true},
    {"xen_version compile info", 17, {XENVER_compile_info}, 1, true},
    {"xen_version capabilities", 17, {XENVER_capabilities}, 1, true},
    {"xen_version changeset", 17, {XENVER_changeset}, 1, true},
    {"xen_version platform parameters", 17, {XENVER_platform_parameters}, 1, true},
    {"xen_version features", 17, {XENVER_get_features}, 1, true},
    {"xen_version guest handle", 17, {XENVER_guest_handle}, 1, true},
    {"xen_version command line", 17, {XENVER_commandline}, 1, true},
    {"console_io write", 18, {CONSOLEIO_write, 16}, 2, false},
    {"sched_op shutdown", 29, {SCHEDOP_shutdown}, 1, false},
    {"callback_op register", 30, {CALLBACKOP_register}, 1, false},
    {"physdev_op iommu_map", 33, {33}, 1, true},
    {"iommu_op map", 57, {1, 0, 1}, 1, true},
    {"iommu_op query", 57, {0x100, 0, 1}, 1, true},
};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static long make(const struct call *call, uint64_t pointer)
{
    uint64_t a[4];
    for (int i = 0; i < 4; i++)
        a[i] = i == call->pointer ? pointer : call->arguments[i];
    return hypercall(call->slot, a[0], a[1], a[2], a[3], 0);
}

/* Null means something of its own there: no handlers; nobody wants the count. */
static bool may_be_null(const struct call *call)
{
    return call->slot == __HYPERVISOR_set_trap_table ||
           (call->slot == __HYPERVISOR_mmu_update && call->pointer == 2);
}

static void wild(const struct call *call)
{
    for (uint32_t i = 0; i < WILD_POINTERS; i++) {
        if (wild_pointers[i] == 0 && may_be_null(call))
            continue;
        long result = make(call, wild_pointers[i]);
        EXPECT(result == -EFAULT, "%s with pointer 0x%lx gave %ld", call->name, wild_pointers[i], result);
    }
}

static void one_byte_of_it(const struct call *call, char *end)
{
    end[-1] = 0;
    long result = make(call, hypercall_pointer(end - 1));
    EXPECT(result == -EFAULT, "%s of which one byte is mapped gave %ld", call->name, result);
}

static void read_only(const struct call *call, void *page, const void *seen)
{
    memset(page, 0, PAGE_SIZE);
    long result = make(call, hypercall_pointer(seen));
    EXPECT(result == -EFAULT, "%s on a read-only page gave %ld", call->name, result);
    for (uint32_t i = 0; i < PAGE_SIZE; i++)
        EXPECT(((const char *)page)[i] == 0, "%s wrote to a read-only page", call->name);
}

void guest_main(void)
{
    char *end = page_end();
    const void *seen;
    void *page = read_only_page(&seen);
    for (uint32_t i = 0; i < CALLS; i++) {
        wild(&calls[i]);
        one_byte_of_it(&calls[i], end);
        if (calls[i].writes)
            read_only(&calls[i], page, seen);
    }
    EXPECT_RETURN(xen_version(XENVER_version, NULL), 0x40011);
    report_success("%lu calls give -EFAULT for what they cannot reach", CALLS);
}

/* SPDX-License-Identifier: MIT */
/* Dispatch, continuation, multicall, and the calls that only answer questions. */
#include "fakes.h"

#include <string.h>

#define RIP 0x1000u

/* ---- dispatch ---- */

static void unknown_slots_are_enosys(void **state)
{
    const uint64_t slots[] = {6, 11, 43, 56, 58, 63, 64, 0x100000001, 1ull << 63, ~0ull};
    struct cpu_regs regs = {.rip = RIP, .rbx = 7};

    (void)state;
    for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++)
        assert_int_equal(syscall_with(&regs, slots[i], 1, 2, 3), -ENOSYS);
    assert_int_equal(guest.hypercalls_unknown, sizeof slots / sizeof slots[0]);
    assert_int_equal(regs.rip, RIP);
    assert_int_equal(regs.rbx, 7);
}

static void arguments_and_results_pass_whole(void **state)
{
    struct cpu_regs regs = {.rip = RIP, .r10 = 44, .r8 = 55};

    (void)state;
    fake.result = -EBUSY;
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_mmu_update, 1ull << 63, 22, 33), -EBUSY);
    assert_memory_equal(fake.last.a, ((uint64_t[]){1ull << 63, 22, 33, 44, 55}), 40);
    assert_int_equal(guest.hypercalls[__HYPERVISOR_mmu_update], 1);
    assert_int_equal(regs.rip, RIP);
}

static void a_continuation_leaves_rip_on_the_syscall(void **state)
{
    struct cpu_regs regs = {.rip = RIP, .r10 = 44, .r8 = 55, .rbx = 66};

    (void)state;
    fake.continuations = 1;
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_mmu_update, 11, 22, 33), __HYPERVISOR_mmu_update);
    assert_int_equal(regs.rip, RIP - 2);
    assert_int_equal(regs.rdi, 11);
    assert_int_equal(regs.rsi, 23);
    assert_int_equal(regs.rdx, 33);
    assert_int_equal(regs.r10, 44);
    assert_int_equal(regs.r8, 55);
    assert_int_equal(regs.rbx, 66);
    assert_int_equal(guest.continuations, 1);
}

/* ---- multicall ---- */

static struct multicall_entry *entry(unsigned int index)
{
    return (struct multicall_entry *)at(GUEST_BASE + index * sizeof(struct multicall_entry));
}

static long multicall(struct cpu_regs *regs, uint64_t count)
{
    return syscall_with(regs, __HYPERVISOR_multicall, GUEST_BASE, count, 0);
}

static void multicall_writes_each_result(void **state)
{
    struct cpu_regs regs = {.rip = RIP};

    (void)state;
    fake.result = -EPERM;
    *entry(0) = (struct multicall_entry){.op = __HYPERVISOR_mmu_update, .args = {1, 2, 3, 4, 5, 6}};
    *entry(1) = (struct multicall_entry){.op = 61};
    *entry(2) = (struct multicall_entry){.op = __HYPERVISOR_xen_version};
    entry(3)->result = 99;
    assert_int_equal(multicall(&regs, 3), 0);
    assert_int_equal(entry(0)->result, -EPERM);
    assert_memory_equal(fake.last.a, ((uint64_t[]){1, 2, 3, 4, 5}), 40);
    assert_int_equal(entry(0)->args[0], 1);
    assert_int_equal(entry(1)->result, -ENOSYS);
    assert_int_equal(entry(2)->result, 0x40011);
    assert_int_equal(entry(3)->result, 99);
    assert_false(multicall_running());
}

static void multicall_refuses_itself(void **state)
{
    struct cpu_regs regs = {.rip = RIP};

    (void)state;
    *entry(0) = (struct multicall_entry){.op = __HYPERVISOR_multicall, .args = {GUEST_BASE, 1}};
    assert_int_equal(multicall(&regs, 1), 0);
    assert_int_equal(entry(0)->result, -EINVAL);
}

static void iret_ends_a_multicall(void **state)
{
    struct cpu_regs regs = {.rip = RIP, .rsp = GUEST_BASE + 4096};
    const uint64_t frame[9] = {7, 2, 3, 0, 0x5000, 0xe033, 0x202, 0x6000, 0xe02b};

    (void)state;
    guest.user_l4_mfn = 5;
    memcpy(at(regs.rsp), frame, sizeof frame);
    *entry(0) = (struct multicall_entry){.op = __HYPERVISOR_xen_version};
    *entry(1) = (struct multicall_entry){.op = __HYPERVISOR_iret, .result = 99};
    *entry(2) = (struct multicall_entry){.op = __HYPERVISOR_xen_version, .result = 99};
    assert_int_equal(multicall(&regs, 3), 7);
    assert_int_equal(entry(0)->result, 0x40011);
    assert_int_equal(entry(1)->result, 99);
    assert_int_equal(entry(2)->result, 99);
    assert_int_equal(regs.rip, 0x5000);
    assert_true(guest.in_user);
    assert_false(multicall_running());
}

static void multicall_continues_inside_an_entry(void **state)
{
    struct cpu_regs regs = {.rip = RIP};

    (void)state;
    *entry(0) = (struct multicall_entry){.op = __HYPERVISOR_xen_version};
    *entry(1) = (struct multicall_entry){.op = __HYPERVISOR_mmu_update, .args = {1, 2, 3, 4, 5, 6}};
    *entry(2) = (struct multicall_entry){.op = __HYPERVISOR_xen_version};
    entry(1)->result = 77;
    fake.continuations = 2;
    assert_int_equal(multicall(&regs, 3), __HYPERVISOR_multicall);
    assert_int_equal(regs.rip, RIP - 2);
    assert_int_equal(regs.rdi, GUEST_BASE + sizeof(struct multicall_entry));
    assert_int_equal(regs.rsi, 2);
    assert_int_equal(entry(1)->args[1], 3);
    assert_int_equal(entry(1)->args[5], 6);
    assert_int_equal(entry(1)->result, 77); /* not before it is done */

    regs.rip = RIP;
    pv_guest_syscall(&regs); /* what the SYSCALL does again */
    assert_int_equal(regs.rip, RIP - 2);
    regs.rip = RIP;
    pv_guest_syscall(&regs);
    assert_int_equal(regs.rax, 0);
    assert_int_equal(fake.last.a[1], 4);
    assert_int_equal(entry(1)->result, 0);
    assert_int_equal(entry(2)->result, 0x40011);
    assert_int_equal(fake.calls, 3);
}

static void multicall_yields_between_entries(void **state)
{
    struct cpu_regs regs = {.rip = RIP};

    (void)state;
    for (unsigned int i = 0; i < 40; i++)
        *entry(i) = (struct multicall_entry){.op = __HYPERVISOR_mmu_update};
    fake.preempt_at = 1;
    assert_int_equal(multicall(&regs, 40), __HYPERVISOR_multicall);
    assert_true(fake.calls > 0 && fake.calls < 40);
    assert_int_equal(regs.rsi, 40 - fake.calls);
    regs.rip = RIP;
    pv_guest_syscall(&regs);
    assert_int_equal(regs.rax, 0);
    assert_int_equal(fake.calls, 40);
}

static void multicall_faults_are_efault(void **state)
{
    struct cpu_regs regs = {.rip = RIP};

    (void)state;
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_multicall, 0, 1, 0), -EFAULT);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_multicall, GUEST_END - 8, 1, 0), -EFAULT);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_multicall, 0, 0, 0), 0);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_multicall, 0, 0xffffffff00000000, 0), 0);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_multicall, 0, 0xffffffff, 0), -EFAULT);
    /* The next call is not taken for an inner one. */
    assert_false(multicall_running());
}

/* ---- questions ---- */

static long version(uint32_t command, uint64_t buffer)
{
    struct cpu_regs regs = {.rip = RIP};

    return syscall_with(&regs, __HYPERVISOR_xen_version, command, buffer, 0);
}

static void xen_version_answers(void **state)
{
    struct xen_feature_info *features = at(GUEST_BASE);

    (void)state;
    assert_int_equal(version(XENVER_version, 0), 0x40011);
    assert_int_equal(version(XENVER_pagesize, 0), 4096);
    memset(fake.memory, 0xff, 2048);
    assert_int_equal(version(XENVER_capabilities, GUEST_BASE), 0);
    assert_string_equal(at(GUEST_BASE), "xen-3.0-x86_64 ");
    assert_int_equal(fake.memory[1023], 0);
    assert_int_equal(fake.memory[1024], 0xff);
    memset(fake.memory, 0xff, 2048);
    assert_int_equal(version(XENVER_extraversion, GUEST_BASE), 0);
    assert_int_equal(fake.memory[15], 0);
    assert_int_equal(fake.memory[16], 0xff);
    assert_int_equal(version(XENVER_platform_parameters, GUEST_BASE), 0);
    assert_true(word(GUEST_BASE) == 0xffff800000000000);
    *features = (struct xen_feature_info){0, 0};
    assert_int_equal(version(XENVER_get_features, GUEST_BASE), 0);
    assert_int_equal(features->submap, 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 11 | 1u << 17);
    features->submap_idx = 1;
    assert_int_equal(version(XENVER_get_features, GUEST_BASE), -EINVAL);
    assert_int_equal(version(99, GUEST_BASE), -ENOSYS);
    for (uint32_t command = XENVER_extraversion; command <= XENVER_commandline; command++) {
        if (command != XENVER_pagesize) {
            assert_int_equal(version(command, 0), -EFAULT);
            assert_int_equal(version(command, GUEST_END - 1), -EFAULT);
        }
    }
}

static long memory_op(uint64_t command, uint64_t argument)
{
    struct cpu_regs regs = {.rip = RIP};

    return syscall_with(&regs, __HYPERVISOR_memory_op, command, argument, 0);
}

static void machine_memory_map_shows_ours_as_ram(void **state)
{
    struct xen_memory_map *map = at(GUEST_BASE);
    struct e820_entry *list = at(GUEST_BASE + 64);

    (void)state;
    memory_ranges[0] =
        (struct memory_range){0x1000, 0x9e000, MEMORY_USABLE}; /* frame 0 is nobody's, but RAM */
    memory_ranges[1] = (struct memory_range){0x100000, 0x1000, MEMORY_LOADER};
    memory_ranges[2] = (struct memory_range){0x101000, 0x1000, MEMORY_USABLE};
    memory_ranges[3] = (struct memory_range){0x102000, 0x1000, MEMORY_NVS};
    memory_ranges[4] = (struct memory_range){0x103000, 0x1000, MEMORY_RUNTIME};
    memory_ranges[5] = (struct memory_range){0x104000, 0x1000, MEMORY_MMIO};
    memory_range_count = 6;
    *map = (struct xen_memory_map){4, GUEST_BASE + 64};
    assert_int_equal(memory_op(XENMEM_machine_memory_map, GUEST_BASE), 0);
    assert_int_equal(map->nr_entries, 4);
    assert_int_equal(list[0].addr, 0);
    assert_int_equal(list[0].size, 0x9f000);
    assert_int_equal(list[1].addr, 0x100000);
    assert_int_equal(list[1].size, 0x2000);
    assert_int_equal(list[1].type, E820_RAM);
    assert_int_equal(list[2].type, E820_NVS);
    assert_int_equal(list[3].size, 0x2000);
    assert_int_equal(list[3].type, E820_RESERVED);
    map->nr_entries = 3;
    assert_int_equal(memory_op(XENMEM_machine_memory_map, GUEST_BASE), -EINVAL);
    *map = (struct xen_memory_map){4, GUEST_END - 70};
    assert_int_equal(memory_op(XENMEM_machine_memory_map, GUEST_BASE), -EFAULT);
    assert_int_equal(memory_op(XENMEM_machine_memory_map, 0), -EFAULT);
}

static void memory_sizes(void **state)
{
    struct xen_machphys_mapping *mapping = at(GUEST_BASE);

    (void)state;
    assert_int_equal(memory_op(XENMEM_maximum_ram_page, 0), 0x20001);
    assert_int_equal(memory_op(XENMEM_machphys_mapping, GUEST_BASE), 0);
    assert_int_equal(mapping->max_mfn, 0x20000);
    assert_true(mapping->v_start == 0xffff800000000000 && mapping->v_end == 0xffff800000101000);
    *(domid_t *)at(GUEST_BASE) = DOMID_SELF;
    assert_int_equal(memory_op(XENMEM_maximum_reservation, GUEST_BASE), 1000);
    guest.pages_now = 900;
    assert_int_equal(memory_op(XENMEM_current_reservation, GUEST_BASE), 900);
    *(domid_t *)at(GUEST_BASE) = 1;
    assert_int_equal(memory_op(XENMEM_current_reservation, GUEST_BASE), -ESRCH);
    assert_int_equal(memory_op(XENMEM_current_reservation, 0), -EFAULT);
    assert_int_equal(memory_op(XENMEM_increase_reservation, GUEST_BASE), -ENOSYS);
    assert_int_equal(memory_op(XENMEM_get_pod_target, GUEST_BASE), -ENOSYS);
    assert_int_equal(memory_op(XENMEM_maximum_ram_page | 1u << 6, 0), -ENOSYS);
}

/* The bits above the command are where a preempted call goes on. */
static void memory_calls_go_on(void **state)
{
    (void)state;
    assert_int_equal(memory_op(XENMEM_decrease_reservation | 5u << 6, GUEST_BASE), 1005);
    assert_int_equal(memory_op(XENMEM_populate_physmap, GUEST_BASE), 2000);
    assert_int_equal(memory_op(XENMEM_exchange, 77), 77);
    assert_int_equal(memory_op(XENMEM_exchange | 1u << 6, 77), -ENOSYS);
}

static void reserved_memory_is_that_of_all_devices(void **state)
{
    struct xen_reserved_device_memory_map *map = at(GUEST_BASE);
    struct xen_reserved_device_memory *entries = at(GUEST_BASE + 64);

    (void)state;
    *map = (struct xen_reserved_device_memory_map){XENMEM_RDM_ALL, 2, GUEST_BASE + 64, 0, 0, 0};
    assert_int_equal(memory_op(XENMEM_reserved_device_memory_map, GUEST_BASE), 0);
    assert_int_equal(map->nr_entries, 0); /* nothing is reserved on a bus without an IOMMU */
    guest.iommu_on = true;
    map->nr_entries = 2;
    map->flags = 0;
    assert_int_equal(memory_op(XENMEM_reserved_device_memory_map, GUEST_BASE), 0);
    assert_int_equal(map->nr_entries, 2);
    assert_true(entries[0].start_pfn == 0x70 && entries[0].nr_pages == 2);
    assert_true(entries[1].start_pfn == 0x80 && entries[1].nr_pages == 5);
    entries[1].start_pfn = 1;
    map->nr_entries = 1;
    assert_int_equal(memory_op(XENMEM_reserved_device_memory_map, GUEST_BASE), -ENOBUFS);
    assert_int_equal(map->nr_entries, 2);
    assert_int_equal(entries[1].start_pfn, 1);
    map->buffer = 0;
    assert_int_equal(memory_op(XENMEM_reserved_device_memory_map, GUEST_BASE), -EFAULT);
    assert_int_equal(memory_op(XENMEM_reserved_device_memory_map, 0), -EFAULT);
    map->flags = 2;
    assert_int_equal(memory_op(XENMEM_reserved_device_memory_map, GUEST_BASE), -EINVAL);
}

static void console_takes_chunks_and_yields(void **state)
{
    struct cpu_regs regs = {.rip = RIP};

    (void)state;
    memset(fake.memory, 'x', 1000);
    fake.preempt_at = 2;
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_console_io, CONSOLEIO_write, 1000, GUEST_BASE),
                     __HYPERVISOR_console_io);
    assert_int_equal(regs.rip, RIP - 2);
    assert_int_equal(regs.rsi + fake.console_length, 1000);
    assert_int_equal(regs.rdx, GUEST_BASE + fake.console_length);
    regs.rip = RIP;
    pv_guest_syscall(&regs);
    assert_int_equal(regs.rax, 0);
    assert_int_equal(fake.console_length, 1000);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_console_io, CONSOLEIO_write, 1, 0), -EFAULT);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_console_io, CONSOLEIO_write, 0, 0), 0);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_console_io, CONSOLEIO_write, 0x80000000, GUEST_BASE),
                     -EINVAL);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_console_io, CONSOLEIO_read, 10, GUEST_BASE), 0);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_console_io, 7, 10, GUEST_BASE), -ENOSYS);
}

#define TEST(function) cmocka_unit_test_setup(function, fresh)

int main(void)
{
    const struct CMUnitTest calls[] = {
        TEST(unknown_slots_are_enosys),
        TEST(arguments_and_results_pass_whole),
        TEST(a_continuation_leaves_rip_on_the_syscall),
        TEST(multicall_writes_each_result),
        TEST(multicall_refuses_itself),
        TEST(iret_ends_a_multicall),
        TEST(multicall_continues_inside_an_entry),
        TEST(multicall_yields_between_entries),
        TEST(multicall_faults_are_efault),
        TEST(xen_version_answers),
        TEST(machine_memory_map_shows_ours_as_ram),
        TEST(memory_sizes),
        TEST(memory_calls_go_on),
        TEST(reserved_memory_is_that_of_all_devices),
        TEST(console_takes_chunks_and_yields),
    };
    int failed = cmocka_run_group_tests(calls, NULL, NULL);

    return failed + run_trap_tests() + run_event_tests() + run_pirq_tests();
}

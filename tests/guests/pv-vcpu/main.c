/* SPDX-License-Identifier: MIT */
/*
 * Rule: there is one virtual CPU, which is up; others are not there. Its vcpu_info moves once, into a page of
 * the guest's that never becomes a page table, and everything is there from then on. Copies of the runstate
 * and of the clock are kept where the guest wants them and can write. Taking the only CPU down switches the
 * guest off.
 *
 * From: guest-abi/events.md, "The virtual CPU"; the x86-64 PV contract.
 *
 * Method: each command with each error it has; then vcpu_info is moved and used.
 *
 * Errors: -EFAULT, -EINVAL, -ENOENT, -EEXIST, -ENOSYS.
 *
 * run: default options="premap=off"
 * run: down cmdline="down" status="0" says="^sluice: the guest took its only virtual CPU down"
 */
#include "common/rule.h"
#include "common/tables.h"
#include "kit/time.h"

static uint8_t *read_only;

static void other_virtual_cpus_are_not_there(void)
{
    for (uint32_t command = 0; command < 20; command++)
        EXPECT(vcpu_op(command, 1, NULL) == -ENOENT && vcpu_op(command, UINT32_MAX, NULL) == -ENOENT,
               "command %u finds another virtual CPU", command);
}

static void the_only_one_is_up(void)
{
    EXPECT_RETURN(vcpu_op(VCPUOP_is_up, 0, NULL), 1);
    EXPECT_RETURN(vcpu_op(VCPUOP_up, 0, NULL), 0);
    EXPECT_RETURN(vcpu_op(VCPUOP_initialise, 0, NULL), -EEXIST);
    EXPECT_RETURN(vcpu_op(VCPUOP_send_nmi, 0, NULL), -ENOSYS);
    EXPECT_RETURN(vcpu_op(VCPUOP_get_physid, 0, NULL), -ENOSYS);
    EXPECT_RETURN(vcpu_op(14, 0, NULL), -ENOSYS);
}

static void runstate(void)
{
    static struct vcpu_runstate_info copy = {.state = 99};
    struct vcpu_runstate_info info;
    EXPECT_RETURN(vcpu_op(VCPUOP_get_runstate_info, 0, &info), 0);
    EXPECT(info.state == RUNSTATE_running && info.state_entry_time <= system_time_ns() &&
               info.time[RUNSTATE_running] != 0 && info.time[RUNSTATE_offline] == 0,
           "state %d since %lu", info.state, info.state_entry_time);
    EXPECT_RETURN(vcpu_op(VCPUOP_get_runstate_info, 0, NULL), -EFAULT);
    EXPECT_RETURN(vcpu_op(VCPUOP_get_runstate_info, 0, read_only), -EFAULT);

    struct vcpu_register_memory_area area = {hypercall_pointer(&copy)};
    EXPECT_RETURN(vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area), 0);
    EXPECT(copy.state == RUNSTATE_running && copy.state_entry_time <= system_time_ns(), "state %d",
           copy.state);
    const uint64_t bad[] = {0, hypercall_pointer(read_only), HYPERVISOR_VIRT_START, 1ul << 47,
                            UINT64_MAX - 8};
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        area.address = bad[i];
        EXPECT(vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area) == -EFAULT, "a runstate at 0x%lx",
               bad[i]);
    }
    EXPECT_RETURN(vcpu_op(VCPUOP_register_runstate_memory_area, 0, NULL), -EFAULT);
}

static void copy_of_the_clock(void)
{
    static struct vcpu_time_info copy;
    struct vcpu_register_memory_area area = {hypercall_pointer(&copy)};
    EXPECT_RETURN(vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &area), 0);
    EXPECT(memcmp(&copy, &vcpu_info->time, sizeof(copy)) == 0, "the copy tells another time");
    area.address = hypercall_pointer(read_only);
    EXPECT_RETURN(vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &area), -EFAULT);
    area.address = 0;
    EXPECT_RETURN(vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, &area), 0);
    EXPECT_RETURN(vcpu_op(VCPUOP_register_vcpu_time_memory_area, 0, NULL), -EFAULT);
}

static long move(uint64_t mfn, uint32_t offset)
{
    struct vcpu_register_vcpu_info request = {.mfn = mfn, .offset = offset};
    return vcpu_op(VCPUOP_register_vcpu_info, 0, &request);
}

static void places_that_will_not_do(uint64_t mfn)
{
    EXPECT_RETURN(vcpu_op(VCPUOP_register_vcpu_info, 0, NULL), -EFAULT);
    EXPECT_RETURN(move(mfn, PAGE_SIZE - sizeof(struct vcpu_info) + 8), -EINVAL);
    EXPECT_RETURN(move(mfn, UINT32_MAX - 7), -EINVAL);
    EXPECT_RETURN(move(mfn, 4), -EINVAL);
    EXPECT_RETURN(move(page_table_mfn(), 0), -EINVAL);
    struct table table;
    table_begin(&table);
    table_seal(&table);
    EXPECT_RETURN(set_gdt(&table.mfn, 1), 0);
    EXPECT_RETURN(move(table.mfn, 0), -EINVAL);
    EXPECT_RETURN(set_gdt(NULL, 0), 0);
    EXPECT_RETURN(move(start_info->shared_info >> PAGE_SHIFT, 0), -EINVAL);
    EXPECT_RETURN(move(highest_mfn() + 1, 0), -EINVAL);
    EXPECT_RETURN(move(UINT64_MAX, 0), -EINVAL);
}

/* A page of zeros that is mapped nowhere else, as those at the beginning of memory may be. */
static void *lonely_page(uint64_t *mfn)
{
    *mfn = pfn_to_mfn(frame_take_from_end());
    void *page = map_frame(*mfn, MAP_RAM);
    EXPECT(page != NULL, "no page: %ld", window_error);
    return memset(page, 0, PAGE_SIZE);
}

/* The hypervisor writes there for ever, mapped or not. Another page will do. */
static void its_page_is_no_page_table(uint64_t mfn)
{
    uint64_t other;
    unmap_frames(lonely_page(&other), 1);
    EXPECT_RETURN(mmuext(MMUEXT_PIN_L1_TABLE, other, 0), 0);
    EXPECT_RETURN(mmuext(MMUEXT_UNPIN_TABLE, other, 0), 0);

    void *page = (void *)((uint64_t)(uintptr_t)vcpu_info & ~(PAGE_SIZE - 1));
    vcpu_info = &shared_info->vcpu_info[0];
    unmap_frames(page, 1);
    EXPECT_RETURN(mmuext(MMUEXT_PIN_L1_TABLE, mfn, 0), -EBUSY);
}

static void vcpu_info_moves(void)
{
    uint64_t mfn;
    uint8_t *page = lonely_page(&mfn);
    places_that_will_not_do(mfn);

    struct vcpu_info *old = vcpu_info, *moved = (struct vcpu_info *)(page + PAGE_SIZE - sizeof(*moved));
    old->arch.cr2 = 0x1234;
    EXPECT_RETURN(move(mfn, PAGE_SIZE - sizeof(*moved)), 0);
    EXPECT(memcmp(moved, old, sizeof(*old)) == 0, "it is not what it was");
    EXPECT_RETURN(move(mfn, PAGE_SIZE - sizeof(*moved)), -EINVAL);
    EXPECT_RETURN(move(mfn, 0), -EINVAL);
    vcpu_info = moved;

    /* The address of a fault, events and what lets them in: all there. */
    struct trap_result fault;
    EXPECT(!trap_read_works((void *)0x18, &fault) && fault.address == 0x18, "CR2 is 0x%lx", fault.address);
    EXPECT(old->arch.cr2 == 0x1234, "the old place was written");
    EXPECT_RETURN(events_init(), 0);
    struct evtchn_bind_ipi request = {0};
    EXPECT_RETURN(event_channel_op(EVTCHNOP_bind_ipi, &request), 0);
    old->evtchn_upcall_mask = 0;
    EXPECT_RETURN(event_channel_op(EVTCHNOP_send, &(struct evtchn_port_op){request.port}), 0);
    EXPECT(event_count(request.port) == 0 && moved->evtchn_upcall_pending, "the old mask counts");
    events_allow();
    EXPECT(event_count(request.port) == 1 && !old->evtchn_upcall_pending, "%u events",
           event_count(request.port));
    its_page_is_no_page_table(mfn);
}

/* A guest may take the page back from itself; the hypervisor must not mind. */
static void copies_may_become_unwritable(void)
{
    uint64_t pfn;
    struct vcpu_register_memory_area area = {hypercall_pointer(page_alloc(&pfn))};
    EXPECT_RETURN(vcpu_op(VCPUOP_register_runstate_memory_area, 0, &area), 0);
    unmap_frames((void *)area.address, 1);
    struct sched_poll sleep = {.timeout = system_time_ns() + 1000000};
    EXPECT_RETURN(sched_op(SCHEDOP_poll, &sleep), 0);
}

void guest_main(void)
{
    if (strstr(start_info->cmd_line, "down")) {
        vcpu_op(VCPUOP_down, 0, NULL);
        report_failure("the only virtual CPU is down and runs on");
    }
    uint64_t pfn;
    EXPECT(page_alloc(&pfn) != NULL, "no page");
    read_only = map_frame(pfn_to_mfn(pfn), MAP_RAM_READ);
    EXPECT(read_only != NULL, "no view of a page: %ld", window_error);
    other_virtual_cpus_are_not_there();
    the_only_one_is_up();
    runstate();
    copy_of_the_clock();
    vcpu_info_moves();
    copies_may_become_unwritable();
    report_success("the virtual CPU is where it was put");
}

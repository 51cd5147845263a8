/* SPDX-License-Identifier: MIT */
/* Event channels, virtual timers, clocks and the console's input, by hypercalls. */
#include "fakes.h"

#include "guest-abi/include/sluice/vcpu.h"
#include "mem/frame.h"
#include "pv/clock.h"
#include "pv/event.h"
#include "pv/runstate.h"

#include <string.h>

#define OTHER_DOMAIN 7

static struct cpu_regs regs;

static long event_op(uint32_t command, uint64_t argument)
{
    return syscall_with(&regs, __HYPERVISOR_event_channel_op, command, argument, 0);
}

static long port_op(uint32_t command, uint32_t port)
{
    *(struct evtchn_port_op *)at(GUEST_BASE) = (struct evtchn_port_op){port};
    return event_op(command, GUEST_BASE);
}

static long vcpu_op(uint32_t command, uint64_t argument)
{
    return syscall_with(&regs, __HYPERVISOR_vcpu_op, command, 0, argument);
}

/* No port is open, and events are let in. */
static int no_ports(void **state)
{
    fresh(state);
    regs = (struct cpu_regs){.rip = GUEST_BASE};
    *(struct evtchn_reset *)at(GUEST_BASE) = (struct evtchn_reset){DOMID_SELF};
    return (int)event_op(EVTCHNOP_reset, GUEST_BASE);
}

static uint32_t bind_virq(uint32_t virq)
{
    struct evtchn_bind_virq *request = at(GUEST_BASE);

    *request = (struct evtchn_bind_virq){.virq = virq};
    assert_int_equal(event_op(EVTCHNOP_bind_virq, GUEST_BASE), 0);
    return request->port;
}

static uint32_t bind_ipi(void)
{
    struct evtchn_bind_ipi *request = at(GUEST_BASE);

    *request = (struct evtchn_bind_ipi){0};
    assert_int_equal(event_op(EVTCHNOP_bind_ipi, GUEST_BASE), 0);
    return request->port;
}

static uint32_t alloc_unbound(domid_t remote)
{
    struct evtchn_alloc_unbound *request = at(GUEST_BASE);

    *request = (struct evtchn_alloc_unbound){.dom = DOMID_SELF, .remote_dom = remote};
    assert_int_equal(event_op(EVTCHNOP_alloc_unbound, GUEST_BASE), 0);
    return request->port;
}

static long bind_interdomain(uint32_t remote, uint32_t *local)
{
    struct evtchn_bind_interdomain *request = at(GUEST_BASE);

    *request = (struct evtchn_bind_interdomain){.remote_dom = DOMID_SELF, .remote_port = remote};
    long result = event_op(EVTCHNOP_bind_interdomain, GUEST_BASE);
    *local = request->local_port;
    return result;
}

static struct evtchn_status status_of(uint32_t port)
{
    struct evtchn_status *request = at(GUEST_BASE);

    *request = (struct evtchn_status){.dom = 0, .port = port};
    assert_int_equal(event_op(EVTCHNOP_status, GUEST_BASE), 0);
    return *request;
}

/* ---- the bits ---- */

static void an_event_sets_all_three_levels(void **state)
{
    (void)state;
    for (uint32_t i = 1; i < 100; i++)
        bind_ipi();
    assert_int_equal(port_op(EVTCHNOP_send, 70), 0);
    assert_int_equal(guest.shared->evtchn_pending[1], 1ull << 6);
    assert_int_equal(guest.vcpu->evtchn_pending_sel, 2);
    assert_int_equal(guest.vcpu->evtchn_upcall_pending, 1);
    assert_true(event_pending(70));
    assert_false(event_pending(69));
}

static void a_masked_event_waits_for_unmask(void **state)
{
    uint32_t port = bind_ipi();

    (void)state;
    guest.shared->evtchn_mask[0] = 1ull << port;
    assert_int_equal(port_op(EVTCHNOP_send, port), 0);
    assert_true(event_pending(port));
    assert_int_equal(guest.vcpu->evtchn_pending_sel, 0);
    assert_int_equal(guest.vcpu->evtchn_upcall_pending, 0);
    assert_int_equal(port_op(EVTCHNOP_unmask, port), 0);
    assert_int_equal(guest.shared->evtchn_mask[0], 0);
    assert_int_equal(guest.vcpu->evtchn_pending_sel, 1);
    assert_int_equal(guest.vcpu->evtchn_upcall_pending, 1);
}

static void unmask_raises_only_what_was_masked_and_pending(void **state)
{
    uint32_t port = bind_ipi();

    (void)state;
    guest.shared->evtchn_mask[0] = 1ull << port;
    assert_int_equal(port_op(EVTCHNOP_unmask, port), 0);
    assert_int_equal(guest.vcpu->evtchn_upcall_pending, 0);
    guest.shared->evtchn_pending[0] = 1ull << port;
    assert_int_equal(port_op(EVTCHNOP_unmask, port), 0); /* it was not masked */
    assert_int_equal(guest.vcpu->evtchn_upcall_pending, 0);
}

static void an_event_is_told_once(void **state)
{
    uint32_t port = bind_ipi();

    (void)state;
    assert_int_equal(port_op(EVTCHNOP_send, port), 0);
    guest.vcpu->evtchn_upcall_pending = 0;
    guest.vcpu->evtchn_pending_sel = 0;
    assert_int_equal(port_op(EVTCHNOP_send, port), 0); /* still pending */
    assert_int_equal(guest.vcpu->evtchn_upcall_pending, 0);
    guest.shared->evtchn_pending[0] = 0;
    guest.vcpu->evtchn_pending_sel = 1; /* the guest is looking at that word right now */
    assert_int_equal(port_op(EVTCHNOP_send, port), 0);
    assert_int_equal(guest.vcpu->evtchn_upcall_pending, 0);
}

/* ---- ports ---- */

static void both_ends_of_a_channel(void **state)
{
    uint32_t far = alloc_unbound(DOMID_SELF), near = 0;

    (void)state;
    assert_int_equal(status_of(far).status, EVTCHNSTAT_unbound);
    assert_int_equal(port_op(EVTCHNOP_send, far), 0); /* nobody listens */
    assert_false(event_pending(far));
    assert_int_equal(bind_interdomain(far, &near), 0);
    assert_int_not_equal(near, far);
    assert_true(event_pending(near)); /* the lost one may have been meant for it */
    assert_int_equal(status_of(near).u.interdomain.port, far);
    assert_int_equal(status_of(far).u.interdomain.port, near);
    assert_int_equal(port_op(EVTCHNOP_send, near), 0);
    assert_true(event_pending(far));

    uint32_t third;
    assert_int_equal(bind_interdomain(far, &third), -EINVAL); /* taken */
    assert_int_equal(port_op(EVTCHNOP_close, near), 0);
    assert_false(event_pending(near));
    assert_int_equal(status_of(near).status, EVTCHNSTAT_closed);
    assert_int_equal(status_of(far).status, EVTCHNSTAT_unbound);
    assert_int_equal(port_op(EVTCHNOP_send, near), -EINVAL);
    assert_int_equal(bind_interdomain(far, &near), 0);
}

static void what_waits_for_another_domain_is_not_ours_to_bind(void **state)
{
    uint32_t port = alloc_unbound(OTHER_DOMAIN), local;

    (void)state;
    assert_int_equal(status_of(port).u.unbound.dom, OTHER_DOMAIN);
    assert_int_equal(bind_interdomain(port, &local), -EINVAL);
}

static void ports_run_out_and_come_back(void **state)
{
    struct evtchn_bind_ipi *request = at(GUEST_BASE);
    uint32_t count = 0;

    (void)state;
    for (;; count++) {
        *request = (struct evtchn_bind_ipi){0};
        long result = event_op(EVTCHNOP_bind_ipi, GUEST_BASE);
        if (result != 0) {
            assert_int_equal(result, -ENOSPC);
            break;
        }
        assert_in_range(request->port, 1, EVTCHN_2L_NR_CHANNELS - 1);
    }
    assert_int_equal(count, EVTCHN_2L_NR_CHANNELS - 1);
    assert_int_equal(port_op(EVTCHNOP_close, 4095), 0);
    assert_int_equal(bind_ipi(), 4095);

    /* A reset goes on where it was. */
    *(struct evtchn_reset *)at(GUEST_BASE) = (struct evtchn_reset){0};
    uint64_t rip = regs.rip;
    fake.preempt_at = fake.preemption_points + 1;
    assert_int_equal(event_op(EVTCHNOP_reset, GUEST_BASE), __HYPERVISOR_event_channel_op);
    assert_int_equal(regs.rip, rip - 2);
    assert_int_equal(status_of(64).status, EVTCHNSTAT_closed);
    assert_int_equal(status_of(65).status, EVTCHNSTAT_ipi);
    *(struct evtchn_reset *)at(GUEST_BASE) = (struct evtchn_reset){0};
    assert_int_equal(event_op(EVTCHNOP_reset, GUEST_BASE), 0);
    for (uint32_t port = 0; port < EVTCHN_2L_NR_CHANNELS; port += 13)
        assert_int_equal(status_of(port).status, EVTCHNSTAT_closed);
}

static void a_port_that_cannot_be_told_is_closed_again(void **state)
{
    const uint32_t commands[] = {EVTCHNOP_bind_ipi, EVTCHNOP_bind_virq, EVTCHNOP_alloc_unbound};
    const size_t sizes[] = {sizeof(struct evtchn_bind_ipi), sizeof(struct evtchn_bind_virq),
                            sizeof(struct evtchn_alloc_unbound)};

    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        uint64_t argument = GUEST_END - sizes[i];

        memset(at(argument), 0, sizes[i]);
        fake.read_only_from = GUEST_END - 4;
        assert_int_equal(event_op(commands[i], argument), -EFAULT);
        fake.read_only_from = 0;
        assert_int_equal(status_of(1).status, EVTCHNSTAT_closed);
        assert_false(event_virq_bound(0));
    }
}

static void virtual_interrupts(void **state)
{
    struct evtchn_bind_virq *request = at(GUEST_BASE);

    (void)state;
    event_raise_virq(VIRQ_TIMER); /* nobody listens */
    assert_int_equal(guest.vcpu->evtchn_upcall_pending, 0);
    uint32_t port = bind_virq(VIRQ_TIMER);
    *request = (struct evtchn_bind_virq){.virq = VIRQ_TIMER};
    assert_int_equal(event_op(EVTCHNOP_bind_virq, GUEST_BASE), -EEXIST);
    assert_int_equal(status_of(port).u.virq, VIRQ_TIMER);
    event_raise_virq(VIRQ_TIMER);
    assert_true(event_pending(port));
    assert_int_equal(fake.preemption_requests, 1);
    assert_int_equal(port_op(EVTCHNOP_send, port), -EINVAL); /* only the hypervisor raises it */
    assert_int_equal(port_op(EVTCHNOP_close, port), 0);
    assert_int_equal(bind_virq(VIRQ_TIMER), port);

    *request = (struct evtchn_bind_virq){.virq = NR_VIRQS};
    assert_int_equal(event_op(EVTCHNOP_bind_virq, GUEST_BASE), -EINVAL);
    *request = (struct evtchn_bind_virq){.virq = VIRQ_CONSOLE, .vcpu = 1};
    assert_int_equal(event_op(EVTCHNOP_bind_virq, GUEST_BASE), -EINVAL);
    *request = (struct evtchn_bind_virq){.virq = VIRQ_DEBUG, .vcpu = 1};
    assert_int_equal(event_op(EVTCHNOP_bind_virq, GUEST_BASE), -ENOENT);
}

static void what_a_guest_writes_into_its_bits_harms_nobody(void **state)
{
    uint32_t port = bind_ipi();

    (void)state;
    memset(guest.shared->evtchn_pending, 0xff, sizeof guest.shared->evtchn_pending);
    memset(guest.shared->evtchn_mask, 0xff, sizeof guest.shared->evtchn_mask);
    guest.vcpu->evtchn_pending_sel = ~0ull;
    for (uint32_t any = 0; any < EVTCHN_2L_NR_CHANNELS; any += 7)
        port_op(EVTCHNOP_unmask, any);
    for (uint32_t bit = 12; bit < 32; bit++) {
        assert_int_equal(port_op(EVTCHNOP_unmask, 1u << bit | port), -EINVAL);
        assert_int_equal(port_op(EVTCHNOP_send, 1u << bit | port), -EINVAL);
        assert_int_equal(port_op(EVTCHNOP_close, 1u << bit | port), -EINVAL);
    }
    assert_int_equal(port_op(EVTCHNOP_close, 0), -EINVAL);
    assert_int_equal(status_of(port).status, EVTCHNSTAT_ipi);
}

/* ---- timers ---- */

static void set_periodic(uint64_t period, long wanted)
{
    *(struct vcpu_set_periodic_timer *)at(GUEST_BASE) = (struct vcpu_set_periodic_timer){period};
    assert_int_equal(vcpu_op(VCPUOP_set_periodic_timer, GUEST_BASE), wanted);
}

static void a_periodic_timer_keeps_its_beat(void **state)
{
    (void)state;
    uint32_t port = bind_virq(VIRQ_TIMER);
    fake.now = 500;
    set_periodic(999999, -EINVAL);
    set_periodic((UINT64_MAX >> 2) + 1, -EINVAL);
    set_periodic(1000000, 0);
    assert_int_equal(run_timers(1000499), 0);
    assert_int_equal(run_timers(1000700), 1);
    assert_true(event_pending(port));
    assert_int_equal(run_timers(2000499), 0);
    assert_int_equal(run_timers(2000500), 1); /* not a period after the late one */
    assert_int_equal(run_timers(9000000), 1); /* those that were missed are one */
    assert_int_equal(run_timers(9999999), 0);
    assert_int_equal(run_timers(10000000), 1);
    assert_int_equal(vcpu_op(VCPUOP_stop_periodic_timer, 0), 0);
    assert_int_equal(run_timers(99000000), 0);
}

static void a_singleshot_timer_fires_once(void **state)
{
    struct vcpu_set_singleshot_timer *request = at(GUEST_BASE);

    (void)state;
    fake.now = 5000;
    *request = (struct vcpu_set_singleshot_timer){.timeout_abs_ns = 6000, .flags = VCPU_SSHOTTMR_future};
    assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, GUEST_BASE), 0);
    assert_int_equal(run_timers(5999), 0);
    assert_int_equal(run_timers(6000), 1);
    assert_int_equal(run_timers(7000), 0);
    *request = (struct vcpu_set_singleshot_timer){.timeout_abs_ns = 6999, .flags = VCPU_SSHOTTMR_future};
    assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, GUEST_BASE), -ETIME);
    assert_int_equal(run_timers(7000), 0);
    *request = (struct vcpu_set_singleshot_timer){.timeout_abs_ns = 6999};
    assert_int_equal(vcpu_op(VCPUOP_set_singleshot_timer, GUEST_BASE), 0);
    assert_int_equal(run_timers(7000), 1);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_set_timer_op, 8000, 0, 0), 0);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_set_timer_op, 0, 0, 0), 0);
    assert_int_equal(run_timers(8000), 0);
}

/* ---- clocks ---- */

static void the_clocks_at_the_first_instruction(void **state)
{
    (void)state;
    fake.rtc = 0x100000005;
    fake.now = 1500000000;
    clock_init();
    assert_int_equal(guest.vcpu->time.version % 2, 0);
    assert_int_equal(guest.vcpu->time.tsc_timestamp, 1000);
    assert_int_equal(guest.vcpu->time.tsc_to_system_mul, 0x80000000);
    assert_int_equal(guest.vcpu->time.tsc_shift, 1);
    assert_int_equal(guest.shared->wc_sec_hi, 1);
    assert_int_equal(guest.shared->wc_sec, 3);
    assert_int_equal(guest.shared->wc_nsec, 500000000);
    fake.rtc = 0;
    clock_init();
    assert_int_equal(guest.shared->wc_sec, 0);
    assert_int_equal(guest.shared->wc_nsec, 0);
}

static void runstate_adds_up(void **state)
{
    struct vcpu_runstate_info *copy = at(GUEST_BASE + 512);
    uint64_t running = runstate_now().time[RUNSTATE_running], blocked = runstate_now().time[RUNSTATE_blocked];
    struct vcpu_register_memory_area *request = at(GUEST_BASE);

    (void)state;
    runstate_enter(RUNSTATE_running); /* from time 0 on */
    running = runstate_now().time[RUNSTATE_running];
    *request = (struct vcpu_register_memory_area){GUEST_BASE + 512};
    assert_int_equal(vcpu_op(VCPUOP_register_runstate_memory_area, GUEST_BASE), 0);
    assert_int_equal(copy->state, RUNSTATE_running);
    fake.now = 100;
    runstate_enter(RUNSTATE_blocked);
    fake.now = 350;
    runstate_enter(RUNSTATE_running);
    assert_int_equal(copy->state, RUNSTATE_running);
    assert_int_equal(copy->state_entry_time, 350);
    assert_int_equal(copy->time[RUNSTATE_running], running + 100);
    assert_int_equal(copy->time[RUNSTATE_blocked], blocked + 250);
    fake.now = 400;
    assert_int_equal(vcpu_op(VCPUOP_get_runstate_info, GUEST_BASE), 0);
    assert_int_equal(((struct vcpu_runstate_info *)at(GUEST_BASE))->time[RUNSTATE_running], running + 150);
    fake.now = 0;
    runstate_enter(RUNSTATE_running);
}

/* ---- vcpu_info ---- */

static long move_vcpu_info(uint64_t mfn, uint32_t offset)
{
    *(struct vcpu_register_vcpu_info *)at(GUEST_BASE) =
        (struct vcpu_register_vcpu_info){.mfn = mfn, .offset = offset};
    return vcpu_op(VCPUOP_register_vcpu_info, GUEST_BASE);
}

static void vcpu_info_moves_once_and_keeps_its_page(void **state)
{
    (void)state;
    guest.vcpu->arch.cr2 = 0x1234;
    assert_int_equal(move_vcpu_info(2, FRAME_SIZE - 63), -EINVAL);
    assert_int_equal(move_vcpu_info(2, 4), -EINVAL);
    assert_int_equal(move_vcpu_info(FAKE_FRAMES, 0), -EINVAL);
    frame_of(3)->owner = FRAME_HYPERVISOR;
    assert_int_equal(move_vcpu_info(3, 0), -EINVAL);
    assert_int_equal(frame_get_type(frame_of(4), FRAME_TYPE_L1), 0);
    assert_int_equal(move_vcpu_info(4, 0), -EINVAL);
    assert_ptr_equal(guest.vcpu, &guest.shared->vcpu_info[0]);

    assert_int_equal(move_vcpu_info(2, FRAME_SIZE - 64), 0);
    assert_ptr_equal(guest.vcpu, at(GUEST_BASE + 3 * FRAME_SIZE - 64));
    assert_int_equal(guest.vcpu->arch.cr2, 0x1234);
    assert_int_equal(frame_get_type(frame_of(2), FRAME_TYPE_L1), -EBUSY);
    uint32_t port = bind_ipi();
    assert_int_equal(port_op(EVTCHNOP_send, port), 0);
    assert_int_equal(guest.vcpu->evtchn_upcall_pending, 1);
    assert_int_equal(guest.shared->vcpu_info[0].evtchn_upcall_pending, 0);
    assert_int_equal(move_vcpu_info(5, 0), -EINVAL); /* once */
}

static void the_only_virtual_cpu(void **state)
{
    (void)state;
    assert_int_equal(vcpu_op(VCPUOP_is_up, 0), 1);
    assert_int_equal(vcpu_op(VCPUOP_initialise, 0), -EEXIST);
    assert_int_equal(vcpu_op(VCPUOP_send_nmi, 0), -ENOSYS);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_vcpu_op, VCPUOP_is_up, 1, 0), -ENOENT);
    assert_true(CRASHES(vcpu_op(VCPUOP_down, 0)));
    assert_int_equal(fake.stop_reason, STOP_GUEST_POWEROFF);
}

/* ---- the console ---- */

static void console_read_gives_what_was_typed(void **state)
{
    (void)state;
    strcpy(fake.typed, "hello");
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_console_io, CONSOLEIO_read, 3, GUEST_BASE), 3);
    assert_memory_equal(at(GUEST_BASE), "hel", 3);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_console_io, CONSOLEIO_read, 1, 0), -EFAULT);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_console_io, CONSOLEIO_read, 3, GUEST_BASE), 2);
    assert_memory_equal(at(GUEST_BASE), "lo", 2);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_console_io, CONSOLEIO_read, 0x80000000, GUEST_BASE),
                     -EINVAL);

    memset(fake.typed, 'x', 300); /* more than there is room for */
    uint32_t port = bind_virq(VIRQ_CONSOLE);
    assert_int_equal(run_timers(fake.now + 10000000), 1);
    assert_true(event_pending(port));
    assert_int_equal(fake.typed[43], 'x');
    assert_int_equal(fake.typed[44], 0);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_console_io, CONSOLEIO_read, 1000, GUEST_BASE), 256);
    assert_int_equal(syscall_with(&regs, __HYPERVISOR_console_io, CONSOLEIO_read, 1000, GUEST_BASE), 44);
    assert_int_equal(port_op(EVTCHNOP_close, port), 0);
    assert_int_equal(run_timers(fake.now + 10000000), 1); /* the last time */
    assert_int_equal(run_timers(fake.now + 10000000), 0);
}

#define TEST(function) cmocka_unit_test_setup(function, no_ports)

int run_event_tests(void)
{
    const struct CMUnitTest events[] = {
        TEST(an_event_sets_all_three_levels),
        TEST(a_masked_event_waits_for_unmask),
        TEST(unmask_raises_only_what_was_masked_and_pending),
        TEST(an_event_is_told_once),
        TEST(both_ends_of_a_channel),
        TEST(what_waits_for_another_domain_is_not_ours_to_bind),
        TEST(ports_run_out_and_come_back),
        TEST(a_port_that_cannot_be_told_is_closed_again),
        TEST(virtual_interrupts),
        TEST(what_a_guest_writes_into_its_bits_harms_nobody),
        TEST(a_periodic_timer_keeps_its_beat),
        TEST(a_singleshot_timer_fires_once),
        TEST(the_clocks_at_the_first_instruction),
        TEST(runstate_adds_up),
        TEST(vcpu_info_moves_once_and_keeps_its_page),
        TEST(the_only_virtual_cpu),
        TEST(console_read_gives_what_was_typed),
    };

    return cmocka_run_group_tests(events, NULL, NULL);
}

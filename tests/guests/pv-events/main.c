/* SPDX-License-Identifier: MIT */
/*
 * Rule: event channels of the 2-level ABI. A port is bound to a virtual interrupt, to the virtual CPU itself
 * or to another port; an event sets its pending bit and, when it is not masked, the word's and the CPU's, and
 * the upcall comes on the way back from whatever the hypervisor was doing, with events masked. What the guest
 * writes into those bits is its own affair.
 *
 * From: guest-abi/events.md; the x86-64 PV contract.
 *
 * Method: each call with each error it has, and with each way it works; then events held, masked, sent by
 * their own handler, and bits full of ones.
 *
 * Errors: -EFAULT, -ESRCH, -EINVAL, -ENOENT, -EEXIST, -ENOSPC, -ENOSYS.
 *
 * run: default
 * run: continued options="continue-every=1"
 */
#include "kit/guest.h"

#define OTHER_DOMAIN 5

static uint8_t *read_only; /* a page that can be read only: all zeros */

static long send(evtchn_port_t port)
{
    return event_channel_op(EVTCHNOP_send, &(struct evtchn_port_op){port});
}

static long unmask(evtchn_port_t port)
{
    return event_channel_op(EVTCHNOP_unmask, &(struct evtchn_port_op){port});
}

static long close_port(evtchn_port_t port)
{
    return event_channel_op(EVTCHNOP_close, &(struct evtchn_port_op){port});
}

static long reset(domid_t domain)
{
    return event_channel_op(EVTCHNOP_reset, &(struct evtchn_reset){domain});
}

static evtchn_port_t bind_ipi(void)
{
    struct evtchn_bind_ipi request = {0};
    EXPECT_RETURN(event_channel_op(EVTCHNOP_bind_ipi, &request), 0);
    EXPECT(request.port >= 1 && request.port < EVTCHN_2L_NR_CHANNELS, "port %u", request.port);
    return request.port;
}

static evtchn_port_t alloc_unbound(domid_t remote)
{
    struct evtchn_alloc_unbound request = {.dom = DOMID_SELF, .remote_dom = remote};
    EXPECT_RETURN(event_channel_op(EVTCHNOP_alloc_unbound, &request), 0);
    return request.port;
}

static long bind_interdomain(domid_t domain, evtchn_port_t remote, evtchn_port_t *local)
{
    struct evtchn_bind_interdomain request = {.remote_dom = domain, .remote_port = remote};
    long result = event_channel_op(EVTCHNOP_bind_interdomain, &request);
    *local = request.local_port;
    return result;
}

static struct evtchn_status status_of(evtchn_port_t port)
{
    struct evtchn_status status = {.dom = DOMID_SELF, .port = port};
    EXPECT_RETURN(event_channel_op(EVTCHNOP_status, &status), 0);
    EXPECT(status.vcpu == 0, "port %u notifies CPU %u", port, status.vcpu);
    return status;
}

static void every_command_reads_its_argument(void)
{
    for (uint32_t command = 0; command < 40; command++) {
        bool offered = command <= EVTCHNOP_reset;
        long result = event_channel_op(command, NULL);
        EXPECT(result == (offered ? -EFAULT : -ENOSYS), "command %u gave %ld", command, result);
    }
}

static void results_need_a_place(void)
{
    const uint32_t commands[] = {EVTCHNOP_bind_ipi, EVTCHNOP_alloc_unbound, EVTCHNOP_bind_virq,
                                 EVTCHNOP_status};
    for (uint32_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        EXPECT(event_channel_op(commands[i], read_only) == -EFAULT, "command %u writes where it must not",
               commands[i]);
    EXPECT(status_of(1).status == EVTCHNSTAT_closed, "a port is left over");
    EXPECT(event_bind_virq(0) == 1, "a virtual interrupt is left over");
    EXPECT_RETURN(close_port(1), 0);
}

static void other_domains_are_unknown(void)
{
    evtchn_port_t local;
    struct evtchn_alloc_unbound unbound = {.dom = OTHER_DOMAIN};
    struct evtchn_status status = {.dom = OTHER_DOMAIN, .port = 1};
    EXPECT_RETURN(event_channel_op(EVTCHNOP_alloc_unbound, &unbound), -ESRCH);
    EXPECT_RETURN(bind_interdomain(OTHER_DOMAIN, 1, &local), -ESRCH);
    EXPECT_RETURN(event_channel_op(EVTCHNOP_status, &status), -ESRCH);
    EXPECT_RETURN(reset(OTHER_DOMAIN), -ESRCH);
    EXPECT_RETURN(reset(0), 0);
}

static void ports_that_are_not_open(void)
{
    const evtchn_port_t ports[] = {0, 1, 4095, 4096, 4097, 0x10001, 0x80000001, UINT32_MAX};
    evtchn_port_t local;
    for (uint32_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        struct evtchn_bind_vcpu vcpu = {.port = ports[i]};
        struct evtchn_status status = {.dom = DOMID_SELF, .port = ports[i]};
        bool exists = ports[i] < EVTCHN_2L_NR_CHANNELS;
        EXPECT(send(ports[i]) == -EINVAL && close_port(ports[i]) == -EINVAL &&
                   event_channel_op(EVTCHNOP_bind_vcpu, &vcpu) == -EINVAL &&
                   bind_interdomain(DOMID_SELF, ports[i], &local) == -EINVAL,
               "port 0x%x is not refused", ports[i]);
        EXPECT_RETURN(unmask(ports[i]), exists ? 0 : -EINVAL);
        EXPECT_RETURN(event_channel_op(EVTCHNOP_status, &status), exists ? 0 : -EINVAL);
    }
}

static void virtual_interrupts(void)
{
    for (uint32_t virq = 0; virq < NR_VIRQS; virq++) {
        long port = event_bind_virq(virq);
        EXPECT(port > 0, "VIRQ %u: %ld", virq, port);
        EXPECT_RETURN(event_bind_virq(virq), -EEXIST);
        struct evtchn_status status = status_of((evtchn_port_t)port);
        EXPECT(status.status == EVTCHNSTAT_virq && status.u.virq == virq, "status %u of VIRQ %u",
               status.status, status.u.virq);
        EXPECT_RETURN(send((evtchn_port_t)port), -EINVAL);
        bool per_vcpu =
            virq == VIRQ_TIMER || virq == VIRQ_DEBUG || virq == VIRQ_XENOPROF || virq == VIRQ_XENPMU;
        struct evtchn_bind_vcpu move = {.port = (evtchn_port_t)port};
        EXPECT_RETURN(event_channel_op(EVTCHNOP_bind_vcpu, &move), per_vcpu ? -EINVAL : 0);
        EXPECT_RETURN(close_port((evtchn_port_t)port), 0);
        struct evtchn_bind_virq elsewhere = {.virq = virq, .vcpu = 1};
        EXPECT_RETURN(event_channel_op(EVTCHNOP_bind_virq, &elsewhere), per_vcpu ? -ENOENT : -EINVAL);
    }
    EXPECT_RETURN(event_bind_virq(NR_VIRQS), -EINVAL);
    EXPECT_RETURN(event_bind_virq(UINT32_MAX), -EINVAL);
}

static void other_virtual_cpus_are_unknown(void)
{
    struct evtchn_bind_ipi ipi = {.vcpu = 1};
    EXPECT_RETURN(event_channel_op(EVTCHNOP_bind_ipi, &ipi), -ENOENT);
    evtchn_port_t port = bind_ipi(), open = alloc_unbound(DOMID_SELF);
    struct evtchn_bind_vcpu move = {.port = open, .vcpu = 1};
    EXPECT_RETURN(event_channel_op(EVTCHNOP_bind_vcpu, &move), -ENOENT);
    move.vcpu = 0;
    EXPECT_RETURN(event_channel_op(EVTCHNOP_bind_vcpu, &move), 0);
    move.port = port;
    EXPECT_RETURN(event_channel_op(EVTCHNOP_bind_vcpu, &move), -EINVAL);
    EXPECT_RETURN(reset(DOMID_SELF), 0);
}

static void two_ends(void)
{
    evtchn_port_t far = alloc_unbound(DOMID_SELF), foreign = alloc_unbound(OTHER_DOMAIN), near, third;
    EXPECT(status_of(foreign).u.unbound.dom == OTHER_DOMAIN, "domain %u", status_of(foreign).u.unbound.dom);
    EXPECT_RETURN(bind_interdomain(DOMID_SELF, foreign, &near), -EINVAL);
    EXPECT_RETURN(send(far), 0); /* nobody listens */
    EXPECT(!event_is_pending(far), "an unbound port became pending");
    EXPECT_RETURN(bind_interdomain(DOMID_SELF, far, &near), 0);
    EXPECT(event_is_pending(near), "what was sent before is lost");
    EXPECT_RETURN(bind_interdomain(0, far, &third), -EINVAL);
    struct evtchn_status status = status_of(near);
    EXPECT(status.status == EVTCHNSTAT_interdomain && status.u.interdomain.port == far, "status %u, port %u",
           status.status, status.u.interdomain.port);
    event_clear(near);
    EXPECT_RETURN(send(near), 0);
    EXPECT(event_is_pending(far) && !event_is_pending(near), "the wrong end is pending");
    EXPECT_RETURN(close_port(far), 0);
    EXPECT(!event_is_pending(far), "a closed port is pending");
    EXPECT(status_of(near).status == EVTCHNSTAT_unbound, "the other end has status %u",
           status_of(near).status);
    EXPECT_RETURN(reset(DOMID_SELF), 0);
}

static void ports_run_out(void)
{
    struct evtchn_alloc_unbound unbound = {.dom = DOMID_SELF};
    struct evtchn_bind_ipi ipi = {0};
    struct evtchn_bind_virq virq = {.virq = VIRQ_DEBUG};
    evtchn_port_t local, first = alloc_unbound(DOMID_SELF);
    for (uint32_t i = 2; i < EVTCHN_2L_NR_CHANNELS; i++)
        bind_ipi();
    EXPECT_RETURN(event_channel_op(EVTCHNOP_bind_ipi, &ipi), -ENOSPC);
    EXPECT_RETURN(event_channel_op(EVTCHNOP_bind_virq, &virq), -ENOSPC);
    EXPECT_RETURN(event_channel_op(EVTCHNOP_alloc_unbound, &unbound), -ENOSPC);
    EXPECT_RETURN(bind_interdomain(DOMID_SELF, first, &local), -ENOSPC);
    EXPECT_RETURN(reset(DOMID_SELF), 0);
    for (evtchn_port_t port = 0; port < EVTCHN_2L_NR_CHANNELS; port++)
        EXPECT(status_of(port).status == EVTCHNSTAT_closed, "port %u survived the reset", port);
}

/* ---- the upcall ---- */

static uint8_t mask_inside;
static uint32_t depth, deepest, again;

static void handler(evtchn_port_t port)
{
    mask_inside = vcpu_info->evtchn_upcall_mask;
    if (++depth > deepest)
        deepest = depth;
    if (again) {
        again--;
        send(port);
    }
    depth--;
}

static void upcalls(void)
{
    evtchn_port_t port = bind_ipi();
    event_set_handler(port, handler);
    EXPECT_RETURN(send(port), 0); /* events are held since boot */
    EXPECT(event_count(port) == 0 && vcpu_info->evtchn_upcall_pending, "held: %u upcalls, pending %u",
           event_count(port), vcpu_info->evtchn_upcall_pending);
    __atomic_store_n(&vcpu_info->evtchn_upcall_mask, 0, __ATOMIC_SEQ_CST);
    EXPECT_RETURN(xen_version(XENVER_version, NULL), 0x40011);
    EXPECT(event_count(port) == 1, "let in: %u upcalls", event_count(port));
    EXPECT(mask_inside == 1 && vcpu_info->evtchn_upcall_mask == 0, "mask %u in the upcall, %u after it",
           mask_inside, vcpu_info->evtchn_upcall_mask);

    EXPECT_RETURN(send(port), 0);
    EXPECT(event_count(port) == 2, "sent: %u upcalls", event_count(port));
    again = 3; /* each sends the next */
    EXPECT_RETURN(send(port), 0);
    EXPECT(event_count(port) == 6 && deepest == 1, "%u upcalls, %u deep", event_count(port), deepest);

    event_mask(port);
    events_hold();
    EXPECT_RETURN(send(port), 0);
    EXPECT(!vcpu_info->evtchn_upcall_pending && !vcpu_info->evtchn_pending_sel,
           "a masked event makes an upcall");
    events_allow();
    EXPECT(event_count(port) == 6 && event_is_pending(port), "masked: %u upcalls", event_count(port));
    EXPECT_RETURN(unmask(port), 0);
    EXPECT(event_count(port) == 7 && !event_is_masked(port), "unmasked: %u upcalls", event_count(port));

    struct evtchn_port_op request = {port};
    struct multicall_entry entries[2];
    for (uint32_t i = 0; i < 2; i++)
        entries[i] = (struct multicall_entry){.op = __HYPERVISOR_event_channel_op,
                                              .args = {EVTCHNOP_send, hypercall_pointer(&request)}};
    EXPECT_RETURN(multicall(entries, 2), 0);
    EXPECT(entries[0].result == 0 && entries[1].result == 0 && event_count(port) > 7, "%ld, %ld, %u upcalls",
           entries[0].result, entries[1].result, event_count(port));
}

static void garbage(void)
{
    evtchn_port_t port = bind_ipi();
    events_hold();
    memset(shared_info->evtchn_pending, 0xff, sizeof(shared_info->evtchn_pending));
    memset(shared_info->evtchn_mask, 0xff, sizeof(shared_info->evtchn_mask));
    vcpu_info->evtchn_pending_sel = UINT64_MAX;
    for (evtchn_port_t any = 0; any < EVTCHN_2L_NR_CHANNELS; any++)
        EXPECT_RETURN(unmask(any), 0);
    vcpu_info->evtchn_upcall_pending = 0xff;
    events_allow();
    EXPECT(event_count(4095) == 1 && event_count(0) == 1, "%u and %u events of bits set by the guest",
           event_count(4095), event_count(0));
    uint32_t before = event_count(port);
    EXPECT_RETURN(send(port), 0);
    EXPECT(event_count(port) == before + 1, "%u events, not one", event_count(port) - before);
}

void guest_main(void)
{
    uint64_t pfn;
    EXPECT(page_alloc(&pfn) != NULL, "no page");
    read_only = map_frame(pfn_to_mfn(pfn), MAP_RAM_READ);
    EXPECT(read_only != NULL, "no view of a page: %ld", window_error);
    EXPECT_RETURN(events_init(), 0);
    every_command_reads_its_argument();
    results_need_a_place();
    other_domains_are_unknown();
    ports_that_are_not_open();
    virtual_interrupts();
    other_virtual_cpus_are_unknown();
    two_ends();
    ports_run_out();
    upcalls();
    garbage();
    report_success("events come where they should");
}

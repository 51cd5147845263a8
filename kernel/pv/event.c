/* SPDX-License-Identifier: MIT */
/*
 * event_channel_op(command, argument): the 2-level ABI for one domain with one virtual CPU.
 *
 * What a port is bound to is ours. Its pending and mask bits are in the shared page, where the guest writes
 * whatever it likes: they decide which of the guest's handlers runs, and nothing here.
 */
#include "pv/event.h"

#include "cpu/trap.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/guest_copy.h"
#include "pv/console.h"
#include "pv/guest.h"
#include "pv/pirq.h"

#include <stddef.h>

#define PORTS         EVTCHN_2L_NR_CHANNELS
#define BITS_PER_WORD 64u

#define CLOSED_PER_PREEMPTION_POINT 64u

struct channel {
    uint8_t state; /* EVTCHNSTAT_* */
    uint8_t virq;
    uint16_t
        remote; /* interdomain: the other end's port; unbound: the domain that may bind; pirq: its number */
};
static struct channel channels[PORTS];
static uint16_t virq_ports[NR_VIRQS]; /* 0 = not bound */

/* ---- the bits ---- */

/* One instruction each, which compilers make a loop of. */
static bool test_and_set(uint64_t *words, uint32_t bit)
{
    bool was;

    __asm__ volatile("lock btsq %2, %1"
                     : "=@ccc"(was), "+m"(words[bit / BITS_PER_WORD])
                     : "r"((uint64_t)bit % BITS_PER_WORD));
    return was;
}

static bool test_and_clear(uint64_t *words, uint32_t bit)
{
    bool was;

    __asm__ volatile("lock btrq %2, %1"
                     : "=@ccc"(was), "+m"(words[bit / BITS_PER_WORD])
                     : "r"((uint64_t)bit % BITS_PER_WORD));
    return was;
}

static bool test(const uint64_t *words, uint32_t bit)
{
    return __atomic_load_n(&words[bit / BITS_PER_WORD], __ATOMIC_RELAXED) >> (bit % BITS_PER_WORD) & 1;
}

static void select_word(uint32_t port)
{
    if (!test_and_set(&guest.vcpu->evtchn_pending_sel, port / BITS_PER_WORD))
        guest.vcpu->evtchn_upcall_pending = 1;
}

static void set_pending(uint32_t port)
{
    if (!test_and_set(guest.shared->evtchn_pending, port) && !test(guest.shared->evtchn_mask, port))
        select_word(port);
}

bool event_pending(uint32_t port)
{
    return test(guest.shared->evtchn_pending, port);
}

/* ---- ports ---- */

static bool is_open(uint32_t port)
{
    return port < PORTS && channels[port].state != EVTCHNSTAT_closed;
}

/* Port 0 is never handed out. 0 when all are taken. */
static uint32_t free_port(void)
{
    for (uint32_t port = 1; port < PORTS; port++) {
        if (channels[port].state == EVTCHNSTAT_closed)
            return port;
    }
    return 0;
}

static void close_port(uint32_t port)
{
    struct channel *channel = &channels[port];

    if (channel->state == EVTCHNSTAT_virq)
        virq_ports[channel->virq] = 0;
    if (channel->state == EVTCHNSTAT_interdomain)
        channels[channel->remote] = (struct channel){.state = EVTCHNSTAT_unbound};
    if (channel->state == EVTCHNSTAT_pirq)
        pirq_unbind(channel->remote);
    *channel = (struct channel){.state = EVTCHNSTAT_closed};
    test_and_clear(guest.shared->evtchn_pending, port);
}

static bool is_self(domid_t domain)
{
    return domain == DOMID_SELF || domain == 0;
}

/* Tells the guest its new port; closes it again when that cannot be done. */
static long put_port(uint64_t address, uint32_t port)
{
    if (put_guest_u32(address, port) == 0)
        return 0;
    close_port(port);
    return -EFAULT;
}

void event_raise(uint32_t port)
{
    set_pending(port);
    cpu_request_preemption();
}

void event_raise_virq(uint32_t virq)
{
    if (virq_ports[virq] != 0)
        event_raise(virq_ports[virq]);
}

bool event_virq_bound(uint32_t virq)
{
    return virq_ports[virq] != 0;
}

/* ---- binding ---- */

static long alloc_unbound(uint64_t argument)
{
    struct evtchn_alloc_unbound request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (!is_self(request.dom))
        return -ESRCH;
    uint32_t port = free_port();
    if (port == 0)
        return -ENOSPC;
    channels[port] = (struct channel){.state = EVTCHNSTAT_unbound,
                                      .remote = request.remote_dom == DOMID_SELF ? 0 : request.remote_dom};
    return put_port(argument + offsetof(struct evtchn_alloc_unbound, port), port);
}

static long bind_interdomain(uint64_t argument)
{
    struct evtchn_bind_interdomain request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (!is_self(request.remote_dom))
        return -ESRCH;
    uint32_t port = free_port(), remote = request.remote_port;
    if (port == 0)
        return -ENOSPC;
    if (!is_open(remote) || channels[remote].state != EVTCHNSTAT_unbound || channels[remote].remote != 0)
        return -EINVAL;
    channels[port] = (struct channel){.state = EVTCHNSTAT_interdomain, .remote = (uint16_t)remote};
    channels[remote] = (struct channel){.state = EVTCHNSTAT_interdomain, .remote = (uint16_t)port};
    long error = put_port(argument + offsetof(struct evtchn_bind_interdomain, local_port), port);
    if (error == 0)
        set_pending(port); /* what was sent to the other end before went nowhere */
    return error;
}

static bool virq_is_per_vcpu(uint32_t virq)
{
    return virq == VIRQ_TIMER || virq == VIRQ_DEBUG || virq == VIRQ_XENOPROF || virq == VIRQ_XENPMU;
}

static long bind_virq(uint64_t argument)
{
    struct evtchn_bind_virq request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (request.virq >= NR_VIRQS || (request.vcpu != 0 && !virq_is_per_vcpu(request.virq)))
        return -EINVAL;
    if (request.vcpu != 0)
        return -ENOENT;
    if (event_virq_bound(request.virq))
        return -EEXIST;
    uint32_t port = free_port();
    if (port == 0)
        return -ENOSPC;
    channels[port] = (struct channel){.state = EVTCHNSTAT_virq, .virq = (uint8_t)request.virq};
    virq_ports[request.virq] = (uint16_t)port;
    long error = put_port(argument + offsetof(struct evtchn_bind_virq, port), port);
    if (error == 0 && request.virq == VIRQ_CONSOLE)
        console_input_start();
    return error;
}

static long bind_ipi(uint64_t argument)
{
    struct evtchn_bind_ipi request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (request.vcpu != 0)
        return -ENOENT;
    uint32_t port = free_port();
    if (port == 0)
        return -ENOSPC;
    channels[port] = (struct channel){.state = EVTCHNSTAT_ipi};
    return put_port(argument + offsetof(struct evtchn_bind_ipi, port), port);
}

static long bind_pirq(uint64_t argument)
{
    struct evtchn_bind_pirq request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (request.flags & ~BIND_PIRQ__WILL_SHARE)
        return -EINVAL;
    uint32_t port = free_port();
    if (port == 0)
        return -ENOSPC;
    int error = pirq_bind(request.pirq, port);
    if (error != 0)
        return error;
    channels[port] = (struct channel){.state = EVTCHNSTAT_pirq, .remote = (uint16_t)request.pirq};
    return put_port(argument + offsetof(struct evtchn_bind_pirq, port), port);
}

/* There is one virtual CPU, so nothing moves; what may not move is refused all the same. */
static long bind_vcpu(uint64_t argument)
{
    struct evtchn_bind_vcpu request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (request.vcpu != 0)
        return -ENOENT;
    if (!is_open(request.port) || channels[request.port].state == EVTCHNSTAT_ipi)
        return -EINVAL;
    if (channels[request.port].state == EVTCHNSTAT_virq && virq_is_per_vcpu(channels[request.port].virq))
        return -EINVAL;
    return 0;
}

/* ---- the rest ---- */

long event_send(uint32_t port)
{
    if (!is_open(port))
        return -EINVAL;
    switch (channels[port].state) {
    case EVTCHNSTAT_interdomain:
        set_pending(channels[port].remote);
        return 0;
    case EVTCHNSTAT_ipi:
        set_pending(port);
        return 0;
    case EVTCHNSTAT_unbound:
        return 0; /* nobody listens */
    default:
        return -EINVAL;
    }
}

static long unmask(uint32_t port)
{
    if (port >= PORTS)
        return -EINVAL;
    if (test_and_clear(guest.shared->evtchn_mask, port) && event_pending(port))
        select_word(port);
    return 0;
}

static long close(uint32_t port)
{
    if (!is_open(port))
        return -EINVAL;
    close_port(port);
    return 0;
}

static long with_port(uint64_t argument, long (*operation)(uint32_t port))
{
    uint32_t port; /* all of struct evtchn_port_op */

    return get_guest_u32(&port, argument) ? -EFAULT : operation(port);
}

static long status(uint64_t argument)
{
    struct evtchn_status request;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (!is_self(request.dom))
        return -ESRCH;
    if (request.port >= PORTS)
        return -EINVAL;
    const struct channel *channel = &channels[request.port];
    request.status = channel->state;
    request.vcpu = 0;
    if (channel->state == EVTCHNSTAT_unbound)
        request.u.unbound.dom = channel->remote;
    if (channel->state == EVTCHNSTAT_virq)
        request.u.virq = channel->virq;
    if (channel->state == EVTCHNSTAT_pirq)
        request.u.pirq = channel->remote;
    if (channel->state == EVTCHNSTAT_interdomain) {
        request.u.interdomain.dom = 0;
        request.u.interdomain.port = channel->remote;
    }
    return copy_to_guest(argument, &request, sizeof request) ? -EFAULT : 0;
}

/* Starts anew when it was preempted: what is closed stays closed and costs next to nothing. */
static long reset(struct cpu_regs *regs, uint64_t argument)
{
    struct evtchn_reset request;
    uint32_t done = 0;

    if (copy_from_guest(&request, argument, sizeof request))
        return -EFAULT;
    if (!is_self(request.dom))
        return -ESRCH;
    for (uint32_t port = 1; port < PORTS; port++) {
        if (!is_open(port))
            continue;
        close_port(port);
        if (++done % CLOSED_PER_PREEMPTION_POINT == 0 && cpu_preemption_point())
            return hypercall_continue(regs, &(struct hypercall_args){{EVTCHNOP_reset, argument}});
    }
    return 0;
}

long do_event_channel_op(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint64_t argument = args->a[1];

    switch ((uint32_t)args->a[0]) {
    case EVTCHNOP_bind_interdomain:
        return bind_interdomain(argument);
    case EVTCHNOP_bind_virq:
        return bind_virq(argument);
    case EVTCHNOP_bind_pirq:
        return bind_pirq(argument);
    case EVTCHNOP_close:
        return with_port(argument, close);
    case EVTCHNOP_send:
        return with_port(argument, event_send);
    case EVTCHNOP_status:
        return status(argument);
    case EVTCHNOP_alloc_unbound:
        return alloc_unbound(argument);
    case EVTCHNOP_bind_ipi:
        return bind_ipi(argument);
    case EVTCHNOP_bind_vcpu:
        return bind_vcpu(argument);
    case EVTCHNOP_unmask:
        return with_port(argument, unmask);
    case EVTCHNOP_reset:
        return reset(regs, argument);
    default:
        return -ENOSYS;
    }
}

/* SPDX-License-Identifier: MIT */
/* event_channel_op(command, argument), the 2-level ABI: numbers, names and layouts of Xen's public contract.
 */
#ifndef SLUICE_EVENT_CHANNEL_H
#define SLUICE_EVENT_CHANNEL_H

#include <stdint.h>

typedef uint32_t evtchn_port_t;

/* One bit for each port in shared_info; port 0 is never handed out. */
#define EVTCHN_2L_NR_CHANNELS 4096u

#define EVTCHNOP_bind_interdomain 0
#define EVTCHNOP_bind_virq        1
#define EVTCHNOP_bind_pirq        2
#define EVTCHNOP_close            3
#define EVTCHNOP_send             4
#define EVTCHNOP_status           5
#define EVTCHNOP_alloc_unbound    6
#define EVTCHNOP_bind_ipi         7
#define EVTCHNOP_bind_vcpu        8
#define EVTCHNOP_unmask           9
#define EVTCHNOP_reset            10
#define EVTCHNOP_init_control     11
#define EVTCHNOP_expand_array     12
#define EVTCHNOP_set_priority     13

/* Virtual interrupts. Those marked V belong to one virtual CPU, the others to the guest. */
#define VIRQ_TIMER      0 /* V */
#define VIRQ_DEBUG      1 /* V */
#define VIRQ_CONSOLE    2
#define VIRQ_DOM_EXC    3
#define VIRQ_TBUF       4
#define VIRQ_DEBUGGER   6
#define VIRQ_XENOPROF   7 /* V */
#define VIRQ_CON_RING   8
#define VIRQ_PCPU_STATE 9
#define VIRQ_MEM_EVENT  10
#define VIRQ_ARGO       11
#define VIRQ_ENOMEM     12
#define VIRQ_XENPMU     13 /* V */
#define VIRQ_ARCH_0     16
#define VIRQ_MCA        VIRQ_ARCH_0
#define VIRQ_ARCH_7     23
#define NR_VIRQS        24

struct evtchn_bind_interdomain {
    uint16_t remote_dom;       /* in */
    evtchn_port_t remote_port; /* in */
    evtchn_port_t local_port;  /* out */
};

struct evtchn_bind_virq {
    uint32_t virq, vcpu; /* in */
    evtchn_port_t port;  /* out */
};

#define BIND_PIRQ__WILL_SHARE 1u

struct evtchn_bind_pirq {
    uint32_t pirq;      /* in */
    uint32_t flags;     /* in: BIND_PIRQ__* */
    evtchn_port_t port; /* out */
};

struct evtchn_bind_ipi {
    uint32_t vcpu;      /* in */
    evtchn_port_t port; /* out */
};

struct evtchn_alloc_unbound {
    uint16_t dom, remote_dom; /* in */
    evtchn_port_t port;       /* out */
};

/* EVTCHNOP_close, EVTCHNOP_send and EVTCHNOP_unmask. */
struct evtchn_port_op {
    evtchn_port_t port;
};

#define EVTCHNSTAT_closed      0
#define EVTCHNSTAT_unbound     1
#define EVTCHNSTAT_interdomain 2
#define EVTCHNSTAT_pirq        3
#define EVTCHNSTAT_virq        4
#define EVTCHNSTAT_ipi         5

struct evtchn_status {
    uint16_t dom;          /* in */
    evtchn_port_t port;    /* in */
    uint32_t status, vcpu; /* out */
    union {
        struct {
            uint16_t dom;
        } unbound;
        struct {
            uint16_t dom;
            evtchn_port_t port;
        } interdomain;
        uint32_t pirq, virq;
    } u; /* out */
};

struct evtchn_bind_vcpu {
    evtchn_port_t port;
    uint32_t vcpu;
};

struct evtchn_reset {
    uint16_t dom;
};

_Static_assert(sizeof(struct evtchn_bind_interdomain) == 12, "public ABI");
_Static_assert(sizeof(struct evtchn_alloc_unbound) == 8, "public ABI");
_Static_assert(sizeof(struct evtchn_status) == 24, "public ABI");

#endif

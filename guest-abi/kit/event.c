/* SPDX-License-Identifier: MIT */
#include "kit/event.h"

#include "kit/hypercall.h"
#include "kit/memory.h"

#define BITS 64u

extern const char event_entry[];

static void (*handlers[EVTCHN_2L_NR_CHANNELS])(evtchn_port_t);
static uint32_t counts[EVTCHN_2L_NR_CHANNELS];

long events_init(void)
{
    struct callback_register upcall = {CALLBACKTYPE_event, 0, (uint64_t)(uintptr_t)event_entry};
    return callback_op(CALLBACKOP_register, &upcall);
}

void events_hold(void)
{
    __atomic_store_n(&vcpu_info->evtchn_upcall_mask, 1, __ATOMIC_SEQ_CST);
}

void events_allow(void)
{
    __atomic_store_n(&vcpu_info->evtchn_upcall_mask, 0, __ATOMIC_SEQ_CST);
    /* Any hypercall delivers what came in while they were held. */
    if (__atomic_load_n(&vcpu_info->evtchn_upcall_pending, __ATOMIC_SEQ_CST))
        xen_version(XENVER_version, 0);
}

void event_set_handler(evtchn_port_t port, void (*handler)(evtchn_port_t port))
{
    handlers[port] = handler;
}

uint32_t event_count(evtchn_port_t port)
{
    return __atomic_load_n(&counts[port], __ATOMIC_SEQ_CST);
}

static uint64_t bit_of(evtchn_port_t port)
{
    return 1ul << (port % BITS);
}

bool event_is_pending(evtchn_port_t port)
{
    return __atomic_load_n(&shared_info->evtchn_pending[port / BITS], __ATOMIC_SEQ_CST) & bit_of(port);
}

void event_clear(evtchn_port_t port)
{
    __atomic_fetch_and(&shared_info->evtchn_pending[port / BITS], ~bit_of(port), __ATOMIC_SEQ_CST);
}

bool event_is_masked(evtchn_port_t port)
{
    return __atomic_load_n(&shared_info->evtchn_mask[port / BITS], __ATOMIC_SEQ_CST) & bit_of(port);
}

void event_mask(evtchn_port_t port)
{
    __atomic_fetch_or(&shared_info->evtchn_mask[port / BITS], bit_of(port), __ATOMIC_SEQ_CST);
}

static void dispatch_word(uint32_t word)
{
    uint64_t due = __atomic_load_n(&shared_info->evtchn_pending[word], __ATOMIC_SEQ_CST) &
                   ~__atomic_load_n(&shared_info->evtchn_mask[word], __ATOMIC_SEQ_CST);
    for (; due; due &= due - 1) {
        evtchn_port_t port = word * BITS + (uint32_t)__builtin_ctzl(due);
        event_clear(port);
        counts[port]++;
        if (handlers[port])
            handlers[port](port);
    }
}

void events_dispatch(void)
{
    while (__atomic_exchange_n(&vcpu_info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST)) {
        uint64_t words = __atomic_exchange_n(&vcpu_info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
        for (; words; words &= words - 1)
            dispatch_word((uint32_t)__builtin_ctzl(words));
    }
}

long event_bind_virq(uint32_t virq)
{
    struct evtchn_bind_virq request = {.virq = virq};
    long error = event_channel_op(EVTCHNOP_bind_virq, &request);
    return error ? error : (long)request.port;
}

/* SPDX-License-Identifier: MIT */
/* Event channels: handlers by port, and the upcall that calls them. */
#ifndef KIT_EVENT_H
#define KIT_EVENT_H

#include <sluice/event_channel.h>

#include <stdbool.h>
#include <stdint.h>

/* Registers the upcall. Events stay masked until events_allow(). 0 or the hypercall's errno. */
long events_init(void);

/* Lets upcalls in; what is pending comes at once. */
void events_allow(void);
void events_hold(void);

/* Called with upcalls held, for each time the port was found pending and unmasked. NULL: only counted. */
void event_set_handler(evtchn_port_t port, void (*handler)(evtchn_port_t port));

/* How many times that was. */
uint32_t event_count(evtchn_port_t port);

/* The port's bits in the shared page. */
bool event_is_pending(evtchn_port_t port);
void event_clear(evtchn_port_t port);
bool event_is_masked(evtchn_port_t port);
void event_mask(evtchn_port_t port);

/* Looks for pending ports and calls their handlers: what the upcall does. */
void events_dispatch(void);

/* A port bound to that virtual interrupt, or the hypercall's errno. */
long event_bind_virq(uint32_t virq);

#endif

/* SPDX-License-Identifier: MIT */
/* Event channels, as the rest of pv/ uses them. Interrupts are off. */
#ifndef SLUICE_PV_EVENT_H
#define SLUICE_PV_EVENT_H

#include "guest-abi/include/sluice/event_channel.h"

#include <stdbool.h>
#include <stdint.h>

/* Makes an open port pending. May be called from an interrupt. */
void event_raise(uint32_t port);

/* Makes the port pending that the virtual interrupt is bound to; nothing when there is none. May be called
 * from an interrupt. virq < NR_VIRQS. */
void event_raise_virq(uint32_t virq);
bool event_virq_bound(uint32_t virq);

/* What EVTCHNOP_send does: 0, or -EINVAL for a port that cannot be sent to. */
long event_send(uint32_t port);

/* Whether the port is pending, masked or not. port < EVTCHN_2L_NR_CHANNELS. */
bool event_pending(uint32_t port);

#endif

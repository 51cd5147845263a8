/* SPDX-License-Identifier: MIT */
/* Which devices are the guest's: groups of functions (kernel/pci/group.h), each of them whole or not at all.
 */
#ifndef SLUICE_PV_ASSIGN_H
#define SLUICE_PV_ASSIGN_H

#include <stdint.h>

/*
 * Attaches to the guest's context (without one: leaves blocked) every group of which all requester ids can
 * be; of any other nothing is attached, its bus mastering is off and it is hidden, in a sentence. The number
 * of functions attached.
 */
uint32_t assign_devices(void);

#endif

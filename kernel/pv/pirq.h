/* SPDX-License-Identifier: MIT */
/* Interrupts of the guest's devices, by the guest's numbers for them ("pirq"). Interrupts are off. */
#ifndef SLUICE_PV_PIRQ_H
#define SLUICE_PV_PIRQ_H

#include <stdbool.h>
#include <stdint.h>

/* The commands of physdev_op that have to do with interrupts and the functions they come from; -ENOSYS
 * others. */
long pirq_op(uint32_t command, uint64_t argument);

/*
 * Every interrupt of the pirq of that number raises the port from now on, and the device's mask opens. 0;
 * -EINVAL not mapped; -EEXIST bound already. port: open, and not 0.
 */
int pirq_bind(uint32_t number, uint32_t port);

/* The port closes: the device's mask too. number: of a pirq that is bound. */
void pirq_unbind(uint32_t number);

#endif

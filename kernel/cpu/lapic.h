/* SPDX-License-Identifier: MIT */
/* The local APIC, in xAPIC mode or in x2APIC mode when firmware left that on. */
#ifndef SLUICE_CPU_LAPIC_H
#define SLUICE_CPU_LAPIC_H

#include <stdint.h>

void lapic_init(void); /* enables it, masks every LVT, sets the spurious vector; needs mem/map */
void lapic_eoi(void);
uint32_t lapic_id(void);
uint64_t lapic_base(void); /* physical address of its registers */

/* One-shot timer on VECTOR_TIMER after `ticks` of the divided bus clock; 0 stops it. */
void lapic_timer_set(uint32_t ticks);
uint32_t lapic_timer_current(void);

#endif

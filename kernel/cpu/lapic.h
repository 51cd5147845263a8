/* SPDX-License-Identifier: MIT */
/* The local APIC, in xAPIC mode or in x2APIC mode when firmware left that on. */
#ifndef SLUICE_CPU_LAPIC_H
#define SLUICE_CPU_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

uint64_t lapic_base(void);    /* physical address of its registers */
bool lapic_uses_window(void); /* false in x2APIC mode, which needs none */

/*
 * Enables it, masks every LVT entry, sets the spurious vector. window: its registers' page, mapped uncached
 * (NULL in x2APIC mode). Until then all below do nothing.
 */
void lapic_init(volatile void *window);
void lapic_eoi(void);
bool lapic_in_service(uint32_t vector);
uint32_t lapic_id(void);

/* One-shot timer on VECTOR_TIMER after `ticks` of the bus clock divided by 16; 0 stops it. */
void lapic_timer_set(uint32_t ticks);
uint32_t lapic_timer_current(void);

#endif

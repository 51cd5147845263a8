/* SPDX-License-Identifier: MIT */
/* The local APIC, in xAPIC mode or in x2APIC mode when firmware left that on. */
#ifndef SLUICE_CPU_LAPIC_H
#define SLUICE_CPU_LAPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t lapic_base(void);    /* physical address of its registers */
bool lapic_uses_window(void); /* false in x2APIC mode, which needs none */

/*
 * Enables it, masks every LVT entry, sets the spurious vector. window: its registers' page, mapped uncached
 * (NULL in x2APIC mode). Until then all below do nothing.
 */
void lapic_init(volatile void *window);

/*
 * The other processors forget what firmware had them do, and wait for a start that never comes: what they ran
 * may lie in memory that becomes free. False: they could not be told, or must not be, since one of them is
 * the bootstrap processor, which an INIT starts anew.
 */
bool lapic_stop_others(void);
void lapic_eoi(void);

/* The handler of the vector is running, or is about to. In line, because every exception asks. */
#define APIC_ISR 0x100u
extern volatile uint32_t *lapic_window; /* its registers; NULL in x2APIC mode */
bool lapic_read_in_service(uint32_t vector);
static inline bool lapic_in_service(uint32_t vector)
{
    if (lapic_window == NULL)
        return lapic_read_in_service(vector);
    return (lapic_window[(APIC_ISR + vector / 32 * 16) / 4] >> (vector % 32) & 1) != 0;
}

uint32_t lapic_id(void);

/* One-shot timer on VECTOR_TIMER after `ticks` of the bus clock divided by 16; 0 stops it. */
void lapic_timer_set(uint32_t ticks);
uint32_t lapic_timer_current(void);

#endif

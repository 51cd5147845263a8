/* SPDX-License-Identifier: MIT */
/*
 * What QEMU's amd-iommu leaves out of the hardware (AMD 48882 revision 3.08), between the driver's register
 * accesses and QEMU:
 *
 * - It never writes the event log. Entries are put there for it, and dropped, with EventOverflow, when there
 * is no room (2.5).
 * - It passes over a command that it does not know. Here the unit stops at it: an event, and CmdBufRun clear
 *   until the buffer is started again (2.4, 2.5.6).
 *
 * Everything else is QEMU's.
 */
#ifndef SLUICE_TESTS_AMDVI_GAPS_H
#define SLUICE_TESTS_AMDVI_GAPS_H

#include <stdbool.h>
#include <stdint.h>

#define AMDVI_BASE       0xfed80000ull
#define AMDVI_FUNCTION   0x0008u /* 00:01.0, the unit's own PCI function */
#define AMDVI_CAPABILITY 0x40u

struct amdvi_gaps {
    uint64_t features_off, features_on; /* bits of EFR that the driver is not, or is, to see */
    bool hide_npcache;                  /* the driver sees no NpCache */
    bool commands_frozen;               /* the unit takes nothing from the buffer, without a word */
    bool overflow;                      /* EventOverflow */
    bool overflow_sticks;               /* writing one does not clear it, as QEMU's STATUS */
    bool commands_stopped, log_stopped; /* until they are enabled again */
    uint64_t commands_tail;             /* the latest that the driver wrote */
    uint32_t events, events_lost;       /* put into the log; dropped */
};
extern struct amdvi_gaps amdvi_gaps;

uint64_t amdvi_gaps_read(uint64_t physical, uint8_t bytes);
void amdvi_gaps_write(uint64_t physical, uint8_t bytes, uint64_t value);

/* The unit logs an event: false when the log is off or has no room. */
bool amdvi_log_event(uint64_t low, uint64_t high);

#endif

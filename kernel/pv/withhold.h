/* SPDX-License-Identifier: MIT */
/*
 * Clause S2: a device can write a frame only while the frame's type is none or writable. Before a frame
 * becomes a table or descriptor page, its bus entries lose W; when it is one no longer they get it back.
 */
#ifndef SLUICE_PV_WITHHOLD_H
#define SLUICE_PV_WITHHOLD_H

#include <stdint.h>

/*
 * Takes W out of the entries that let devices write an own frame, flushes and waits; then no cached line of
 * the frame is left that a device, writing without snooping, made untrue. 0; -EBUSY the guest has it writable
 * at more than one BFN, or where it cannot be found; -EIO the invalidation did not complete. On an error the
 * frame must not change its type.
 */
int withhold(uint64_t mfn);

/* Gives W back; devices may not see it before withhold_restore_end(). */
void withhold_restore(uint64_t mfn);
void withhold_restore_end(void);

#endif

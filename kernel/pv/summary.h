/* SPDX-License-Identifier: MIT */
/* The last line of every run: one JSON object with what happened, for people and for test programs. */
#ifndef SLUICE_PV_SUMMARY_H
#define SLUICE_PV_SUMMARY_H

#include "boot_info.h"
#include "pv/guest.h"

#include <stdint.h>

/* Notes how long the boot took, from the loader's time stamp to the guest's first instruction, and the image
 * size. */
void summary_boot_done(const struct boot_info *info);

/* Prints "sluice: summary {...}". Reads counters only, so it is safe in a broken machine. */
void summary_print(enum stop_reason reason);

#endif

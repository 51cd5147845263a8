/* SPDX-License-Identifier: MIT */
/* Processors as some firmware leaves them. Each is FALSE after saying why it cannot be done. */
#ifndef HOOKS_PROCESSOR_H
#define HOOKS_PROCESSOR_H

#include <efi.h>

/* 5 levels of paging from here on. */
BOOLEAN processor_five_levels(void);

/* The local APIC in x2APIC mode from here on. */
BOOLEAN processor_x2apic(void);

/* The other processors are busy, with code and data in memory of boot services; started when these are over.
 */
BOOLEAN processor_prepare_others(void);
void processor_start_others(void);

#endif

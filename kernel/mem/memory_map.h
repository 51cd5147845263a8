/* SPDX-License-Identifier: MIT */
/* Firmware's memory map. The public half (memory_ranges) is in mem/alloc.h. */
#ifndef SLUICE_MEM_MEMORY_MAP_H
#define SLUICE_MEM_MEMORY_MAP_H

#include "mem/alloc.h"

#include <stdbool.h>

bool memory_kind_is_ram(enum memory_kind kind);

/* What firmware's boot services held is like other free memory from now on. */
void memory_map_forget_boot_services(void);

#endif

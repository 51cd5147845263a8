/* SPDX-License-Identifier: MIT */
/* The machine that the program runs on, as Linux shows it under /sys. */
#ifndef SLUICE_TABLES_LIVE_H
#define SLUICE_TABLES_LIVE_H

#include "drivers/iommu/claims.h"
#include "tools/tables/remarks.h"

#include <stdbool.h>
#include <stdint.h>

/* From now on the machine's PCI functions are asked, in `sysfs`, the place of /sys. */
void live_begin(const char *sysfs);
bool live(void);

/* Words about a function for the report, such as ", 8086:2934" or ", not there"; "" without a machine. */
const char *live_function(uint16_t segment, uint16_t id);

/* Which of the machine's functions belong to no unit; nothing without a machine. */
void live_check_claims(const struct claims *claims, struct remarks *remarks);

#endif

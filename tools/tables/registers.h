/* SPDX-License-Identifier: MIT */
/* Register windows of units, for either vendor: which units Sluice cannot use, as far as the table tells. */
#ifndef SLUICE_TABLES_REGISTERS_H
#define SLUICE_TABLES_REGISTERS_H

#include "tools/tables/remarks.h"

#include <stdbool.h>
#include <stdint.h>

struct registers {
    const char *structure; /* "DRHD" */
    uint64_t base, bytes, align;
    uint32_t offset;
    bool usable; /* before: nothing else is against the unit; afterwards: nor are its registers */
};

/* In the table's order. Those that are not usable are not looked at. */
void registers_check(struct registers *list, uint32_t count, uint32_t address_bits, struct remarks *remarks);

#endif

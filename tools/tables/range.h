/* SPDX-License-Identifier: MIT */
/* Reserved memory, for either vendor: what Sluice would not honour, and what is odd. */
#ifndef SLUICE_TABLES_RANGE_H
#define SLUICE_TABLES_RANGE_H

#include "tools/tables/remarks.h"

#include <stdbool.h>
#include <stdint.h>

#define RANGES_MAX 64u

struct range {
    uint64_t base, limit; /* limit inclusive */
    uint32_t offset;
    const char *what; /* "RMRR", or for what lies in the way: words for it */
};

/* What is on the bus: ranges that devices want, and those that they cannot have. */
struct ranges {
    uint32_t count, blocked_count;
    uint32_t address_bits; /* 64: not known */
    struct range list[RANGES_MAX], blocked[4 * RANGES_MAX];
};

/* With the interrupt window in the way, and nothing else. */
void ranges_begin(struct ranges *ranges, uint32_t address_bits);
void ranges_block(struct ranges *ranges, uint64_t base, uint64_t size, const char *what);
void ranges_want(struct ranges *ranges, struct range range);
void ranges_check(const struct ranges *ranges, struct remarks *remarks);

/* True when address bits beyond the machine's are set. */
bool is_beyond(uint64_t address, uint32_t address_bits);
bool overlap(uint64_t base, uint64_t limit, uint64_t other_base, uint64_t other_limit);

#endif

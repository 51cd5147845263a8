/* SPDX-License-Identifier: MIT */
/* Reserved memory, for either vendor: what Sluice would not honour, and what is odd. */
#ifndef SLUICE_TABLES_RANGE_H
#define SLUICE_TABLES_RANGE_H

#include "tools/tables/remarks.h"

#include <stdbool.h>
#include <stdint.h>

#define RANGES_MAX  256u /* the parsers keep no more */
#define WINDOWS_MAX 256u

struct range {
    uint64_t base, limit; /* limit inclusive */
    uint32_t offset;
    uint8_t access;    /* ranges of the same memory and access are one for Sluice */
    bool names_nobody; /* it is for every device: if it is refused, no device stays blocked for it */
    const char *what;  /* "RMRR", or for what lies in the way: words for it */
};

struct windows {
    uint32_t count;
    struct range list[WINDOWS_MAX];
};

/* What is on the bus: ranges that devices want, those that they cannot have, and perhaps cannot have. */
struct ranges {
    uint32_t count, kept;  /* kept: as many different ones as Sluice honours */
    uint32_t address_bits; /* 64: not known */
    struct range list[RANGES_MAX];
    struct windows blocked, doubted;
};

/* With the interrupt window in the way, and nothing else. */
void ranges_begin(struct ranges *ranges, uint32_t kept, uint32_t address_bits);
void ranges_block(struct ranges *ranges, uint64_t base, uint64_t size, const char *what);
void ranges_doubt(struct ranges *ranges, uint64_t base, uint64_t size, const char *what);
void ranges_want(struct ranges *ranges, struct range range);
void ranges_check(const struct ranges *ranges, struct remarks *remarks);

/* True when address bits beyond the machine's are set. */
bool is_beyond(uint64_t address, uint32_t address_bits);
bool overlap(uint64_t base, uint64_t limit, uint64_t other_base, uint64_t other_limit);

#endif

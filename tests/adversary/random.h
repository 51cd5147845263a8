/* SPDX-License-Identifier: MIT */
/* Random numbers with a seed (xorshift64*), and choices made by them. */
#ifndef SLUICE_ADVERSARY_RANDOM_H
#define SLUICE_ADVERSARY_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t random_seeded(uint64_t seed)
{
    uint64_t mixed = (seed + 1) * 0x9e3779b97f4a7c15ull;

    mixed = (mixed ^ mixed >> 29) * 0xbf58476d1ce4e5b9ull;
    return mixed | 1;
}

static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

static inline uint32_t random_below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)((random_next(state) >> 32) * limit >> 32);
}

#endif

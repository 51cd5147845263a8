/* SPDX-License-Identifier: MIT */
/* Random hostile sequences: the same seed, the same sequence, as long as the world answers the same. */
#ifndef SLUICE_ADVERSARY_SEQUENCE_H
#define SLUICE_ADVERSARY_SEQUENCE_H

#include <stdint.h>

/* Starts over; world has been filled in. */
void sequence_begin(uint64_t seed);

/* One more step: one call as a rule, or a few that belong together. */
void sequence_step(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * In which order the guest's machine frames become its PFNs: option p2m=identity|linear|scramble[:SEED].
 * Each works in place on the list of frames, for which list[pfn] = mfn holds afterwards.
 */
#ifndef SLUICE_PV_P2M_H
#define SLUICE_PV_P2M_H

#include <stdbool.h>
#include <stdint.h>

enum p2m_order {
    P2M_LINEAR = 0, /* as the allocator gives them, lowest first */
    P2M_IDENTITY,   /* PFN equals MFN wherever the guest owns that frame */
    P2M_SCRAMBLE,   /* a seeded shuffle: nothing that works only for neighbours survives it */
};

#define P2M_DEFAULT_SEED 1u

/* Text of the option; false (and linear) when it is none of the three. NULL means absent: linear. */
bool p2m_parse(const char *text, enum p2m_order *order, uint64_t *seed);

void p2m_arrange(uint64_t *list, uint64_t count, enum p2m_order order, uint64_t seed);

#endif

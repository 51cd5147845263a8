/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_TESTS_FUZZ_IVRS_SAME_H
#define SLUICE_TESTS_FUZZ_IVRS_SAME_H

#include "drivers/iommu/amdvi/ivrs.h"

/* Two descriptions of one table; `shift`: what was put in before its first block. Findings apart. */
void check_same_ivrs(const struct ivrs *one, const struct ivrs *other, uint32_t shift);

#endif

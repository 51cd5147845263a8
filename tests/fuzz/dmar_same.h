/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_TESTS_FUZZ_DMAR_SAME_H
#define SLUICE_TESTS_FUZZ_DMAR_SAME_H

#include "drivers/iommu/vtd/dmar.h"

/* Two descriptions of one table; `shift`: what was put in before its first structure. Findings apart. */
void check_same_dmar(const struct dmar *one, const struct dmar *other, uint32_t shift);

#endif

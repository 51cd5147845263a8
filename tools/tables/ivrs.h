/* SPDX-License-Identifier: MIT */
/* An IVRS told to a person, to a program, and judged. The input is an IVRS that ivrs_parse() has taken. */
#ifndef SLUICE_TABLES_IVRS_H
#define SLUICE_TABLES_IVRS_H

#include "drivers/iommu/amdvi/ivrs.h"
#include "tools/tables/input.h"
#include "tools/tables/remarks.h"

/* Forms of an ACPI device's unique id: 5.2.2.2. */
#define IVRS_ACPI_UID_NONE   0u
#define IVRS_ACPI_UID_NUMBER 1u

void ivrs_check(struct ivrs *ivrs, struct remarks *remarks);
void ivrs_report(const struct input *input, const struct ivrs *ivrs);
/* Members of the object that is open. */
void ivrs_json(const struct input *input, const struct ivrs *ivrs);

/* One of a block's entries. */
static inline const struct ivrs_entry *ivrs_entry_at(const struct ivrs *ivrs, const struct ivrs_block *block,
                                                     uint32_t index)
{
    return &ivrs->entries[block->first_entry + index];
}

static inline bool ivrs_same_unit(const struct ivrs_block *one, const struct ivrs_block *other)
{
    return one->segment == other->segment && one->id == other->id;
}

#endif

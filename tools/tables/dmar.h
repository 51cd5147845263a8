/* SPDX-License-Identifier: MIT */
/* A DMAR told to a person, to a program, and judged. The input is a DMAR that dmar_parse() has taken. */
#ifndef SLUICE_TABLES_DMAR_H
#define SLUICE_TABLES_DMAR_H

#include "drivers/iommu/vtd/dmar.h"
#include "tools/tables/input.h"
#include "tools/tables/remarks.h"

void dmar_check(struct dmar *dmar, struct remarks *remarks);
void dmar_report(const struct input *input, const struct dmar *dmar);
/* Members of the object that is open. */
void dmar_json(const struct input *input, const struct dmar *dmar);

/* One of a structure's scopes. */
static inline const struct dmar_scope *dmar_scope_at(const struct dmar *dmar,
                                                     const struct dmar_scopes *scopes, uint32_t index)
{
    return &dmar->scopes[scopes->first + index];
}

/* "DRHD"; of any dmar_type. */
const char *dmar_type_text(uint8_t type);
/* What an ACPI scope refers to; NULL when no ANDD has that number. */
const struct dmar_acpi *dmar_acpi_device(const struct dmar *dmar, uint8_t number);

#endif

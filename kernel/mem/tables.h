/* SPDX-License-Identifier: MIT */
/* The hypervisor's own page tables, for those in mem/ who add to them. */
#ifndef SLUICE_MEM_TABLES_H
#define SLUICE_MEM_TABLES_H

#include "mem/page_table.h"

const struct page_tables *own_tables(void);

#endif

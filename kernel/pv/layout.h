/* SPDX-License-Identifier: MIT */
/*
 * Where everything of a new guest lies, in guest virtual addresses and in PFNs. Pure arithmetic.
 *
 *   v_start  kernel | module (unless by PFN) | P2M (unless INIT_P2M) | start_info | page tables | stack |
 *            at least 512 KiB of slack | v_end, a multiple of 4 MiB
 *
 * PFN p is mapped at v_start + p * 4096 up to v_end. Behind that come, unmapped, the module's frames
 * (MOD_START_PFN) and the P2M list with its own tables (INIT_P2M).
 */
#ifndef SLUICE_PV_LAYOUT_H
#define SLUICE_PV_LAYOUT_H

#include "pv/elf.h"

#include <stdbool.h>
#include <stdint.h>

/* Page tables of one virtual range, below the L4: [L3s][L2s][L1s] in consecutive frames. */
struct table_counts {
    uint64_t l3, l2, l1;
};

struct guest_layout {
    uint64_t v_start, v_end;
    uint64_t start_info; /* virtual */
    uint64_t tables;     /* virtual address of the L4; the other tables follow */
    uint64_t table_pages;
    struct table_counts counts;
    uint64_t stack_top; /* virtual: initial RSP */

    uint64_t module_pfn; /* first PFN of the module */
    uint64_t module_va;  /* 0 when it is not mapped */

    uint64_t p2m_va;
    uint64_t p2m_pfn; /* first PFN of the list */
    uint64_t p2m_pages;
    bool p2m_apart;                 /* INIT_P2M: the three below hold */
    struct table_counts p2m_counts; /* its tables, in the frames just before the list */
    uint64_t p2m_table_pfn, p2m_table_pages;

    uint64_t pages_needed; /* PFNs below this one are in use */
};

/* NULL with *layout filled, or a sentence that says why a guest of nr_pages frames cannot be laid out. */
const char *guest_layout_plan(const struct guest_image *image, uint64_t module_size, uint64_t nr_pages,
                              struct guest_layout *layout);

/* Tables that map [start, end), both page-aligned, start < end. */
struct table_counts table_counts_for(uint64_t start, uint64_t end);

#endif

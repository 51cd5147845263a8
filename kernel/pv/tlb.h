/* SPDX-License-Identifier: MIT */
/* The translation buffer of this CPU, the guest's table base and its GS bases. Tests supply their own. */
#ifndef SLUICE_PV_TLB_H
#define SLUICE_PV_TLB_H

#include <stdint.h>

#ifdef SLUICE_HOST_TEST
void tlb_flush_all(void);
void tlb_flush_page(uint64_t address);
void tlb_load(uint64_t l4_mfn);
void gs_bases_swap(void);
void cache_write_back(void);
#else
/* Everything but global entries; the guest has none of those. */
static inline void tlb_flush_all(void)
{
    uint64_t base;
    __asm__ volatile("mov %%cr3, %0\n\tmov %0, %%cr3" : "=&r"(base) : : "memory");
}

static inline void tlb_flush_page(uint64_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* Loads a guest L4, whose hypervisor slots are in place. */
static inline void tlb_load(uint64_t l4_mfn)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(l4_mfn << 12) : "memory");
}

/* All of this CPU's caches, into memory. */
static inline void cache_write_back(void)
{
    __asm__ volatile("wbinvd" : : : "memory");
}

/* The live GS base against the other mode's. */
static inline void gs_bases_swap(void)
{
    __asm__ volatile("swapgs" : : : "memory");
}
#endif

#endif

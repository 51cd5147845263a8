/* SPDX-License-Identifier: MIT */
/* The translation buffer of this CPU, the guest's table base and its GS bases. Tests supply their own. */
#ifndef SLUICE_PV_TLB_H
#define SLUICE_PV_TLB_H

#ifndef SLUICE_HOST_TEST
#include "cpu/ops.h"
#include "mem/guest_copy.h"
#endif

#include "cpu/features.h"

#include <stdint.h>

#ifdef SLUICE_HOST_TEST
void tlb_flush_all(void);
void tlb_flush_page(uint64_t address);
void tlb_load(uint64_t l4_mfn);
void gs_bases_swap(void);
void gs_load(uint16_t selector);
void cache_write_back(void);
void cache_flush_frame(const void *frame);
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

/* The lines of a frame, at its directmap address: what is read next is what memory holds. */
static inline void cache_flush_frame(const void *frame)
{
    for (uint32_t offset = 0; offset < 4096; offset += cpu_features.clflush_line)
        __asm__ volatile("clflush %0" : : "m"(((const char *)frame)[offset]) : "memory");
    __asm__ volatile("mfence" : : : "memory");
}

/* The live GS base against the other mode's. */
static inline void gs_bases_swap(void)
{
    __asm__ volatile("swapgs" : : : "memory");
}

/* GS becomes that segment, base and all; null with base 0 when there is no such segment for ring 3. */
static inline void gs_load(uint16_t selector)
{
    uint32_t loaded = selector > 3 ? selector | 3u : 0; /* this is ring 0, where RPL 0 would be obeyed */
    __asm__ volatile("1: mov %0, %%gs\n\t"
                     "jmp 3f\n"
                     "2: xor %0, %0\n\t"
                     "mov %0, %%gs\n"
                     "3:\n\t" FAULTS_TO("1b", "2b")
                     : "+r"(loaded)
                     :
                     : "memory", "cc");
    if (loaded == 0)
        msr_write(MSR_GS_BASE, 0); /* some processors keep the base under a null selector */
}
#endif

#endif

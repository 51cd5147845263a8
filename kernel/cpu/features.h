/* SPDX-License-Identifier: MIT */
/* What this CPU can do, found once at run time. Everything here may be absent and Sluice still works. */
#ifndef SLUICE_CPU_FEATURES_H
#define SLUICE_CPU_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

struct cpu_features {
    char vendor[13];
    char brand[49];
    uint8_t physical_bits; /* width of a machine address */
    bool nx, pat, cmpxchg16b, smep, smap, pge, page_1g, fsgsbase, pcid, x2apic, invariant_tsc, clflushopt,
        hypervisor;
    uint32_t clflush_line; /* bytes */
};

extern struct cpu_features cpu_features;

/* Fills in cpu_features from CPUID. Before all else: it changes nothing. */
void cpu_features_read(void);

/*
 * After cpu_features_read(): switches on NX, WP, SMEP and (option smap=on; off by default) SMAP, in which
 * case cpu_features.smap says that it is on. False after saying why Sluice cannot run on this CPU.
 */
bool cpu_features_init(void);

#endif

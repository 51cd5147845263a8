/* SPDX-License-Identifier: MIT */
/* The privileged registers of a processor, for host tests of code that uses cpu/ops.h. */
#ifndef SLUICE_TESTS_CPU_H
#define SLUICE_TESTS_CPU_H

#include <stdint.h>

#define CPU_MSRS 16u

struct cpu_model {
    uint64_t cr0, cr2, cr3, cr4, dr0, dr1, dr2, dr3, dr6, dr7, xcr0;
    uint32_t write_backs;
    uint32_t rights[32]; /* of the first descriptors of a GDT, as LAR says them */
    struct {
        uint32_t msr;
        uint64_t value;
    } msrs[CPU_MSRS]; /* written so far; others read as 0 */
    uint32_t msr_count;
};
extern struct cpu_model cpu_model;

#endif

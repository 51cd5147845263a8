/* SPDX-License-Identifier: MIT */
#include "tests/unit/fakes/cpu.h"

#include "cpu/ops.h"
#include "pv/tlb.h"

#include <stdlib.h>

struct cpu_model cpu_model;

#define MODELLED(name)                                                                                       \
    uint64_t name##_read(void)                                                                               \
    {                                                                                                        \
        return cpu_model.name;                                                                               \
    }                                                                                                        \
    void name##_write(uint64_t value)                                                                        \
    {                                                                                                        \
        cpu_model.name = value;                                                                              \
    }
MODELLED(cr0)
MODELLED(cr2)
MODELLED(cr3)
MODELLED(cr4)
MODELLED(dr0)
MODELLED(dr1)
MODELLED(dr2)
MODELLED(dr3)
MODELLED(dr6)
MODELLED(dr7)

uint64_t msr_read(uint32_t msr)
{
    for (uint32_t i = 0; i < cpu_model.msr_count; i++) {
        if (cpu_model.msrs[i].msr == msr)
            return cpu_model.msrs[i].value;
    }
    return 0;
}

void msr_write(uint32_t msr, uint64_t value)
{
    uint32_t i = 0;

    while (i < cpu_model.msr_count && cpu_model.msrs[i].msr != msr)
        i++;
    if (i == CPU_MSRS)
        abort();
    cpu_model.msrs[i].msr = msr;
    cpu_model.msrs[i].value = value;
    cpu_model.msr_count += i == cpu_model.msr_count;
}

void xcr0_write(uint64_t value)
{
    cpu_model.xcr0 = value;
}

void cache_flush_frame(const void *frame)
{
    (void)frame;
}

void cache_write_back(void)
{
    cpu_model.write_backs++;
}

/* 64-bit code, 32-bit code, and what the test has put into a GDT. */
uint32_t access_rights(uint16_t selector)
{
    return selector == 0xe033   ? 0xaffb00
           : selector == 0xe023 ? 0xcffb00
           : selector < 0x100   ? cpu_model.rights[selector >> 3]
                                : 0;
}

/* By the granularity alone: the tests' segments are of 4 GiB or of 1 MiB. */
uint32_t segment_limit(uint16_t selector)
{
    return access_rights(selector) & 1u << 23 ? UINT32_MAX : 0xfffff;
}

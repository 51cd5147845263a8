/* SPDX-License-Identifier: MIT */
/* Model-specific registers: the guest's segment bases, and a few that it may look at. */
#include "cpu/ops.h"
#include "mem/map.h"
#include "pv/emulate.h"

#define MSR_TSC           0x10u
#define MSR_FEATURE_LOCK  0x3au
#define MSR_MICROCODE     0x8bu
#define MSR_PLATFORM_INFO 0xceu
#define MSR_MCG_CAP       0x179u
#define MSR_MISC_ENABLE   0x1a0u
#define MSR_TSC_AUX       0xc0000103u

/* The boot processor's, on, at its usual place: the guest cannot reach it anyway. */
#define APIC_BASE_SHOWN    0xfee00900u
/* Locked, with nothing unlocked. */
#define FEATURE_LOCK_SHOWN 0x1u
/* Fast strings; branch trace and precise sampling unavailable. */
#define MISC_ENABLE_SHOWN  0x1801u

static bool is_segment_base(uint32_t msr)
{
    return msr == MSR_FS_BASE || msr == MSR_GS_BASE || msr == MSR_KERNEL_GS_BASE;
}

bool guest_msr_read(uint32_t msr, uint64_t *value)
{
    switch (msr) {
    case MSR_KERNEL_GS_BASE:
    case MSR_GS_BASE:
    case MSR_FS_BASE:
    case MSR_EFER:
    case MSR_PAT:
        *value = msr_read(msr);
        return true;
    case MSR_TSC:
        *value = tsc_read();
        return true;
    case MSR_APIC_BASE:
        *value = APIC_BASE_SHOWN;
        return true;
    case MSR_FEATURE_LOCK:
        *value = FEATURE_LOCK_SHOWN;
        return true;
    case MSR_MISC_ENABLE:
        *value = MISC_ENABLE_SHOWN;
        return true;
    case MSR_MICROCODE:
    case MSR_PLATFORM_INFO:
    case MSR_MCG_CAP: /* no bank of machine-check registers */
    case MSR_MCG_STATUS:
    case MSR_TSC_AUX:
        *value = 0;
        return true;
    default:
        return false;
    }
}

/* But for the bases and the ignored TSC, a write is good when it changes nothing. */
bool guest_msr_write(uint32_t msr, uint64_t value)
{
    uint64_t shown;

    if (is_segment_base(msr)) {
        if (!address_is_canonical(value))
            return false;
        msr_write(msr, value);
        return true;
    }
    return msr == MSR_TSC || (guest_msr_read(msr, &shown) && shown == value);
}

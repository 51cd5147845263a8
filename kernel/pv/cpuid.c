/* SPDX-License-Identifier: MIT */
/*
 * CPUID behind the forced-emulation prefix: the machine's answer without what needs ring 0, what the
 * hypervisor keeps for itself, and what belongs to a model-specific register that the guest does not have.
 */
#include "guest-abi/include/sluice/cpuid.h"
#include "cpu/features.h"
#include "cpu/ops.h"
#include "cpu/time.h"
#include "pv/emulate.h"

#define HIGHEST_BASIC    0xdu
#define HYPERVISOR_END   0x40010000u
#define EXTENDED_BASE    0x80000000u
#define HIGHEST_EXTENDED 0x80000008u

#define BIT(n)         (1u << (n))
#define BITS(from, to) ((2u << (to)) - (1u << (from)))

/* Leaf 1 ECX: DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, SDBG, xTPR, PDCM, PCID, DCA, x2APIC,
 * TSC-deadline. */
#define HIDE_1_ECX (BITS(2, 8) | BIT(11) | BIT(14) | BIT(15) | BIT(17) | BIT(18) | BIT(21) | BIT(24))
#define SHOW_1_ECX BIT(31) /* a hypervisor is present */
/* Leaf 1 EDX: VME, PSE, MTRR, PGE, PSE-36, DS, ACPI thermal, TM, PBE. */
#define HIDE_1_EDX (BIT(1) | BIT(3) | BIT(12) | BIT(13) | BIT(17) | BIT(21) | BIT(22) | BIT(29) | BIT(31))
/* Leaf 7 EBX: FSGSBASE, TSC_ADJUST, SGX, SMEP, INVPCID, cache monitoring, MPX, allocation, SMAP, PT. */
#define HIDE_7_EBX                                                                                           \
    (BIT(0) | BIT(1) | BIT(2) | BIT(7) | BIT(10) | BIT(12) | BIT(14) | BIT(15) | BIT(20) | BIT(25))
/* Leaf 7 ECX: UMIP, PKU, OSPKE, WAITPKG, CET_SS, TME, LA57, MAWAU, KL, bus lock, ENQCMD, SGX_LC, PKS. */
#define HIDE_7_ECX (BITS(2, 5) | BIT(7) | BIT(13) | BITS(16, 21) | BIT(23) | BIT(24) | BITS(29, 31))
/* Leaf 7 EDX: UINTR, TSX aborts, hybrid, PCONFIG, LBR, CET_IBT, AMX, and the speculation controls. */
#define HIDE_7_EDX                                                                                           \
    (BIT(5) | BIT(11) | BIT(13) | BIT(15) | BIT(18) | BIT(19) | BIT(20) | BIT(22) | BITS(24, 31))
/* Leaf 0x80000001 ECX: SVM, ExtApicSpace, OSVW, IBS, SKINIT, WDT, LWP, topology, PerfCtr, MONITORX. */
#define HIDE_EXT1_ECX                                                                                        \
    (BIT(2) | BIT(3) | BIT(9) | BIT(10) | BIT(12) | BIT(13) | BIT(15) | BITS(22, 24) | BITS(26, 29))
/* Leaf 0x80000001 EDX: AMD's copies of the above, FFXSR, 1 GiB pages. */
#define HIDE_EXT1_EDX (BIT(1) | BIT(3) | BIT(12) | BIT(13) | BIT(17) | BIT(25) | BIT(26))
#define SHOW_EXT7_EDX BIT(8)            /* invariant TSC */
#define SHOW_EXT8_EBX (BIT(0) | BIT(2)) /* CLZERO, error pointers always saved */

#define LEAF_1_XSAVE BIT(26)

static uint32_t lower(uint32_t left, uint32_t right)
{
    return left < right ? left : right;
}

/* ---- leaf 0xd: what XSAVE manages ---- */

#define XSAVE_OFFERED     0xe7u /* x87, SSE, AVX, AVX-512 */
#define XSAVE_FIRST       2u    /* component with a leaf of its own */
#define XSAVE_LAST        7u
#define XSAVE_LEGACY_AREA 576u /* bytes, header included */
#define XSAVE_INSTRUCTION 0x7u /* XSAVEOPT, XSAVEC, XGETBV 1; no supervisor state */

uint64_t guest_xcr0_offered(void)
{
    if (!(cpu_id(1, 0).ecx & LEAF_1_XSAVE) || cpu_id(0, 0).eax < 0xd)
        return 0;
    return cpu_id(0xd, 0).eax & XSAVE_OFFERED;
}

static struct cpuid xsave_leaf(uint32_t subleaf)
{
    struct cpuid out = cpu_id(0xd, subleaf);
    uint32_t offered = (uint32_t)guest_xcr0_offered();

    if (!offered)
        return (struct cpuid){0};
    switch (subleaf) {
    case 0:
        out.eax = offered;
        out.ecx = XSAVE_LEGACY_AREA;
        out.edx = 0;
        for (uint32_t i = XSAVE_FIRST; i <= XSAVE_LAST; i++) {
            struct cpuid part = cpu_id(0xd, i);

            if ((offered >> i & 1) && part.ebx + part.eax > out.ecx)
                out.ecx = part.ebx + part.eax;
        }
        return out;
    case 1:
        return (struct cpuid){.eax = out.eax & XSAVE_INSTRUCTION, .ebx = out.ebx};
    default:
        return subleaf <= XSAVE_LAST && (offered >> subleaf & 1) ? out : (struct cpuid){0};
    }
}

/* ---- leaves ---- */

static struct cpuid basic_leaf(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid out = cpu_id(leaf, subleaf);

    switch (leaf) {
    case 0:
        out.eax = lower(out.eax, HIGHEST_BASIC);
        return out;
    case 1:
        out.ecx = (out.ecx & ~HIDE_1_ECX) | SHOW_1_ECX;
        out.edx &= ~HIDE_1_EDX;
        return out;
    case 7:
        if (subleaf != 0)
            break;
        out.eax = 0;
        out.ebx &= ~HIDE_7_EBX;
        out.ecx &= ~HIDE_7_ECX;
        out.edx &= ~HIDE_7_EDX;
        return out;
    case 0xd:
        return xsave_leaf(subleaf);
    case 2:
    case 4:
    case 0xb:
        return out;
    default: /* MONITOR, power management, performance counters: 5, 6, 0xa */
        break;
    }
    return (struct cpuid){0};
}

static struct cpuid hypervisor_leaf(uint32_t leaf)
{
    switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
        return (struct cpuid){XEN_CPUID_FIRST_LEAF + XEN_CPUID_MAX_NUM_LEAVES, XEN_CPUID_SIGNATURE_EBX,
                              XEN_CPUID_SIGNATURE_ECX, XEN_CPUID_SIGNATURE_EDX};
    case 1:
        return (struct cpuid){.eax = 0x00040011};
    case 3: /* the TSC is the machine's, never emulated */
        return (struct cpuid){.ebx = 2, .ecx = (uint32_t)time_tsc_khz()};
    case 5: /* width of a machine address */
        return (struct cpuid){.ebx = cpu_features.physical_bits};
    default: /* no hypercall pages by MSR, nothing for hardware-assisted guests */
        return (struct cpuid){0};
    }
}

static struct cpuid extended_leaf(uint32_t leaf)
{
    struct cpuid out = cpu_id(leaf, 0);

    switch (leaf - EXTENDED_BASE) {
    case 0:
        out.eax = lower(out.eax, HIGHEST_EXTENDED);
        break;
    case 1:
        out.ecx &= ~HIDE_EXT1_ECX;
        out.edx &= ~HIDE_EXT1_EDX;
        break;
    case 7:
        return (struct cpuid){.edx = out.edx & SHOW_EXT7_EDX};
    case 8:
        out.ebx &= SHOW_EXT8_EBX;
        out.edx = 0;
        break;
    default: /* the processor's name, its caches */
        break;
    }
    return out;
}

struct cpuid guest_cpuid(uint32_t leaf, uint32_t subleaf)
{
    if (leaf <= lower(HIGHEST_BASIC, cpu_id(0, 0).eax))
        return basic_leaf(leaf, subleaf);
    if (leaf >= XEN_CPUID_FIRST_LEAF && leaf < HYPERVISOR_END)
        return hypervisor_leaf(leaf);
    if (leaf >= EXTENDED_BASE && leaf <= lower(HIGHEST_EXTENDED, cpu_id(EXTENDED_BASE, 0).eax))
        return extended_leaf(leaf);
    return (struct cpuid){0};
}

/* SPDX-License-Identifier: MIT */
/*
 * CPUID by the forced-emulation prefix, and the few privileged instructions a PV kernel may execute.
 * Features that need ring 0, or that the hypervisor keeps for itself, are hidden.
 */
#include "pv/emulate.h"
#include "cpu/ops.h"
#include "mem/frame.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/guest.h"

/* ---- CPUID ---- */

#define HIGHEST_BASIC      0xdu
#define HYPERVISOR_BASE    0x40000000u
#define HIGHEST_HYPERVISOR 0x40000002u
#define HYPERVISOR_END     0x40010000u
#define EXTENDED_BASE      0x80000000u
#define HIGHEST_EXTENDED   0x80000008u

#define BIT(n) (1u << (n))

/* Leaf 1 ECX: DTES64, MONITOR, DS-CPL, VMX, SMX, xTPR, PDCM, PCID, x2APIC, TSC-deadline. */
#define HIDE_1_ECX                                                                                           \
    (BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(14) | BIT(15) | BIT(17) | BIT(21) | BIT(24))
#define SHOW_1_ECX BIT(31) /* a hypervisor is present */
/* Leaf 1 EDX: VME, PSE, MTRR, PGE, PSE-36, DS, ACPI thermal, TM, PBE. */
#define HIDE_1_EDX (BIT(1) | BIT(3) | BIT(12) | BIT(13) | BIT(17) | BIT(21) | BIT(22) | BIT(29) | BIT(31))
/* Leaf 7 EBX: FSGSBASE, SMEP, INVPCID, SMAP, PT. */
#define HIDE_7_EBX (BIT(0) | BIT(7) | BIT(10) | BIT(20) | BIT(25))
/* Leaf 7 ECX: UMIP, PKU, OSPKE, WAITPKG, CET_SS, LA57. */
#define HIDE_7_ECX (BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(7) | BIT(16))
/* Leaf 7 EDX: CET_IBT. */
#define HIDE_7_EDX BIT(20)
/* Leaf 0x80000001 ECX: SVM, ExtApicSpace, OSVW, IBS, SKINIT, WDT, LWP, PerfCtr, MONITORX. */
#define HIDE_EXT1_ECX                                                                                        \
    (BIT(2) | BIT(3) | BIT(9) | BIT(10) | BIT(12) | BIT(13) | BIT(15) | BIT(23) | BIT(24) | BIT(29))
/* Leaf 0x80000001 EDX: AMD's copies of the above, FFXSR, 1 GiB pages. */
#define HIDE_EXT1_EDX (BIT(1) | BIT(3) | BIT(12) | BIT(13) | BIT(17) | BIT(25) | BIT(26))

static uint32_t lower(uint32_t left, uint32_t right)
{
    return left < right ? left : right;
}

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
    case 2:
    case 4:
    case 0xb:
    case 0xd:
        return out;
    default:
        break;
    }
    return (struct cpuid){0};
}

static struct cpuid hypervisor_leaf(uint32_t leaf)
{
    switch (leaf) {
    case HYPERVISOR_BASE:
        return (struct cpuid){HIGHEST_HYPERVISOR, 0x566e6558, 0x65584d4d, 0x4d4d566e}; /* XenVMMXenVMM */
    case HYPERVISOR_BASE + 1:
        return (struct cpuid){.eax = 0x00040011};
    default:
        return (struct cpuid){0}; /* 0x40000002: no hypercall pages by MSR */
    }
}

static struct cpuid extended_leaf(uint32_t leaf)
{
    struct cpuid out = cpu_id(leaf, 0);

    if (leaf == EXTENDED_BASE)
        out.eax = lower(out.eax, HIGHEST_EXTENDED);
    if (leaf == EXTENDED_BASE + 1) {
        out.ecx &= ~HIDE_EXT1_ECX;
        out.edx &= ~HIDE_EXT1_EDX;
    }
    return out;
}

static struct cpuid guest_cpuid(uint32_t leaf, uint32_t subleaf)
{
    if (leaf <= lower(HIGHEST_BASIC, cpu_id(0, 0).eax))
        return basic_leaf(leaf, subleaf);
    if (leaf >= HYPERVISOR_BASE && leaf < HYPERVISOR_END)
        return hypervisor_leaf(leaf);
    if (leaf >= EXTENDED_BASE && leaf <= lower(HIGHEST_EXTENDED, cpu_id(EXTENDED_BASE, 0).eax))
        return extended_leaf(leaf);
    return (struct cpuid){0};
}

bool guest_emulate_forced_cpuid(struct cpu_regs *regs)
{
    static const uint8_t prefixed_cpuid[] = {0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2};
    uint8_t code[sizeof prefixed_cpuid];

    if (copy_from_guest(code, regs->rip, sizeof code))
        return false;
    for (size_t i = 0; i < sizeof code; i++) {
        if (code[i] != prefixed_cpuid[i])
            return false;
    }

    struct cpuid out = guest_cpuid((uint32_t)regs->rax, (uint32_t)regs->rcx);

    regs->rax = out.eax;
    regs->rbx = out.ebx;
    regs->rcx = out.ecx;
    regs->rdx = out.edx;
    regs->rip += sizeof code;
    return true;
}

/* ---- model-specific registers ---- */

static bool is_segment_base(uint32_t msr)
{
    return msr == MSR_FS_BASE || msr == MSR_GS_BASE || msr == MSR_KERNEL_GS_BASE;
}

static bool read_msr(struct cpu_regs *regs)
{
    uint32_t msr = (uint32_t)regs->rcx;

    if (!is_segment_base(msr))
        return false;

    uint64_t value = msr_read(msr);

    regs->rax = (uint32_t)value;
    regs->rdx = value >> 32;
    return true;
}

static bool write_msr(const struct cpu_regs *regs)
{
    uint32_t msr = (uint32_t)regs->rcx;
    uint64_t value = regs->rdx << 32 | (uint32_t)regs->rax;

    if (!is_segment_base(msr) || !address_is_canonical(value))
        return false;
    msr_write(msr, value);
    return true;
}

/* ---- control registers ---- */

/* What the guest may know of CR4: TSD, DE, MCE, OSFXSR, OSXMMEXCPT, OSXSAVE. PAE goes without saying. */
#define CR4_VISIBLE (BIT(2) | BIT(3) | BIT(5) | BIT(6) | BIT(9) | BIT(10) | BIT(18))

static bool read_control_register(unsigned int number, uint64_t *value)
{
    switch (number) {
    case 0:
        *value = cr0_read();
        return true;
    case 2:
        *value = guest.vcpu->arch.cr2;
        return true;
    case 3:
        *value = guest.l4_mfn << FRAME_SHIFT;
        return true;
    case 4:
        *value = cr4_read() & CR4_VISIBLE;
        return true;
    default:
        return false;
    }
}

/* The register that the three bits of a ModRM byte name, extended by REX.B. */
static uint64_t *general_register(struct cpu_regs *regs, unsigned int number)
{
    uint64_t *const by_number[16] = {
        &regs->rax, &regs->rcx, &regs->rdx, &regs->rbx, &regs->rsp, &regs->rbp, &regs->rsi, &regs->rdi,
        &regs->r8,  &regs->r9,  &regs->r10, &regs->r11, &regs->r12, &regs->r13, &regs->r14, &regs->r15,
    };

    return by_number[number & 15];
}

/* ---- decode ---- */

#define LONGEST 4u /* REX, two bytes of opcode, ModRM */

bool guest_emulate_privileged(struct cpu_regs *regs)
{
    uint8_t code[LONGEST] = {0};
    unsigned int at = 0, rex = 0;

    /* The shorter forms may end where the next page is not mapped. */
    if (copy_from_guest(code, regs->rip, LONGEST) && copy_from_guest(code, regs->rip, 3) &&
        copy_from_guest(code, regs->rip, 2))
        return false;
    if ((code[0] & 0xf0) == 0x40)
        rex = code[at++];
    if (code[at++] != 0x0f)
        return false;

    switch (code[at++]) {
    case 0x32:
        if (!read_msr(regs))
            return false;
        break;
    case 0x30:
        if (!write_msr(regs))
            return false;
        break;
    case 0x20: { /* MOV r64, CRn: the mode bits of ModRM are ignored */
        uint64_t value;

        if ((rex & 4) || !read_control_register(code[at] >> 3 & 7, &value))
            return false;
        *general_register(regs, (code[at] & 7u) | (rex & 1) << 3) = value;
        at++;
        break;
    }
    default:
        return false;
    }
    regs->rip += at;
    return true;
}

/* SPDX-License-Identifier: MIT */
#include "cpu/features.h"

#include "cpu/ops.h"
#include "lib/log.h"
#include "lib/options.h"
#include "lib/string.h"

#define CR0_MP (1ull << 1)
#define CR0_EM (1ull << 2)
#define CR0_NE (1ull << 5)
#define CR0_WP (1ull << 16)
#define CR0_AM (1ull << 18)

#define CR4_DE         (1ull << 3)
#define CR4_PAE        (1ull << 5)
#define CR4_MCE        (1ull << 6)
#define CR4_OSFXSR     (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_LA57       (1ull << 12)
#define CR4_VMXE       (1ull << 13)
#define CR4_OSXSAVE    (1ull << 18)
#define CR4_SMEP       (1ull << 20)
#define CR4_SMAP       (1ull << 21)

#define EFER_SCE (1ull << 0)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)
#define EFER_NXE (1ull << 11)

/* WB WT UC- UC WC WP UC UC: the layout that the PV contract promises. */
#define PAT_LAYOUT 0x0000050100070406ull

#define XCR0_X87 0x1u
#define XCR0_SSE 0x2u
#define XCR0_AVX 0x4u

struct cpu_features cpu_features;

static bool bit(uint32_t word, unsigned number)
{
    return (word >> number & 1) != 0;
}

static void put_words(char *text, const struct cpuid *id)
{
    memcpy(text, &id->eax, 4);
    memcpy(text + 4, &id->ebx, 4);
    memcpy(text + 8, &id->ecx, 4);
    memcpy(text + 12, &id->edx, 4);
}

static void read_names(uint32_t extended_max)
{
    struct cpuid id = cpu_id(0, 0);
    memcpy(cpu_features.vendor, &id.ebx, 4);
    memcpy(cpu_features.vendor + 4, &id.edx, 4);
    memcpy(cpu_features.vendor + 8, &id.ecx, 4);
    if (extended_max < 0x80000004)
        return;
    for (uint32_t i = 0; i < 3; i++) {
        id = cpu_id(0x80000002 + i, 0);
        put_words(cpu_features.brand + (size_t)i * 16, &id);
    }
}

void cpu_features_read(void)
{
    struct cpu_features *f = &cpu_features;
    uint32_t basic_max = cpu_id(0, 0).eax;
    uint32_t extended_max = cpu_id(0x80000000, 0).eax;
    struct cpuid one = cpu_id(1, 0);

    read_names(extended_max);
    f->pge = bit(one.edx, 13);
    f->pat = bit(one.edx, 16);
    f->pcid = bit(one.ecx, 17);
    f->x2apic = bit(one.ecx, 21);
    f->hypervisor = bit(one.ecx, 31);
    f->clflush_line = bit(one.edx, 19) ? (one.ebx >> 8 & 0xff) * 8 : 0;
    if (f->clflush_line == 0)
        f->clflush_line = 64;
    if (basic_max >= 7) {
        struct cpuid seven = cpu_id(7, 0);
        f->fsgsbase = bit(seven.ebx, 0);
        f->smep = bit(seven.ebx, 7);
        f->smap = bit(seven.ebx, 20);
        f->clflushopt = bit(seven.ebx, 23);
    }
    struct cpuid extended = cpu_id(0x80000001, 0);
    f->nx = bit(extended.edx, 20);
    f->cmpxchg16b = bit(cpu_id(1, 0).ecx, 13);
    f->page_1g = bit(extended.edx, 26);
    f->invariant_tsc = extended_max >= 0x80000007 && bit(cpu_id(0x80000007, 0).edx, 8);
    f->physical_bits = extended_max >= 0x80000008 ? (uint8_t)cpu_id(0x80000008, 0).eax : 36;
    if (f->physical_bits < 36 || f->physical_bits > 52)
        f->physical_bits = 36;
}

/* The guest may use what XSAVE manages; the hypervisor itself has no FPU code and never saves any of it. */
static void enable_xsave(void)
{
    uint32_t wanted = XCR0_X87 | XCR0_SSE;
    if (bit(cpu_id(1, 0).ecx, 28))
        wanted |= XCR0_AVX;
    xcr0_write(wanted & cpu_id(0xd, 0).eax);
}

static void write_control(void)
{
    const struct cpu_features *f = &cpu_features;
    struct cpuid one = cpu_id(1, 0);
    bool xsave = bit(one.ecx, 26);

    /* All that is not named goes off: FSGSBASE (the guest's bases are set by hypercall), PGE, PCE, TSD, PKE,
       and UMIP, which would take SGDT and its like from the guest's kernel as well: it runs in ring 3. */
    uint64_t cr4 = CR4_PAE | CR4_DE | CR4_OSFXSR | CR4_OSXMMEXCPT | (cr4_read() & CR4_VMXE);
    cr4 |= bit(one.edx, 7) ? CR4_MCE : 0;
    cr4 |= xsave ? CR4_OSXSAVE : 0;
    cr4 |= f->smep ? CR4_SMEP : 0;
    cr4 |= f->smap ? CR4_SMAP : 0;

    cr0_write((cr0_read() & ~(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE | CR0_WP | CR0_AM);
    msr_write(MSR_EFER, EFER_LMA | EFER_LME | EFER_SCE | (f->nx ? EFER_NXE : 0));
    cr4_write(cr4);
    if (xsave)
        enable_xsave();
    if (f->pat)
        msr_write(MSR_PAT, PAT_LAYOUT);
}

bool cpu_features_init(void)
{
    struct cpu_features *f = &cpu_features;

    if ((cr4_read() & CR4_LA57) != 0) {
        log_say(LOG_ALERT,
                "cpu: firmware left 5-level paging on, which Sluice cannot run with: switch it off in the "
                "firmware's set-up");
        return false;
    }
    if (!f->nx) {
        log_say(LOG_ALERT,
                "cpu: the no-execute bit is missing or switched off in the firmware's set-up; Sluice does "
                "not run without it");
        return false;
    }
    if (!f->cmpxchg16b) {
        log_say(
            LOG_ALERT,
            "cpu: there is no CMPXCHG16B, without which an IOMMU's entries cannot be changed while it runs");
        return false;
    }
    if (f->clflush_line < 64) {
        log_say(LOG_ALERT, "cpu: CLFLUSH writes back %u bytes at a time; Sluice counts on 64 or more",
                f->clflush_line);
        return false;
    }
    bool has_smap = f->smap;
    f->smap = option_bool("smap", false) && has_smap;
    write_control();
    log_line("cpu: %s %s, %u address bits,%s%s%s%s%s%s", f->vendor, f->brand, f->physical_bits,
             f->nx ? " NX" : "", f->smep ? " SMEP" : "",
             f->smap    ? " SMAP"
             : has_smap ? " (SMAP off)"
                        : "",
             f->page_1g ? " 1G-pages" : "", f->invariant_tsc ? " invariant-TSC" : "",
             f->hypervisor ? ", under a hypervisor" : "");
    return true;
}

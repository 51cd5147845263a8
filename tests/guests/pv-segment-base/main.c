/* SPDX-License-Identifier: MIT */
/*
 * Rule: set_segment_base sets the base of FS, and of GS for either mode; with SEGBASE_GS_USER_SEL it loads
 * the user's GS by a selector, and one that cannot be loaded leaves it null with base 0, which is no error.
 *
 * From: guest-abi/modes.md.
 *
 * Method: reads through FS and GS, and RDMSR, after each call.
 *
 * Errors: -EINVAL a base that is not canonical, an unknown segment.
 *
 * run: default
 * run: no-smap cpu="max,-smap"
 * run: qemu64 cpu="qemu64"
 */
#include "common/tables.h"

#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define NOT_CANONICAL      0x0000800000000000ul

static uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static void bases_are(uint64_t fs, uint64_t gs_user, uint64_t gs_kernel)
{
    EXPECT(rdmsr(MSR_FS_BASE) == fs && rdmsr(MSR_KERNEL_GS_BASE) == gs_user &&
               rdmsr(MSR_GS_BASE) == gs_kernel,
           "FS 0x%lx, user GS 0x%lx, kernel GS 0x%lx; not 0x%lx 0x%lx 0x%lx", rdmsr(MSR_FS_BASE),
           rdmsr(MSR_KERNEL_GS_BASE), rdmsr(MSR_GS_BASE), fs, gs_user, gs_kernel);
}

static void bases(void)
{
    static const uint64_t words[] = {0x66, 0x67};
    uint64_t address = hypercall_pointer(words), through_fs, through_gs;

    EXPECT_RETURN(set_segment_base(SEGBASE_FS, address), 0);
    EXPECT_RETURN(set_segment_base(SEGBASE_GS_USER, 0x5000), 0);
    EXPECT_RETURN(set_segment_base(SEGBASE_GS_KERNEL, address + 8), 0);
    bases_are(address, 0x5000, address + 8);
    __asm__ volatile("mov %%fs:0, %0; mov %%gs:0, %1" : "=r"(through_fs), "=r"(through_gs));
    EXPECT(through_fs == words[0] && through_gs == words[1], "0x%lx through FS, 0x%lx through GS", through_fs,
           through_gs);
    for (uint32_t which = SEGBASE_FS; which <= SEGBASE_GS_KERNEL; which++) {
        EXPECT_RETURN(set_segment_base(which, NOT_CANONICAL), -EINVAL);
        EXPECT_RETURN(set_segment_base(which, UINT64_MAX >> 1), -EINVAL);
    }
    bases_are(address, 0x5000, address + 8);
    EXPECT_RETURN(set_segment_base(SEGBASE_FS, 0xffff820000000000), 0); /* any address is only a number */
    EXPECT_RETURN(set_segment_base(SEGBASE_FS, 0), 0);
    EXPECT_RETURN(set_segment_base(4, 0), -EINVAL);
    EXPECT_RETURN(set_segment_base(UINT32_MAX, 0), -EINVAL);
    bases_are(0, 0x5000, address + 8);
}

static uint16_t gs_selector(void)
{
    uint16_t selector;
    __asm__ volatile("mov %%gs, %0" : "=r"(selector));
    return selector;
}

/* Selector, what GS then holds, and the user's base. The kernel's base stays. */
static void selector_gives(uint64_t selector, uint16_t held, uint64_t base)
{
    uint64_t kernels = rdmsr(MSR_GS_BASE);
    EXPECT_RETURN(set_segment_base(SEGBASE_GS_USER, 0x5000), 0);
    EXPECT_RETURN(set_segment_base(SEGBASE_GS_USER_SEL, selector), 0);
    EXPECT(gs_selector() == held, "selector 0x%lx: GS holds 0x%x", selector, gs_selector());
    bases_are(0, base, kernels);
}

static void selectors(void)
{
    struct table page;
    table_begin(&page);
    page.view[1] = 0x00cf92345678ffffull; /* data at 0x00345678 */
    page.view[2] = 0x00cf12345678ffffull; /* the same, not present */
    table_seal(&page);
    EXPECT_RETURN(set_gdt(&page.mfn, 3), 0);

    selector_gives(8 | 3, 8 | 3, 0x345678);
    selector_gives(8, 8 | 3, 0x345678);
    selector_gives(FLAT_RING3_SS64, FLAT_RING3_SS64, 0);
    selector_gives(0xabcd0008, 8 | 3, 0x345678);
    /* Null, not present, absent, the hypervisor's, and no LDT. */
    const uint16_t bad[] = {0,      1,      3,      16 | 3, 24 | 3, 0xe008, 0xe010,
                            0xe013, 0xe040, 0xe050, 0xf000, 0xffff, 8 | 7};
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        selector_gives(bad[i], 0, 0);
    EXPECT_RETURN(set_gdt(NULL, 0), 0);
}

void guest_main(void)
{
    bases();
    selectors();
    report_success("each segment has the base it was given");
}

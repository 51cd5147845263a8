/* SPDX-License-Identifier: MIT */
#include "processor.h"

#include "boot/loader.h"

static void cpuid(UINT32 leaf, UINT32 *ecx)
{
    UINT32 eax = leaf;
    *ecx = 0;
    __asm__ volatile("cpuid" : "+a"(eax), "+c"(*ecx) : : "rbx", "rdx");
}

/* ---- 5 levels ---- */

#define LEAF_LA57  7u
#define LA57       (1u << 16)
#define PTE_P_W    3u
#define FRAME_MASK 0x000ffffffffff000ull

BOOLEAN processor_five_levels(void)
{
    UINT32 features;
    UINT64 l4, l5 = pages_alloc(4096);
    cpuid(LEAF_LA57, &features);
    if (!(features & LA57) || !l5 || !levels_prepare()) {
        say("refused: hook: the processor has no 5-level paging.", NULL);
        return FALSE;
    }
    __asm__ volatile("mov %%cr3, %0" : "=r"(l4));
    *(UINT64 *)(UINTN)l5 = (l4 & FRAME_MASK) | PTE_P_W;
    levels_switch(l5);
    say("hook: paging has ", levels_are_five() ? "5" : "4", " levels.", NULL);
    return TRUE;
}

/* ---- x2APIC ---- */

#define LEAF_X2APIC   1u
#define X2APIC        (1u << 21)
#define MSR_APIC_BASE 0x1bu
#define BASE_X2APIC   (1u << 10)

BOOLEAN processor_x2apic(void)
{
    UINT32 features, low, high;
    cpuid(LEAF_X2APIC, &features);
    if (!(features & X2APIC)) {
        say("refused: hook: the processor has no x2APIC mode.", NULL);
        return FALSE;
    }
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_APIC_BASE));
    __asm__ volatile("wrmsr" : : "a"(low | BASE_X2APIC), "d"(high), "c"(MSR_APIC_BASE));
    say("hook: the local APIC is in x2APIC mode.", NULL);
    return TRUE;
}

/* ---- the other processors ---- */

#define LOOP_PAGE   0x50000ull /* kernel.c of this folder knows it as well */
#define ICR         0xfee00300ull
#define INIT_OTHERS 0x000c4500u
#define SIPI_OTHERS (0x000c4600u | (UINT32)(LOOP_PAGE >> 12))
#define WAIT_TICKS  20000000u /* 20 ms of QEMU's */

/* Counts for ever, in real mode: again: incl %cs:0x10; jmp again. */
static const UINT8 loop[] = {0x2e, 0x66, 0xff, 0x06, 0x10, 0x00, 0xeb, 0xf8};
static BOOLEAN others_wanted;

BOOLEAN processor_prepare_others(void)
{
    EFI_PHYSICAL_ADDRESS page = LOOP_PAGE;
    if (EFI_ERROR(firmware->BootServices->AllocatePages(AllocateAddress, EfiBootServicesData, 1, &page))) {
        say("refused: hook: ", hexadecimal(page), " is taken.", NULL);
        return FALSE;
    }
    firmware->BootServices->SetMem((void *)(UINTN)page, 4096, 0);
    firmware->BootServices->CopyMem((void *)(UINTN)page, (void *)(UINTN)loop, sizeof loop);
    others_wanted = TRUE;
    return TRUE;
}

static void wait(void)
{
    UINT64 start = __builtin_ia32_rdtsc();
    while (__builtin_ia32_rdtsc() - start < WAIT_TICKS)
        continue;
}

void processor_start_others(void)
{
    if (!others_wanted)
        return;
    *(volatile UINT32 *)(UINTN)ICR = INIT_OTHERS;
    wait();
    *(volatile UINT32 *)(UINTN)ICR = SIPI_OTHERS;
    wait();
}

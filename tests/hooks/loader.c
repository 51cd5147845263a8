/* SPDX-License-Identifier: MIT */
/*
 * As some firmware does: the IOMMU is on, and lets everything pass, when the loader leaves. Only for QEMU's
 * machines, whose units are where they always are. Or, where acpi-override asks for it, one of its ACPI
 * tables is another; or, where hook= does, processors are in another state.
 */
#include "boot/hook.h"

#include "boot/loader.h"
#include "option.h"
#include "override.h"
#include "processor.h"

#define VTD_BASE   0xfed90000ull
#define VTD_VER    0x00u
#define VTD_GCMD   0x18u
#define VTD_GSTS   0x1cu
#define VTD_RTADDR 0x20u
#define VTD_SRTP   (1u << 30)
#define VTD_TE     (1u << 31)

#define AMDVI_BASE         0xfed80000ull
#define AMDVI_DEVICE_TABLE 0x00u
#define AMDVI_CONTROL      0x18u
#define AMDVI_FEATURES     0x30u
#define AMDVI_TABLE_PAGES  8u /* four buses; all zero means that everything passes */

static volatile UINT32 *reg32(UINT64 address)
{
    return (volatile UINT32 *)(UINTN)address;
}

static volatile UINT64 *reg64(UINT64 address)
{
    return (volatile UINT64 *)(UINTN)address;
}

/* One root table and one context table for every bus: present, pass-through (TT 2), 39 bits, domain 1. */
static void leave_vtd_on(void)
{
    UINT64 root = pages_alloc(4096), contexts = pages_alloc(4096);
    for (UINTN i = 0; i < 256; i++) {
        reg64(root)[2 * i] = contexts | 1;
        reg64(contexts)[2 * i] = 1 | 2 << 2;
        reg64(contexts)[2 * i + 1] = 1 << 8 | 1;
    }
    *reg64(VTD_BASE + VTD_RTADDR) = root;
    *reg32(VTD_BASE + VTD_GCMD) = VTD_SRTP;
    *reg32(VTD_BASE + VTD_GCMD) = VTD_TE;
    say("hook: VT-d is on and passes everything; its status is ", hexadecimal(*reg32(VTD_BASE + VTD_GSTS)),
        NULL);
}

static void leave_amdvi_on(void)
{
    UINT64 table = pages_alloc(AMDVI_TABLE_PAGES * 4096);
    *reg64(AMDVI_BASE + AMDVI_DEVICE_TABLE) = table | (AMDVI_TABLE_PAGES - 1);
    *reg64(AMDVI_BASE + AMDVI_CONTROL) = 1;
    say("hook: AMD-Vi is on and passes everything; its control is ",
        hexadecimal(*reg64(AMDVI_BASE + AMDVI_CONTROL)), NULL);
}

static void leave_unit_on(void)
{
    UINT32 version = *reg32(VTD_BASE + VTD_VER);
    if (version >= 0x10 && version <= 0x6f)
        leave_vtd_on();
    else
        leave_amdvi_on();
}

BOOLEAN hook_begin(struct boot_info *info)
{
    if (hook_is(info, "hook=", "la57"))
        return processor_five_levels();
    return !hook_is(info, "hook=", "x2apic") || processor_x2apic();
}

BOOLEAN hook_leave(struct boot_info *info)
{
    char text[CONFIG_PATH_MAX];
    if (override_asked(info, text))
        return override_table(info, text);
    if (hook_is(info, "hook=", "acpi"))
        return override_places(info);
    if (hook_is(info, "hook=", "processors"))
        return processor_prepare_others();
    if (!hook_option(info, "hook=", text))
        leave_unit_on();
    return TRUE;
}

void hook_left(struct boot_info *info)
{
    processor_start_others();
    override_make_highest(info);
}

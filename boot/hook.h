/* SPDX-License-Identifier: MIT */
/*
 * Where a test image does what some firmware does and QEMU's does not (tests/hooks/loader.c). The image that
 * is shipped has nothing there.
 */
#ifndef BOOT_HOOK_H
#define BOOT_HOOK_H

#include <efi.h>

#include "kernel/boot_info.h"

#ifdef SLUICE_TEST_HOOKS
/* The framebuffer is described and not mapped yet. */
void hook_framebuffer(struct boot_info *info);
/* Everything is in its place, and boot services are about to be left. FALSE after saying why they must not.
 */
BOOLEAN hook_leave(struct boot_info *info);
#else
static inline void hook_framebuffer(struct boot_info *info)
{
    (void)info;
}
static inline BOOLEAN hook_leave(struct boot_info *info)
{
    (void)info;
    return TRUE;
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Where a test image does what some firmware does and QEMU's does not (tests/hooks/loader.c). The image that
 * is shipped has nothing there.
 */
#ifndef BOOT_HOOK_H
#define BOOT_HOOK_H

#ifdef SLUICE_TEST_HOOKS
void hook_leave(void); /* the last thing before the loader leaves boot services */
#else
static inline void hook_leave(void)
{
}
#endif

#endif

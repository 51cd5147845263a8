/* SPDX-License-Identifier: MIT */
/*
 * Where a test image does what firmware or hardware would do and QEMU does not (tests/hooks/kernel.c). The
 * image that is shipped has nothing there.
 */
#ifndef SLUICE_HOOK_H
#define SLUICE_HOOK_H

#ifdef SLUICE_TEST_HOOKS
void hook_before_enable(void); /* the units are known; their tables are built and not yet in use */
void hook_after_enable(void);
#else
static inline void hook_before_enable(void)
{
}
static inline void hook_after_enable(void)
{
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The guest's user mode. Both modes run in ring 3; user mode has an L4 of its own, and is entered by the
 * iret hypercall with a CS of RPL 3. Every exception, system call and event of user mode comes back on the
 * kernel's stack.
 */
#ifndef KIT_USER_H
#define KIT_USER_H

#include "kit/trap.h"

#include <stdint.h>

/*
 * Programs for user mode live in the guest's image, but run at addresses of their own: code and constants get
 * USER_CODE and USER_DATA, and name nothing without. The pages from user_image to user_image_end hold them.
 */
#define USER_CODE __attribute__((section(".user.text"), noinline))
#define USER_DATA __attribute__((section(".user.rodata")))
extern const char user_image[], user_image_end[];

/*
 * A new L4 with the entries that the kernel's has now, pinned: its MFN, or NO_FRAME with user_error set. What
 * is mapped later below the same L4 entries shows in both.
 */
uint64_t user_l4_create(void);
extern long user_error;

/*
 * Registers a stack and the callbacks of system calls (64-bit, 32-bit where the hypervisor has it) and of
 * failed returns; makes a user L4 and loads it. 0 or an errno.
 */
long user_mode_init(void);

/* Registers for user mode: 64-bit code with flat segments, interrupts on. */
struct trap_regs user_regs(const void *code, const void *stack_end);

/*
 * Runs user mode from regs until it comes back, by whatever way: the registers it was left with, `vector`
 * says how (TRAP_*). A handler set for that kind is not called.
 */
struct trap_regs user_run(const struct trap_regs *regs);

#endif

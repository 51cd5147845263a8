/* SPDX-License-Identifier: MIT */
#include "kit/user.h"

#include "kit/hypercall.h"
#include "kit/memory.h"
#include "kit/string.h"

extern void user_enter(struct trap_regs *regs); /* start.S */
extern struct trap_regs user_left_with;         /* trap.c */

#define RFLAGS_IF 0x200ul

long user_error;

static uint64_t entry_stack[1024] __attribute__((aligned(16)));

uint64_t user_l4_create(void)
{
    const uint64_t *kernel = (const uint64_t *)(uintptr_t)start_info->pt_base;
    uint64_t pfn = frame_take_from_end(); /* nothing else maps it */
    uint64_t *l4 = pfn == NO_FRAME ? NULL : map_frame(pfn_to_mfn(pfn), MAP_RAM);

    user_error = -ENOMEM;
    if (!l4)
        return NO_FRAME;
    memcpy(l4, kernel, PAGE_SIZE);
    unmap_frames(l4, 1);
    user_error = mmuext(MMUEXT_PIN_L4_TABLE, pfn_to_mfn(pfn), 0);
    return user_error ? NO_FRAME : pfn_to_mfn(pfn);
}

long user_mode_init(void)
{
    uint64_t l4 = user_l4_create();

    if (l4 == NO_FRAME)
        return user_error;
    if ((user_error = stack_switch(FLAT_RING3_SS64, hypercall_pointer(entry_stack + 1024))) ||
        (user_error = callback_register(CALLBACKTYPE_syscall, 0, trap_syscall)) ||
        (user_error = callback_register(CALLBACKTYPE_failsafe, 0, trap_failsafe)) ||
        (user_error = mmuext(MMUEXT_NEW_USER_BASEPTR, l4, 0)))
        return user_error;
    return 0;
}

struct trap_regs user_regs(const void *code, const void *stack_end)
{
    return (struct trap_regs){
        .rip = hypercall_pointer(code),
        .cs = FLAT_RING3_CS64,
        .rflags = RFLAGS_IF,
        .rsp = hypercall_pointer(stack_end),
        .ss = FLAT_RING3_SS64,
    };
}

struct trap_regs user_run(const struct trap_regs *regs)
{
    static struct {
        uint64_t room[128]; /* the registers are taken from a stack, and an event's frame goes below it */
        struct trap_regs regs;
    } launch;

    launch.regs = *regs;
    user_enter(&launch.regs);
    return user_left_with;
}

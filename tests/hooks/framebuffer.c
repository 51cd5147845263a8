/* SPDX-License-Identifier: MIT */
/*
 * What QEMU's firmware never says of its framebuffer. The option framebuffer=pitch makes the lines of the VGA
 * device longer than they are wide, and tells so; framebuffer=memory says that it is where the guest's file
 * is.
 */
#include "boot/hook.h"

#include "boot/loader.h"
#include "option.h"

#define MORE_PIXELS 32u

/* Bochs' extension of the VGA registers. */
#define VBE_INDEX         0x1ce
#define VBE_DATA          0x1cf
#define VBE_VIRTUAL_WIDTH 6

static void write_port(UINT16 port, UINT16 value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

void hook_framebuffer(struct boot_info *info)
{
    struct boot_framebuffer *framebuffer = &info->framebuffer;
    if (hook_is(info, "framebuffer=", "pitch")) {
        framebuffer->pitch = framebuffer->width + MORE_PIXELS;
        framebuffer->size = (UINT64)framebuffer->pitch * framebuffer->height * 4;
        say("hook: a line has ", decimal(framebuffer->pitch), " pixels.", NULL);
        write_port(VBE_INDEX, VBE_VIRTUAL_WIDTH);
        write_port(VBE_DATA, (UINT16)framebuffer->pitch);
    }
    if (hook_is(info, "framebuffer=", "memory"))
        framebuffer->base = info->guest.base;
}

/* SPDX-License-Identifier: MIT */
/* Where the loader jumps to: RDI = physical address of struct boot_info (kernel/boot_info.h). */
#include "cpu/stack.h"

    .section .text.entry, "ax", @progbits
    .globl kernel_entry
    .type kernel_entry, @function
kernel_entry:
    cli
    cld
    lea  cpu_stacks + STACK_MAIN_TOP(%rip), %rsp
    xor  %ebp, %ebp             /* ends every backtrace */
    call kernel_main
    ud2
    .size kernel_entry, . - kernel_entry

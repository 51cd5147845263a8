/* SPDX-License-Identifier: MIT */
/*
 * Every way into the hypervisor, and the one way out.
 *
 * Whatever the entry, the stack then holds a struct cpu_regs (cpu/regs.h) and RSP is 16-byte aligned. There
 * is one CPU, so the stack is found relative to RIP and the guest's GS bases are never touched: no SWAPGS,
 * and none of the windows that come with it. The way out is IRETQ, which unlike SYSRET checks what it loads
 * before it leaves ring 0's stack.
 */
#include "cpu/descriptors.h"
#include "cpu/stack.h"

#define REGS_SIZE     176
#define REGS_HARDWARE 16 /* bytes between R8 and RIP: vector and error code */
#define REGS_CS       (18 * 8)
#define RFLAGS_FIXED     2
#define VECTOR_SYSCALL   0x100
#define VECTOR_SYSCALL32 0x101
#define VECTOR_SYSENTER  0x102

.macro save_registers
    push %r8
    push %r10
    push %rdx
    push %rsi
    push %rdi
    push %rcx
    push %rax
    push %r9
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
.endm

.macro restore_registers
    pop  %r15
    pop  %r14
    pop  %r13
    pop  %r12
    pop  %rbp
    pop  %rbx
    pop  %r11
    pop  %r9
    pop  %rax
    pop  %rcx
    pop  %rdi
    pop  %rsi
    pop  %rdx
    pop  %r10
    pop  %r8
.endm

    .text

/*
 * SYSCALL: RCX = RIP, R11 = RFLAGS, everything else the guest's, RSP included. SFMASK has turned off
 * interrupts and single-stepping, but an NMI, a machine check or a #DB put off by MOV SS can still come in
 * here: they have stacks of their own.
 */
    .balign 64
    .globl syscall_entry
    .type syscall_entry, @function
syscall_entry:
    mov  %rsp, syscall_rsp(%rip)
    lea  cpu_stacks + STACK_MAIN_TOP(%rip), %rsp
    push $SELECTOR_USER_SS
    push syscall_rsp(%rip)
    push %r11
    push $SELECTOR_USER64
    push %rcx
    push $0
    push $VECTOR_SYSCALL
    save_registers
    mov  %rsp, %rdi
    xor  %ebp, %ebp
    call pv_guest_syscall
leave:
    restore_registers
    add  $REGS_HARDWARE, %rsp
    .globl leave_iret
leave_iret:
    iretq                       /* faults on a bad guest frame: trap.c knows this address */
    .size syscall_entry, . - syscall_entry

/* SYSCALL from 32-bit code comes here on AMD, and raises #UD on Intel. */
    .balign 16
    .globl syscall32_entry
    .type syscall32_entry, @function
syscall32_entry:
    mov  %rsp, syscall_rsp(%rip)
    lea  cpu_stacks + STACK_MAIN_TOP(%rip), %rsp
    push $SELECTOR_USER_SS
    push syscall_rsp(%rip)
    push %r11
    push $SELECTOR_USER32
    push %rcx
    push $0
    push $VECTOR_SYSCALL32
    jmp  old_call
    .size syscall32_entry, . - syscall32_entry

/*
 * SYSENTER, once the guest has a callback for it: the CPU has loaded the stack, and where the guest was is
 * lost. Of the flags only IF is off. They are saved as they are, so that a single step of the guest's goes on
 * behind its system call; then POPFQ ends stepping here, and NT, which would make IRETQ fault.
 */
    .balign 16
    .globl sysenter_entry
    .type sysenter_entry, @function
sysenter_entry:
    push $SELECTOR_USER_SS
    push $0
    pushfq
    push $3
    push $0
    push $0
    push $VECTOR_SYSENTER
old_call:
    save_registers
    push $RFLAGS_FIXED
    popfq
    mov  %rsp, %rdi
    xor  %ebp, %ebp
    call pv_guest_old_call
    jmp  leave
    .size sysenter_entry, . - sysenter_entry

/* The stack holds the hardware's frame, the error code and the vector. */
    .type trap_common, @function
trap_common:
    save_registers
trap_saved:
    cld
    mov  %rsp, %rdi
    xor  %ebp, %ebp
    call trap_dispatch
    mov  %rax, %rsp             /* the frame to leave with */
    jmp  leave
    .size trap_common, . - trap_common

/*
 * A #DB of the guest's goes on on the normal stack: handling it may take another #DB (a watchpoint in a
 * guest copy), which would begin at the top of the debug stack again.
 */
    .type trap_debug, @function
trap_debug:
    save_registers
    testb $3, REGS_CS(%rsp)
    jz   trap_saved
    mov  %rsp, %rsi
    lea  cpu_stacks + STACK_MAIN_TOP - REGS_SIZE(%rip), %rsp
    mov  %rsp, %rdi
    mov  $REGS_SIZE / 8, %ecx
    cld
    rep movsq
    jmp  trap_saved
    .size trap_debug, . - trap_debug

/*
 * The CPU aligns the stack before it pushes its five words; an error code makes them six. Devices can send
 * an interrupt with the vector of an exception that has an error code, so look and do not assume.
 */
.macro trap_stub vector
    .balign 16
trap_stub_\vector:
    .if \vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21 || \vector == 29 || \vector == 30
    test $8, %spl
    jz   1f
    .endif
    push $0
1:  push $\vector
    .if \vector == 1
    jmp  trap_debug
    .else
    jmp  trap_common
    .endif
    .pushsection .rodata.trap_stub_offsets, "a", @progbits
    .long trap_stub_\vector - trap_stub_offsets
    .popsection
.endm

    .pushsection .rodata.trap_stub_offsets, "a", @progbits
    .balign 4
    .globl trap_stub_offsets
trap_stub_offsets:
    .popsection

    .altmacro
    .set vector, 0
    .rept 256
    trap_stub %vector
    .set vector, vector + 1
    .endr
    .noaltmacro

/* RDI = struct cpu_regs of the guest: moved to the top of the stack, upwards, so overlap does no harm. */
    .globl enter_with
    .type enter_with, @function
enter_with:
    lea  cpu_stacks + STACK_MAIN_TOP(%rip), %rsp
    .set offset, REGS_SIZE - 8
    .rept REGS_SIZE / 8
    push offset(%rdi)
    .set offset, offset - 8
    .endr
    jmp  leave
    .size enter_with, . - enter_with

    .bss
    .balign 8
syscall_rsp:
    .skip 8

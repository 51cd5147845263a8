/* SPDX-License-Identifier: MIT */
/* Entry, ELF notes, trap stubs and the landing place of trap_try(). */
#include <sluice/xen.h>

/* ---- ELF notes: what the loader reads ---- */
#ifndef GUEST_NO_NOTES
.macro note type, value:vararg
    .pushsection .note.Xen, "a", @note
    .balign 4
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  \value
2:  .balign 4
    .popsection
.endm

note XEN_ELFNOTE_GUEST_OS,      .asciz "Sluice guest kit"
note XEN_ELFNOTE_GUEST_VERSION, .asciz "1"
note XEN_ELFNOTE_LOADER,        .asciz "generic"
note XEN_ELFNOTE_XEN_VERSION,   .asciz "xen-3.0"
note XEN_ELFNOTE_PAE_MODE,      .asciz "yes"
note XEN_ELFNOTE_FEATURES,      .asciz "!writable_page_tables|pae_pgdir_above_4gb"
note XEN_ELFNOTE_VIRT_BASE,     .quad guest_virt_base
note XEN_ELFNOTE_PADDR_OFFSET,  .quad 0
note XEN_ELFNOTE_ENTRY,         .quad guest_start
#ifdef GUEST_HYPERCALL_PAGE
note XEN_ELFNOTE_HYPERCALL_PAGE, .quad hypercall_page
#endif
#endif

/* RSI = start information page; RSP = end of the loader's one-page stack. */
    .section .text.start, "ax", @progbits
    .globl guest_start
guest_start:
    cld
    mov  %rsi, %rdi
    mov  %rsp, %rsi
    lea  guest_stack_end(%rip), %rsp
    xor  %ebp, %ebp
    call kit_main
    ud2

#ifdef GUEST_HYPERCALL_PAGE
    .section .text.hypercall_page, "ax", @progbits
    .globl hypercall_page
hypercall_page:
    .skip 4096, 0xcc
#endif

/*
 * The hypervisor pushes ss rsp rflags cs rip [error code] r11 rcx. The stubs make of it a struct trap_regs:
 * one shape for all vectors. The way back is the iret hypercall, whose frame begins rax r11 rcx flags.
 */
.macro stub vector, has_error
    .balign 16
    pop  %rcx
    pop  %r11
    .if !\has_error
    push $0
    .endif
    push $\vector
    jmp  trap_common
.endm

    .text
    .balign 16
    .globl trap_stubs
trap_stubs: /* 16 bytes each, by vector; trap.c counts on it */
    .altmacro
    .set vector, 0
    .rept 33
    .if vector == 32 /* no exception: the event upcall, whose frame has the same shape */
    .globl trap_event
trap_event:
    .endif
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 30
    stub %vector, 1
    .else
    stub %vector, 0
    .endif
    .set vector, vector + 1
    .endr
    .noaltmacro

/* The callbacks, and a gate for `int n`: kinds of their own, above the exceptions. */
.macro kind name, number
    .globl \name
\name:
    pop  %rcx
    pop  %r11
    push $0
    push $\number
    jmp  trap_common
.endm
    kind trap_syscall, 33
    kind trap_syscall32, 34
    kind trap_sysenter, 35
    kind trap_software_interrupt, 37

    .globl trap_failsafe
trap_failsafe:
    pop  %rcx
    pop  %r11
    pop  trap_failsafe_selectors(%rip)
    pop  trap_failsafe_selectors + 8(%rip)
    pop  trap_failsafe_selectors + 16(%rip)
    pop  trap_failsafe_selectors + 24(%rip)
    push $0
    push $36
    jmp  trap_common

trap_common:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    mov  %rsp, %rdi
    mov  %rsp, %rbp
    and  $-16, %rsp
    cld
    call trap_dispatch
    mov  %rbp, %rsp
trap_leave:
    pop  %r15
    pop  %r14
    pop  %r13
    pop  %r12
    pop  %r11
    pop  %r10
    pop  %r9
    pop  %r8
    pop  %rdi
    pop  %rsi
    pop  %rbp
    pop  %rbx
    pop  %rdx
    pop  %rcx
    pop  %rax
    add  $16, %rsp /* vector, error code */
    push $0        /* flags of the iret hypercall */
    push %rcx
    push %r11
    push %rax
    mov  $__HYPERVISOR_iret, %eax
    syscall
    ud2

/* The event callback. Its frame becomes that of the iret hypercall; C keeps the registers that are not here. */
    .globl event_entry
event_entry:
    pop  %rcx
    pop  %r11
    push $0
    push %rcx
    push %r11
    push %rax
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    sub  $8, %rsp
    cld
    call events_dispatch
    add  $8, %rsp
    pop  %r10
    pop  %r9
    pop  %r8
    pop  %rdi
    pop  %rsi
    pop  %rdx
    mov  $__HYPERVISOR_iret, %eax
    syscall
    ud2

/* int trap_call(void (*function)(void *), void *argument): 0, or 1 when trap_dispatch() cut it short. */
    .globl trap_call
trap_call:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    sub  $8, %rsp
    mov  %rsp, trap_landing_stack(%rip)
    mov  %rdi, %rax
    mov  %rsi, %rdi
    call *%rax
    xor  %eax, %eax
    jmp  1f
    .globl trap_landing
trap_landing: /* trap_dispatch() has put trap_landing_stack into RSP */
    mov  $1, %eax
1:  movq $0, trap_landing_stack(%rip)
    add  $8, %rsp
    pop  %r15
    pop  %r14
    pop  %r13
    pop  %r12
    pop  %rbp
    pop  %rbx
    ret

/* void user_enter(struct trap_regs *regs): goes there by iret, and returns at the next bounce from user mode. */
    .globl user_enter
user_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov  %rsp, user_landing_stack(%rip)
    mov  %rdi, %rsp
    jmp  trap_leave
    .globl user_landing
user_landing:
    movq $0, user_landing_stack(%rip)
    pop  %r15
    pop  %r14
    pop  %r13
    pop  %r12
    pop  %rbp
    pop  %rbx
    ret

    .bss
    .balign 8
    .globl trap_failsafe_selectors
trap_failsafe_selectors:
    .skip 32

    .section .bss.guest_stack, "aw", @nobits
    .balign 4096
guest_stack:
    .skip 8 * 4096
guest_stack_end:

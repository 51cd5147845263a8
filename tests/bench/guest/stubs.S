/* SPDX-License-Identifier: MIT */
/*
 * The guest's ends of the measured paths, in as few instructions as a kernel could do with: the kit's go
 * through C. The hypervisor pushes ss rsp rflags cs rip [error code] r11 rcx; iret takes rax r11 rcx flags
 * in front of rip.
 */
#include <sluice/xen.h>

/* Of struct vcpu_info and struct shared_info. */
#define UPCALL_PENDING 0
#define PENDING_SEL    8
#define EVTCHN_PENDING 2048

.macro iret_from_rcx_on
    push %rcx
    push %r11
    push %rax
    mov  $__HYPERVISOR_iret, %eax
    syscall
.endm

    .text
/* void iret_call(uint64_t): to the next instruction of the kernel, events masked. */
    .globl iret_call
iret_call:
    mov  %rsp, %rdx
    lea  1f(%rip), %rcx
    push $FLAT_RING3_SS64
    push %rdx
    push $2
    push $FLAT_RING3_CS64 & ~3
    push %rcx
    push $0
    iret_from_rcx_on
1:  ret

/* #PF: goes on behind the faulting instruction, which has 4 bytes. */
    .globl page_fault_stub
page_fault_stub:
    pop  %rcx
    pop  %r11
    movq $0, (%rsp) /* the error code's place has the flags */
    addq $4, 8(%rsp)
    iret_from_rcx_on

/* A system call that does nothing. */
    .globl syscall_stub
syscall_stub:
    pop  %rcx
    pop  %r11
    push $VGCF_in_syscall
    iret_from_rcx_on

/* The event upcall: takes the one port that there is. */
    .globl event_stub
event_stub:
    pop  %rcx
    pop  %r11
    push $0
    push %rcx
    push %r11
    push %rax
    push %rdx
    mov  vcpu_info(%rip), %rdx
    movb $0, UPCALL_PENDING(%rdx)
    xor  %eax, %eax
    xchg %rax, PENDING_SEL(%rdx)
    mov  shared_info(%rip), %rdx
    mov  event_port(%rip), %eax
    lock btr %rax, EVTCHN_PENDING(%rdx)
    pop  %rdx
    mov  $__HYPERVISOR_iret, %eax
    syscall

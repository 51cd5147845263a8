/* SPDX-License-Identifier: MIT */
/*
 * Between 5 and 4 levels of paging, and back. The bit can be changed with paging off only, and paging can be
 * switched off below 4 GiB only: boot/levels.c puts a copy of this code there. Intel SDM volume 3, 4.1.2.
 *
 * Position-independent; called with the MS ABI: ECX = the new CR3, below 4 GiB, whose tables map the copy, the
 * caller and its stack where they are mapped now. An NMI meanwhile is the end.
 */
#define CR0_PG    0x80000000
#define CR4_LA57  0x00001000
#define CR4_PCIDE 0x00020000

#define SELECTOR_CODE32 8
#define SELECTOR_DATA   16
#define SELECTOR_CODE64 24

    .text
    .globl levels_code
levels_code:
    push %rbx                   /* upper halves do not outlive 64-bit mode */
    push %rbp
    push %rsi
    push %rdi
    push %r12
    push %r13
    push %r14
    push %r15
    pushfq
    cli
    mov  %rsp, saved_stack(%rip)
    mov  %cs, saved_code(%rip)
    mov  %ss, saved_data(%rip)
    sgdt saved_gdt(%rip)

    lea  levels_code(%rip), %rbx
    lea  gdt(%rip), %rax
    mov  %rax, own_gdt + 2(%rip)
    lea  in_64_bits(%rip), %rax
    mov  %eax, way_back(%rip)
    lgdt own_gdt(%rip)
    lea  in_32_bits(%rip), %rax
    push $SELECTOR_CODE32
    push %rax
    lretq

    .code32
in_32_bits:
    mov  $SELECTOR_DATA, %eax
    mov  %eax, %ds
    mov  %eax, %es
    mov  %eax, %ss
    mov  %cr4, %eax             /* with PCIDs on, paging cannot be switched off */
    and  $~CR4_PCIDE, %eax
    mov  %eax, %cr4
    mov  %cr0, %edx
    and  $~CR0_PG, %edx
    mov  %edx, %cr0
    xor  $CR4_LA57, %eax
    mov  %eax, %cr4
    mov  %ecx, %cr3
    or   $CR0_PG, %edx
    mov  %edx, %cr0
    ljmp *(way_back - levels_code)(%ebx)

    .code64
in_64_bits:
    mov  saved_stack(%rip), %rsp
    lgdt saved_gdt(%rip)
    movzwl saved_code(%rip), %eax
    lea  1f(%rip), %rdx
    push %rax
    push %rdx
    lretq
1:
    mov  saved_data(%rip), %eax
    mov  %eax, %ss
    mov  %eax, %ds
    mov  %eax, %es
    popfq
    pop  %r15
    pop  %r14
    pop  %r13
    pop  %r12
    pop  %rdi
    pop  %rsi
    pop  %rbp
    pop  %rbx
    ret

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00af9b000000ffff
own_gdt:
    .word 31
    .quad 0
saved_gdt:
    .word 0
    .quad 0
way_back:
    .long 0
    .word SELECTOR_CODE64
saved_code:
    .word 0
saved_data:
    .long 0
    .balign 8
saved_stack:
    .quad 0
    .globl levels_code_end
levels_code_end:
    .byte 0

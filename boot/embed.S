/* SPDX-License-Identifier: MIT */
/* The hypervisor, as linked, inside the loader: one file to boot. */
    .section .rdata, "dr"
    .balign 4096
    .globl kernel_file
kernel_file:
    .incbin SLUICE_ELF
    .globl kernel_file_end
kernel_file_end:
    .byte 0

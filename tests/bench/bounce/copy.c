/* SPDX-License-Identifier: MIT */
#include "copy.h"

#include "kit/memory.h"

/* QEMU's -icount takes each repetition for an instruction: 4096 of them. */
static void by_rep_movsb(void *to, const void *from)
{
    uint64_t left = PAGE_SIZE;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(left) : : "memory");
}

/* 512 of them. */
static void by_rep_movsq(void *to, const void *from)
{
    uint64_t left = PAGE_SIZE / 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(left) : : "memory");
}

/* The plain loop: 5 instructions for 8 bytes. */
static void by_8_bytes(void *to, const void *from)
{
    uint64_t at = 0, word;
    __asm__ volatile("1: mov (%[from], %[at]), %[word]\n"
                     "mov %[word], (%[to], %[at])\n"
                     "add $8, %[at]\n"
                     "cmp %[end], %[at]\n"
                     "jne 1b"
                     : [at] "+r"(at), [word] "=&r"(word)
                     : [to] "r"(to), [from] "r"(from), [end] "r"(PAGE_SIZE)
                     : "memory", "cc");
}

/*
 * A vector's bytes at a time, 8 vectors a round: 20 instructions. The compiler uses no vector registers in a
 * guest, so that none needs to be named as changed.
 */
#define VECTOR_COPY(move, vector, bytes)                                                                     \
    uint64_t left = PAGE_SIZE / (8 * bytes);                                                                 \
    __asm__ volatile("1:\n"                                                                                  \
                     ".irp i, 0,1,2,3,4,5,6,7\n" move " \\i*" #bytes "(%[from]), %%" vector "\\i\n"          \
                     ".endr\n"                                                                               \
                     ".irp i, 0,1,2,3,4,5,6,7\n" move " %%" vector "\\i, \\i*" #bytes "(%[to])\n"            \
                     ".endr\n"                                                                               \
                     "add $8*" #bytes ", %[from]\n"                                                          \
                     "add $8*" #bytes ", %[to]\n"                                                            \
                     "dec %[left]\n"                                                                         \
                     "jnz 1b"                                                                                \
                     : [to] "+r"(to), [from] "+r"(from), [left] "+r"(left)                                   \
                     :                                                                                       \
                     : "memory", "cc")

static void by_16_bytes(void *to, const void *from)
{
    VECTOR_COPY("movups", "xmm", 16);
}

static void by_32_bytes(void *to, const void *from)
{
    VECTOR_COPY("vmovups", "ymm", 32);
}

/* CPUID is no privileged instruction, and the hypervisor has switched on what it tells of. */
static bool has_avx(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ecx >> 28 & 1;
}

const struct copy_way copy_ways[COPY_WAYS] = {
    {"rep-movsb", by_rep_movsb}, {"rep-movsq", by_rep_movsq}, {"8-bytes", by_8_bytes},
    {"16-bytes", by_16_bytes},   {"32-bytes", by_32_bytes},
};

bool copy_ways_work(void)
{
    return has_avx();
}

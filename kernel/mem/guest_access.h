/* SPDX-License-Identifier: MIT */
/*
 * How a guest's memory is reached: the range that is looked at first, the window that SMAP needs, the fixup
 * that a fault is sent to; and, in line, the copies that a hypercall does for each element. The rest is in
 * guest_copy.c.
 */
#ifndef SLUICE_MEM_GUEST_ACCESS_H
#define SLUICE_MEM_GUEST_ACCESS_H

#include "cpu/features.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUEST_LOWER_END   0x0000800000000000ull
#define GUEST_UPPER_START 0xffff880000000000ull
_Static_assert(MAP_M2P_BASE == (uint64_t) - (int64_t)GUEST_LOWER_END && MAP_FIRST_SLOT == 256 &&
                   MAP_LAST_SLOT == 271,
               "the hole and the hypervisor's slots behind it are one range to keep out of");

/* An instruction that may fault, and where to go on (link.ld, cpu/trap.c). */
#define FAULTS_TO(instruction, target)                                                                       \
    ".pushsection .ex_table, \"a\", @progbits\n\t"                                                           \
    ".long " instruction " - ., " target " - .\n\t"                                                          \
    ".popsection\n\t"

/* SMAP keeps ring 0 out of the guest's pages but between these two. */
static inline void open_guest(void)
{
    if (cpu_features.smap)
        __asm__ volatile("stac" : : : "memory");
}

static inline void close_guest(void)
{
    if (cpu_features.smap)
        __asm__ volatile("clac" : : : "memory");
}

/*
 * Guest addresses are the canonical ones outside the hypervisor's slots, and outside of the slot where the
 * loaded L4 shows itself. A kernel's pointers are in the upper half: quickly seen, unless such a slot is
 * there.
 */
static inline bool in_guest(uint64_t address, size_t count)
{
    uint64_t last = address + (count - 1);

    return (address >= guest_quick_start && last >= address) || guest_range_allowed(address, last);
}

static inline int get_guest_words2(uint64_t words[2], uint64_t address)
{
    uint64_t first = 0, second = 0;
    int error = -EFAULT;
    if (!in_guest(address, 2 * sizeof(first)))
        return -EFAULT;
    open_guest();
    __asm__ volatile("1: mov (%3), %1\n\t"
                     "2: mov 8(%3), %2\n\t"
                     "xor %0, %0\n"
                     "3:\n\t" FAULTS_TO("1b", "3b") FAULTS_TO("2b", "3b")
                     : "+r"(error), "+&r"(first), "+&r"(second)
                     : "r"(address)
                     : "memory", "cc");
    close_guest();
    words[0] = first;
    words[1] = second;
    return error;
}

static inline int get_guest_words3(uint64_t words[3], uint64_t address)
{
    uint64_t first = 0, second = 0, third = 0;
    int error = -EFAULT;
    if (!in_guest(address, 3 * sizeof(first)))
        return -EFAULT;
    open_guest();
    __asm__ volatile("1: mov (%4), %1\n\t"
                     "2: mov 8(%4), %2\n\t"
                     "3: mov 16(%4), %3\n\t"
                     "xor %0, %0\n"
                     "4:\n\t" FAULTS_TO("1b", "4b") FAULTS_TO("2b", "4b") FAULTS_TO("3b", "4b")
                     : "+r"(error), "+&r"(first), "+&r"(second), "+&r"(third)
                     : "r"(address)
                     : "memory", "cc");
    close_guest();
    words[0] = first;
    words[1] = second;
    words[2] = third;
    return error;
}

#define GET_WORD(n)                                                                                          \
#n ": mov 8*(" #n " - 1)(%2), %0\n\tmov %0, 8*(" #n " - 1)(%3)\n\t" FAULTS_TO(#n "b", "9f")

/* As a copy, but of eight words and without the start-up of one. */
static inline int get_guest_words8(uint64_t words[8], uint64_t address)
{
    uint64_t word = 0;
    int error = -EFAULT;
    if (!in_guest(address, 8 * sizeof(word)))
        return -EFAULT;
    open_guest();
    __asm__ volatile(GET_WORD(1) GET_WORD(2) GET_WORD(3) GET_WORD(4) GET_WORD(5) GET_WORD(6) GET_WORD(7)
                         GET_WORD(8) "xor %1, %1\n"
                                     "9:\n\t"
                     : "+&r"(word), "+&r"(error)
                     : "r"(address), "r"(words)
                     : "memory", "cc");
    close_guest();
    return error;
}

static inline int copy_words(uint64_t *to, const uint64_t *from, size_t count)
{
    open_guest();
    __asm__ volatile("1: rep movsq\n"
                     "2:\n\t" FAULTS_TO("1b", "2b")
                     : "+D"(to), "+S"(from), "+c"(count)
                     :
                     : "memory");
    close_guest();
    return count == 0 ? 0 : -EFAULT;
}

/* One of several words, between open_guest() and close_guest(), at an address that in_guest() has allowed. */
#define PUT_GUEST_WORD(address, index, value, fault)                                                         \
    __asm__ goto("1: movq %0, %c2(%1)\n\t" FAULTS_TO("1b", "%l3")                                            \
                 :                                                                                           \
                 : "r"((uint64_t)(value)), "r"((uint64_t)(address)), "i"(8 * (index))                        \
                 : "memory"                                                                                  \
                 : fault) /* a label. NOLINT(bugprone-macro-parentheses) */

/* A few words: as the copies of guest_copy.h, but in line. */
static inline int get_guest_words(uint64_t *words, uint64_t address, size_t count)
{
    return in_guest(address, count * 8) ? copy_words(words, (const uint64_t *)(uintptr_t)address, count)
                                        : -EFAULT;
}

static inline int put_guest_words(uint64_t address, const uint64_t *words, size_t count)
{
    return in_guest(address, count * 8) ? copy_words((uint64_t *)(uintptr_t)address, words, count) : -EFAULT;
}

static inline int put_guest_u64(uint64_t address, uint64_t value)
{
    int error = -EFAULT;
    if (!in_guest(address, sizeof(value)))
        return -EFAULT;
    open_guest();
    __asm__ volatile("1: mov %1, (%2)\n\t"
                     "xor %0, %0\n"
                     "2:\n\t" FAULTS_TO("1b", "2b")
                     : "+r"(error)
                     : "r"(value), "r"(address)
                     : "memory");
    close_guest();
    return error;
}

static inline int get_guest_u32(uint32_t *value, uint64_t address)
{
    int error = -EFAULT;
    uint32_t word = 0;
    if (!in_guest(address, sizeof(word)))
        return -EFAULT;
    open_guest();
    __asm__ volatile("1: mov (%2), %1\n\t"
                     "xor %0, %0\n"
                     "2:\n\t" FAULTS_TO("1b", "2b")
                     : "+r"(error), "+&r"(word)
                     : "r"(address)
                     : "memory", "cc");
    close_guest();
    *value = word;
    return error;
}

static inline int put_guest_u32(uint64_t address, uint32_t value)
{
    int error = -EFAULT;
    if (!in_guest(address, sizeof(value)))
        return -EFAULT;
    open_guest();
    __asm__ volatile("1: mov %k1, (%2)\n\t"
                     "xor %0, %0\n"
                     "2:\n\t" FAULTS_TO("1b", "2b")
                     : "+r"(error)
                     : "r"((uint64_t)value), "r"(address)
                     : "memory");
    close_guest();
    return error;
}

#endif

/* SPDX-License-Identifier: MIT */
#include "mem/guest_copy.h"

#include "cpu/features.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/map.h"

#include <stdbool.h>

#define LOWER_HALF_END 0x0000800000000000ull
#define HYPERVISOR_END 0xffff880000000000ull
_Static_assert(MAP_M2P_BASE == (uint64_t) - (int64_t)LOWER_HALF_END && MAP_FIRST_SLOT == 256 &&
                   MAP_LAST_SLOT == 271,
               "in_guest() leaves out the hole and the hypervisor's slots as one range");

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
 * Guest addresses are the canonical ones outside the hypervisor's slots. Those slots begin where the upper
 * canonical half does, so with the hole below them they are one range to keep out of.
 */
static inline bool in_guest(uint64_t address, size_t count)
{
    uint64_t last = address + (count - 1);

    return last >= address && (last < LOWER_HALF_END || address >= HYPERVISOR_END);
}

/* The bytes left uncopied: 0, unless a fault ended it. */
static size_t copy(void *to, const void *from, size_t count)
{
    size_t words = count / 8;
    size_t bytes = count % 8;
    open_guest();
    __asm__ volatile("1: rep movsq\n\t"
                     "mov %3, %2\n\t"
                     "2: rep movsb\n\t"
                     "jmp 4f\n"
                     "3: lea 1(%2), %2\n"
                     "4:\n\t" FAULTS_TO("1b", "3b") FAULTS_TO("2b", "3b")
                     : "+D"(to), "+S"(from), "+c"(words)
                     : "r"(bytes)
                     : "memory");
    close_guest();
    return words;
}

int copy_from_guest(void *destination, uint64_t address, size_t count)
{
    if (count == 0)
        return 0;
    if (!in_guest(address, count))
        return -EFAULT;
    return copy(destination, (const void *)(uintptr_t)address, count) == 0 ? 0 : -EFAULT;
}

int copy_to_guest(uint64_t address, const void *source, size_t count)
{
    if (count == 0)
        return 0;
    if (!in_guest(address, count))
        return -EFAULT;
    return copy((void *)(uintptr_t)address, source, count) == 0 ? 0 : -EFAULT;
}

int get_guest_u64(uint64_t *value, uint64_t address)
{
    int error = -EFAULT;
    uint64_t word = 0;
    if (!in_guest(address, sizeof(word)))
        return -EFAULT;
    open_guest();
    __asm__ volatile("1: mov (%2), %1\n\t"
                     "xor %0, %0\n"
                     "2:\n\t" FAULTS_TO("1b", "2b")
                     : "+r"(error), "+&r"(word)
                     : "r"(address)
                     : "memory");
    close_guest();
    *value = word;
    return error;
}

int put_guest_u64(uint64_t address, uint64_t value)
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

int put_guest_u32(uint64_t address, uint32_t value)
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

int put_guest_u32_each(uint64_t address, uint64_t stride, uint32_t count, uint32_t value)
{
    uint64_t left = count;
    if (count == 0)
        return 0;
    if (!in_guest(address, stride * (count - 1) + sizeof(value)))
        return -EFAULT;
    open_guest();
    __asm__ volatile("1: mov %k3, (%0)\n\t"
                     "add %2, %0\n\t"
                     "dec %1\n\t"
                     "jnz 1b\n"
                     "2:\n\t" FAULTS_TO("1b", "2b")
                     : "+r"(address), "+r"(left)
                     : "r"(stride), "r"((uint64_t)value)
                     : "memory", "cc");
    close_guest();
    return left == 0 ? 0 : -EFAULT;
}

int probe_guest_u32(uint64_t address)
{
    int error = -EFAULT;
    if (!in_guest(address, sizeof(uint32_t)))
        return -EFAULT;
    open_guest();
    __asm__ volatile("1: orl $0, (%1)\n\t"
                     "xor %0, %0\n"
                     "2:\n\t" FAULTS_TO("1b", "2b")
                     : "+r"(error)
                     : "r"(address)
                     : "memory", "cc");
    close_guest();
    return error;
}

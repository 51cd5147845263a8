/* SPDX-License-Identifier: MIT */
#include "mem/guest_copy.h"
#include "mem/guest_access.h"

#include "cpu/features.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/map.h"

#include <stdbool.h>

#define LINEAR_BYTES (1ull << 39)

static uint64_t linear; /* 0 = nowhere */
uint64_t guest_quick_start = GUEST_UPPER_START;

void guest_linear_set(uint64_t base)
{
    linear = base;
    guest_quick_start = base == 0 ? GUEST_UPPER_START : UINT64_MAX;
}

bool guest_range_allowed(uint64_t address, uint64_t last)
{
    if (linear != 0 && last >= linear && address <= linear + (LINEAR_BYTES - 1))
        return false;
    return last >= address && (last < GUEST_LOWER_END || address >= GUEST_UPPER_START);
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

bool guest_range_is_tried(uint64_t address, size_t count)
{
    return in_guest(address, count);
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
                     : "+&r"(address), "+&r"(left)
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

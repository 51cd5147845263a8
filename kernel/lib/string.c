/* SPDX-License-Identifier: MIT */
#include "lib/string.h"

#include <stdint.h>

/*
 * Eight bytes a step: QEMU counts every step of a string instruction, and real CPUs have fast strings for
 * either width. Inline assembler also keeps the compiler from turning these bodies into calls of themselves.
 */
#ifndef SLUICE_HOST_TEST

void *memcpy(void *restrict destination, const void *restrict source, size_t count)
{
    void *to = destination;
    const void *from = source;
    size_t words = count / 8;
    size_t bytes = count % 8;
    __asm__ volatile("rep movsq\n\tmov %3, %2\n\trep movsb"
                     : "+D"(to), "+S"(from), "+c"(words)
                     : "r"(bytes)
                     : "memory");
    return destination;
}

void *memmove(void *destination, const void *source, size_t count)
{
    /* Forward is right unless the destination begins inside the source. */
    if ((uintptr_t)destination - (uintptr_t)source >= count)
        return memcpy(destination, source, count);
    unsigned char *to = (unsigned char *)destination + count;
    const unsigned char *from = (const unsigned char *)source + count;
    size_t left = count;
    to--;
    from--;
    __asm__ volatile("std\n\trep movsb\n\tcld" : "+D"(to), "+S"(from), "+c"(left) : : "memory");
    return destination;
}

void *memset(void *destination, int byte, size_t count)
{
    void *to = destination;
    uint64_t pattern = 0x0101010101010101ull * (unsigned char)byte;
    size_t words = count / 8;
    size_t bytes = count % 8;
    __asm__ volatile("rep stosq\n\tmov %3, %1\n\trep stosb"
                     : "+D"(to), "+c"(words)
                     : "a"(pattern), "r"(bytes)
                     : "memory");
    return destination;
}

int memcmp(const void *left, const void *right, size_t count)
{
    const unsigned char *a = left;
    const unsigned char *b = right;
    for (size_t i = 0; i < count; i++) {
        if (a[i] != b[i])
            return a[i] - b[i];
    }
    return 0;
}

size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0')
        length++;
    return length;
}

size_t strnlen(const char *text, size_t limit)
{
    size_t length = 0;
    while (length < limit && text[length] != '\0')
        length++;
    return length;
}

int strncmp(const char *left, const char *right, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char a = (unsigned char)left[i];
        unsigned char b = (unsigned char)right[i];
        if (a != b || a == '\0')
            return a - b;
    }
    return 0;
}

int strcmp(const char *left, const char *right)
{
    return strncmp(left, right, SIZE_MAX);
}

#endif

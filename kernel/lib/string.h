/* SPDX-License-Identifier: MIT */
/* The memory and string functions the compiler and the hypervisor need, as ISO C defines them. */
#ifndef SLUICE_LIB_STRING_H
#define SLUICE_LIB_STRING_H

#include <stddef.h>

void *memcpy(void *restrict destination, const void *restrict source, size_t count);
void *memmove(void *destination, const void *source, size_t count);
void *memset(void *destination, int byte, size_t count);
int memcmp(const void *left, const void *right, size_t count);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t limit);
int strcmp(const char *left, const char *right);
int strncmp(const char *left, const char *right, size_t count);

#endif

/* SPDX-License-Identifier: MIT */
/* The few string functions a guest needs; the compiler calls the first four by itself. */
#ifndef KIT_STRING_H
#define KIT_STRING_H

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t bytes);
/* The first occurrence of word in text, or NULL. */
const char *strstr(const char *text, const char *word);

/* CRC-32 of IEEE 802.3 (as zlib's). Start with crc 0; feed the result back to go on. */
uint32_t crc32(uint32_t crc, const void *data, size_t bytes);

#endif

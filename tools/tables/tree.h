/* SPDX-License-Identifier: MIT */
/* Words for a person: lines of a tree picture, sizes, and text that firmware wrote. */
#ifndef SLUICE_TABLES_TREE_H
#define SLUICE_TABLES_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One branch. The caller knows which is the last. */
void tree_line(bool last, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "12 KiB"; the largest unit that divides it, or bytes. */
const char *size_text(uint64_t bytes);

/* "s" unless there is one. */
const char *plural(uint64_t count);

/* Bytes of the table for a terminal: what is not printable ASCII stands as \xNN. Ends before zeroes. */
void safe_text(char *text, size_t room, const void *bytes, size_t size);

/* Characters of a field of fixed size without the zeroes and spaces that fill it up. */
size_t field_length(const void *bytes, size_t size);

#endif

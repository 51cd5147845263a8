/* SPDX-License-Identifier: MIT */
/*
 * Writes JSON to standard output as it comes. Keys are ours; every value may be hostile. A key of NULL is a
 * member of an array.
 */
#ifndef SLUICE_TABLES_JSON_H
#define SLUICE_TABLES_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void json_open_object(const char *key);
void json_close_object(void);
void json_open_array(const char *key);
void json_close_array(void);

void json_number(const char *key, uint64_t value);
void json_bool(const char *key, bool value);
void json_null(const char *key);
/* Bytes of the table: each one that is not printable ASCII becomes the code point of its number. */
void json_bytes(const char *key, const void *bytes, size_t size);
/* Words of ours and names of files: UTF-8 stays what it is, bytes that are none go the way of json_bytes().
 */
void json_text(const char *key, const char *text);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Formatting: %s %c %d %i %u %x %X %p %% with flags '-' '0' '#', width, precision (also '*') and the
 * lengths hh h l ll z j t. No floating point. Unknown conversions are copied as they stand.
 */
#ifndef SLUICE_LIB_PRINTF_H
#define SLUICE_LIB_PRINTF_H

#include <stdarg.h>
#include <stddef.h>

/* As vsnprintf: writes at most size bytes with the NUL, returns the length that was wanted. */
int format_string_v(char *buffer, size_t size, const char *format, va_list args);
int format_string(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Hypervisor options: words separated by blanks, each "name" or "name=value"; a later one wins.
 * The text is copied; over 2047 characters are cut with a warning. Names nobody asked for are
 * reported by options_report_unknown(), so that a typo is not silently ignored.
 */
#ifndef SLUICE_LIB_OPTIONS_H
#define SLUICE_LIB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void options_set(const char *text, size_t length);

/* Value of name: "" for a bare word, NULL when absent. Valid until options_set() is called again. */
const char *option_value(const char *name);

/* on|yes|true|1 or a bare word: true; off|no|false|0: false; absent: fallback; else a warning and fallback.
 */
bool option_bool(const char *name, bool fallback);

/* Decimal or 0x number within [low, high]; absent: fallback; else a warning and fallback. */
uint64_t option_number(const char *name, uint64_t low, uint64_t high, uint64_t fallback);

/* Logs every option that no call above has asked for. Call when all rooms have read theirs. */
void options_report_unknown(void);

#endif

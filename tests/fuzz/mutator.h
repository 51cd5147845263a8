/* SPDX-License-Identifier: MIT */
/*
 * Mutations that keep a firmware table's outer form, so that they reach what is inside: DMAR and IVRS are
 * both a header of 48 bytes and structures whose length stands in their third and fourth byte.
 */
#ifndef SLUICE_TESTS_FUZZ_MUTATOR_H
#define SLUICE_TESTS_FUZZ_MUTATOR_H

#include <stddef.h>
#include <stdint.h>

/* A target says where in its input the table begins, and which one it should be. */
size_t fuzz_table_offset(void);
const char *fuzz_table_signature(const uint8_t *input, size_t size);

#endif

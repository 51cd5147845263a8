/* SPDX-License-Identifier: MIT */
/* A promise that a fuzz target holds the product to: broken, it is said and the program aborts. */
#ifndef SLUICE_TESTS_FUZZ_MUST_H
#define SLUICE_TESTS_FUZZ_MUST_H

#include <stdio.h>
#include <stdlib.h>

static inline _Noreturn void must_fail(const char *promise, const char *file, int line)
{
    fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, promise);
    abort();
}

#define must(promise) ((promise) ? (void)0 : must_fail(#promise, __FILE__, __LINE__))

#endif

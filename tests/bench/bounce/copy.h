/* SPDX-License-Identifier: MIT */
/* Ways to copy a page. What each takes in instructions is known by its body, and none says how long it takes.
 */
#ifndef COPY_H
#define COPY_H

#include <stdbool.h>

struct copy_way {
    const char *name;
    void (*copy_page)(void *to, const void *from);
};

#define COPY_WAYS 5u
extern const struct copy_way copy_ways[COPY_WAYS];

/* Whether the CPU has the registers for all of them. */
bool copy_ways_work(void);

#endif

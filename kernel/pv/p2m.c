/* SPDX-License-Identifier: MIT */
#include "pv/p2m.h"

#include "lib/string.h"

#include <stddef.h>

static bool parse_seed(const char *text, uint64_t *seed)
{
    uint64_t value = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    }
    *seed = value;
    return true;
}

bool p2m_parse(const char *text, enum p2m_order *order, uint64_t *seed)
{
    static const char scramble[] = "scramble";
    size_t length = sizeof(scramble) - 1;

    *order = P2M_LINEAR;
    *seed = P2M_DEFAULT_SEED;
    if (text == NULL || strcmp(text, "linear") == 0)
        return true;
    if (strcmp(text, "identity") == 0) {
        *order = P2M_IDENTITY;
        return true;
    }
    if (strncmp(text, scramble, length) == 0 &&
        (text[length] == '\0' || (text[length] == ':' && parse_seed(text + length + 1, seed)))) {
        *order = P2M_SCRAMBLE;
        return true;
    }
    return false;
}

static void swap(uint64_t *left, uint64_t *right)
{
    uint64_t old = *left;
    *left = *right;
    *right = old;
}

/* Each frame that may stand at its own number is carried there; every swap settles one for good. */
static void identity(uint64_t *list, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        while (list[i] < count && list[i] != i)
            swap(&list[i], &list[list[i]]);
    }
}

/* Fisher-Yates; the top bits of Knuth's MMIX generator choose. About 12 instructions a frame. */
static void scramble(uint64_t *list, uint64_t count, uint64_t seed)
{
    uint64_t state = seed;
    for (uint64_t left = count; left > 1; left--) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        swap(&list[left - 1], &list[(uint64_t)(((unsigned __int128)state * left) >> 64)]);
    }
}

void p2m_arrange(uint64_t *list, uint64_t count, enum p2m_order order, uint64_t seed)
{
    if (order == P2M_IDENTITY)
        identity(list, count);
    else if (order == P2M_SCRAMBLE)
        scramble(list, count, seed);
}

/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/mutator.h"

#include <stdbool.h>
#include <string.h>

#define HEADER_BYTES    48u
#define LENGTH_OFFSET   4u
#define STRUCTURE_BYTES 4u
#define TAIL_MAX        65536u

/* libFuzzer's. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

struct part {
    size_t offset, length;
};

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* The structures that the lengths lead to; false when there are no more. */
static bool next_part(const uint8_t *data, size_t size, struct part *part)
{
    size_t offset = part->offset + part->length;

    if (offset > size || size - offset < STRUCTURE_BYTES)
        return false;
    part->offset = offset;
    part->length = data[offset + 2] | (size_t)data[offset + 3] << 8;
    return part->length >= STRUCTURE_BYTES && part->length <= size - offset;
}

static bool pick_part(const uint8_t *data, size_t size, size_t table, uint32_t *random, struct part *part)
{
    const struct part header = {table, HEADER_BYTES};
    uint32_t count = 0, chosen;
    struct part one = header;

    while (next_part(data, size, &one))
        count++;
    if (count == 0)
        return false;
    chosen = next_random(random) % count;
    *part = header;
    for (uint32_t i = 0; i <= chosen; i++)
        (void)next_part(data, size, part);
    return true;
}

/* Puts `length` bytes in the place of a part, which are in `data` at its offset already. */
static size_t close_up(uint8_t *data, size_t offset, size_t length, const uint8_t *tail, size_t tail_bytes)
{
    memcpy(data + offset + length, tail, tail_bytes);
    return offset + length + tail_bytes;
}

static size_t mutate_inside(uint8_t *data, size_t size, size_t max_size, struct part part)
{
    static uint8_t tail[TAIL_MAX];
    size_t tail_bytes = size - part.offset - part.length;
    size_t room = max_size - part.offset - tail_bytes;
    size_t length;

    if (tail_bytes > TAIL_MAX || room < STRUCTURE_BYTES)
        return size;
    memcpy(tail, data + part.offset + part.length, tail_bytes);
    length = LLVMFuzzerMutate(data + part.offset, part.length, room < UINT16_MAX ? room : UINT16_MAX);
    while (length < STRUCTURE_BYTES)
        data[part.offset + length++] = 0;
    data[part.offset + 2] = (uint8_t)length;
    data[part.offset + 3] = (uint8_t)(length >> 8);
    return close_up(data, part.offset, length, tail, tail_bytes);
}

static size_t append_copy(uint8_t *data, size_t size, size_t max_size, struct part part)
{
    if (size + part.length > max_size)
        return size;
    memcpy(data + size, data + part.offset, part.length);
    return size + part.length;
}

static size_t remove_part(uint8_t *data, size_t size, struct part part)
{
    size_t after = part.offset + part.length;

    memmove(data + part.offset, data + after, size - after);
    return size - part.length;
}

static void mend_header(uint8_t *data, size_t size, size_t table)
{
    uint32_t length = (uint32_t)(size - table);

    memcpy(data + table, fuzz_table_signature(data, size), 4);
    for (uint32_t i = 0; i < 4; i++)
        data[table + LENGTH_OFFSET + i] = (uint8_t)(length >> (8 * i));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    uint32_t random = seed, choice = next_random(&random) % 16;
    size_t table = fuzz_table_offset();
    struct part part;

    if (choice < 6 || size < table + HEADER_BYTES || !pick_part(data, size, table, &random, &part))
        size = LLVMFuzzerMutate(data, size, max_size);
    else if (choice < 13)
        size = mutate_inside(data, size, max_size, part);
    else if (choice < 15)
        size = append_copy(data, size, max_size, part);
    else
        size = remove_part(data, size, part);
    if (size >= table + HEADER_BYTES && next_random(&random) % 8 != 0)
        mend_header(data, size, table);
    return size;
}

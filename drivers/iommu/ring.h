/* SPDX-License-Identifier: MIT */
/*
 * A ring of 16-byte records in memory, shared with hardware: the VT-d invalidation queue, and the AMD
 * command buffer and event log. One side writes at the tail, the other reads at the head; one slot stays
 * free, so that head == tail means empty.
 */
#ifndef SLUICE_IOMMU_RING_H
#define SLUICE_IOMMU_RING_H

#include <stdint.h>

struct ring_record {
    uint64_t low, high;
};
_Static_assert(sizeof(struct ring_record) == 16, "hardware's record");

struct ring {
    struct ring_record *records;
    uint32_t size; /* records, a power of two */
    uint32_t head, tail;
};

static inline uint32_t ring_next(const struct ring *ring, uint32_t index)
{
    return (index + 1) & (ring->size - 1);
}

static inline uint32_t ring_room(const struct ring *ring)
{
    return (ring->head - ring->tail - 1) & (ring->size - 1);
}

/* Registers hold byte offsets; what hardware gives is masked, so that it always is a slot. */
static inline uint64_t ring_offset(uint32_t index)
{
    return (uint64_t)index * sizeof(struct ring_record);
}
static inline uint32_t ring_index(const struct ring *ring, uint64_t offset)
{
    return (uint32_t)(offset / sizeof(struct ring_record)) & (ring->size - 1);
}

#endif

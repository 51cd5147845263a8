/* SPDX-License-Identifier: MIT */
/* Builds DMAR tables for tests. Open a structure, add scopes to it, open the next one. */
#ifndef SLUICE_TESTS_DMAR_BUILDER_H
#define SLUICE_TESTS_DMAR_BUILDER_H

#include <stdint.h>
#include <string.h>

struct dmar_builder {
    uint8_t bytes[16384];
    uint32_t size, open; /* open: offset of the structure that scopes are added to */
};

static inline void dmar_put(struct dmar_builder *builder, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        builder->bytes[builder->size++] = (uint8_t)(value >> (8 * i));
    builder->bytes[4] = (uint8_t)builder->size;
    builder->bytes[5] = (uint8_t)(builder->size >> 8);
    if (builder->open != 0) {
        builder->bytes[builder->open + 2] = (uint8_t)(builder->size - builder->open);
        builder->bytes[builder->open + 3] = (uint8_t)((builder->size - builder->open) >> 8);
    }
}

static inline void dmar_begin(struct dmar_builder *builder)
{
    memset(builder, 0, sizeof *builder);
    memcpy(builder->bytes, "DMAR", 4);
    builder->size = 36;
    dmar_put(builder, 38, 1); /* 39 bits */
    dmar_put(builder, 1, 1);  /* interrupt remapping */
    dmar_put(builder, 0, 8);
    dmar_put(builder, 0, 2);
}

static inline void dmar_open(struct dmar_builder *builder, uint16_t type)
{
    builder->open = builder->size;
    dmar_put(builder, type, 2);
    dmar_put(builder, 0, 2);
}

static inline void dmar_drhd(struct dmar_builder *builder, uint8_t flags, uint16_t segment, uint64_t base)
{
    dmar_open(builder, 0);
    dmar_put(builder, flags, 2);
    dmar_put(builder, segment, 2);
    dmar_put(builder, base, 8);
}

static inline void dmar_rmrr(struct dmar_builder *builder, uint16_t segment, uint64_t base, uint64_t limit)
{
    dmar_open(builder, 1);
    dmar_put(builder, 0, 2);
    dmar_put(builder, segment, 2);
    dmar_put(builder, base, 8);
    dmar_put(builder, limit, 8);
}

/* ATSR, SATC or SIDP. */
static inline void dmar_list(struct dmar_builder *builder, uint16_t type, uint8_t flags, uint16_t segment)
{
    dmar_open(builder, type);
    dmar_put(builder, flags, 2);
    dmar_put(builder, segment, 2);
}

static inline void dmar_rhsa(struct dmar_builder *builder, uint64_t base, uint32_t domain)
{
    dmar_open(builder, 3);
    dmar_put(builder, 0, 4);
    dmar_put(builder, base, 8);
    dmar_put(builder, domain, 4);
}

static inline void dmar_andd(struct dmar_builder *builder, uint8_t number, const char *name)
{
    dmar_open(builder, 4);
    dmar_put(builder, 0, 3);
    dmar_put(builder, number, 1);
    for (size_t i = 0; i <= strlen(name); i++)
        dmar_put(builder, (uint8_t)name[i], 1);
}

/* A scope with one hop. */
static inline void dmar_scope(struct dmar_builder *builder, uint8_t kind, uint8_t bus, uint8_t device,
                              uint8_t function)
{
    dmar_put(builder, kind, 1);
    dmar_put(builder, 8, 1);
    dmar_put(builder, 0, 3);
    dmar_put(builder, bus, 1);
    dmar_put(builder, device, 1);
    dmar_put(builder, function, 1);
}

#endif

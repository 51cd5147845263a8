/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/ivrs_same.h"

#include "tests/fuzz/must.h"
#include "tests/fuzz/table.h"

static void check_blocks(const struct ivrs *one, const struct ivrs *other, uint32_t shift)
{
    for (uint32_t i = 0; i < one->block_count; i++) {
        const struct ivrs_block *a = &one->blocks[i], *b = &other->blocks[i];

        must(a->base == b->base && a->features == b->features && a->features2 == b->features2);
        must(a->feature_info == b->feature_info && same_offset(a->offset, b->offset, shift));
        must(a->segment == b->segment && a->id == b->id && a->capability == b->capability);
        must(a->info == b->info && a->first_entry == b->first_entry && a->entries == b->entries);
        must(a->padding == b->padding && a->type == b->type && a->flags == b->flags);
        must(a->superseded == b->superseded && a->incomplete == b->incomplete);
    }
}

static void check_devices(const struct ivrs *one, const struct ivrs *other, uint32_t shift)
{
    for (uint32_t i = 0; i < one->entry_count; i++) {
        const struct ivrs_entry *a = &one->entries[i], *b = &other->entries[i];

        must(same_offset(a->offset, b->offset, shift) && a->extended == b->extended);
        must(a->first == b->first && a->last == b->last && a->alias == b->alias);
        must(a->kind == b->kind && a->settings == b->settings);
    }
    for (uint32_t i = 0; i < one->special_count; i++) {
        const struct ivrs_special *a = &one->specials[i], *b = &other->specials[i];

        must(same_offset(a->offset, b->offset, shift) && a->id == b->id && a->kind == b->kind);
        must(a->handle == b->handle && a->settings == b->settings && a->block == b->block);
    }
}

static void check_memory(const struct ivrs *one, const struct ivrs *other, uint32_t shift)
{
    for (uint32_t i = 0; i < one->memory_count; i++) {
        const struct ivrs_memory *a = &one->memory[i], *b = &other->memory[i];

        must(a->base == b->base && a->size == b->size && same_offset(a->offset, b->offset, shift));
        must(a->segment == b->segment && a->first == b->first && a->last == b->last);
        must(a->type == b->type && a->flags == b->flags);
    }
}

void check_same_ivrs(const struct ivrs *one, const struct ivrs *other, uint32_t shift)
{
    must(one->info == other->info && one->truncated == other->truncated);
    must(one->block_count == other->block_count && one->entry_count == other->entry_count);
    must(one->special_count == other->special_count && one->memory_count == other->memory_count);
    check_blocks(one, other, shift);
    check_devices(one, other, shift);
    check_memory(one, other, shift);
}

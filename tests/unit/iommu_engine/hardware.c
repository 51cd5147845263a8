/* SPDX-License-Identifier: MIT */
/* A unit at work: it walks memory as it sees it, and remembers what it found. */
#include "tests/unit/iommu_engine/parts.h"

#include "drivers/iommu/driver.h"

#include <stddef.h>
#include <string.h>

struct unit model_units[MODEL_UNITS];

static uint64_t read_entry(uint32_t table, uint32_t slot)
{
    uint64_t entry;

    memcpy(&entry, (model.coherent ? model_memory : model_written) + ((size_t)table << 12) + slot * 8u,
           sizeof entry);
    return entry;
}

static uint64_t aligned(uint64_t bfn, uint32_t level)
{
    return bfn & -entry_span(level);
}

/* ---- what is remembered ---- */

static uint64_t hash_of(uint16_t domain, uint64_t bfn, uint32_t level)
{
    return ((aligned(bfn, level) * 0x9e3779b97f4a7c15ull ^ domain * 0x85ebca6bull) >> 20) + level;
}

static struct cached *translation_for(struct unit *unit, uint16_t domain, uint64_t bfn, uint32_t level)
{
    return &unit->translations[hash_of(domain, bfn, level) % CACHE_SLOTS];
}

static struct cached *structure_for(struct unit *unit, uint16_t domain, uint64_t bfn, uint32_t level)
{
    return &unit->structures[hash_of(domain, bfn, level) % STRUCTURE_SLOTS];
}

static bool is_hit(const struct cached *cached, uint16_t domain, uint64_t bfn, uint32_t level)
{
    return cached->valid && cached->domain == domain && cached->level == level &&
           cached->bfn == aligned(bfn, level);
}

/* Translations of several sizes may be there at the same time. */
static const struct cached *find_translation(struct unit *unit, uint16_t domain, uint64_t bfn)
{
    for (uint32_t level = 3; level >= 1; level--) {
        const struct cached *cached = translation_for(unit, domain, bfn, level);

        if (is_hit(cached, domain, bfn, level))
            return cached;
    }
    return NULL;
}

static void remember_in(struct cached *slot, uint16_t domain, uint64_t bfn, uint32_t level, uint64_t entry)
{
    *slot = (struct cached){true, domain, (uint8_t)level, aligned(bfn, level), entry};
}

/* Hardware may keep all that a leaf covers, or break it up. */
static void remember_leaf(struct unit *unit, uint16_t domain, uint64_t bfn, uint32_t level, uint64_t leaf)
{
    if ((bfn >> 3 & 1) != 0) {
        leaf = entry_piece(leaf, bfn, level);
        level = 1;
    }
    remember_in(translation_for(unit, domain, bfn, level), domain, bfn, level, leaf);
}

/* A translation goes when all of it is named; what points at a table, when any of what it covers is. */
static void forget(struct cached *cached, const struct pending *pending, bool all_of_it)
{
    uint64_t end = pending->bfn + (1ull << pending->order), cached_end;

    if (!cached->valid || cached->domain != pending->domain)
        return;
    cached_end = cached->bfn + entry_span(cached->level);
    if (pending->whole || (all_of_it ? cached->bfn >= pending->bfn && cached_end <= end
                                     : cached->bfn < end && cached_end > pending->bfn))
        cached->valid = false;
}

void hardware_forget(struct unit *unit)
{
    for (uint32_t i = 0; i < unit->pending_count; i++) {
        const struct pending *pending = &unit->pending[i];

        if (!pending->submitted)
            continue;
        for (uint32_t slot = 0; slot < CACHE_SLOTS; slot++)
            forget(&unit->translations[slot], pending, true);
        for (uint32_t slot = 0; slot < STRUCTURE_SLOTS && !pending->leaf_only; slot++)
            forget(&unit->structures[slot], pending, false);
    }
}

/* ---- the walk ---- */

/* The lowest table that is remembered is where a walk starts: level n covers what its entry covers. */
static uint32_t start_of_walk(struct unit *unit, uint16_t domain, uint64_t bfn, uint32_t *level)
{
    for (uint32_t known = 2; known <= unit->levels; known++) {
        const struct cached *cached = structure_for(unit, domain, bfn, known);

        if (is_hit(cached, domain, bfn, known)) {
            *level = known - 1;
            return entry_target(cached->entry);
        }
    }
    *level = unit->levels;
    return (uint32_t)(unit->root_mfn - MODEL_FIRST_MFN);
}

/* The leaf and its level, from a table on; remember: what points at tables. */
static uint64_t walk(struct unit *unit, uint16_t domain, uint64_t bfn, uint32_t table, uint32_t *level,
                     bool remember)
{
    uint32_t permissions = IOMMU_READ | IOMMU_WRITE;

    for (;; --*level) {
        uint64_t entry = read_entry(table, (uint32_t)(bfn >> (9 * (*level - 1))) % 512);

        entry = entry_seen(entry, *level, &permissions);
        if (entry == 0 || entry_is_leaf(entry, *level))
            return entry;
        if (remember)
            remember_in(structure_for(unit, domain, bfn, *level), domain, bfn, *level, entry);
        table = entry_target(entry);
    }
}

static bool is_beyond(const struct unit *unit, uint64_t bfn)
{
    return unit->levels == 0 || bfn >> (9 * unit->levels) != 0;
}

uint8_t model_device_levels(uint32_t unit)
{
    return model_units[unit].levels;
}

uint64_t model_walk(uint32_t unit_index, uint64_t bfn)
{
    struct unit *unit = &model_units[unit_index];
    uint32_t level = unit->levels;
    uint64_t leaf = 0;

    if (!is_beyond(unit, bfn))
        leaf = walk(unit, 0, bfn, (uint32_t)(unit->root_mfn - MODEL_FIRST_MFN), &level, false);
    return leaf == 0 ? 0 : entry_piece(leaf, bfn, level);
}

uint64_t model_translate(uint32_t unit_index, const struct iommu_context *context, uint64_t bfn,
                         bool remember)
{
    struct unit *unit = &model_units[unit_index];
    const struct cached *cached = find_translation(unit, context->domain, bfn);
    uint64_t leaf = 0;
    uint32_t level = 1;

    if (cached != NULL)
        return cached->entry == 0 ? 0 : entry_piece(cached->entry, bfn, cached->level);
    if (!is_beyond(unit, bfn)) {
        uint32_t table = start_of_walk(unit, context->domain, bfn, &level);

        leaf = walk(unit, context->domain, bfn, table, &level, remember);
    }
    if (remember && leaf != 0)
        remember_leaf(unit, context->domain, bfn, level, leaf);
    else if (remember && model.caching_mode)
        remember_in(translation_for(unit, context->domain, bfn, 1), context->domain, bfn, 1, 0);
    return leaf == 0 ? 0 : entry_piece(leaf, bfn, level);
}

bool model_cached(uint32_t unit, const struct iommu_context *context, uint64_t bfn, uint64_t *entry)
{
    const struct cached *cached = find_translation(&model_units[unit], context->domain, bfn);

    if (cached != NULL)
        *entry = cached->entry == 0 ? 0 : entry_piece(cached->entry, bfn, cached->level);
    return cached != NULL;
}

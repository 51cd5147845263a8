/* SPDX-License-Identifier: MIT */
/*
 * What each store means to the units. Of every table that they can walk to it is known which BFNs it is for,
 * so that a store tells exactly which translations it changes, be it one page's or, when a table comes or
 * goes, a whole block's.
 *
 * What a unit may go on using is listed until it has been made to forget it: leaves that were there, tables
 * that were pointed at and, in caching mode, absence. An entry leaves the list by an invalidation that covers
 * it, was submitted after the store (and after its line was written back), and was waited for.
 */
#include "tests/unit/iommu_engine/parts.h"

#include <stddef.h>
#include <string.h>

#define STALE_MAX (1u << 20)

static struct table {
    uint8_t level; /* 0: no unit walks to it */
    uint16_t domain;
    bool dirty;     /* stored to, and perhaps not written back */
    uint64_t base;  /* BFN of its first entry */
    uint32_t stale; /* times that it is listed */
} tables[MODEL_FRAMES];

static uint32_t dirty[MODEL_FRAMES], dirty_count;

enum stale_kind { STALE_LEAF, STALE_TABLE, STALE_ABSENCE };

static struct stale {
    enum stale_kind kind;
    uint8_t level;            /* of the entry that was there */
    uint8_t units, submitted; /* sets: who may still use it, and who is at work on that */
    bool leaf_only;           /* a table is none, and absence may have been found above */
    uint16_t domain;
    uint32_t table;       /* that was pointed at */
    uint64_t bfn;         /* aligned to what the entry covered */
    uint64_t translation; /* of a leaf */
    uint64_t old;
    const uint64_t *place;
} stale[STALE_MAX];
static uint32_t stale_count;

void tree_reset(void)
{
    memset(tables, 0, sizeof tables);
    stale_count = dirty_count = 0;
}

static size_t offset_of(const uint64_t *place)
{
    return (size_t)((const uint8_t *)place - model_memory);
}

static const uint64_t *entries_of(uint32_t table)
{
    return (const uint64_t *)(const void *)(model_memory + ((size_t)table << 12));
}

static bool is_written_back(uint32_t table)
{
    return model.coherent || memcmp(entries_of(table), model_written + ((size_t)table << 12), 4096) == 0;
}

bool model_is_written_back(void)
{
    bool all = true;

    for (; dirty_count > 0; dirty_count--) {
        uint32_t table = dirty[dirty_count - 1];

        all &= tables[table].level == 0 || is_written_back(table);
        tables[table].dirty = false;
    }
    return all;
}

/* ---- the list ---- */

static uint8_t walkers(uint16_t domain)
{
    uint8_t set = 0;

    for (uint32_t unit = 0; unit < model.units; unit++)
        if (model_units[unit].levels != 0 && model_units[unit].domain == domain)
            set |= (uint8_t)(1u << unit);
    return set;
}

static void list(struct stale entry)
{
    entry.units = walkers(entry.domain);
    if (entry.units == 0)
        return;
    model_require(stale_count < STALE_MAX);
    if (entry.kind == STALE_TABLE)
        tables[entry.table].stale++;
    stale[stale_count++] = entry;
}

static void unlist(uint32_t index)
{
    if (stale[index].kind == STALE_TABLE)
        tables[stale[index].table].stale--;
    stale[index] = stale[--stale_count];
}

/* A table, wherever it was entered on the way; of what was translated, all of it. Absence is known anywhere.
 */
static bool covers(const struct pending *pending, const struct stale *entry)
{
    uint64_t end = pending->bfn + (1ull << pending->order), stale_end = entry->bfn + entry_span(entry->level);

    if (pending->domain != entry->domain || (pending->leaf_only && !entry->leaf_only))
        return false;
    if (pending->whole)
        return true;
    if (entry->kind == STALE_TABLE)
        return entry->bfn < end && stale_end > pending->bfn;
    return entry->bfn >= pending->bfn && stale_end <= end;
}

/* Hardware cannot find again what the store took away. */
static bool is_out_of_sight(const struct stale *entry)
{
    size_t offset = offset_of(entry->place);
    uint64_t seen;

    if (model.coherent || tables[offset >> 12].level == 0)
        return true;
    memcpy(&seen, model_written + offset, sizeof seen);
    return seen == *entry->place || seen != entry->old;
}

void tree_submitted(uint32_t unit)
{
    struct unit *at = &model_units[unit];

    for (uint32_t p = 0; p < at->pending_count; p++) {
        for (uint32_t i = 0; i < stale_count && !at->pending[p].submitted; i++)
            if ((stale[i].units >> unit & 1) != 0 && covers(&at->pending[p], &stale[i]) &&
                is_out_of_sight(&stale[i]))
                stale[i].submitted |= (uint8_t)(1u << unit);
        at->pending[p].submitted = true;
    }
}

void tree_done(uint32_t unit)
{
    for (uint32_t i = stale_count; i-- > 0;) {
        stale[i].units &= (uint8_t) ~(stale[i].submitted & 1u << unit);
        stale[i].submitted &= (uint8_t) ~(1u << unit);
        if (stale[i].units == 0)
            unlist(i);
    }
}

uint32_t model_stale(void)
{
    return stale_count;
}

bool model_is_stale(uint64_t bfn, uint64_t translation)
{
    for (uint32_t i = stale_count; i-- > 0;) {
        const struct stale *entry = &stale[i];
        uint64_t offset = bfn - entry->bfn;

        if (offset < entry_span(entry->level) &&
            (entry->kind == STALE_LEAF ? entry->translation + (offset << 12) == translation
                                       : translation == 0))
            return true;
    }
    return false;
}

void tree_released(uint64_t mfn)
{
    for (uint32_t i = 0; i < stale_count; i++)
        if (stale[i].kind == STALE_LEAF && mfn - (stale[i].translation >> 12) < entry_span(stale[i].level)) {
            model_wrong("a frame is released that a unit may still reach");
            return;
        }
}

/* ---- translations ---- */

static void change(uint64_t bfn, uint32_t level, uint64_t old, uint64_t new)
{
    if (model.on_change != NULL)
        model.on_change(bfn, entry_span(level), old, new);
}

static void list_absence(uint16_t domain, uint64_t bfn, uint32_t level, const uint64_t *place, uint64_t old)
{
    if (model.caching_mode)
        list((struct stale){.kind = STALE_ABSENCE,
                            .level = (uint8_t)level,
                            .leaf_only = old != 0,
                            .domain = domain,
                            .bfn = bfn,
                            .old = old,
                            .place = place});
}

static void list_leaf(uint16_t domain, uint64_t bfn, uint32_t level, const uint64_t *place, uint64_t old)
{
    list((struct stale){.kind = STALE_LEAF,
                        .level = (uint8_t)level,
                        .leaf_only = true,
                        .domain = domain,
                        .bfn = bfn,
                        .translation = model_translation(old),
                        .old = old,
                        .place = place});
}

static bool points_at_table(uint64_t entry, uint32_t level)
{
    return entry != 0 && !entry_is_leaf(entry, level);
}

/* Of a leaf (0: of nothing), the part that an entry of that level has. */
static uint64_t part_of(uint64_t translation, uint32_t slot, uint32_t level)
{
    return translation != 0 ? translation + (slot * entry_span(level) << 12) : 0;
}

/* A table takes the place of a leaf, or of nothing. It is complete, and so is what it leads to. */
static void appear(uint32_t number, uint32_t level, uint16_t domain, uint64_t base, uint64_t leaf)
{
    struct table *table = &tables[number];
    const uint64_t *entries = entries_of(number);

    if (table->stale != 0)
        model_wrong("a table is entered that a unit may still walk elsewhere");
    if (table->level != 0) {
        model_require(table->level == level && table->base == base && table->domain == domain);
        return;
    }
    if (!is_written_back(number))
        model_wrong("a table is entered before it is written back");
    table->level = (uint8_t)level;
    table->domain = domain;
    table->base = base;
    for (uint32_t slot = 0; slot < 512; slot++) {
        uint64_t entry = entries[slot], bfn = base + slot * entry_span(level);
        uint64_t part = part_of(leaf, slot, level);

        entry_check_level(entry, level);
        if (points_at_table(entry, level)) {
            appear(entry_target(entry), level - 1, domain, bfn, part);
        } else if (model_translation(entry) != part) {
            if (part == 0)
                list_absence(domain, bfn, level, &entries[slot], 0);
            change(bfn, level, part, model_translation(entry));
        }
    }
}

/* A leaf, or nothing, takes the place of a table and of all that it leads to. */
static void disappear(const uint64_t *place, uint64_t old, uint64_t leaf)
{
    uint32_t number = entry_target(old);
    struct table table = tables[number];
    const uint64_t *entries = entries_of(number);

    model_require(table.level != 0);
    list((struct stale){.kind = STALE_TABLE,
                        .level = (uint8_t)(table.level + 1),
                        .domain = table.domain,
                        .table = number,
                        .bfn = table.base,
                        .old = old,
                        .place = place});
    tables[number].level = 0;
    for (uint32_t slot = 0; slot < 512; slot++) {
        uint64_t entry = entries[slot], bfn = table.base + slot * entry_span(table.level);
        uint64_t part = part_of(leaf, slot, table.level);

        if (points_at_table(entry, table.level)) {
            disappear(&entries[slot], entry, part);
        } else if (model_translation(entry) != part) {
            if (model_translation(entry) != 0)
                list_leaf(table.domain, bfn, table.level, &entries[slot], entry);
            change(bfn, table.level, model_translation(entry), part);
        }
    }
}

void tree_store(const uint64_t *place, uint64_t old, uint64_t value)
{
    uint32_t number = (uint32_t)(offset_of(place) >> 12), level = tables[number].level;
    struct table *table = &tables[number];
    uint64_t bfn = table->base + offset_of(place) % 4096 / 8 * entry_span(level != 0 ? level : 1);
    uint64_t before, after;

    entry_check(value);
    if (!table->dirty)
        dirty[dirty_count++] = number;
    table->dirty = true;
    if (table->stale != 0)
        model_wrong("a table is written that a unit may still walk");
    if (level == 0 || old == value)
        return;
    entry_check_level(value, level);
    before = points_at_table(old, level) ? 0 : model_translation(old);
    after = points_at_table(value, level) ? 0 : model_translation(value);
    if (before != 0 && before != after)
        list_leaf(table->domain, bfn, level, place, old);
    if (points_at_table(old, level)) {
        model_require(!points_at_table(value, level));
        disappear(place, old, after);
    } else if (points_at_table(value, level)) {
        appear(entry_target(value), level - 1, table->domain, bfn, before);
    } else if (before != after) {
        if (before == 0)
            list_absence(table->domain, bfn, level, place, old);
        change(bfn, level, before, after);
    }
}

/* An empty root serves at any level. */
void tree_told(uint64_t root_mfn, uint8_t levels, uint16_t domain)
{
    uint32_t root = (uint32_t)(root_mfn - MODEL_FIRST_MFN);

    if (tables[root].level == 0)
        appear(root, levels, domain, 0, 0);
    tables[root].level = levels;
}

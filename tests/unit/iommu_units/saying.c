/* SPDX-License-Identifier: MIT */
/* The narrowest name counts, and two of the same width must agree: told here once more, in a plainer way. */
#include "drivers/iommu/amdvi/ivrs.h"
#include "drivers/iommu/vtd/dmar.h"
#include "tests/unit/iommu_units/rich.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NAMES_MAX 4096u

/* A unit names requester ids as its own. */
struct name {
    uint64_t base; /* of its registers */
    uint16_t segment, first, last, alias;
    bool aliased;
};

/* Memory that requester ids must reach. */
struct promise {
    uint64_t first, last; /* frames */
    uint16_t segment, first_id, last_id;
    bool read, write, malformed;
    bool to_all; /* which names nobody */
};

static struct name names[NAMES_MAX];
static struct promise promises[NAMES_MAX];
static uint32_t name_count, promise_count;
static struct dmar dmar;
static struct ivrs ivrs;

static void add_name(struct name name)
{
    assert_true(name_count < NAMES_MAX);
    names[name_count++] = name;
}

static void add_promise(struct promise promise)
{
    assert_true(promise_count < NAMES_MAX);
    promises[promise_count++] = promise;
}

/* ---- DMAR ---- */

static const struct machine_function *bridge_at(uint16_t segment, uint32_t id)
{
    const struct machine_function *function = machine_function_at(segment, (uint16_t)id);

    return function != NULL && function->config[0x0e] == 1 ? function : NULL;
}

/* False: a bridge of the path is not there. */
static bool follow(uint16_t segment, const struct dmar_scope *scope, uint16_t *id)
{
    uint32_t at = (uint32_t)scope->start_bus << 8;

    for (uint32_t i = 0; i < scope->hops; i++) {
        const struct dmar_hop *hop = &dmar.hops[scope->first_hop + i];

        if (i != 0) {
            if (bridge_at(segment, at) == NULL)
                return false;
            at = (uint32_t)bridge_at(segment, at)->config[0x19] << 8;
        }
        at |= (uint32_t)hop->device << 3 | hop->function;
    }
    *id = (uint16_t)at;
    return true;
}

static void add_scope(const struct dmar_unit *unit, const struct dmar_scope *scope)
{
    struct name name = {.base = unit->base, .segment = unit->segment};
    const struct machine_function *bridge;

    if (scope->kind == DMAR_SCOPE_IOAPIC || scope->kind == DMAR_SCOPE_HPET || scope->kind > DMAR_SCOPE_ACPI ||
        scope->kind == 0 || !follow(unit->segment, scope, &name.first))
        return;
    name.last = name.first;
    add_name(name);
    bridge = bridge_at(unit->segment, name.first);
    if (scope->kind != DMAR_SCOPE_BRIDGE || bridge == NULL || dmar.truncated)
        return; /* of a cut table, only what is named one by one counts */
    name.first = (uint16_t)(bridge->config[0x19] << 8);
    name.last = (uint16_t)(bridge->config[0x1a] << 8 | 0xff);
    add_name(name);
}

static bool read_dmar(const uint8_t *bytes, size_t size)
{
    if (!dmar_parse(bytes, size, &dmar))
        return false;
    for (uint32_t i = 0; i < dmar.unit_count; i++) {
        const struct dmar_unit *unit = &dmar.units[i];

        if (unit->include_all && !dmar.truncated)
            add_name((struct name){.base = unit->base, .segment = unit->segment, .last = UINT16_MAX});
        for (uint32_t s = 0; s < unit->scopes.count; s++)
            add_scope(unit, &dmar.scopes[unit->scopes.first + s]);
    }
    for (uint32_t i = 0; i < dmar.reserved_count; i++)
        for (uint32_t s = 0; s < dmar.reserved[i].scopes.count; s++) {
            const struct dmar_reserved *range = &dmar.reserved[i];
            const struct dmar_scope *scope = &dmar.scopes[range->scopes.first + s];
            const struct machine_function *bridge;
            struct promise promise;
            uint16_t id;

            if (scope->kind == DMAR_SCOPE_IOAPIC || scope->kind == DMAR_SCOPE_HPET ||
                !follow(range->segment, scope, &id))
                continue;
            promise = (struct promise){range->base >> 12,
                                       range->limit >> 12,
                                       range->segment,
                                       id,
                                       id,
                                       true,
                                       true,
                                       range->limit < range->base,
                                       false};
            add_promise(promise);
            bridge = bridge_at(range->segment, id);
            if (scope->kind != DMAR_SCOPE_BRIDGE || bridge == NULL)
                continue;
            promise.first_id = (uint16_t)(bridge->config[0x19] << 8);
            promise.last_id = (uint16_t)(bridge->config[0x1a] << 8 | 0xff);
            add_promise(promise);
        }
    return true;
}

/* ---- IVRS ---- */

/* Blocks of one unit id: that of the highest type counts, the first of them. */
static bool counts(uint32_t index)
{
    const struct ivrs_block *block = &ivrs.blocks[index];

    for (uint32_t i = 0; i < ivrs.block_count; i++)
        if (i != index && ivrs.blocks[i].segment == block->segment && ivrs.blocks[i].id == block->id &&
            (ivrs.blocks[i].type > block->type || (ivrs.blocks[i].type == block->type && i < index)))
            return false;
    return true;
}

/* A block that does not count belongs, by its registers, to a unit that one of those that count describes. */
static bool is_of_a_unit_that_counts(const struct ivrs_block *block)
{
    for (uint32_t i = 0; i < ivrs.block_count; i++)
        if (counts(i) && ivrs.blocks[i].base == block->base && ivrs.blocks[i].type != block->type)
            return true;
    return false;
}

static void add_entries(const struct ivrs_block *block, bool with_many)
{
    for (uint32_t i = 0; i < block->entries; i++) {
        const struct ivrs_entry *entry = &ivrs.entries[block->first_entry + i];

        if (entry->first == entry->last || with_many)
            add_name((struct name){block->base, block->segment, entry->first, entry->last, entry->alias,
                                   ivrs_is_aliased(entry)});
    }
}

static bool read_ivrs(const uint8_t *bytes, size_t size)
{
    bool every_unit_counts;

    if (!ivrs_parse(bytes, size, &ivrs))
        return false;
    every_unit_counts = !ivrs.truncated; /* if not, only what is named one by one counts */
    for (uint32_t i = 0; i < ivrs.block_count; i++)
        every_unit_counts &= counts(i) || is_of_a_unit_that_counts(&ivrs.blocks[i]);
    for (uint32_t i = 0; i < ivrs.block_count; i++)
        if (counts(i))
            add_entries(&ivrs.blocks[i], every_unit_counts);
    for (uint32_t i = 0; i < ivrs.memory_count; i++) {
        const struct ivrs_memory *memory = &ivrs.memory[i];
        bool excluded = (memory->flags & 8) != 0, unity = (memory->flags & 1) != 0;

        add_promise((struct promise){memory->base >> 12, (memory->base + memory->size - 1) >> 12,
                                     memory->segment, memory->first, memory->last,
                                     excluded || (unity && (memory->flags & 2) != 0),
                                     excluded || (unity && (memory->flags & 4) != 0),
                                     memory->size == 0 || memory->base + (memory->size - 1) < memory->base,
                                     memory->type == IVRS_IVMD_ALL});
    }
    return true;
}

/* ---- what it comes to ---- */

bool saying_read(const uint8_t *bytes, size_t size)
{
    name_count = promise_count = 0;
    return machine.vendor == IOMMU_VENDOR_VTD ? read_dmar(bytes, size) : read_ivrs(bytes, size);
}

static bool names_it(const struct name *name, uint16_t segment, uint16_t id)
{
    return name->segment == segment && name->first <= id && id <= name->last;
}

bool saying_allows_unit(uint16_t segment, uint16_t id, uint64_t base)
{
    uint32_t narrowest = UINT32_MAX;
    bool agreed = false;

    for (uint32_t i = 0; i < name_count; i++)
        if (names_it(&names[i], segment, id) && (uint32_t)(names[i].last - names[i].first) < narrowest)
            narrowest = (uint32_t)(names[i].last - names[i].first);
    for (uint32_t i = 0; i < name_count; i++)
        if (names_it(&names[i], segment, id) && (uint32_t)(names[i].last - names[i].first) == narrowest) {
            if (names[i].base != base)
                return false;
            agreed = true;
        }
    return agreed;
}

bool saying_is_alias(uint16_t segment, uint16_t id)
{
    for (uint32_t i = 0; i < name_count; i++)
        if (names[i].aliased && names[i].segment == segment && names[i].alias == id)
            return true;
    return false;
}

/* One of the devices that the memory is promised to shows as that requester. */
static bool is_promised(const struct promise *promise, uint16_t id)
{
    if (promise->first_id <= id && id <= promise->last_id)
        return true;
    for (uint32_t i = 0; i < name_count; i++)
        if (names[i].aliased && names[i].segment == promise->segment && names[i].alias == id &&
            names[i].first <= promise->last_id && names[i].last >= promise->first_id)
            return true;
    return false;
}

bool saying_reserves(uint16_t segment, uint16_t id, uint64_t mfn, bool write)
{
    for (uint32_t i = 0; i < promise_count; i++)
        if (!promises[i].malformed && promises[i].segment == segment && promises[i].first <= mfn &&
            mfn <= promises[i].last && (write ? promises[i].write : promises[i].read) &&
            is_promised(&promises[i], id))
            return true;
    return false;
}

static bool is_accepted(const struct promise *promise)
{
    for (uint32_t i = 0; i < iommu_reserved_count() && !promise->malformed; i++) {
        struct iommu_reserved range = iommu_reserved_at(i);

        if (range.kind == IOMMU_KIND_IDENTITY && range.bfn == promise->first &&
            range.bfn + range.frames - 1 == promise->last)
            return true;
    }
    return false;
}

bool saying_lacks_a_range(uint16_t segment, uint16_t id)
{
    for (uint32_t i = 0; i < promise_count; i++)
        if (promises[i].segment == segment && promises[i].first_id <= id && id <= promises[i].last_id &&
            !promises[i].to_all && (promises[i].read || promises[i].write) && !is_accepted(&promises[i]))
            return true;
    return false;
}

bool saying_has_registers(uint64_t mfn, uint64_t frames)
{
    uint32_t count = machine.vendor == IOMMU_VENDOR_VTD ? dmar.unit_count : ivrs.block_count;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t base = machine.vendor == IOMMU_VENDOR_VTD ? dmar.units[i].base : ivrs.blocks[i].base;

        if (base != 0 && base >> 12 >= mfn && (base >> 12) - mfn < frames)
            return true;
    }
    return false;
}

/* SPDX-License-Identifier: MIT */
#include "tests/unit/iommu_engine/model.h"

#include "drivers/iommu/driver.h"
#include "drivers/iommu/host.h"
#include "guest-abi/include/sluice/errno.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LINE_BYTES      64u
#define CACHE_SLOTS     4096u
#define PENDING_MAX     16u
#define STRUCTURE_SLOTS 512u

struct cached {
    bool valid;
    uint16_t domain;
    uint8_t level; /* of the leaf, or of the entry that points at a table */
    uint64_t bfn;  /* aligned to what the level covers */
    uint64_t entry;
};

struct pending {
    uint16_t domain;
    bool whole, leaf_only;
    uint64_t bfn;
    uint32_t order;
};

static struct unit {
    struct cached translations[CACHE_SLOTS];
    struct cached structures[STRUCTURE_SLOTS];
    struct pending pending[PENDING_MAX];
    uint32_t pending_count;
    bool dead;
    /* The entry of its one device. */
    uint64_t root_mfn;
    uint8_t levels;
} units[MODEL_UNITS];

/* Level of the table that a frame is while something points at it. */
static uint8_t levels_of[MODEL_FRAMES];

struct model model = {.allocation_limit = -1};
static _Alignas(4096) uint8_t memory[MODEL_FRAMES << 12];  /* what the CPU sees */
static _Alignas(4096) uint8_t written[MODEL_FRAMES << 12]; /* what has been written back */
static uint64_t next_frame, touched_frames;

/* ---- host.h ---- */

static size_t offset_of(const volatile void *address)
{
    size_t offset = (size_t)((const volatile uint8_t *)address - memory);

    assert_true(offset < sizeof memory);
    return offset;
}

uint64_t host_frames_alloc(uint64_t count)
{
    uint64_t first = next_frame;

    if (model.allocation_limit == 0 || first + count > MODEL_FRAMES)
        return 0;
    model.allocation_limit--;
    model.frames_out += (int64_t)count;
    next_frame += count;
    if (first < touched_frames)
        memset(memory + (first << 12), 0, count << 12);
    if (next_frame > touched_frames)
        touched_frames = next_frame;
    /* Somebody else's old bytes, until the owner writes its zeroes back. */
    if (!model.coherent)
        memset(written + (first << 12), 0xa5, count << 12);
    return MODEL_FIRST_MFN + first;
}

void host_frames_free(uint64_t mfn, uint64_t count)
{
    assert_in_range(mfn, MODEL_FIRST_MFN, MODEL_FIRST_MFN + MODEL_FRAMES - count);
    model.frames_out -= (int64_t)count;
}

void *host_frame_address(uint64_t mfn)
{
    assert_in_range(mfn, MODEL_FIRST_MFN, MODEL_FIRST_MFN + MODEL_FRAMES - 1);
    return memory + ((mfn - MODEL_FIRST_MFN) << 12);
}

bool host_range_is_hypervisor(uint64_t mfn, uint64_t frames)
{
    return mfn < MODEL_FIRST_MFN + MODEL_FRAMES && mfn + frames > MODEL_FIRST_MFN;
}

void host_frames_release(const struct iommu_frames *frames, uint32_t runs, uint64_t address_mask,
                         uint32_t flags)
{
    for (uint32_t i = 0; i < runs; i++)
        for (uint64_t k = 0; k < frames[i].count && model.on_release != NULL; k++)
            model.on_release(((frames[i].entry & address_mask) >> 12) + k, flags);
}

/* ---- entries, as the vendors' hardware reads them ---- */

#define ADDRESS 0x000ffffffffff000ull

static bool is_amd(void)
{
    return model.vendor == IOMMU_VENDOR_AMDVI;
}

/* VT-d: R is bit 0 and W bit 1. AMD-Vi: IR is bit 61 and IW bit 62, and neither counts without PR, bit 0. */
uint32_t model_permissions(uint64_t entry)
{
    if (is_amd())
        return (entry & 1) != 0 ? (uint32_t)(entry >> 61 & 3) : 0;
    return (uint32_t)(entry & 3);
}

/* Bits 9 to 11 of an entry of AMD-Vi: the level of what it points at. */
static uint32_t next_level(uint64_t entry)
{
    return (uint32_t)(entry >> 9) & 7;
}

/* What an entry must never have, whatever it is: reserved bits; on AMD-Vi all but nothing without PR. */
static void check_entry(uint64_t entry)
{
    if (entry == 0)
        return;
    if (is_amd()) {
        assert_true((entry & 1) != 0);
        assert_int_equal(entry >> 52 & 0x7f, 0);
        assert_int_equal(entry >> 63, 0);
        assert_true(next_level(entry) < 6);
    } else {
        assert_int_equal(entry & 0xf7cull, 0);
        assert_int_equal(entry >> 62, 0);
    }
}

/* PS of VT-d; of AMD-Vi a next level of 0. */
static bool is_leaf(uint64_t entry, uint32_t level)
{
    return level == 1 || (is_amd() ? next_level(entry) == 0 : (entry & 0x80) != 0);
}

/* Leaves where the unit allows them, aligned to what they cover; no level is skipped. */
static void check_level(uint64_t entry, uint32_t level)
{
    if (entry == 0)
        return;
    if (is_leaf(entry, level)) {
        assert_true(level <= model.leaf_level);
        assert_int_equal((entry & ADDRESS) >> 12 & ((1ull << 9 * (level - 1)) - 1), 0);
        assert_true(is_amd() || level > 1 || (entry & 0x80) == 0);
    }
    if (is_amd())
        assert_int_equal(next_level(entry), is_leaf(entry, level) ? 0 : level - 1);
}

static uint8_t *level_of_target(uint64_t entry)
{
    uint64_t mfn = (entry & ADDRESS) >> 12;

    assert_in_range(mfn, MODEL_FIRST_MFN, MODEL_FIRST_MFN + MODEL_FRAMES - 1);
    return &levels_of[mfn - MODEL_FIRST_MFN];
}

/*
 * Only entries of AMD-Vi say themselves what they point at: a table is then of that level, with all that is
 * in it, and what comes into it later must be, too.
 */
static void check_store(uint32_t frame, uint64_t old, uint64_t value)
{
    check_entry(value);
    if (!is_amd())
        return;
    if (next_level(old) != 0)
        *level_of_target(old) = 0;
    if (levels_of[frame] != 0)
        check_level(value, levels_of[frame]);
    if (next_level(value) != 0) {
        const uint64_t *table = host_frame_address((value & ADDRESS) >> 12);

        *level_of_target(value) = (uint8_t)next_level(value);
        for (uint32_t i = 0; i < 512; i++)
            check_level(table[i], next_level(value));
    }
}

void host_store64(uint64_t *address, uint64_t value)
{
    assert_int_equal((uintptr_t)address % sizeof *address, 0);
    check_store((uint32_t)(offset_of(address) >> 12), *address, value);
    *(volatile uint64_t *)address = value;
    model.stores++;
    if (model.on_store != NULL)
        model.on_store();
}

void host_cache_flush(const volatile void *address, size_t size)
{
    size_t first = offset_of(address) / LINE_BYTES * LINE_BYTES;
    size_t end = (offset_of(address) + size + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;

    model.line_flushes += (end - first) / LINE_BYTES;
    memcpy(written + first, memory + first, end - first);
}

uint64_t host_time_ns(void)
{
    return 0;
}
void host_pause(void)
{
}
uint32_t host_pci_read(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes)
{
    (void)segment, (void)id, (void)offset, (void)bytes;
    return UINT32_MAX;
}
void host_pci_write(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    (void)segment, (void)id, (void)offset, (void)bytes, (void)value;
}

/* ---- hardware ---- */

static uint64_t read_entry(uint64_t table_mfn, uint32_t slot)
{
    size_t offset = ((table_mfn - MODEL_FIRST_MFN) << 12) + slot * 8u;
    uint64_t entry;

    assert_in_range(table_mfn, MODEL_FIRST_MFN, MODEL_FIRST_MFN + MODEL_FRAMES - 1);
    memcpy(&entry, (model.coherent ? memory : written) + offset, sizeof entry);
    return entry;
}

static uint64_t aligned(uint64_t bfn, uint32_t level)
{
    return bfn >> (9 * (level - 1)) << (9 * (level - 1));
}

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

/* The leaf of level 1 that a leaf would be split into at bfn. */
static uint64_t piece_of(uint64_t entry, uint64_t bfn, uint32_t level)
{
    return (is_amd() || level == 1 ? entry : entry & ~0x80ull) + ((bfn - aligned(bfn, level)) << 12);
}

static void remember_in(struct cached *slot, uint16_t domain, uint64_t bfn, uint32_t level, uint64_t entry)
{
    *slot = (struct cached){true, domain, (uint8_t)level, aligned(bfn, level), entry};
}

/* Hardware may keep all that a leaf covers, or break it up. */
static void remember_leaf(struct unit *unit, uint16_t domain, uint64_t bfn, uint32_t level, uint64_t leaf)
{
    if ((bfn >> 3 & 1) != 0) {
        leaf = piece_of(leaf, bfn, level);
        level = 1;
    }
    remember_in(translation_for(unit, domain, bfn, level), domain, bfn, level, leaf);
}

uint8_t model_device_levels(uint32_t unit)
{
    return units[unit].levels;
}

/* What an entry at that level means to a walk that got there with those permissions; 0 ends it. */
static uint64_t entry_seen(uint64_t entry, uint32_t level, uint32_t *permissions)
{
    check_entry(entry);
    check_level(entry, level);
    *permissions &= model_permissions(entry);
    if (*permissions == 0)
        return 0;
    if (!is_leaf(entry, level))
        return entry;
    if (is_amd())
        return (entry & ~(3ull << 61)) | (uint64_t)*permissions << 61;
    return (entry & ~3ull) | *permissions;
}

/* The lowest table that is remembered is where a walk starts: level n covers what its entry covers. */
static uint64_t start_of_walk(struct unit *unit, uint16_t domain, uint64_t bfn, uint32_t *level)
{
    for (uint32_t known = 2; known <= unit->levels; known++) {
        const struct cached *cached = structure_for(unit, domain, bfn, known);

        if (is_hit(cached, domain, bfn, known)) {
            *level = known - 1;
            return (cached->entry & ADDRESS) >> 12;
        }
    }
    *level = unit->levels;
    return unit->root_mfn;
}

/* The leaf and its level, from a table on; remember: what points at tables. */
static uint64_t walk(struct unit *unit, uint16_t domain, uint64_t bfn, uint64_t table, uint32_t *level,
                     bool remember)
{
    uint32_t permissions = IOMMU_READ | IOMMU_WRITE;

    for (;; --*level) {
        uint64_t entry = read_entry(table, (uint32_t)(bfn >> (9 * (*level - 1))) % 512);

        entry = entry_seen(entry, *level, &permissions);
        if (entry == 0 || is_leaf(entry, *level))
            return entry;
        if (remember)
            remember_in(structure_for(unit, domain, bfn, *level), domain, bfn, *level, entry);
        table = (entry & ADDRESS) >> 12;
    }
}

static bool is_beyond(const struct unit *unit, uint64_t bfn)
{
    return unit->levels == 0 || bfn >> (9 * unit->levels) != 0;
}

uint64_t model_walk(uint32_t unit_index, uint64_t bfn)
{
    struct unit *unit = &units[unit_index];
    uint32_t level = unit->levels;
    uint64_t leaf = is_beyond(unit, bfn) ? 0 : walk(unit, 0, bfn, unit->root_mfn, &level, false);

    return leaf == 0 ? 0 : piece_of(leaf, bfn, level);
}

uint64_t model_translate(uint32_t unit_index, const struct iommu_context *context, uint64_t bfn,
                         bool remember)
{
    struct unit *unit = &units[unit_index];
    const struct cached *cached = find_translation(unit, context->domain, bfn);
    uint64_t leaf = 0;
    uint32_t level = 1;

    if (cached != NULL)
        return cached->entry == 0 ? 0 : piece_of(cached->entry, bfn, cached->level);
    if (!is_beyond(unit, bfn)) {
        uint64_t table = start_of_walk(unit, context->domain, bfn, &level);

        leaf = walk(unit, context->domain, bfn, table, &level, remember);
    }
    if (remember && leaf != 0)
        remember_leaf(unit, context->domain, bfn, level, leaf);
    else if (remember && model.caching_mode)
        remember_in(translation_for(unit, context->domain, bfn, 1), context->domain, bfn, 1, 0);
    return leaf == 0 ? 0 : piece_of(leaf, bfn, level);
}

bool model_cached(uint32_t unit, const struct iommu_context *context, uint64_t bfn, uint64_t *entry)
{
    const struct cached *cached = find_translation(&units[unit], context->domain, bfn);

    if (cached != NULL)
        *entry = cached->entry == 0 ? 0 : piece_of(cached->entry, bfn, cached->level);
    return cached != NULL;
}

/* ---- the driver's side ---- */

/* A translation goes when all of it is named; what points at a table, when any of what it covers is. */
static void forget(struct cached *cached, const struct pending *pending, bool all_of_it)
{
    uint64_t end = pending->bfn + (1ull << pending->order), cached_end;

    if (!cached->valid || cached->domain != pending->domain)
        return;
    cached_end = cached->bfn + (1ull << (9 * (cached->level - 1u)));
    if (pending->whole || (all_of_it ? cached->bfn >= pending->bfn && cached_end <= end
                                     : cached->bfn < end && cached_end > pending->bfn))
        cached->valid = false;
}

static void complete(struct unit *unit)
{
    for (uint32_t i = 0; i < unit->pending_count; i++) {
        const struct pending *pending = &unit->pending[i];

        for (uint32_t slot = 0; slot < CACHE_SLOTS; slot++)
            forget(&unit->translations[slot], pending, true);
        for (uint32_t slot = 0; slot < STRUCTURE_SLOTS && !pending->leaf_only; slot++)
            forget(&unit->structures[slot], pending, false);
    }
    unit->pending_count = 0;
}

static void post(uint32_t unit, struct pending pending)
{
    assert_true(unit < model.units && units[unit].pending_count < PENDING_MAX);
    units[unit].pending[units[unit].pending_count++] = pending;
}

static void post_pages(uint32_t unit, uint16_t domain, uint64_t bfn, uint32_t order, bool leaf_only)
{
    assert_true((int)order <= model.order_max);
    assert_int_equal(bfn & ((1ull << order) - 1), 0);
    model.posted_pages++;
    model.posted_hints += leaf_only;
    post(unit, (struct pending){.domain = domain, .leaf_only = leaf_only, .bfn = bfn, .order = order});
}

static void post_domain(uint32_t unit, uint16_t domain)
{
    model.posted_domains++;
    post(unit, (struct pending){.domain = domain, .whole = true});
}

static void invalidate(uint32_t unit, const struct iommu_plan *plan)
{
    bool pages = plan->count != 0 && (int)plan->order_max <= model.order_max;

    if (!pages)
        post_domain(unit, plan->domain);
    for (uint32_t i = 0; i < plan->count && pages; i++)
        post_pages(unit, plan->domain, plan->blocks[i].bfn, plan->blocks[i].order, plan->leaf_only);
    model.waits++;
}

static int wait(uint32_t unit)
{
    if (units[unit].dead || model.drop_waits) {
        units[unit].dead = true;
        iommu_unit_died(unit);
        return -EIO;
    }
    complete(&units[unit]);
    return 0;
}

static int forget_page(uint32_t unit, uint16_t domain, uint64_t bfn)
{
    const struct iommu_plan plan = {.domain = domain, .leaf_only = true, .count = 1, .blocks = {{bfn, 0}}};

    invalidate(unit, &plan);
    return wait(unit);
}

static int init(const struct iommu_setup *setup, struct iommu_limits *limits)
{
    uint32_t width = 12u + 9u * model.levels_max;

    (void)setup;
    *limits = (struct iommu_limits){.levels = model.levels,
                                    .levels_max = model.levels_max,
                                    .leaf_level = model.leaf_level,
                                    .address_bits = (uint8_t)(width < 64 ? width : 64),
                                    .coherent = model.coherent,
                                    .flush_on_map = model.caching_mode,
                                    .domains = 16};
    return 0;
}

bool iommu_reserve_is_refused(uint16_t segment, uint16_t id)
{
    (void)segment, (void)id;
    return false;
}

static void reserve(uint8_t address_bits)
{
    (void)address_bits;
    if (model.reserved.frames != 0)
        (void)iommu_reserved_add(model.reserved.bfn, model.reserved.frames, IOMMU_KIND_IDENTITY,
                                 IOMMU_READ | IOMMU_WRITE);
    if (model.reserved_read.frames != 0)
        (void)iommu_reserved_add(model.reserved_read.bfn, model.reserved_read.frames, IOMMU_KIND_IDENTITY,
                                 IOMMU_READ);
}

static int nothing(void)
{
    return 0;
}

static void tell_root(struct unit *unit, const struct iommu_context *context)
{
    unit->root_mfn = page_table_root(&context->table);
    unit->levels = context->table.levels;
    levels_of[unit->root_mfn - MODEL_FIRST_MFN] = unit->levels;
    if (model.on_store != NULL)
        model.on_store();
}

/* The segment is the unit here. */
static int attach(struct iommu_context *context, uint16_t segment, uint16_t requester_id)
{
    (void)requester_id;
    if (segment >= model.units)
        return -ENODEV;
    context->units |= 1ull << segment;
    tell_root(&units[segment], context);
    return 0;
}

/* One device after the other; each takes its root and levels at once. */
static int root_changed(struct iommu_context *context)
{
    for (uint32_t unit = 0; unit < model.units; unit++) {
        if ((context->units >> unit & 1) == 0)
            continue;
        if (model.refuse_roots) {
            units[unit].dead = true;
            iommu_unit_died(unit);
            return -EIO;
        }
        tell_root(&units[unit], context);
    }
    return 0;
}

static uint32_t unit_count(void)
{
    return model.units;
}
static bool unit_dead(uint32_t unit)
{
    return units[unit].dead;
}
static struct iommu_range unit_registers(uint32_t unit)
{
    return (struct iommu_range){0xfed90u + unit, 1};
}
static void no_faults(void)
{
}

#define MODEL_DRIVER(page_format)                                                                            \
    {                                                                                                        \
        .name = "model", .format = &(page_format), .init = init, .reserve = reserve, .enable = nothing,      \
        .attach = attach, .root_changed = root_changed, .unit_count = unit_count, .unit_dead = unit_dead,    \
        .unit_registers = unit_registers, .invalidate = invalidate, .wait = wait,                            \
        .forget_page = forget_page, .read_faults = no_faults,                                                \
    }
extern const struct page_format vtd_page_format, amdvi_page_format;
const struct iommu_driver vtd_driver = MODEL_DRIVER(vtd_page_format);
const struct iommu_driver amdvi_driver = MODEL_DRIVER(amdvi_page_format);

void model_init(void)
{
    const struct iommu_setup setup = {.vendor = model.vendor, .physical_bits = 40};

    memset(units, 0, sizeof units);
    memset(levels_of, 0, sizeof levels_of);
    next_frame = 0;
    model.drop_waits = model.refuse_roots = false;
    model.allocation_limit = -1;
    model.frames_out = 0;
    model.stores = model.line_flushes = 0;
    model.posted_pages = model.posted_domains = model.posted_hints = model.waits = 0;
    model.on_store = NULL;
    model.on_release = NULL;
    assert_int_equal(iommu_init(&setup), 0);
}

/* SPDX-License-Identifier: MIT */
/* Map, unmap and lookup: what changes a bus address space. */
#include "drivers/iommu/driver.h"
#include "drivers/iommu/flush.h"
#include "drivers/iommu/host.h"
#include "drivers/iommu/iommu.h"
#include "guest-abi/include/sluice/errno.h"

/* Kept out of the single-element paths, which the hypercalls take and which should stay short. */
#define SELDOM __attribute__((noinline, cold))

#define ORDER_MAX 18u /* 1 GiB */

static const struct iommu_driver *driver;
static struct iommu_range upper_window; /* HyperTransport, where there is */

void iommu_map_begin(const struct iommu_driver *in_use)
{
    driver = in_use;
    iommu_flush_by(in_use);
    upper_window = (struct iommu_range){.bfn = UINT64_MAX};
}

void iommu_map_window(uint64_t bfn, uint64_t frames)
{
    upper_window = (struct iommu_range){bfn, frames};
}

/* What rarely happens: the accumulator is full, or tables that only wait for their flush are missed. */
SELDOM static int flush_and_map(struct iommu_context *context, uint64_t bfn, uint64_t entry, uint64_t *old,
                                struct iommu_flush *flush)
{
    int error = iommu_flush(flush);

    return error != 0 ? error : page_table_map(&context->table, bfn, entry, old, flush);
}

__attribute__((always_inline)) static inline int
map_one(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t flags, struct iommu_flush *flush)
{
    uint64_t entry = page_table_leaf(context->table.format, mfn, flags), old;
    int error = -ENOMEM;

    if (!iommu_flush_full(flush))
        error = page_table_map(&context->table, bfn, entry, &old, flush);
    if (error == -ENOMEM && (iommu_flush_full(flush) || flush->parked_tables != IOMMU_NO_TABLE))
        error = flush_and_map(context, bfn, entry, &old, flush);
    if (error != 0)
        return error;
    iommu_counters.maps++;
    if (old != 0)
        iommu_flush_park(flush, old, 1);
    if (old != entry && (old != 0 || context->flush_on_map)) {
        flush->tables_changed |= old == 0; /* absence may be remembered at any level */
        iommu_flush_note(flush, bfn, 1);
    }
    return 0;
}

__attribute__((always_inline)) static inline int unmap_one(struct iommu_context *context, uint64_t bfn,
                                                           struct iommu_flush *flush)
{
    uint64_t old;
    int error = __builtin_expect(iommu_flush_full(flush), false) ? iommu_flush(flush) : 0;

    if (error == 0)
        error = page_table_unmap(&context->table, bfn, &old, flush);
    if (error != 0)
        return error;
    iommu_counters.unmaps++;
    if (old == 0)
        return 0;
    iommu_flush_park(flush, old, 1);
    iommu_flush_note(flush, bfn, 1);
    return 0;
}

/* As map_one(), by one leaf of level 2 or 3. -EEXIST: there are smaller ones. */
SELDOM static int map_block(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t level,
                            uint32_t flags, struct iommu_flush *flush)
{
    struct page_table *table = &context->table;
    uint64_t entry = page_table_leaf(table->format, mfn, flags) | table->format->large, old;
    uint64_t frames = page_table_span(level);
    int error = iommu_flush_full(flush) ? iommu_flush(flush) : 0;

    if (error == 0)
        error = page_table_put(table, bfn, level, entry, &old, flush);
    if (error == -ENOMEM && flush->parked_tables != IOMMU_NO_TABLE) {
        error = iommu_flush(flush);
        if (error == 0)
            error = page_table_put(table, bfn, level, entry, &old, flush);
    }
    if (error != 0)
        return error;
    iommu_counters.maps += frames;
    if (old != 0)
        iommu_flush_park(flush, old, frames);
    if (old != entry && (old != 0 || context->flush_on_map)) {
        flush->tables_changed |= old == 0;
        iommu_flush_note(flush, bfn, frames);
    }
    return 0;
}

/* What one leaf of level 2 or 3 stands for, at once. -EEXIST: there are smaller ones. */
SELDOM static int unmap_block(struct iommu_context *context, uint64_t bfn, uint32_t level,
                              struct iommu_flush *flush)
{
    uint64_t old, frames = page_table_span(level);
    int error = iommu_flush_full(flush) ? iommu_flush(flush) : 0;

    if (error == 0)
        error = page_table_put(&context->table, bfn, level, 0, &old, flush);
    if (error != 0)
        return error;
    iommu_counters.unmaps += frames;
    if (old == 0)
        return 0;
    iommu_flush_park(flush, old, frames);
    iommu_flush_note(flush, bfn, frames);
    return 0;
}

static inline bool is_msi_window(uint64_t bfn, uint64_t frames)
{
    return bfn < IOMMU_MSI_BFN + IOMMU_MSI_FRAMES && bfn + frames > IOMMU_MSI_BFN;
}

/* What is no memory to a device: its accesses there never reach a page table. */
static inline bool is_window(uint64_t bfn, uint64_t frames)
{
    if (is_msi_window(bfn, frames))
        return true;
    return bfn + frames > upper_window.bfn && bfn < upper_window.bfn + upper_window.frames;
}

static uint64_t lower(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

/*
 * One comparison on the short way covers what needs a closer look: BFNs above the tree's reach, those from
 * the upper window on, and, by an end of 0, a dead unit.
 */
void iommu_map_set_end(struct iommu_context *context)
{
    uint64_t reach = lower(page_table_reach(context->table.levels), context->max_bfn);

    context->end = context->dead ? 0 : lower(reach + 1, upper_window.bfn);
}

/*
 * Above the tree's reach: gives it the levels that bfn needs. Devices walk the old root until they are told
 * of the new one, and both lead to the same tables, so that no translation is wrong in between.
 */
SELDOM static int reach_out(struct iommu_context *context, uint64_t bfn, struct iommu_flush *flush)
{
    bool raised = false;
    int error = 0;

    if (bfn > context->max_bfn)
        return -EINVAL;
    if (context->dead)
        return -EIO;
    while (error == 0 && bfn > page_table_reach(context->table.levels)) {
        error = page_table_raise(&context->table);
        if (error != 0 && flush->parked_tables != IOMMU_NO_TABLE) {
            error = iommu_flush(flush);
            continue;
        }
        raised |= error == 0;
    }
    iommu_map_set_end(context);
    if (raised && driver->root_changed(context) != 0)
        return -EIO;
    return error;
}

bool iommu_is_window(uint64_t bfn)
{
    return is_window(bfn, 1);
}

static bool is_aligned_range(const struct iommu_context *context, uint64_t bfn, uint32_t order)
{
    uint64_t frames = 1ull << order;

    return (bfn & (frames - 1)) == 0 && bfn <= context->max_bfn && frames - 1 <= context->max_bfn - bfn;
}

/* One step of a run: what fits into one table, onto nothing; or one entry. The frames, or an error. */
static int64_t map_some(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint64_t frames,
                        uint32_t flags, struct iommu_flush *flush)
{
    uint32_t level = page_table_block(context->table.leaf_level, bfn | mfn, frames);
    int64_t filled;
    int error;

    do {
        filled = page_table_fill(&context->table, bfn, mfn, frames, level, flags, flush);
        if (filled > 0) {
            iommu_counters.maps += (uint64_t)filled;
            if (context->flush_on_map) {
                flush->tables_changed = true;
                iommu_flush_note(flush, bfn, (uint64_t)filled);
            }
            return filled;
        }
        /* Something stands there, or tables are short: as single elements do it. */
        error = level > 1 ? map_block(context, bfn, mfn, level, flags, flush)
                          : map_one(context, bfn, mfn, flags, flush);
        filled = (int64_t)page_table_span(level);
    } while ((error == -EEXIST || error == -ENOMEM) && level-- > 1);
    return error != 0 ? error : filled;
}

static int map_all(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint64_t frames, uint32_t flags,
                   struct iommu_flush *flush, uint64_t *done)
{
    while (*done < frames) {
        int64_t some =
            context->dead ? -EIO : map_some(context, bfn + *done, mfn + *done, frames - *done, flags, flush);

        if (some < 0)
            return (int)some;
        *done += (uint64_t)some;
    }
    return 0;
}

/* Level of the leaf that an order is, 0 when there is none. */
static uint32_t leaf_of_order(const struct iommu_context *context, uint32_t order)
{
    uint32_t level = order / PAGE_TABLE_BITS + 1;

    return order % PAGE_TABLE_BITS == 0 && level <= context->table.leaf_level ? level : 0;
}

/* Everything that can fail is looked at before a mapping changes. */
static int map_pieces(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t order,
                      uint32_t flags, struct iommu_flush *flush)
{
    uint64_t frames = 1ull << order, missing, done = 0;
    int error = page_table_survey(&context->table, bfn, frames, &missing);

    if (error == 0 && !page_table_has(&context->table, missing)) {
        error = iommu_flush(flush);
        if (error == 0 && !page_table_has(&context->table, missing))
            error = -ENOMEM;
    }
    return error != 0 ? error : map_all(context, bfn, mfn, frames, flags, flush, &done);
}

/* Orders above 0. */
SELDOM static int map_order(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t order,
                            uint32_t flags, struct iommu_flush *flush)
{
    uint64_t frames = 1ull << (order & 63);
    uint32_t level = leaf_of_order(context, order);
    int error = 0;

    if (order > ORDER_MAX || mfn > context->max_mfn)
        return -EINVAL;
    if (context->dead)
        return -EIO;
    if (!is_aligned_range(context, bfn, order) || (mfn & (frames - 1)) != 0 ||
        frames - 1 > context->max_mfn - mfn)
        return -EINVAL;
    if (is_window(bfn, frames))
        return -EACCES;
    if (bfn + frames - 1 >= context->end)
        error = reach_out(context, bfn + frames - 1, flush);
    if (error == 0)
        error = level != 0 ? map_block(context, bfn, mfn, level, flags, flush) : -EEXIST;
    return error == -EEXIST ? map_pieces(context, bfn, mfn, order, flags, flush) : error;
}

/* The same for 2 MiB, as iommu_map() below for a frame. */
SELDOM static int map_2m(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t order,
                         uint32_t flags, struct iommu_flush *flush)
{
    struct page_table *table = &context->table;
    uint64_t entry = page_table_leaf(table->format, mfn, flags) | table->format->large;
    uint64_t frames = page_table_span(2);
    uint32_t slot = (bfn >> PAGE_TABLE_BITS) % PAGE_TABLE_ENTRIES;

    if (bfn >> (2 * PAGE_TABLE_BITS) != table->upper_key || (bfn | mfn) % frames != 0 ||
        mfn + frames - 1 > context->max_mfn || bfn + frames > context->end || is_msi_window(bfn, frames) ||
        context->flush_on_map || table->leaf_level < 2 || !page_table_has(table, 1) ||
        table->upper[slot] != 0)
        return map_order(context, bfn, mfn, order, flags, flush);
    table->reserve++;
    iommu_counters.maps += frames;
    if (page_table_put_leaf(table, table->upper, table->upper_info, slot, entry, frames << 12))
        page_table_merge_upper(table, bfn, flush);
    return 0;
}

/* One frame, whatever stands there. */
SELDOM static int map_any(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t flags,
                          struct iommu_flush *flush)
{
    if (bfn >> PAGE_TABLE_BITS != context->table.cursor_key && page_table_come_near(&context->table, bfn))
        return iommu_map(context, bfn, mfn, 0, flags, flush);
    if (mfn > context->max_mfn)
        return -EINVAL;
    if (is_msi_window(bfn, 1))
        return -EACCES;
    if (bfn >= context->end) {
        int error = is_window(bfn, 1) ? -EACCES : reach_out(context, bfn, flush);

        if (error != 0)
            return error;
    }
    return map_one(context, bfn, mfn, flags, flush);
}

SELDOM static int complete_run(struct page_table *table, uint64_t bfn, struct iommu_flush *flush)
{
    page_table_merge(table, bfn, flush);
    return 0;
}

/* What is mapped most: onto nothing, near the one before. Whatever is not so goes on elsewhere. */
int iommu_map(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t order, uint32_t flags,
              struct iommu_flush *flush)
{
    struct page_table *table = &context->table;
    uint32_t slot = bfn % PAGE_TABLE_ENTRIES;
    uint64_t entry = page_table_leaf(table->format, mfn, flags);

    if (order != 0)
        return order == PAGE_TABLE_BITS ? map_2m(context, bfn, mfn, order, flags, flush)
                                        : map_order(context, bfn, mfn, order, flags, flush);
    if (mfn > context->max_mfn || bfn >= context->end || is_msi_window(bfn, 1) || context->flush_on_map ||
        !page_table_is_near(table, bfn) || table->cursor[slot] != 0)
        return map_any(context, bfn, mfn, flags, flush);
    iommu_counters.maps++;
    if (page_table_put_leaf(table, table->cursor, table->cursor_info, slot, entry, 1u << 12))
        return complete_run(table, bfn, flush);
    return 0;
}

int iommu_map_run(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint64_t frames, uint32_t flags,
                  struct iommu_flush *flush, uint64_t *done)
{
    *done = 0;
    if (frames == 0)
        return 0;
    if (bfn > context->max_bfn || frames - 1 > context->max_bfn - bfn || mfn > context->max_mfn ||
        frames - 1 > context->max_mfn - mfn)
        return -EINVAL;
    if (is_window(bfn, frames))
        return -EACCES;
    if (bfn + frames - 1 >= context->end) {
        int error = reach_out(context, bfn + frames - 1, flush);

        if (error != 0)
            return error;
    }
    return map_all(context, bfn, mfn, frames, flags, flush, done);
}

/* What is there, in one table; or how far nothing is. The frames, or an error. */
static int64_t unmap_some(struct iommu_context *context, uint64_t bfn, uint64_t frames,
                          struct iommu_flush *flush)
{
    int error = context->dead ? -EIO : iommu_flush_full(flush) ? iommu_flush(flush) : 0;
    bool found;
    int64_t some;

    if (bfn > context->max_bfn)
        return -EINVAL;
    if (error != 0)
        return error;
    if (bfn > page_table_reach(context->table.levels))
        return (int64_t)lower(frames, context->max_bfn - bfn + 1);
    some = page_table_clear(&context->table, bfn, frames, &found, flush);
    if (some > 0 && found)
        iommu_flush_note(flush, bfn, (uint64_t)some);
    return some;
}

int iommu_unmap_run(struct iommu_context *context, uint64_t bfn, uint64_t frames, struct iommu_flush *flush,
                    uint64_t *done)
{
    int64_t some = 1;

    for (*done = 0; *done < frames && some > 0; *done += some > 0 ? (uint64_t)some : 0)
        some = unmap_some(context, bfn + *done, frames - *done, flush);
    iommu_counters.unmaps += *done;
    return some < 0 ? (int)some : 0;
}

SELDOM static int unmap_order(struct iommu_context *context, uint64_t bfn, uint32_t order,
                              struct iommu_flush *flush)
{
    uint32_t level = leaf_of_order(context, order);
    uint64_t missing, done;
    int error = -EEXIST;

    if (!is_aligned_range(context, bfn, order))
        return -EINVAL;
    if (context->dead)
        return -EIO;
    if (level > 1)
        error = unmap_block(context, bfn, level, flush);
    if (error != -EEXIST)
        return error;
    error = page_table_survey(&context->table, bfn, 1ull << order, &missing);
    return error != 0 ? error : iommu_unmap_run(context, bfn, 1ull << order, flush, &done);
}

/* The 2 MiB leaf at bfn, if that is near the one before and its table stays; else 0. */
static inline uint64_t leaf_2m(const struct iommu_context *context, uint64_t bfn,
                               const struct iommu_flush *flush)
{
    const struct page_table *table = &context->table;
    const struct page_format *format = table->format;
    uint64_t entry;

    if (bfn >> (2 * PAGE_TABLE_BITS) != table->upper_key || bfn % page_table_span(2) != 0 ||
        bfn >= context->end || table->upper_info->live == 1 || iommu_flush_full(flush))
        return 0;
    entry = table->upper[(bfn >> PAGE_TABLE_BITS) % PAGE_TABLE_ENTRIES];
    return (entry & (format->kind | format->locked)) == format->large ? entry : 0;
}

SELDOM static int unmap_2m(struct iommu_context *context, uint64_t bfn, uint32_t order,
                           struct iommu_flush *flush)
{
    struct page_table *table = &context->table;
    uint64_t entry = leaf_2m(context, bfn, flush), frames = page_table_span(2);

    if (entry == 0)
        return unmap_order(context, bfn, order, flush);
    page_table_drop_leaf(table, table->upper, table->upper_info,
                         (bfn >> PAGE_TABLE_BITS) % PAGE_TABLE_ENTRIES, frames << 12);
    table->reserve--;
    iommu_counters.unmaps += frames;
    iommu_flush_park(flush, entry, frames);
    iommu_flush_note(flush, bfn, frames);
    return 0;
}

SELDOM static int unmap_any(struct iommu_context *context, uint64_t bfn, struct iommu_flush *flush)
{
    if (bfn >> PAGE_TABLE_BITS != context->table.cursor_key && page_table_come_near(&context->table, bfn))
        return iommu_unmap(context, bfn, 0, flush);
    return unmap_one(context, bfn, flush);
}

/* As quick as iommu_map(), and about the same. */
int iommu_unmap(struct iommu_context *context, uint64_t bfn, uint32_t order, struct iommu_flush *flush)
{
    struct page_table *table = &context->table;
    uint32_t slot = bfn % PAGE_TABLE_ENTRIES;
    uint64_t entry;

    if (order > ORDER_MAX)
        return -EINVAL;
    if (order != 0 || bfn >= context->end)
        return order == PAGE_TABLE_BITS ? unmap_2m(context, bfn, order, flush)
                                        : unmap_order(context, bfn, order, flush);
    if (!page_table_is_near(table, bfn) || table->cursor_info->live == 1 || iommu_flush_full(flush))
        return unmap_any(context, bfn, flush);
    entry = table->cursor[slot];
    if (page_table_is_locked(table, entry))
        return -EACCES;
    iommu_counters.unmaps++;
    if (entry == 0)
        return 0;
    page_table_drop_leaf(table, table->cursor, table->cursor_info, slot, 1u << 12);
    iommu_flush_park(flush, entry, 1);
    iommu_flush_note(flush, bfn, 1);
    return 0;
}

/* The leaf at bfn when nothing else is owed, its table stays, and its flags are the caller's; else 0. */
static inline uint64_t leaf_alone(struct iommu_context *context, uint64_t bfn,
                                  const struct iommu_flush *flush)
{
    struct page_table *table = &context->table;
    uint64_t entry;

    if (bfn >= context->end || !page_table_is_near(table, bfn) || table->cursor_info->live == 1 ||
        (flush->range_count | flush->parked_count) != 0 || flush->tables_changed ||
        table->dirty != table->dirty_end)
        return 0;
    entry = table->cursor[bfn % PAGE_TABLE_ENTRIES];
    return (entry & table->format->not_callers) == 0 ? entry : 0;
}

int iommu_unmap_page(struct iommu_context *context, uint64_t bfn, struct iommu_mapping *gone,
                     struct iommu_flush *flush)
{
    uint64_t entry = leaf_alone(context, bfn, flush), units = context->units;
    struct page_table *table = &context->table;
    uint32_t slot = bfn % PAGE_TABLE_ENTRIES, unit;

    gone->flags = 0;
    if (entry == 0 || units == 0)
        return iommu_unmap(context, bfn, 0, flush);
    unit = (uint32_t)__builtin_ctzll(units);
    if (units >> unit != 1)
        return iommu_unmap(context, bfn, 0, flush);
    page_table_drop(table->cursor, table->cursor_info, slot, 1u << 12);
    if (!table->coherent)
        host_cache_flush(&table->cursor[slot], sizeof entry);
    iommu_counters.unmaps++;
    iommu_counters.flushes++;
    if (driver->forget_page(unit, context->domain, bfn) == 0) {
        gone->mfn = page_table_leaf_mfn(table->format, entry);
        gone->flags = page_table_leaf_flags(table->format, entry);
    }
    return 0;
}

int iommu_rewrite(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t flags,
                  struct iommu_flush *flush)
{
    uint64_t entry = page_table_leaf(context->table.format, mfn, flags), old;
    struct iommu_mapping mapping;
    int error = iommu_lookup(context, bfn, &mapping);

    if (error != 0 || mapping.mfn != mfn)
        return -ENOENT;
    if (context->dead)
        return -EIO;
    error = page_table_map(&context->table, bfn, entry, &old, flush);
    if (error == -ENOMEM && flush->parked_tables != IOMMU_NO_TABLE)
        error = flush_and_map(context, bfn, entry, &old, flush);
    if (error == 0 && old != entry)
        iommu_flush_note(flush, bfn, 1);
    return error;
}

int iommu_lookup(const struct iommu_context *context, uint64_t bfn, struct iommu_mapping *mapping)
{
    uint64_t entry;
    uint32_t level;

    if (bfn > context->max_bfn)
        return -EINVAL;
    entry = page_table_lookup(&context->table, bfn, &level);
    if (entry == 0)
        return -ENOENT;
    mapping->mfn = page_table_leaf_mfn(context->table.format, entry) + (bfn & (page_table_span(level) - 1));
    mapping->flags = page_table_leaf_flags(context->table.format, entry);
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* The flush: makes hardware forget what was changed, and only then lets go what it could reach. */
#include "drivers/iommu/flush.h"

#include "drivers/iommu/driver.h"
#include "guest-abi/include/sluice/errno.h"

static const struct iommu_driver *driver;

void iommu_flush_by(const struct iommu_driver *in_use)
{
    driver = in_use;
}

void iommu_flush_begin(struct iommu_flush *flush, struct iommu_context *context)
{
    flush->context = context;
    flush->range_count = 0;
    flush->whole_domain = false;
    flush->tables_changed = false;
    flush->parked_count = 0;
    flush->parked_frames = 0;
    flush->parked_tables = IOMMU_NO_TABLE;
}

static bool is_owed(const struct iommu_flush *flush)
{
    return flush->range_count != 0 || flush->whole_domain || flush->tables_changed;
}

/* Order of the smallest aligned block that covers the range, which starts anywhere. */
static uint32_t covering_order(struct iommu_range range)
{
    uint64_t differ = range.bfn ^ (range.bfn + range.frames - 1);

    return differ == 0 ? 0 : 64u - (uint32_t)__builtin_clzll(differ);
}

/*
 * One descriptor a range. More ranges than the accumulator keeps have become the whole domain already, since
 * the entries a domain-wide flush costs are fetched again by one walk each.
 */
static void make_plan(struct iommu_plan *plan, const struct iommu_flush *flush)
{
    plan->domain = flush->context->domain;
    plan->leaf_only = !flush->tables_changed;
    plan->order_max = 0;
    plan->count = flush->whole_domain ? 0 : flush->range_count;
    for (uint32_t i = 0; i < plan->count; i++) {
        uint32_t order = covering_order(flush->ranges[i]);

        plan->blocks[i] = (struct iommu_block){flush->ranges[i].bfn >> order << order, order};
        if (order > plan->order_max)
            plan->order_max = order;
    }
}

/* All units work at the same time; then each is waited for. */
static inline int invalidate(uint64_t units, const struct iommu_plan *plan)
{
    int error = 0;

    iommu_counters.flushes++;
    for (uint64_t left = units; left != 0; left &= left - 1)
        driver->invalidate((uint32_t)__builtin_ctzll(left), plan);
    for (uint64_t left = units; left != 0; left &= left - 1)
        if (driver->wait((uint32_t)__builtin_ctzll(left)) != 0)
            error = -EIO;
    return error;
}

/* Those in a row whose entries have the same flags, which nearly all have, are let go together. */
static void release_parked(struct iommu_flush *flush)
{
    const struct page_format *format = flush->context->table.format;
    uint64_t address = format->address_mask;
    const struct iommu_frames *frames = flush->parked, *end = frames + flush->parked_count;

    while (frames < end) {
        uint64_t entry = frames->entry;
        const struct iommu_frames *next = frames + 1;

        while (next < end && ((next->entry ^ entry) & ~address) == 0)
            next++;
        host_frames_release(frames, (uint32_t)(next - frames), address, page_table_leaf_flags(format, entry));
        frames = next;
    }
    if (flush->parked_tables != IOMMU_NO_TABLE)
        page_table_release(&flush->context->table, flush->parked_tables);
}

/*
 * Kept out of the path of a map, which owes nothing. A dead context owes for ever: what it parked is never
 * let go.
 */
__attribute__((noinline, cold)) static int flush_owed(struct iommu_flush *flush)
{
    struct iommu_context *context = flush->context;
    int error = context->dead ? -EIO : 0;
    struct iommu_plan plan;

    if (error == 0 && context->units != 0 && is_owed(flush)) {
        make_plan(&plan, flush);
        error = invalidate(context->units, &plan);
    }
    if (error == 0)
        release_parked(flush);
    iommu_flush_begin(flush, context);
    return error;
}

int iommu_flush(struct iommu_flush *flush)
{
    page_table_write_back(&flush->context->table);
    if ((flush->range_count | flush->parked_count) == 0 && !flush->tables_changed && !flush->context->dead)
        return 0;
    return flush_owed(flush);
}

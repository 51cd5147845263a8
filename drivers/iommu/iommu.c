/* SPDX-License-Identifier: MIT */
/*
 * The vendor-neutral half: contexts, what may be mapped, the flush accumulator and its plan.
 */
#include "drivers/iommu/iommu.h"

#include "drivers/iommu/driver.h"
#include "drivers/iommu/host.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"

/* Kept out of the single-element paths, which the hypercalls take and which should stay short. */
#define SELDOM __attribute__((noinline, cold))

#define MSI_FIRST_BFN 0xfee00u
#define MSI_FRAMES    0x100u
#define ORDER_MAX     18u /* 1 GiB */

struct iommu_counters iommu_counters;

static const struct iommu_driver *driver;
static struct iommu_limits limits;
static uint64_t machine_max_mfn;
static struct iommu_context *contexts[IOMMU_CONTEXTS_MAX]; /* domain id = index + 1 */
static uint32_t context_count;
static struct iommu_reserved reserved[IOMMU_RESERVED_MAX];
static uint32_t reserved_count;

/* ---- bringing the units up ---- */

int iommu_init(const struct iommu_setup *setup)
{
    int error;

    driver = setup->vendor == IOMMU_VENDOR_VTD ? &vtd_driver : NULL;
    context_count = 0;
    reserved_count = 0;
    iommu_counters = (struct iommu_counters){0};
    if (driver == NULL) {
        log_line("iommu: the machine has AMD-Vi (an IVRS table), which this version of Sluice cannot drive; "
                 "VT-d it can");
        return -ENODEV;
    }
    machine_max_mfn = (1ull << (setup->physical_bits - 12)) - 1;
    error = driver->init(setup, &limits);
    if (error == 0)
        error = driver->reserve();
    if (error == 0)
        error = iommu_reserved_add(MSI_FIRST_BFN, MSI_FRAMES, IOMMU_KIND_MSI);
    if (error < 0)
        driver = NULL;
    return error < 0 ? error : 0;
}

int iommu_enable(void)
{
    return driver != NULL ? driver->enable() : -EIO;
}

/* ---- reserved ranges ---- */

int iommu_reserved_add(uint64_t bfn, uint64_t frames, enum iommu_reserved_kind kind)
{
    uint32_t index = 0;

    while (index < reserved_count && (reserved[index].bfn != bfn || reserved[index].frames != frames))
        index++;
    if (index == IOMMU_RESERVED_MAX)
        return -ENOSPC;
    if (index == reserved_count)
        reserved[reserved_count++] = (struct iommu_reserved){bfn, frames, kind};
    return (int)index;
}

uint32_t iommu_reserved_count(void)
{
    return reserved_count;
}

struct iommu_reserved iommu_reserved_at(uint32_t index)
{
    return index < reserved_count ? reserved[index] : (struct iommu_reserved){0};
}

/* Most tables that a range can need below the root. */
static uint64_t tables_for(uint64_t bfn, uint64_t frames)
{
    uint64_t tables = 0;

    for (uint32_t level = 1; level < limits.levels; level++) {
        uint32_t shift = PAGE_TABLE_BITS * level;

        tables += ((bfn + frames - 1) >> shift) - (bfn >> shift) + 1;
    }
    return tables;
}

static int map_reserved(struct iommu_context *context)
{
    for (uint32_t i = 0; i < reserved_count; i++) {
        uint64_t bfn = reserved[i].bfn, end = bfn + reserved[i].frames;

        if (reserved[i].kind != IOMMU_KIND_IDENTITY || (context->reserved >> i & 1) == 0)
            continue;
        while (bfn < end) {
            int64_t done = page_table_fill(&context->table, bfn, bfn, end - bfn,
                                           IOMMU_READ | IOMMU_WRITE | IOMMU_LOCKED);

            if (done < 0)
                return (int)done;
            /* What stands there already is another range's identity entry: the same one. */
            bfn += done != 0 ? (uint64_t)done : 1;
        }
    }
    page_table_write_back(&context->table);
    return 0;
}

/* ---- contexts ---- */

/* One run of frames: the context and what it knows about its tables, then the tables. */
static struct iommu_context *context_allocate(uint32_t quota)
{
    uint64_t bytes = sizeof(struct iommu_context) + (uint64_t)quota * sizeof(struct page_table_info);
    uint64_t head = (bytes + 4095) >> 12;
    uint64_t head_mfn = host_frames_alloc(head), pool_mfn = host_frames_alloc(quota);
    struct iommu_context *context;
    void *pool;

    if (head_mfn == 0 || pool_mfn == 0) {
        if (head_mfn != 0)
            host_frames_free(head_mfn, head);
        if (pool_mfn != 0)
            host_frames_free(pool_mfn, quota);
        return NULL;
    }
    context = host_frame_address(head_mfn);
    pool = host_frame_address(pool_mfn);
    if (!limits.coherent)
        host_cache_flush(pool, (size_t)quota << 12);
    page_table_init(&context->table, driver->format, limits.levels, limits.coherent, pool_mfn, pool,
                    (struct page_table_info *)(context + 1), quota);
    return context;
}

static int context_create(struct iommu_context **result, uint32_t quota, uint64_t ranges)
{
    uint32_t reach = PAGE_TABLE_BITS * limits.levels;
    uint64_t pages = (uint64_t)quota + 1;
    struct iommu_context *context;

    if (driver == NULL)
        return -ENODEV;
    for (uint32_t i = 0; i < reserved_count; i++)
        if (reserved[i].kind == IOMMU_KIND_IDENTITY && (ranges >> i & 1) != 0)
            pages += tables_for(reserved[i].bfn, reserved[i].frames);
    if (context_count == IOMMU_CONTEXTS_MAX || context_count + 1 >= limits.domains || pages >= PAGE_NO_TABLE)
        return -ENOMEM;
    context = context_allocate((uint32_t)pages);
    if (context == NULL)
        return -ENOMEM;
    if (reach > limits.address_bits - 12u)
        reach = limits.address_bits - 12u;
    context->max_bfn = (1ull << reach) - 1;
    context->max_mfn = machine_max_mfn;
    context->flush_on_map = limits.flush_on_map;
    context->reserved = ranges;
    contexts[context_count++] = context;
    context->domain = (uint16_t)context_count;
    *result = context;
    return map_reserved(context);
}

int iommu_context_create(struct iommu_context **context, uint32_t quota)
{
    return context_create(context, quota, UINT64_MAX);
}

int iommu_boot_context(uint64_t ranges, struct iommu_context **context)
{
    for (uint32_t i = 0; i < context_count; i++)
        if (contexts[i]->reserved == ranges) {
            *context = contexts[i];
            return 0;
        }
    /* The last one is the guest's: firmware that names too many devices costs those devices only. */
    if (context_count + 1 >= IOMMU_CONTEXTS_MAX || context_count + 2 >= limits.domains)
        return -ENOMEM;
    return context_create(context, 0, ranges);
}

struct iommu_context *iommu_context_of_domain(uint16_t domain)
{
    return domain != 0 && domain <= context_count ? contexts[domain - 1] : NULL;
}

int iommu_attach(struct iommu_context *context, uint16_t segment, uint16_t requester_id)
{
    return context->dead ? -EIO : driver->attach(context, segment, requester_id);
}

uint64_t iommu_max_bfn(const struct iommu_context *context)
{
    return context->max_bfn;
}
uint32_t iommu_tables_used(const struct iommu_context *context)
{
    return context->table.used;
}
uint32_t iommu_tables_peak(const struct iommu_context *context)
{
    return context->table.peak;
}
uint32_t iommu_tables_quota(const struct iommu_context *context)
{
    return context->table.quota;
}

/* ---- the accumulator ---- */

void iommu_flush_begin(struct iommu_flush *flush, struct iommu_context *context)
{
    flush->context = context;
    flush->range_count = 0;
    flush->whole_domain = false;
    flush->tables_changed = false;
    flush->parked_count = 0;
    flush->parked_tables = IOMMU_NO_TABLE;
}

/* Notes what must be invalidated; neighbours of the latest range, upwards or downwards, extend it. */
static inline void note_range(struct iommu_flush *flush, uint64_t bfn, uint64_t frames)
{
    struct iommu_range *range = flush->ranges;

    if (flush->whole_domain)
        return;
    if (flush->range_count != 0) {
        range += flush->range_count - 1;
        if (bfn == range->bfn + range->frames) {
            range->frames += frames;
            return;
        }
        if (bfn >= range->bfn && bfn + frames <= range->bfn + range->frames)
            return;
        if (bfn + frames == range->bfn) {
            range->bfn = bfn;
            range->frames += frames;
            return;
        }
    }
    if (flush->range_count < IOMMU_FLUSH_RANGES)
        flush->ranges[flush->range_count++] = (struct iommu_range){bfn, frames};
    else
        flush->whole_domain = true;
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
 * One descriptor a range, unless a unit cannot cover one of them by a single descriptor: then one for the
 * whole domain. More ranges than the accumulator keeps have become the whole domain already, since the
 * entries a domain-wide flush costs are fetched again by one walk each.
 */
static void post_plan(const struct iommu_flush *flush, uint32_t unit)
{
    uint16_t domain = flush->context->domain;
    bool whole = flush->whole_domain || flush->range_count == 0;

    for (uint32_t i = 0; i < flush->range_count && !whole; i++)
        whole = (int)covering_order(flush->ranges[i]) > driver->page_order_max(unit);
    if (whole) {
        driver->post_domain(unit, domain);
        return;
    }
    for (uint32_t i = 0; i < flush->range_count; i++) {
        uint32_t order = covering_order(flush->ranges[i]);

        driver->post_pages(unit, domain, flush->ranges[i].bfn >> order << order, order,
                           !flush->tables_changed);
    }
}

/* All units work at the same time; then each is waited for. */
static int invalidate(const struct iommu_flush *flush)
{
    uint64_t units = flush->context->units;
    int error = 0;

    if (units == 0)
        return 0;
    iommu_counters.flushes++;
    for (uint64_t left = units; left != 0; left &= left - 1) {
        uint32_t unit = (uint32_t)__builtin_ctzll(left);

        post_plan(flush, unit);
        driver->submit(unit);
    }
    for (uint64_t left = units; left != 0; left &= left - 1)
        if (driver->wait((uint32_t)__builtin_ctzll(left)) != 0)
            error = -EIO;
    return error;
}

static void release_parked(const struct iommu_flush *flush)
{
    const struct page_format *format = flush->context->table.format;

    for (uint32_t i = 0; i < flush->parked_count; i++)
        host_frame_release(page_table_leaf_mfn(format, flush->parked[i]),
                           page_table_leaf_flags(format, flush->parked[i]));
    page_table_release(&flush->context->table, flush->parked_tables);
}

int iommu_flush(struct iommu_flush *flush)
{
    struct iommu_context *context = flush->context;
    int error = context->dead ? -EIO : 0;

    page_table_write_back(&context->table);
    if (error == 0 && is_owed(flush))
        error = invalidate(flush);
    if (error == 0) {
        release_parked(flush);
    }
    iommu_flush_begin(flush, context);
    return error;
}

void iommu_unit_died(uint32_t unit)
{
    for (uint32_t i = 0; i < context_count; i++)
        if ((contexts[i]->units >> unit & 1) != 0)
            contexts[i]->dead = true;
}

/* ---- map, unmap, lookup ---- */

/* What rarely happens: the accumulator is full, or tables that only wait for their flush are missed. */
SELDOM static int flush_and_map(struct iommu_context *context, uint64_t bfn, uint64_t entry, uint64_t *old,
                                struct iommu_flush *flush)
{
    int error = iommu_flush(flush);

    return error != 0 ? error : page_table_map(&context->table, bfn, entry, old);
}

__attribute__((always_inline)) static inline int
map_one(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t flags, struct iommu_flush *flush)
{
    uint64_t entry = page_table_leaf(context->table.format, mfn, flags), old;
    int error = -ENOMEM;

    if (!iommu_flush_full(flush))
        error = page_table_map(&context->table, bfn, entry, &old);
    if (error == -ENOMEM && (iommu_flush_full(flush) || flush->parked_tables != IOMMU_NO_TABLE))
        error = flush_and_map(context, bfn, entry, &old, flush);
    if (error != 0)
        return error;
    iommu_counters.maps++;
    if (old != 0)
        flush->parked[flush->parked_count++] = old;
    if (old != entry && (old != 0 || context->flush_on_map)) {
        flush->tables_changed |= old == 0; /* absence may be remembered at any level */
        note_range(flush, bfn, 1);
    }
    return 0;
}

__attribute__((always_inline)) static inline int unmap_one(struct iommu_context *context, uint64_t bfn,
                                                           struct iommu_flush *flush)
{
    uint64_t old;
    int error = __builtin_expect(iommu_flush_full(flush), false) ? iommu_flush(flush) : 0;

    if (error == 0)
        error = page_table_unmap(&context->table, bfn, &old, &flush->parked_tables);
    if (error != 0)
        return error;
    iommu_counters.unmaps++;
    if (old == 0)
        return 0;
    flush->tables_changed |= flush->parked_tables != IOMMU_NO_TABLE;
    flush->parked[flush->parked_count++] = old;
    note_range(flush, bfn, 1);
    return 0;
}

static inline bool in_msi_window(uint64_t bfn, uint64_t frames)
{
    return bfn < MSI_FIRST_BFN + MSI_FRAMES && bfn + frames > MSI_FIRST_BFN;
}

static bool is_range_locked(const struct iommu_context *context, uint64_t bfn, uint64_t frames)
{
    uint64_t locked = context->table.format->leaf_bits[IOMMU_LOCKED];

    for (uint64_t i = 0; i < frames; i++)
        if ((page_table_lookup(&context->table, bfn + i) & locked) != 0)
            return true;
    return false;
}

static int check_range(const struct iommu_context *context, uint64_t bfn, uint32_t order)
{
    uint64_t frames = 1ull << order;

    if ((bfn & (frames - 1)) != 0 || frames - 1 > context->max_bfn - bfn)
        return -EINVAL;
    return is_range_locked(context, bfn, frames) ? -EACCES : 0;
}

/* Orders above 0: everything that can fail is looked at before anything changes. */
SELDOM static int map_order(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t order,
                            uint32_t flags, struct iommu_flush *flush)
{
    uint64_t frames = 1ull << order;

    int error = check_range(context, bfn, order);

    if (error == 0 && ((mfn & (frames - 1)) != 0 || frames - 1 > context->max_mfn - mfn))
        error = -EINVAL;
    if (error != 0)
        return error;
    if (in_msi_window(bfn, frames))
        return -EACCES;
    if (!page_table_can_hold(&context->table, bfn, order)) {
        error = iommu_flush(flush);
        if (error != 0 || !page_table_can_hold(&context->table, bfn, order))
            return error != 0 ? error : -ENOMEM;
    }
    for (uint64_t i = 0; i < frames && error == 0; i++)
        error = map_one(context, bfn + i, mfn + i, flags, flush);
    return error;
}

int iommu_map(struct iommu_context *context, uint64_t bfn, uint64_t mfn, uint32_t order, uint32_t flags,
              struct iommu_flush *flush)
{
    if (order > ORDER_MAX || bfn > context->max_bfn || mfn > context->max_mfn)
        return -EINVAL;
    if (context->dead)
        return -EIO;
    if (order != 0)
        return map_order(context, bfn, mfn, order, flags, flush);
    if (in_msi_window(bfn, 1))
        return -EACCES;
    return map_one(context, bfn, mfn, flags, flush);
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
    if (in_msi_window(bfn, frames))
        return -EACCES;
    while (*done < frames) {
        int64_t filled;
        int error;

        if (context->dead)
            return -EIO;
        filled = page_table_fill(&context->table, bfn + *done, mfn + *done, frames - *done, flags);
        if (filled > 0) {
            iommu_counters.maps += (uint64_t)filled;
            if (context->flush_on_map) {
                flush->tables_changed = true;
                note_range(flush, bfn + *done, (uint64_t)filled);
            }
            *done += (uint64_t)filled;
            continue;
        }
        /* Something stands there, or tables are short: as single elements do it. */
        error = map_one(context, bfn + *done, mfn + *done, flags, flush);
        if (error != 0)
            return error;
        ++*done;
    }
    return 0;
}

SELDOM static int unmap_order(struct iommu_context *context, uint64_t bfn, uint32_t order,
                              struct iommu_flush *flush)
{
    int error = check_range(context, bfn, order);

    for (uint64_t i = 0; i < 1ull << order && error == 0; i++)
        error = unmap_one(context, bfn + i, flush);
    return error;
}

int iommu_unmap(struct iommu_context *context, uint64_t bfn, uint32_t order, struct iommu_flush *flush)
{
    if (order > ORDER_MAX || bfn > context->max_bfn)
        return -EINVAL;
    if (context->dead)
        return -EIO;
    return order == 0 ? unmap_one(context, bfn, flush) : unmap_order(context, bfn, order, flush);
}

int iommu_lookup(const struct iommu_context *context, uint64_t bfn, struct iommu_mapping *mapping)
{
    uint64_t entry;

    if (bfn > context->max_bfn)
        return -EINVAL;
    entry = page_table_lookup(&context->table, bfn);
    if (entry == 0)
        return -ENOENT;
    mapping->mfn = page_table_leaf_mfn(context->table.format, entry);
    mapping->flags = page_table_leaf_flags(context->table.format, entry);
    return 0;
}

/* ---- faults and description ---- */

void iommu_fault_interrupt(void)
{
    if (driver != NULL)
        driver->fault_interrupt();
}

void iommu_fault_tick(void)
{
    if (driver != NULL)
        driver->fault_tick();
}

uint32_t iommu_unit_count(void)
{
    return driver != NULL ? driver->unit_count() : 0;
}

bool iommu_unit_dead(uint32_t unit)
{
    return driver != NULL && driver->unit_dead(unit);
}

struct iommu_range iommu_unit_registers(uint32_t unit)
{
    return driver != NULL ? driver->unit_registers(unit) : (struct iommu_range){0};
}

const char *iommu_vendor_name(void)
{
    return driver != NULL ? driver->name : "none";
}

/* SPDX-License-Identifier: MIT */
/*
 * The vendor-neutral half: which vendor there is, contexts, reserved ranges, isolated devices.
 */
#include "drivers/iommu/iommu.h"

#include "drivers/iommu/driver.h"
#include "drivers/iommu/host.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"
#include "lib/string.h"

struct iommu_counters iommu_counters;

static const struct iommu_driver *driver;
static struct iommu_limits limits;
static uint64_t machine_max_mfn;
static struct iommu_context *contexts[IOMMU_CONTEXTS_MAX]; /* domain id = index + 1 */
static uint32_t context_count;
static struct iommu_reserved reserved[IOMMU_RESERVED_MAX];
static uint32_t reserved_count;
static struct iommu_flush reserved_flush;
static uint64_t isolated[(UINT16_MAX + 1) / 64]; /* a bit for each requester id of segment 0 */

static uint64_t lower(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

/* ---- bringing the units up ---- */

/* Behind the header of either table. VT-d 4.1, 8.1: "Host Address Width", less one, in the first byte. AMD
 * 48882, 5.2.1: IVinfo, PASize and VASize, of which the smaller is what a device can name one to one. */
#define WIDTHS 36u

/* Less than 32 bits no machine has. */
static uint32_t bits_or_all(uint32_t bits)
{
    return bits < 32 || bits > 64 ? 64 : bits;
}

uint32_t iommu_dma_bits(const struct iommu_setup *setup)
{
    uint32_t word = 0;

    if (setup->table_size < WIDTHS + sizeof word)
        return 64;
    memcpy(&word, (const uint8_t *)setup->table + WIDTHS, sizeof word);
    if (setup->vendor == IOMMU_VENDOR_VTD)
        return bits_or_all((word & 0xff) + 1);
    return (uint32_t)lower(bits_or_all(word >> 8 & 0x7f), bits_or_all(word >> 15 & 0x7f));
}

int iommu_init(const struct iommu_setup *setup)
{
    uint8_t bits = (uint8_t)lower(setup->physical_bits, iommu_dma_bits(setup));
    int error;

    driver = setup->vendor == IOMMU_VENDOR_VTD ? &vtd_driver : &amdvi_driver;
    context_count = 0;
    reserved_count = 0;
    memset(isolated, 0, sizeof isolated);
    iommu_map_begin(driver);
    iommu_counters = (struct iommu_counters){0};
    /* Not the last frame that an entry has bits for: what continues it would carry into the software flags.
     */
    machine_max_mfn = (1ull << (bits - 12)) - (bits == 52 ? 2 : 1);
    error = driver->init(setup, &limits);
    if (error != 0) {
        driver = NULL;
        return error;
    }
    driver->reserve((uint8_t)lower(limits.address_bits, bits));
    (void)iommu_reserved_add(IOMMU_MSI_BFN, IOMMU_MSI_FRAMES, IOMMU_KIND_MSI, 0); /* its place was kept */
    return 0;
}

int iommu_enable(void)
{
    return driver != NULL ? driver->enable() : -EIO;
}

const struct iommu_driver *iommu_driver(void)
{
    return driver;
}

void iommu_report_findings(const char *table, const struct findings *findings)
{
    for (uint32_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->list[i];

        log_line("iommu: %s offset %u, %s: %s", table, finding->offset, finding_structure_text(finding),
                 finding_reason_text(finding));
    }
    if (findings->lost != 0)
        log_line("iommu: %s: %u more findings", table, findings->lost);
}

/* ---- reserved ranges ---- */

static bool is_same_range(const struct iommu_reserved *range, uint64_t bfn, uint64_t frames, uint32_t flags)
{
    return range->bfn == bfn && range->frames == frames && range->flags == flags;
}

int iommu_reserved_add(uint64_t bfn, uint64_t frames, enum iommu_reserved_kind kind, uint32_t flags)
{
    uint32_t room = kind == IOMMU_KIND_IDENTITY ? IOMMU_RESERVED_MAX - 1 : IOMMU_RESERVED_MAX, index = 0;

    while (index < reserved_count && !is_same_range(&reserved[index], bfn, frames, flags))
        index++;
    if (index >= room)
        return -ENOSPC;
    if (index == reserved_count)
        reserved[reserved_count++] = (struct iommu_reserved){bfn, frames, kind, flags};
    if (kind == IOMMU_KIND_HYPERTRANSPORT)
        iommu_map_window(bfn, frames);
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

    for (uint32_t level = 1; level < limits.levels_max; level++) {
        uint32_t shift = PAGE_TABLE_BITS * level;

        tables += ((bfn + frames - 1) >> shift) - (bfn >> shift) + 1;
    }
    return tables;
}

/* Maps from bfn on by the largest leaves; how many frames that were, or an error. */
static int64_t map_identity(struct page_table *table, uint64_t bfn, uint64_t frames, uint32_t flags)
{
    int64_t done = 0;

    for (uint32_t level = page_table_block(table->leaf_level, bfn, frames); done == 0 && level >= 1;
         level--) {
        done = page_table_fill(table, bfn, bfn, frames, level, flags, &reserved_flush);
        /* What stands there already is another range's identity entry: its devices need both. */
        if (done == 0 && page_table_widen(table, bfn, level, flags, &reserved_flush) == 0)
            done = (int64_t)page_table_span(level);
    }
    return done;
}

static int map_reserved(struct iommu_context *context)
{
    iommu_flush_begin(&reserved_flush, context);
    for (uint32_t i = 0; i < reserved_count; i++) {
        uint64_t bfn = reserved[i].bfn, end = bfn + reserved[i].frames;

        if (reserved[i].kind != IOMMU_KIND_IDENTITY || (context->reserved >> i & 1) == 0)
            continue;
        while (bfn < end) {
            uint32_t flags = reserved[i].flags | IOMMU_LOCKED;
            int64_t done = map_identity(&context->table, bfn, end - bfn, flags);

            if (done < 0)
                return (int)done;
            bfn += (uint64_t)done;
            if (reserved_flush.parked_tables != IOMMU_NO_TABLE)
                iommu_flush(&reserved_flush); /* no unit walks them yet */
        }
    }
    return iommu_flush(&reserved_flush);
}

/* ---- contexts ---- */

/* One run of frames: the context and what it knows about its tables, then the tables. */
static struct iommu_context *context_allocate(uint32_t quota, uint8_t levels)
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
    /* A tree that grows keeps its old root, so that no leaf is of the root's size. */
    page_table_init(&context->table, driver->format, levels, (uint8_t)lower(limits.leaf_level, levels),
                    limits.coherent, pool_mfn, pool, (struct page_table_info *)(context + 1), quota);
    return context;
}

/* How far a tree of so many levels reaches, within the bus width. */
static uint64_t reach_of(uint8_t levels)
{
    return lower(page_table_reach(levels), (1ull << (limits.address_bits - 12)) - 1);
}

/* Levels that a new tree begins with: its reserved ranges are mapped before any device walks it. */
static uint8_t first_levels(uint64_t ranges)
{
    uint8_t levels = limits.levels;

    for (uint32_t i = 0; i < reserved_count; i++)
        while (reserved[i].kind == IOMMU_KIND_IDENTITY && (ranges >> i & 1) != 0 &&
               levels < limits.levels_max && reserved[i].bfn + reserved[i].frames - 1 > reach_of(levels))
            levels++;
    return levels;
}

static int context_create(struct iommu_context **result, uint32_t quota, uint64_t ranges)
{
    uint64_t pages = (uint64_t)quota + 1;
    struct iommu_context *context;

    if (driver == NULL)
        return -ENODEV;
    for (uint32_t i = 0; i < reserved_count; i++)
        if (reserved[i].kind == IOMMU_KIND_IDENTITY && (ranges >> i & 1) != 0)
            pages += tables_for(reserved[i].bfn, reserved[i].frames);
    if (context_count == IOMMU_CONTEXTS_MAX || context_count + 1 >= limits.domains || pages >= PAGE_NO_TABLE)
        return -ENOMEM;
    context = context_allocate((uint32_t)pages, first_levels(ranges));
    if (context == NULL)
        return -ENOMEM;
    context->max_bfn = reach_of(limits.levels_max);
    iommu_map_set_end(context);
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

struct iommu_context *iommu_context_of(uint32_t unit, uint16_t requester_id)
{
    return driver->context_of(unit, requester_id);
}

void iommu_isolate(uint32_t unit, uint16_t segment, uint16_t requester_id)
{
    iommu_cut_off(segment, requester_id);
    driver->isolate(unit, requester_id);
    if (segment == 0)
        isolated[requester_id / 64] |= 1ull << requester_id % 64;
}

bool iommu_is_isolated(uint16_t requester_id)
{
    return (isolated[requester_id / 64] >> requester_id % 64 & 1) != 0;
}

struct iommu_context *iommu_context_of_domain(uint16_t domain)
{
    return domain != 0 && domain <= context_count ? contexts[domain - 1] : NULL;
}

int iommu_attach(struct iommu_context *context, uint16_t segment, uint16_t requester_id)
{
    if (iommu_reserve_is_refused(segment, requester_id))
        return -EPERM;
    return context->dead ? -EIO : driver->attach(context, segment, requester_id);
}

int iommu_detach(uint16_t segment, uint16_t requester_id)
{
    return driver != NULL ? driver->detach(segment, requester_id) : -ENODEV;
}

bool iommu_covers(uint16_t segment, uint16_t requester_id)
{
    return driver != NULL && driver->covers(segment, requester_id);
}

uint16_t iommu_alias(uint16_t segment, uint16_t requester_id)
{
    return driver != NULL && driver->alias_of != NULL ? driver->alias_of(segment, requester_id)
                                                      : requester_id;
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

uint32_t iommu_tables_kept(const struct iommu_context *context)
{
    return context->table.reserve;
}

static void kill_context(struct iommu_context *context)
{
    context->dead = true;
    context->end = 0;
}

void iommu_unit_died(uint32_t unit)
{
    for (uint32_t i = 0; i < context_count; i++)
        if ((contexts[i]->units >> unit & 1) != 0)
            kill_context(contexts[i]);
}

/* ---- faults and description ---- */

void iommu_fault_interrupt(void)
{
    if (driver != NULL)
        driver->read_faults();
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

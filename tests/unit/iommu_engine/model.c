/* SPDX-License-Identifier: MIT */
#include "tests/unit/iommu_engine/parts.h"

#include "drivers/iommu/driver.h"
#include "drivers/iommu/host.h"
#include "guest-abi/include/sluice/errno.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define LINE_BYTES 64u

struct model model = {.allocation_limit = -1, .drop_after = -1};
_Alignas(4096) uint8_t model_memory[MODEL_FRAMES << 12];
_Alignas(4096) uint8_t model_written[MODEL_FRAMES << 12];
static uint64_t next_frame, touched_frames;

/* ---- verdicts ---- */

void model_fail(const char *what, const char *file, int line)
{
    if (model.describe != NULL)
        model.describe();
    print_error("%s\n", what);
    _fail(file, line);
}

void model_wrong(const char *what)
{
    if (model.expected == NULL || strcmp(model.expected, what) != 0)
        model_fail(what, __FILE__, __LINE__);
    model.wrongs++;
}

/* ---- host.h ---- */

static size_t offset_of(const volatile void *address)
{
    size_t offset = (size_t)((const volatile uint8_t *)address - model_memory);

    model_require(offset < sizeof model_memory);
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
        memset(model_memory + (first << 12), 0, count << 12);
    if (next_frame > touched_frames)
        touched_frames = next_frame;
    /* Somebody else's old bytes, until the owner writes its zeroes back. */
    if (!model.coherent)
        memset(model_written + (first << 12), 0xa5, count << 12);
    return MODEL_FIRST_MFN + first;
}

void host_frames_free(uint64_t mfn, uint64_t count)
{
    model_require(mfn >= MODEL_FIRST_MFN && mfn <= MODEL_FIRST_MFN + MODEL_FRAMES - count);
    model.frames_out -= (int64_t)count;
}

void *host_frame_address(uint64_t mfn)
{
    model_require(mfn >= MODEL_FIRST_MFN && mfn < MODEL_FIRST_MFN + MODEL_FRAMES);
    return model_memory + ((mfn - MODEL_FIRST_MFN) << 12);
}

bool host_range_is_hypervisor(uint64_t mfn, uint64_t frames)
{
    return mfn < MODEL_FIRST_MFN + MODEL_FRAMES && mfn + frames > MODEL_FIRST_MFN;
}

static void release(uint64_t mfn, uint32_t flags)
{
    tree_released(mfn);
    if (model.on_release != NULL)
        model.on_release(mfn, flags);
}

void host_frames_release(const struct iommu_frames *frames, uint32_t runs, uint64_t address_mask,
                         uint32_t flags)
{
    for (uint32_t i = 0; i < runs; i++)
        for (uint64_t k = 0; k < frames[i].count; k++)
            release(((frames[i].entry & address_mask) >> 12) + k, flags);
}

/* ---- stores ---- */

void host_store64(uint64_t *address, uint64_t value)
{
    uint64_t old = *address;

    model_require(offset_of(address) % sizeof *address == 0);
    *(volatile uint64_t *)address = value;
    model.stores++;
    tree_store(address, old, value);
    if (model.on_store != NULL)
        model.on_store();
}

void host_cache_flush(const volatile void *address, size_t size)
{
    size_t first = offset_of(address) / LINE_BYTES * LINE_BYTES;
    size_t end = (offset_of(address) + size + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;

    model.line_flushes += (end - first) / LINE_BYTES;
    memcpy(model_written + first, model_memory + first, end - first);
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

/* ---- the driver's side ---- */

static void post(uint32_t unit, struct pending pending)
{
    model_require(unit < model.units && model_units[unit].pending_count < PENDING_MAX);
    model_units[unit].pending[model_units[unit].pending_count++] = pending;
}

static void post_pages(uint32_t unit, uint16_t domain, uint64_t bfn, uint32_t order, bool leaf_only)
{
    model_require((int)order <= model.order_max);
    model_require((bfn & ((1ull << order) - 1)) == 0);
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
    tree_submitted(unit);
    if (model.early)
        hardware_forget(&model_units[unit]);
}

static bool is_dropped(void)
{
    if (model.drop_after == 0)
        model.drop_waits = true;
    else if (model.drop_after > 0)
        model.drop_after--;
    return model.drop_waits;
}

/* What was submitted is done; the rest is still to be told to the unit. */
static void finish(struct unit *unit)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < unit->pending_count; i++)
        if (!unit->pending[i].submitted)
            unit->pending[kept++] = unit->pending[i];
    unit->pending_count = kept;
}

static int wait(uint32_t unit)
{
    for (uint32_t i = 0; i < model.delay && model.on_delay != NULL; i++)
        model.on_delay(unit);
    if (model_units[unit].dead || is_dropped()) {
        model_units[unit].dead = true;
        iommu_unit_died(unit);
        return -EIO;
    }
    hardware_forget(&model_units[unit]);
    tree_done(unit);
    finish(&model_units[unit]);
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
    tree_told(unit->root_mfn, context->table.levels, context->domain);
    unit->levels = context->table.levels;
    unit->domain = context->domain;
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
    tell_root(&model_units[segment], context);
    return 0;
}

/* One device after the other; each takes its root and levels at once. */
static int root_changed(struct iommu_context *context)
{
    for (uint32_t unit = 0; unit < model.units; unit++) {
        if ((context->units >> unit & 1) == 0)
            continue;
        if (model.refuse_roots) {
            model_units[unit].dead = true;
            iommu_unit_died(unit);
            return -EIO;
        }
        tell_root(&model_units[unit], context);
    }
    return 0;
}

static uint32_t unit_count(void)
{
    return model.units;
}
static bool unit_dead(uint32_t unit)
{
    return model_units[unit].dead;
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

    memset(model_units, 0, sizeof model_units);
    tree_reset();
    next_frame = 0;
    model.drop_waits = model.refuse_roots = model.early = false;
    model.drop_after = -1;
    model.delay = 0;
    model.allocation_limit = -1;
    model.frames_out = 0;
    model.stores = model.line_flushes = 0;
    model.posted_pages = model.posted_domains = model.posted_hints = model.waits = 0;
    model.on_store = NULL;
    model.on_release = NULL;
    model.on_change = NULL;
    model.on_delay = NULL;
    model.describe = NULL;
    model.expected = NULL;
    model.wrongs = 0;
    assert_int_equal(iommu_init(&setup), 0);
}

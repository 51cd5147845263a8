/* SPDX-License-Identifier: MIT */
/*
 * The device table: which requester id sees which tree. Spec 48882 revision 3.08, section 2.2.2. An entry
 * that is all zero passes everything, so every id that there can be has an entry that denies, from the start.
 */
#include "drivers/iommu/amdvi/amdvi.h"
#include "guest-abi/include/sluice/errno.h"

bool amdvi_devices_init(struct amdvi_unit *unit)
{
    const struct amdvi_device denied = amdvi_device_denied();

    unit->devices_mfn = host_frames_alloc(AMDVI_DEVICE_TABLE_PAGES);
    if (unit->devices_mfn == 0)
        return false;
    unit->devices = host_frame_address(unit->devices_mfn);
    for (uint32_t id = 0; id < AMDVI_DEVICES; id++)
        unit->devices[id] = denied;
    return true;
}

static bool is_translated(const struct amdvi_device *device)
{
    return AMDVI_DEVICE_MODE_OF(device->dma[0]) != 0;
}

/* The half about interrupts stays as it is: it is another's, and hardware reads it on its own. */
static void store_dma(struct amdvi_unit *unit, uint16_t id, struct ring_record value)
{
    host_store128(unit->devices[id].dma, value.low, value.high);
    if (unit->enabled)
        amdvi_post_device(unit, id);
}

/* The entry of one id, and whatever the unit knows of it: both must go, the entry and its translations. */
static int change_dma(struct amdvi_unit *unit, uint16_t id, struct ring_record value)
{
    struct amdvi_device *device = &unit->devices[id];
    uint16_t old_domain = AMDVI_DEVICE_DOMAIN(device->dma[1]);

    if (device->dma[0] == value.low && device->dma[1] == value.high)
        return 0;
    store_dma(unit, id, value);
    if (!unit->enabled)
        return 0;
    amdvi_post_domain(unit, old_domain);
    amdvi_submit(unit);
    return amdvi_wait(unit);
}

static struct ring_record translated(const struct iommu_context *context)
{
    return amdvi_device_translated(page_table_root(&context->table), context->table.levels, context->domain);
}

int amdvi_attach(struct iommu_context *context, uint16_t segment, uint16_t requester_id)
{
    struct amdvi_unit *unit = amdvi_unit_of(segment, requester_id);
    uint16_t alias = amdvi_alias_of(segment, requester_id);
    int error;

    if (unit == NULL || requester_id == unit->id)
        return -ENODEV;
    if (unit->dead)
        return -EIO;
    context->units |= 1ull << unit->index;
    error = change_dma(unit, requester_id, translated(context));
    if (error == 0 && alias != requester_id && alias != unit->id)
        error = change_dma(unit, alias, translated(context));
    return error;
}

/* The next request is blocked, and told of. An entry that blocks already may do so silently. */
static int deny(struct amdvi_unit *unit, uint16_t id)
{
    const struct amdvi_device denied = amdvi_device_denied();

    if (!is_translated(&unit->devices[id]))
        return 0;
    return change_dma(unit, id, (struct ring_record){.low = denied.dma[0], .high = denied.dma[1]});
}

int amdvi_detach(uint16_t segment, uint16_t requester_id)
{
    struct amdvi_unit *unit = amdvi_unit_of(segment, requester_id);
    uint16_t alias = amdvi_alias_of(segment, requester_id);
    int error;

    if (unit == NULL || requester_id == unit->id)
        return -ENODEV;
    if (unit->dead)
        return -EIO;
    error = deny(unit, requester_id);
    return error == 0 && alias != requester_id ? deny(unit, alias) : error;
}

bool amdvi_covers(uint16_t segment, uint16_t requester_id)
{
    const struct amdvi_unit *unit = amdvi_unit_of(segment, requester_id);

    return unit != NULL && !unit->dead && requester_id != unit->id;
}

static int change_root(struct amdvi_unit *unit, const struct iommu_context *context)
{
    for (uint32_t id = 0; id < AMDVI_DEVICES; id++)
        if (is_translated(&unit->devices[id]) &&
            AMDVI_DEVICE_DOMAIN(unit->devices[id].dma[1]) == context->domain)
            store_dma(unit, (uint16_t)id, translated(context));
    if (!unit->enabled)
        return 0;
    amdvi_post_domain(unit, context->domain);
    amdvi_submit(unit);
    return amdvi_wait(unit);
}

int amdvi_root_changed(struct iommu_context *context)
{
    int error = 0;

    for (uint64_t left = context->units; left != 0; left &= left - 1)
        if (change_root(amdvi_unit_at((uint32_t)__builtin_ctzll(left)), context) != 0)
            error = -EIO;
    return error;
}

struct iommu_context *amdvi_context_of(const struct amdvi_unit *unit, uint16_t requester_id)
{
    const struct amdvi_device *device = &unit->devices[requester_id];

    return is_translated(device) ? iommu_context_of_domain(AMDVI_DEVICE_DOMAIN(device->dma[1])) : NULL;
}

/* Neither its DMA nor its interrupts pass any more, and none of it is logged. */
static void shut(struct amdvi_unit *unit, uint16_t id)
{
    const struct ring_record quiet = {.low = amdvi_device_denied().dma[0], .high = AMDVI_DEVICE_QUIET};

    host_store64(&unit->devices[id].interrupts[0], AMDVI_INTERRUPTS_VALID | AMDVI_INTERRUPTS_QUIET);
    amdvi_post_interrupts(unit, id);
    (void)change_dma(unit, id, quiet);
}

void amdvi_isolate(struct amdvi_unit *unit, uint16_t requester_id)
{
    uint16_t alias = amdvi_alias_of(unit->segment, requester_id);

    shut(unit, requester_id);
    if (alias != requester_id)
        shut(unit, alias);
}

void amdvi_cut_off_all(const struct amdvi_unit *unit)
{
    for (uint32_t id = 0; id < AMDVI_DEVICES; id++)
        if (is_translated(&unit->devices[id]))
            iommu_cut_off(unit->segment, (uint16_t)id);
}

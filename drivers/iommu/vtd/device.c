/* SPDX-License-Identifier: MIT */
/*
 * Root and context tables: which requester id sees which tree. Spec revision 4.1, sections 9.1 and 9.3.
 * Absent means blocked, so the tables start empty and hold only who is attached.
 */
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"

static void write_back(const struct vtd_unit *unit, const void *address, size_t size)
{
    if (!vtd_is_coherent(unit))
        host_cache_flush(address, size);
}

bool vtd_context_init(struct vtd_unit *unit)
{
    unit->root_mfn = host_frames_alloc(1);
    if (unit->root_mfn == 0)
        return false;
    unit->root = host_frame_address(unit->root_mfn);
    write_back(unit, unit->root, VTD_PAGE_SIZE);
    return true;
}

static struct vtd_entry *find_entry(const struct vtd_unit *unit, uint16_t requester_id)
{
    uint64_t root = unit->root[requester_id >> 8].low;
    struct vtd_entry *table;

    if ((root & VTD_ENTRY_PRESENT) == 0)
        return NULL;
    table = host_frame_address((root & VTD_ENTRY_ADDRESS) >> 12);
    return &table[requester_id & 0xff];
}

/* As find_entry(), with the bus's table made when there is none. NULL: no memory. */
static struct vtd_entry *make_entry(const struct vtd_unit *unit, uint16_t requester_id)
{
    struct vtd_entry *root = &unit->root[requester_id >> 8];
    uint64_t mfn;

    if ((root->low & VTD_ENTRY_PRESENT) == 0) {
        mfn = host_frames_alloc(1);
        if (mfn == 0)
            return NULL;
        write_back(unit, host_frame_address(mfn), VTD_PAGE_SIZE);
        host_store64(&root->low, vtd_root_entry(mfn).low);
        write_back(unit, root, sizeof *root);
    }
    return find_entry(unit, requester_id);
}

static void write_entry(const struct vtd_unit *unit, struct vtd_entry *entry, struct vtd_entry value)
{
    if ((entry->low & VTD_ENTRY_PRESENT) != 0 && (value.low & VTD_ENTRY_PRESENT) != 0) {
        host_store128(&entry->low, value.low, value.high);
    } else if ((value.low & VTD_ENTRY_PRESENT) != 0) {
        /* The present bit comes last, when hardware can see the rest. */
        host_store64(&entry->high, value.high);
        write_back(unit, entry, sizeof *entry);
        host_store64(&entry->low, value.low);
    } else {
        host_store64(&entry->low, value.low);
        write_back(unit, entry, sizeof *entry);
        host_store64(&entry->high, value.high);
    }
    write_back(unit, entry, sizeof *entry);
}

/* Makes the unit forget what it knows of a requester whose entry was `old`. */
static int invalidate_requester(struct vtd_unit *unit, struct vtd_entry old, uint16_t requester_id)
{
    bool was_present = (old.low & VTD_ENTRY_PRESENT) != 0;
    /* A unit in caching mode remembers absence under domain 0 (6.1). */
    uint16_t domain = was_present ? VTD_CONTEXT_DID(old.high) : 0;

    if (!unit->enabled || (!was_present && (unit->cap & (VTD_CAP_CM | VTD_CAP_RWBF)) == 0))
        return 0;
    vtd_post_context_device(unit, domain, requester_id);
    vtd_post_iotlb_domain(unit, domain);
    vtd_submit(unit);
    return vtd_wait(unit);
}

int vtd_attach(struct iommu_context *context, uint16_t segment, uint16_t requester_id)
{
    struct vtd_unit *unit = vtd_unit_of(segment, requester_id);
    uint64_t root_mfn = page_table_root(&context->table);
    struct vtd_entry *entry, old, value;

    if (unit == NULL)
        return -ENODEV;
    if (unit->dead)
        return -EIO;
    entry = make_entry(unit, requester_id);
    if (entry == NULL)
        return -ENOMEM;
    old = *entry;
    value = vtd_context_entry(root_mfn, context->table.levels, context->domain);
    context->units |= 1ull << unit->index;
    if (old.low == value.low && old.high == value.high)
        return 0;
    write_entry(unit, entry, value);
    return invalidate_requester(unit, old, requester_id);
}

/* Not present: the next request is blocked, and told of. An entry that blocks already may do so silently. */
int vtd_detach(uint16_t segment, uint16_t requester_id)
{
    struct vtd_unit *unit = vtd_unit_of(segment, requester_id);
    struct vtd_entry *entry, old;

    if (unit == NULL)
        return -ENODEV;
    if (unit->dead)
        return -EIO;
    entry = find_entry(unit, requester_id);
    if (entry == NULL || (entry->low & VTD_ENTRY_PRESENT) == 0)
        return 0;
    old = *entry;
    write_entry(unit, entry, (struct vtd_entry){0});
    return invalidate_requester(unit, old, requester_id);
}

bool vtd_covers(uint16_t segment, uint16_t requester_id)
{
    const struct vtd_unit *unit = vtd_unit_of(segment, requester_id);

    return unit != NULL && !unit->dead;
}

struct iommu_context *vtd_context_of(const struct vtd_unit *unit, uint16_t requester_id)
{
    const struct vtd_entry *entry = find_entry(unit, requester_id);

    if (entry == NULL || (entry->low & VTD_ENTRY_PRESENT) == 0)
        return NULL;
    return iommu_context_of_domain(VTD_CONTEXT_DID(entry->high));
}

void vtd_isolate(struct vtd_unit *unit, uint16_t requester_id)
{
    struct vtd_entry *entry = make_entry(unit, requester_id);
    struct vtd_entry old;

    if (entry == NULL)
        return;
    old = *entry;
    write_entry(unit, entry, (struct vtd_entry){.low = VTD_CONTEXT_FPD});
    invalidate_requester(unit, old, requester_id);
}

void vtd_cut_off_all(const struct vtd_unit *unit)
{
    for (uint32_t id = 0; id <= UINT16_MAX; id++) {
        const struct vtd_entry *entry = find_entry(unit, (uint16_t)id);

        if (entry == NULL)
            id |= 0xff;
        else if ((entry->low & VTD_ENTRY_PRESENT) != 0)
            iommu_cut_off(unit->segment, (uint16_t)id);
    }
}

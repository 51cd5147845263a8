/* SPDX-License-Identifier: MIT */
/*
 * Invalidation: the command buffer, spec 48882 revision 3.08, section 2.4.
 *
 * Whoever posts also submits and waits before anything else is posted, so a flush never finds the ring fuller
 * than its own commands. Completion is what COMPLETION_WAIT stores, never a comparison of head and tail.
 */
#include "drivers/iommu/amdvi/amdvi.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"

#define START_PAUSES   20u
#define RECOVERIES_MAX 8u /* refused commands in a row before the unit counts as dead */

bool amdvi_queue_init(struct amdvi_unit *unit)
{
    uint64_t mfn = host_frames_alloc(2);

    if (mfn == 0)
        return false;
    unit->commands_mfn = mfn;
    unit->commands = (struct ring){.records = host_frame_address(mfn), .size = AMDVI_RING_RECORDS};
    unit->status = host_frame_address(mfn + 1);
    unit->status_address = (mfn + 1) << 12;
    return true;
}

bool amdvi_queue_enable(struct amdvi_unit *unit)
{
    amdvi_control(unit, AMDVI_CONTROL_COMMANDS, false);
    if (!amdvi_poll_status(unit, AMDVI_STATUS_COMMANDS, 0))
        return false;
    amdvi_write(unit, AMDVI_COMMAND_BASE, AMDVI_RING_BASE(unit->commands_mfn));
    /* Both pointers are 0 by that (3.4.2); what is not is told. */
    if (amdvi_read(unit, AMDVI_COMMAND_HEAD) != 0)
        amdvi_write(unit, AMDVI_COMMAND_HEAD, 0);
    if (amdvi_read(unit, AMDVI_COMMAND_TAIL) != 0)
        amdvi_write(unit, AMDVI_COMMAND_TAIL, 0);
    unit->commands.head = unit->commands.tail = 0;
    return true;
}

/* ---- posting ---- */

static void put(struct amdvi_unit *unit, uint32_t slot, struct ring_record record)
{
    struct ring_record *place = &unit->commands.records[slot];

    host_store64(&place->low, record.low);
    host_store64(&place->high, record.high);
}

static void append(struct amdvi_unit *unit, struct ring_record record)
{
    put(unit, unit->commands.tail, record);
    unit->commands.tail = ring_next(&unit->commands, unit->commands.tail);
}

static void post(struct amdvi_unit *unit, struct ring_record record)
{
    if (unit->dead)
        return;
    if (ring_room(&unit->commands) < 4) { /* a wait, and what a recovery adds */
        amdvi_submit(unit);
        if (amdvi_wait(unit) != 0)
            return;
    }
    append(unit, record);
}

void amdvi_post_device(struct amdvi_unit *unit, uint16_t requester_id)
{
    iommu_counters.context_device++;
    post(unit, amdvi_command_device(requester_id));
}

void amdvi_post_domain(struct amdvi_unit *unit, uint16_t domain)
{
    iommu_counters.iotlb_domain++;
    post(unit, amdvi_command_domain(domain));
}

static void post_pages(struct amdvi_unit *unit, uint16_t domain, uint64_t bfn, uint32_t order, bool leaf_only)
{
    iommu_counters.iotlb_page++;
    post(unit, amdvi_command_pages(domain, bfn, order, leaf_only));
}

void amdvi_post_interrupts(struct amdvi_unit *unit, uint16_t requester_id)
{
    iommu_counters.interrupt_entry++;
    post(unit, amdvi_command_interrupts(requester_id));
}

static void post_all(struct amdvi_unit *unit)
{
    iommu_counters.iotlb_global++;
    post(unit, amdvi_command_all());
}

void amdvi_post_everything(struct amdvi_unit *unit)
{
    if ((unit->features & AMDVI_FEATURE_INV_ALL) != 0) {
        post_all(unit);
        return;
    }
    for (uint32_t id = 0; id < AMDVI_DEVICES; id++) {
        amdvi_post_device(unit, (uint16_t)id);
        amdvi_post_interrupts(unit, (uint16_t)id);
        amdvi_post_domain(unit, (uint16_t)id); /* domain ids have as many values */
    }
}

/* Ends what was posted by a wait and rings the tail once. */
static inline void ring_bell(struct amdvi_unit *unit)
{
    iommu_counters.waits++;
    unit->waits++;
    append(unit, amdvi_command_wait(unit->status_address, unit->waits));
    amdvi_write(unit, AMDVI_COMMAND_TAIL, ring_offset(unit->commands.tail));
}

void amdvi_submit(struct amdvi_unit *unit)
{
    if (!unit->dead)
        ring_bell(unit);
}

void amdvi_invalidate(struct amdvi_unit *unit, const struct iommu_plan *plan)
{
    bool pages = plan->count != 0 && plan->order_max <= AMDVI_PAGES_ORDER_MAX;

    if (!pages)
        amdvi_post_domain(unit, plan->domain);
    for (uint32_t i = 0; i < plan->count && pages; i++)
        post_pages(unit, plan->domain, plan->blocks[i].bfn, plan->blocks[i].order, plan->leaf_only);
    amdvi_submit(unit);
}

/* ---- waiting ---- */

/*
 * The unit refused a command and stopped: a no-op takes its place, and everything is invalidated to make up
 * for what it may have stood for. False when that cannot be done.
 */
static bool recover(struct amdvi_unit *unit)
{
    uint32_t slot = amdvi_illegal_slot(unit);
    struct ring_record bad;

    if (slot == AMDVI_NO_SLOT)
        slot = ring_index(&unit->commands, amdvi_read(unit, AMDVI_COMMAND_HEAD));
    bad = unit->commands.records[slot];
    log_line("iommu: unit %u refused the command %016llx:%016llx; everything is invalidated instead",
             unit->index, (unsigned long long)bad.high, (unsigned long long)bad.low);
    if (++unit->recoveries > RECOVERIES_MAX || (unit->features & AMDVI_FEATURE_INV_ALL) == 0)
        return false;
    put(unit, slot, amdvi_command_nothing());
    amdvi_control(unit, AMDVI_CONTROL_COMMANDS, false);
    if (!amdvi_poll_status(unit, AMDVI_STATUS_COMMANDS, 0))
        return false;
    amdvi_write(unit, AMDVI_COMMAND_HEAD, ring_offset(slot));
    unit->commands.head = slot;
    if (ring_room(&unit->commands) < 2)
        return false;
    iommu_counters.iotlb_global++;
    append(unit, amdvi_command_all());
    amdvi_control(unit, AMDVI_CONTROL_COMMANDS, true);
    amdvi_submit(unit);
    return true;
}

/* False when the command buffer has stopped for good. A unit may take a moment to say that it runs. */
static bool goes_on(struct amdvi_unit *unit)
{
    for (uint32_t i = 0; i < START_PAUSES; i++) {
        if ((amdvi_read(unit, AMDVI_STATUS) & AMDVI_STATUS_COMMANDS) != 0)
            return true;
        host_pause();
    }
    return recover(unit);
}

/* Until the wait is done; a unit that does not answer, or only refuses, is dead. */
__attribute__((noinline, cold)) static int wait_on(struct amdvi_unit *unit)
{
    uint64_t deadline = 0;

    while (*unit->status != unit->waits) {
        uint64_t now = host_time_ns();

        if (deadline == 0)
            deadline = now + AMDVI_WAIT_NS;
        if (now >= deadline || !goes_on(unit)) {
            amdvi_unit_dies(unit, "an invalidation");
            return -EIO;
        }
        host_pause();
    }
    return 0;
}

static inline int collect(struct amdvi_unit *unit)
{
    if (unit->dead || (*unit->status != unit->waits && wait_on(unit) != 0))
        return -EIO;
    unit->recoveries = 0;
    unit->commands.head = unit->commands.tail;
    return 0;
}

int amdvi_wait(struct amdvi_unit *unit)
{
    return collect(unit);
}

int amdvi_forget_page(struct amdvi_unit *unit, uint16_t domain, uint64_t bfn)
{
    if (unit->dead)
        return -EIO;
    iommu_counters.iotlb_page++;
    if (ring_room(&unit->commands) < 4)
        post(unit, amdvi_command_pages(domain, bfn, 0, true));
    else
        append(unit, amdvi_command_pages(domain, bfn, 0, true));
    amdvi_submit(unit);
    return collect(unit);
}

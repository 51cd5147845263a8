/* SPDX-License-Identifier: MIT */
/*
 * Invalidation: the queue (spec revision 4.1, section 6.5.2), or the registers (6.5.1) on a unit without one.
 *
 * Whoever posts also submits and waits before anything else is posted, so a flush never finds the ring fuller
 * than its own descriptors.
 */
#include "drivers/iommu/vtd/vtd.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"

#define QUEUE_RECORDS  256u /* one page: IQA.QS = 0 */
#define SCRATCH_OFFSET 8u   /* in the status page: where the waits write that nobody waits for */
#define RECOVERIES_MAX 8u   /* refused descriptors in a row before the unit counts as dead */

bool vtd_queue_init(struct vtd_unit *unit)
{
    uint64_t mfn = host_frames_alloc(2);

    if (mfn == 0)
        return false;
    unit->queue_mfn = mfn;
    unit->drain = ((unit->cap & VTD_CAP_DRD) != 0 ? VTD_DESCRIPTOR_DRAIN_READ : 0) |
                  ((unit->cap & VTD_CAP_DWD) != 0 ? VTD_DESCRIPTOR_DRAIN_WRITE : 0);
    unit->queue = (struct ring){.records = host_frame_address(mfn), .size = QUEUE_RECORDS};
    unit->status = host_frame_address(mfn + 1);
    unit->status_address = (mfn + 1) << 12;
    return true;
}

bool vtd_queue_enable(struct vtd_unit *unit)
{
    if ((unit->ecap & VTD_ECAP_QI) == 0)
        return true;
    if ((vtd_read32(unit, VTD_GSTS) & VTD_GLOBAL_QIE) != 0) {
        uint64_t deadline = host_time_ns() + VTD_WAIT_NS;

        /* 6.5.2: the queue may be switched off only when it is empty. */
        while (vtd_read64(unit, VTD_IQH) != vtd_read64(unit, VTD_IQT) && host_time_ns() < deadline)
            host_pause();
        if (!vtd_global_command(unit, VTD_GLOBAL_QIE, false))
            return false;
    }
    vtd_write32(unit, VTD_FSTS, VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE);
    vtd_write64(unit, VTD_IQT, 0);
    vtd_write64(unit, VTD_IQA, unit->queue_mfn << 12);
    unit->queue.head = unit->queue.tail = unit->queue_written = 0;
    unit->queued = vtd_global_command(unit, VTD_GLOBAL_QIE, true);
    return unit->queued;
}

/* ---- the registers ---- */

static void poll_done(struct vtd_unit *unit, uint32_t offset, uint64_t busy, const char *what)
{
    uint64_t deadline = host_time_ns() + VTD_WAIT_NS;

    while ((vtd_read64(unit, offset) & busy) != 0) {
        if (host_time_ns() >= deadline) {
            vtd_unit_dies(unit, what);
            return;
        }
        host_pause();
    }
}

static void register_context(struct vtd_unit *unit, uint64_t command)
{
    vtd_write64(unit, VTD_CCMD, VTD_CCMD_ICC | command);
    poll_done(unit, VTD_CCMD, VTD_CCMD_ICC, "a context-cache invalidation");
}

static void register_iotlb(struct vtd_unit *unit, uint64_t command, uint64_t address)
{
    uint32_t offset = VTD_ECAP_IOTLB_OFFSET(unit->ecap);

    if ((unit->cap & VTD_CAP_DRD) != 0)
        command |= VTD_IOTLB_DRAIN_READ;
    if ((unit->cap & VTD_CAP_DWD) != 0)
        command |= VTD_IOTLB_DRAIN_WRITE;
    vtd_write64(unit, offset, address);
    vtd_write64(unit, offset + VTD_IOTLB_OFFSET, VTD_IOTLB_IVT | command);
    poll_done(unit, offset + VTD_IOTLB_OFFSET, VTD_IOTLB_IVT, "an IOTLB invalidation");
}

/* ---- the queue ---- */

static void put(struct vtd_unit *unit, uint32_t slot, struct ring_record record)
{
    struct ring_record *place = &unit->queue.records[slot];

    host_store64(&place->low, record.low);
    host_store64(&place->high, record.high);
}

static void write_back(const struct vtd_unit *unit, uint32_t from, uint32_t end)
{
    if (from < end)
        host_cache_flush(&unit->queue.records[from], (end - from) * sizeof unit->queue.records[0]);
}

/* What was posted since the last time: in one piece, but where the ring comes round. */
static void write_back_posted(struct vtd_unit *unit)
{
    uint32_t from = unit->queue_written, tail = unit->queue.tail;

    unit->queue_written = tail;
    if (vtd_is_coherent(unit))
        return;
    write_back(unit, from, from <= tail ? tail : unit->queue.size);
    if (from > tail)
        write_back(unit, 0, tail);
}

static void append(struct vtd_unit *unit, struct ring_record record)
{
    put(unit, unit->queue.tail, record);
    unit->queue.tail = ring_next(&unit->queue, unit->queue.tail);
}

/* False when the unit is dead. What is posted without room was never waited for. */
static bool has_room(struct vtd_unit *unit, uint32_t records)
{
    if (unit->dead)
        return false;
    if (ring_room(&unit->queue) > records) /* one more is for the wait */
        return true;
    vtd_submit(unit);
    return vtd_wait(unit) == 0;
}

static void post(struct vtd_unit *unit, struct ring_record record)
{
    if (has_room(unit, 1))
        append(unit, record);
}

void vtd_post_context_global(struct vtd_unit *unit)
{
    iommu_counters.context_global++;
    if (unit->queued)
        post(unit, vtd_descriptor_context_global());
    else
        register_context(unit, VTD_CCMD_GLOBAL);
}

void vtd_post_context_device(struct vtd_unit *unit, uint16_t domain, uint16_t requester_id)
{
    iommu_counters.context_device++;
    if (unit->queued)
        post(unit, vtd_descriptor_context_device(domain, requester_id));
    else
        register_context(unit, VTD_CCMD_DEVICE | VTD_CCMD_SOURCE(requester_id) | domain);
}

void vtd_post_iotlb_global(struct vtd_unit *unit)
{
    iommu_counters.iotlb_global++;
    if (unit->queued)
        post(unit, vtd_descriptor_iotlb_global(unit->drain));
    else
        register_iotlb(unit, VTD_IOTLB_GLOBAL, 0);
}

void vtd_post_iotlb_domain(struct vtd_unit *unit, uint16_t domain)
{
    iommu_counters.iotlb_domain++;
    if (unit->queued)
        post(unit, vtd_descriptor_iotlb_domain(unit->drain, domain));
    else
        register_iotlb(unit, VTD_IOTLB_DOMAIN | VTD_IOTLB_DID(domain), 0);
}

void vtd_post_interrupts_global(struct vtd_unit *unit)
{
    iommu_counters.interrupt_entry++;
    post(unit, vtd_descriptor_interrupt_global());
}

void vtd_post_interrupt_entry(struct vtd_unit *unit, uint32_t index)
{
    iommu_counters.interrupt_entry++;
    post(unit, vtd_descriptor_interrupt_entry(index));
}

/* Ends what was posted by a wait and rings the tail once. */
static inline void ring_bell(struct vtd_unit *unit)
{
    iommu_counters.waits++;
    unit->waits++;
    append(unit, vtd_descriptor_wait(unit->status_address, unit->waits));
    write_back_posted(unit);
    vtd_write64(unit, VTD_IQT, ring_offset(unit->queue.tail));
}

void vtd_submit(struct vtd_unit *unit)
{
    if (unit->queued && !unit->dead)
        ring_bell(unit);
}

/* A unit that cannot invalidate so many pages at once forgets the whole domain. */
static bool by_pages(const struct vtd_unit *unit, const struct iommu_plan *plan)
{
    return plan->count != 0 && (unit->cap & VTD_CAP_PSI) != 0 && plan->order_max <= VTD_CAP_MAMV(unit->cap);
}

__attribute__((noinline, cold)) static void invalidate_by_registers(struct vtd_unit *unit,
                                                                    const struct iommu_plan *plan)
{
    iommu_counters.iotlb_page += plan->count;
    for (uint32_t i = 0; i < plan->count && !unit->dead; i++)
        register_iotlb(unit, VTD_IOTLB_PAGE | VTD_IOTLB_DID(plan->domain),
                       plan->blocks[i].bfn << 12 | (plan->leaf_only ? VTD_PAGE_HINT : 0) |
                           plan->blocks[i].order);
}

static inline void append_pages(struct vtd_unit *unit, const struct iommu_plan *plan)
{
    struct ring_record *records = unit->queue.records;
    uint32_t tail = unit->queue.tail, last = unit->queue.size - 1, count = plan->count, drain = unit->drain;

    iommu_counters.iotlb_page += count;
    for (const struct iommu_block *block = plan->blocks; count != 0; count--, block++) {
        struct ring_record record =
            vtd_descriptor_iotlb_pages(drain, plan->domain, block->bfn, block->order, plan->leaf_only);

        host_store64(&records[tail].low, record.low);
        host_store64(&records[tail].high, record.high);
        tail = (tail + 1) & last;
    }
    unit->queue.tail = tail;
}

void vtd_invalidate(uint32_t index, const struct iommu_plan *plan)
{
    struct vtd_unit *unit = &vtd_units[index];

    if (!by_pages(unit, plan)) {
        vtd_post_iotlb_domain(unit, plan->domain);
        vtd_submit(unit);
    } else if (!unit->queued) {
        invalidate_by_registers(unit, plan);
    } else if (has_room(unit, plan->count)) {
        append_pages(unit, plan);
        ring_bell(unit);
    }
}

/*
 * The unit refused a descriptor and stopped at it: put a no-op in its place, and make up for what it may
 * have stood for by invalidating everything.
 */
static void recover(struct vtd_unit *unit)
{
    uint32_t slot = ring_index(&unit->queue, vtd_read64(unit, VTD_IQH));
    struct ring_record bad = unit->queue.records[slot];

    log_line("iommu: unit %u refused the descriptor %016llx:%016llx; everything is invalidated instead",
             unit->index, (unsigned long long)bad.high, (unsigned long long)bad.low);
    unit->recoveries++;
    put(unit, slot, vtd_descriptor_wait(unit->status_address + SCRATCH_OFFSET, 0));
    if (!vtd_is_coherent(unit))
        write_back(unit, slot, slot + 1);
    vtd_write32(unit, VTD_FSTS, VTD_FSTS_IQE);
    vtd_write64(unit, VTD_IQT, ring_offset(unit->queue.tail));
    unit->queue.head = slot;
    if (ring_room(&unit->queue) < 4)
        return;
    append(unit, vtd_descriptor_context_global());
    append(unit, vtd_descriptor_iotlb_global(unit->drain));
    iommu_counters.context_global++;
    iommu_counters.iotlb_global++;
    if (unit->remaps) {
        append(unit, vtd_descriptor_interrupt_global());
        iommu_counters.interrupt_entry++;
    }
    vtd_submit(unit);
}

/* True when the queue has stopped for good. */
static bool check_errors(struct vtd_unit *unit)
{
    uint32_t status = vtd_read32(unit, VTD_FSTS);

    if ((status & (VTD_FSTS_ICE | VTD_FSTS_ITE)) != 0)
        vtd_write32(unit, VTD_FSTS, VTD_FSTS_ICE | VTD_FSTS_ITE);
    if ((status & VTD_FSTS_IQE) != 0)
        recover(unit);
    return unit->recoveries > RECOVERIES_MAX;
}

/* Until the wait is done; a unit that does not answer, or only refuses, is dead. */
__attribute__((noinline, cold)) static int wait_on(struct vtd_unit *unit)
{
    uint64_t deadline = 0;

    while (*unit->status != unit->waits) {
        uint64_t now = host_time_ns();

        if (deadline == 0)
            deadline = now + VTD_WAIT_NS;
        if (now >= deadline || check_errors(unit)) {
            vtd_unit_dies(unit, "an invalidation");
            return -EIO;
        }
        host_pause();
    }
    return 0;
}

/* Of a unit that is not dead and has a queue. */
static inline int collect(struct vtd_unit *unit)
{
    if (*unit->status != unit->waits && wait_on(unit) != 0)
        return -EIO;
    unit->recoveries = 0;
    unit->queue.head = unit->queue.tail;
    return 0;
}

static inline int wait_for(struct vtd_unit *unit)
{
    if (unit->dead)
        return -EIO;
    return unit->queued ? collect(unit) : 0;
}

int vtd_wait(struct vtd_unit *unit)
{
    return wait_for(unit);
}

int vtd_wait_for(uint32_t index)
{
    return wait_for(&vtd_units[index]);
}

/* By the registers, or with a queue that is full, or of a unit that forgets nothing less than a domain. */
__attribute__((noinline, cold)) static int forget_page_slowly(uint32_t index, uint16_t domain, uint64_t bfn)
{
    const struct iommu_plan plan = {.domain = domain, .leaf_only = true, .count = 1, .blocks = {{bfn, 0}}};

    vtd_invalidate(index, &plan);
    return wait_for(&vtd_units[index]);
}

int vtd_forget_page(uint32_t index, uint16_t domain, uint64_t bfn)
{
    struct vtd_unit *unit = &vtd_units[index];

    if (!unit->queued || unit->dead || (unit->cap & VTD_CAP_PSI) == 0 || ring_room(&unit->queue) < 2)
        return forget_page_slowly(index, domain, bfn);
    iommu_counters.iotlb_page++;
    append(unit, vtd_descriptor_iotlb_pages(unit->drain, domain, bfn, 0, true));
    ring_bell(unit);
    return collect(unit);
}

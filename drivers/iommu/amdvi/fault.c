/* SPDX-License-Identifier: MIT */
/*
 * The event log: what a device tried and was not let, and what the unit has to complain of. Spec 48882
 * revision 3.08, section 2.5. The log is the unit's and devices fill it: each record is read once, and
 * everything is bounded.
 */
#include "drivers/iommu/amdvi/amdvi.h"
#include "guest-abi/include/sluice/errno.h"

#define PAUSES_MAX 100u /* for a record that the tail has passed and that is not there yet */

#define PCI_STATUS       0x06u
#define PCI_CAPABILITIES 0x34u
#define STATUS_LIST      0x0010u
#define CAPABILITY_MSI   0x05u
#define CAPABILITIES_MAX 48u
#define MSI_CONTROL      2u
#define MSI_ENABLE       0x0001u
#define MSI_MULTIPLE     0x0070u
#define MSI_64           0x0080u
#define MSI_ADDRESS      4u

bool amdvi_fault_init(struct amdvi_unit *unit)
{
    unit->events_mfn = host_frames_alloc(1);
    if (unit->events_mfn == 0)
        return false;
    unit->events = (struct ring){.records = host_frame_address(unit->events_mfn), .size = AMDVI_RING_RECORDS};
    return true;
}

/* ---- the interrupt: a plain MSI of the unit's own function ---- */

static uint16_t find_msi(const struct amdvi_unit *unit)
{
    uint16_t at;

    if ((host_pci_read(unit->segment, unit->id, PCI_STATUS, 2) & STATUS_LIST) == 0)
        return 0;
    at = (uint16_t)(host_pci_read(unit->segment, unit->id, PCI_CAPABILITIES, 1) & 0xfc);
    for (uint32_t i = 0; i < CAPABILITIES_MAX && at != 0; i++) {
        uint32_t header = host_pci_read(unit->segment, unit->id, at, 2);

        if ((header & 0xff) == CAPABILITY_MSI)
            return at;
        at = (uint16_t)(header >> 8 & 0xfc);
    }
    return 0;
}

static void write_function(const struct amdvi_unit *unit, uint32_t offset, uint8_t bytes, uint32_t value)
{
    host_pci_write(unit->segment, unit->id, (uint16_t)offset, bytes, value);
}

/* Without an MSI the log is looked at from time to time (iommu_fault_tick()). */
static void arm_interrupt(const struct amdvi_unit *unit)
{
    uint16_t at = unit->capability != 0 ? find_msi(unit) : 0;
    uint32_t control, data;

    if (at == 0)
        return;
    control = host_pci_read(unit->segment, unit->id, (uint16_t)(at + MSI_CONTROL), 2);
    data = (control & MSI_64) != 0 ? MSI_ADDRESS + 8u : MSI_ADDRESS + 4u;
    write_function(unit, at + MSI_ADDRESS, 4, (uint32_t)unit->fault_address);
    if ((control & MSI_64) != 0)
        write_function(unit, at + MSI_ADDRESS + 4u, 4, (uint32_t)(unit->fault_address >> 32));
    write_function(unit, at + data, 2, unit->fault_data);
    write_function(unit, at + MSI_CONTROL, 2, (control & ~MSI_MULTIPLE) | MSI_ENABLE);
}

bool amdvi_fault_enable(struct amdvi_unit *unit)
{
    amdvi_control(unit, AMDVI_CONTROL_EVENT_LOG | AMDVI_CONTROL_EVENT_INT, false);
    if (!amdvi_poll_status(unit, AMDVI_STATUS_EVENT_RUN, 0))
        return false;
    amdvi_write(unit, AMDVI_EVENT_BASE, AMDVI_RING_BASE(unit->events_mfn));
    amdvi_write(unit, AMDVI_EVENT_HEAD, 0);
    amdvi_write(unit, AMDVI_EVENT_TAIL, 0);
    amdvi_write(unit, AMDVI_STATUS, AMDVI_STATUS_OVERFLOW);
    amdvi_write(unit, AMDVI_STATUS, AMDVI_STATUS_EVENT_INT);
    unit->events.head = 0;
    arm_interrupt(unit);
    return true;
}

/* ---- what an event says ---- */

/* Table of event codes: 2.5. */
static const char *event_text(uint8_t code)
{
    static const char *const texts[16] = {
        [0x1] = "an illegal device table entry",
        [0x2] = "a page fault",
        [0x3] = "the unit could not read the device table",
        [0x4] = "the unit could not read a page table",
        [0x5] = "an illegal command",
        [0x6] = "the unit could not read the command buffer",
        [0x7] = "a device did not answer the invalidation of its own translation cache",
        [0x8] = "an invalid request of a device",
        [0x9] = "an invalid request for a page",
        [0xa] = "an event counter came to zero",
        [0xb] = "a fault in the log of a guest",
        [0xc] = "the unit failed on a virtual unit's tables",
        [0xd] = "an access that the reverse map does not allow",
        [0xe] = "the unit could not read the reverse map",
    };

    return texts[code & 0xf] != NULL ? texts[code & 0xf] : "an event that Sluice does not know";
}

static const char *fault_reason(const struct amdvi_unit *unit, uint64_t low)
{
    if ((low & AMDVI_EVENT_INTERRUPT) != 0)
        return "no entry of the interrupt table allows it";
    if (amdvi_context_of(unit, AMDVI_EVENT_SOURCE(low)) == NULL)
        return "the device may not do DMA";
    if ((low & AMDVI_EVENT_PRESENT) == 0)
        return "not present";
    if ((low & AMDVI_EVENT_RESERVED) != 0)
        return "reserved bits or an illegal level in a page-table entry";
    return (low & AMDVI_EVENT_WRITE) != 0 ? "no write permission" : "no read permission";
}

static enum iommu_access access_of(uint64_t low)
{
    if ((low & AMDVI_EVENT_INTERRUPT) != 0)
        return IOMMU_ACCESS_INTERRUPT;
    return (low & AMDVI_EVENT_WRITE) != 0 ? IOMMU_ACCESS_WRITE : IOMMU_ACCESS_READ;
}

/* Events with a requester id and an address: they count against the device. */
static bool is_of_a_device(uint8_t code)
{
    return code == 0x1 || code == 0x2 || code == 0x3 || code == 0x4 || code == 0x8 || code == 0x9;
}

static void report(const struct amdvi_unit *unit, struct ring_record event)
{
    uint8_t code = AMDVI_EVENT_CODE(event.low);
    bool page_fault = code == AMDVI_EVENT_PAGE_FAULT;
    const struct iommu_fault fault = {
        .unit = unit->index,
        .segment = unit->segment,
        .source = AMDVI_EVENT_SOURCE(event.low),
        .access = access_of(event.low),
        .bfn = event.high >> 12,
        .code = code,
        .by_page_table = page_fault && access_of(event.low) != IOMMU_ACCESS_INTERRUPT &&
                         (event.low & AMDVI_EVENT_RESERVED) == 0,
        .reason = page_fault ? fault_reason(unit, event.low) : event_text(code),
    };

    if (is_of_a_device(code))
        iommu_fault_report(&fault);
    else
        iommu_fault_note(event_text(code), unit->index, event.low, event.high);
}

/* ---- the log ---- */

/* Takes the record at the head. The tail may pass a record before it is written: false when it stays away. */
static bool take_event(struct amdvi_unit *unit, struct ring_record *event)
{
    volatile struct ring_record *place = &unit->events.records[unit->events.head];

    for (uint32_t i = 0; i < PAUSES_MAX && AMDVI_EVENT_CODE(place->low) == 0; i++)
        host_pause();
    event->low = place->low;
    event->high = place->high;
    if (AMDVI_EVENT_CODE(event->low) == 0)
        return false;
    place->low = 0;
    place->high = 0;
    unit->events.head = ring_next(&unit->events, unit->events.head);
    return true;
}

/* 2.5.2: a log that overflowed has stopped. It starts again empty, or the loss would go on. */
static void restart_log(struct amdvi_unit *unit)
{
    iommu_fault_lost(unit->index);
    amdvi_control(unit, AMDVI_CONTROL_EVENT_LOG, false);
    if (!amdvi_poll_status(unit, AMDVI_STATUS_EVENT_RUN, 0)) {
        amdvi_unit_dies(unit, "stopping its event log");
        return;
    }
    amdvi_write(unit, AMDVI_STATUS, AMDVI_STATUS_OVERFLOW);
    amdvi_control(unit, AMDVI_CONTROL_EVENT_LOG, true);
}

void amdvi_read_events(struct amdvi_unit *unit)
{
    uint64_t status = amdvi_read(unit, AMDVI_STATUS);
    bool overflow = (status & AMDVI_STATUS_OVERFLOW) != 0;
    struct ring_record event;
    uint32_t tail;

    if (status == UINT64_MAX) {
        amdvi_unit_dies(unit, "a read of its registers");
        return;
    }
    /* Cleared before the tail is read: what is logged from here on interrupts again. */
    amdvi_write(unit, AMDVI_STATUS, AMDVI_STATUS_EVENT_INT);
    tail = ring_index(&unit->events, amdvi_read(unit, AMDVI_EVENT_TAIL));
    while (unit->events.head != tail && take_event(unit, &event)) {
        amdvi_write(unit, AMDVI_EVENT_HEAD, ring_offset(unit->events.head));
        report(unit, event);
    }
    if (!overflow)
        return;
    /* A record that never came must not keep the log full for ever. */
    if (unit->events.head != tail) {
        unit->events.head = tail;
        amdvi_write(unit, AMDVI_EVENT_HEAD, ring_offset(tail));
    }
    restart_log(unit);
}

void amdvi_read_faults(void)
{
    for (uint32_t i = 0; i < amdvi_unit_count(); i++) {
        struct amdvi_unit *unit = amdvi_unit_at(i);

        if (unit->enabled && !unit->dead)
            amdvi_read_events(unit);
    }
}

/* The command was posted and is not known to be done. */
static bool is_outstanding(const struct ring *commands, uint32_t slot)
{
    uint32_t mask = commands->size - 1;

    return ((slot - commands->head) & mask) < ((commands->tail - commands->head) & mask);
}

/* The latest that the log complains of: older complaints, not yet read, were seen to. */
uint32_t amdvi_illegal_slot(const struct amdvi_unit *unit)
{
    const struct ring *events = &unit->events;
    uint32_t tail = ring_index(events, amdvi_read(unit, AMDVI_EVENT_TAIL)), slot = AMDVI_NO_SLOT;

    for (uint32_t i = events->head; i != tail; i = ring_next(events, i)) {
        const volatile struct ring_record *event = &events->records[i];
        uint64_t offset = event->high - (unit->commands_mfn << 12);

        if (AMDVI_EVENT_CODE(event->low) == AMDVI_EVENT_BAD_COMMAND && offset < AMDVI_PAGE_SIZE &&
            is_outstanding(&unit->commands, ring_index(&unit->commands, offset)))
            slot = ring_index(&unit->commands, offset);
    }
    return slot;
}

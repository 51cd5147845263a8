/* SPDX-License-Identifier: MIT */
#include "tests/driver/amdvi_gaps.h"

#include "drivers/iommu/amdvi/regs.h"
#include "drivers/iommu/host.h"
#include "tests/driver/qtest.h"

#include <stddef.h>

#define RING_ADDRESS    0x000ffffffffff000ull
#define RING_RECORDS(q) (1u << ((q) >> 56 & 0xf))
#define WAIT_RESERVED   (0xffull << 52) /* COMPLETION_WAIT: 2.4.1 */

struct amdvi_gaps amdvi_gaps;

static uint64_t read_register(uint32_t offset)
{
    return qtest_read64(AMDVI_BASE + offset);
}

static void write_register(uint32_t offset, uint64_t value)
{
    qtest_write64(AMDVI_BASE + offset, value);
}

/* A ring as its registers describe it; QEMU's command head is one past the end for a moment. */
static struct ring ring_of(uint32_t base, uint32_t head, uint32_t tail)
{
    uint64_t value = read_register(base);
    struct ring ring = {.records = host_frame_address((value & RING_ADDRESS) >> 12),
                        .size = RING_RECORDS(value)};

    ring.head = ring_index(&ring, read_register(head));
    ring.tail = ring_index(&ring, read_register(tail));
    return ring;
}

bool amdvi_log_event(uint64_t low, uint64_t high)
{
    struct ring log;

    if ((read_register(AMDVI_CONTROL) & AMDVI_CONTROL_EVENT_LOG) == 0)
        return false;
    log = ring_of(AMDVI_EVENT_BASE, AMDVI_EVENT_HEAD, AMDVI_EVENT_TAIL);
    if (amdvi_gaps.log_stopped || ring_room(&log) == 0) {
        amdvi_gaps.overflow = amdvi_gaps.log_stopped = true;
        amdvi_gaps.events_lost++;
        return false;
    }
    log.records[log.tail] = (struct ring_record){low, high};
    write_register(AMDVI_EVENT_TAIL, ring_offset(ring_next(&log, log.tail)));
    amdvi_gaps.events++;
    return true;
}

/* ---- commands ---- */

static bool is_refused(struct ring_record record)
{
    switch (AMDVI_OPCODE_OF(record.low)) {
    case AMDVI_COMMAND_WAIT:
        return (record.low & WAIT_RESERVED) != 0;
    case AMDVI_COMMAND_DEVICE:
    case AMDVI_COMMAND_PAGES:
    case AMDVI_COMMAND_INTERRUPTS:
    case AMDVI_COMMAND_ALL:
        return false;
    default:
        return true;
    }
}

/* Lets QEMU run as far as hardware would. */
static void run_commands(void)
{
    const uint64_t running = AMDVI_CONTROL_ENABLE | AMDVI_CONTROL_COMMANDS;
    struct ring ring;

    if ((read_register(AMDVI_CONTROL) & running) != running || amdvi_gaps.commands_stopped ||
        amdvi_gaps.commands_frozen)
        return;
    ring = ring_of(AMDVI_COMMAND_BASE, AMDVI_COMMAND_HEAD, AMDVI_COMMAND_TAIL);
    ring.tail = ring_index(&ring, amdvi_gaps.commands_tail);
    while (ring.head != ring.tail && !is_refused(ring.records[ring.head]))
        ring.head = ring_next(&ring, ring.head);
    write_register(AMDVI_COMMAND_TAIL, ring_offset(ring.head));
    if (ring.head == ring.tail)
        return;
    amdvi_gaps.commands_stopped = true;
    amdvi_log_event((uint64_t)AMDVI_EVENT_BAD_COMMAND << 60,
                    (read_register(AMDVI_COMMAND_BASE) & RING_ADDRESS) + ring_offset(ring.head));
}

static void write_control(uint64_t value)
{
    uint64_t before = read_register(AMDVI_CONTROL);

    write_register(AMDVI_CONTROL, value);
    if ((before & AMDVI_CONTROL_COMMANDS) == 0 && (value & AMDVI_CONTROL_COMMANDS) != 0)
        amdvi_gaps.commands_stopped = false;
    if ((before & AMDVI_CONTROL_EVENT_LOG) == 0 && (value & AMDVI_CONTROL_EVENT_LOG) != 0)
        amdvi_gaps.log_stopped = false;
    run_commands();
}

/* ---- registers ---- */

uint64_t amdvi_gaps_read(uint64_t physical, uint8_t bytes)
{
    uint64_t value = bytes == 8 ? qtest_read64(physical) : qtest_read32(physical);

    if (physical == AMDVI_BASE + AMDVI_FEATURES)
        return (value & ~amdvi_gaps.features_off) | amdvi_gaps.features_on;
    if (physical != AMDVI_BASE + AMDVI_STATUS)
        return value;
    if (amdvi_gaps.commands_stopped)
        value &= ~AMDVI_STATUS_COMMANDS;
    if (amdvi_gaps.log_stopped)
        value &= ~AMDVI_STATUS_EVENT_RUN;
    return amdvi_gaps.overflow ? value | AMDVI_STATUS_OVERFLOW : value;
}

void amdvi_gaps_write(uint64_t physical, uint8_t bytes, uint64_t value)
{
    if (physical == AMDVI_BASE + AMDVI_COMMAND_TAIL) {
        amdvi_gaps.commands_tail = value;
        run_commands();
        return;
    }
    if (physical == AMDVI_BASE + AMDVI_CONTROL) {
        write_control(value);
        return;
    }
    if (physical == AMDVI_BASE + AMDVI_COMMAND_BASE)
        amdvi_gaps.commands_tail = 0;
    if (physical == AMDVI_BASE + AMDVI_STATUS && (value & AMDVI_STATUS_OVERFLOW) != 0 &&
        !amdvi_gaps.overflow_sticks)
        amdvi_gaps.overflow = false;
    if (bytes == 8)
        qtest_write64(physical, value);
    else
        qtest_write32(physical, (uint32_t)value);
}

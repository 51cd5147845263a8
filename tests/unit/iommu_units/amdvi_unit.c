/* SPDX-License-Identifier: MIT */
/*
 * An AMD-Vi unit: spec 48882 revision 3.08 as far as several of them matter. The stricter model of one or two
 * is that of unit/iommu_amdvi.
 */
#include "drivers/iommu/amdvi/regs.h"
#include "tests/unit/iommu_units/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FEATURES   (AMDVI_FEATURE_INV_ALL | 2ull << 10) /* HATS 2: six levels */
#define RING_BYTES (AMDVI_RING_RECORDS * sizeof(struct ring_record))

/* Registers by number. */
enum { TABLE, COMMANDS, EVENTS, CONTROL, EXCLUSION_BASE, EXCLUSION_LIMIT, EXTENDED_FEATURES };
enum { COMMAND_HEAD, COMMAND_TAIL, EVENT_HEAD, EVENT_TAIL, STATUS };

static void reset(struct unit *unit)
{
    if (unit->features == 0)
        unit->features = FEATURES;
    unit->amdvi.low[EXTENDED_FEATURES] = unit->features;
}

static bool is_enabled(const struct unit *unit)
{
    return (unit->amdvi.low[CONTROL] & AMDVI_CONTROL_ENABLE) != 0;
}

static bool is_on(const struct unit *unit)
{
    uint64_t mfn = (unit->amdvi.low[TABLE] & AMDVI_DEVICE_ADDRESS) >> 12;

    return is_enabled(unit) && mfn >= MACHINE_FIRST_MFN && mfn < MACHINE_FIRST_MFN + MACHINE_FRAMES;
}

static const struct amdvi_device *device_table(const struct unit *unit)
{
    assert_int_equal(unit->amdvi.low[TABLE] & 0xfff, AMDVI_DEVICE_TABLE_PAGES - 1);
    return machine_memory_of(unit, unit->amdvi.low[TABLE] & AMDVI_DEVICE_ADDRESS,
                             AMDVI_DEVICES * sizeof(struct amdvi_device));
}

/* An entry that is not valid lets everything pass. */
static void judge_table(const struct unit *unit)
{
    const struct amdvi_device *table = device_table(unit);
    uint64_t all = 3, interrupts = 1;

    for (uint32_t id = 0; id < AMDVI_DEVICES; id++) {
        all &= table[id].dma[0];
        interrupts &= table[id].interrupts[0];
    }
    assert_true(all == 3 && interrupts == 1);
}

/* ---- commands ---- */

static void forget(struct unit *unit, uint16_t domain, uint64_t address)
{
    uint64_t frames = 1, first = address >> 12;
    uint32_t order = 0;

    if ((address & AMDVI_PAGES_RANGE) != 0) {
        /* The lowest clear bit from bit 12 on: so many, doubled. */
        while ((first & frames) != 0)
            frames <<= 1;
        frames <<= 1;
        first &= ~(frames - 1);
        order = (uint32_t)__builtin_ctzll(frames);
    }
    if (order > 50) {
        unit->done.domain++;
        unit_forget_domain(unit, domain);
        return;
    }
    unit->done.pages++;
    if (order > unit->done.widest)
        unit->done.widest = order;
    unit_forget_range(unit, domain, first, frames);
}

static void finish_wait(struct unit *unit, struct ring_record command)
{
    unit->done.waits++;
    if ((command.low & AMDVI_WAIT_STORE) != 0 && !unit->drop_waits)
        machine_store(command.low & 0x000ffffffffffff8ull, &command.high, sizeof command.high);
}

static void perform(struct unit *unit, struct ring_record command)
{
    struct unit_device *known;

    switch (AMDVI_OPCODE_OF(command.low)) {
    case AMDVI_COMMAND_WAIT:
        finish_wait(unit, command);
        break;
    case AMDVI_COMMAND_DEVICE:
        unit->done.device++;
        known = unit_known_device(unit, (uint16_t)command.low);
        if (known != NULL)
            known->valid = false;
        break;
    case AMDVI_COMMAND_PAGES:
        forget(unit, (uint16_t)(command.low >> 32), command.high);
        break;
    case AMDVI_COMMAND_INTERRUPTS:
        unit->done.interrupts++;
        break;
    case AMDVI_COMMAND_ALL:
        assert_true((unit->features & AMDVI_FEATURE_INV_ALL) != 0);
        unit->done.global++;
        unit_forget_devices(unit);
        unit_forget_pages(unit);
        break;
    default:
        fail_msg("no such command");
    }
}

static void run_commands(struct unit *unit)
{
    uint64_t *head = &unit->amdvi.high[COMMAND_HEAD];

    if (!is_enabled(unit) || (unit->amdvi.low[CONTROL] & AMDVI_CONTROL_COMMANDS) == 0)
        return;
    unit->amdvi.high[STATUS] |= AMDVI_STATUS_COMMANDS;
    while (*head != unit->amdvi.high[COMMAND_TAIL]) {
        const struct ring_record *command = machine_memory_of(
            unit, (unit->amdvi.low[COMMANDS] & AMDVI_DEVICE_ADDRESS) + *head, sizeof *command);

        perform(unit, *command);
        *head = (*head + sizeof *command) % RING_BYTES;
    }
}

/* ---- registers ---- */

static uint64_t *register_at(struct unit *unit, uint32_t offset, uint32_t bytes)
{
    if (bytes == 8 && offset % 8 == 0 && offset <= AMDVI_FEATURES)
        return &unit->amdvi.low[offset / 8];
    if (bytes == 8 && offset % 8 == 0 && offset >= AMDVI_COMMAND_HEAD && offset <= AMDVI_STATUS)
        return &unit->amdvi.high[(offset - AMDVI_COMMAND_HEAD) / 8];
    fail_msg("no register of %u bytes at 0x%x", bytes, offset);
    return NULL;
}

static uint64_t read_register(struct unit *unit, uint32_t offset, uint32_t bytes)
{
    return *register_at(unit, offset, bytes);
}

static void control_changed(struct unit *unit, uint64_t old)
{
    uint64_t now = unit->amdvi.low[CONTROL], *status = &unit->amdvi.high[STATUS];

    assert_true(is_enabled(unit) || (old & AMDVI_CONTROL_ENABLE) == 0); /* never off again: a gap */
    if ((now & ~old & AMDVI_CONTROL_ENABLE) != 0)
        judge_table(unit);
    if ((now & AMDVI_CONTROL_COMMANDS) == 0)
        *status &= ~AMDVI_STATUS_COMMANDS;
    if ((now & AMDVI_CONTROL_EVENT_LOG) != 0 && is_enabled(unit))
        *status |= AMDVI_STATUS_EVENT_RUN;
    else
        *status &= ~AMDVI_STATUS_EVENT_RUN;
    run_commands(unit);
}

static void write_register(struct unit *unit, uint32_t offset, uint64_t value, uint32_t bytes)
{
    uint64_t *place = register_at(unit, offset, bytes), old = *place;

    assert_true(offset != AMDVI_FEATURES);
    if (offset == AMDVI_STATUS) {
        *place &= ~(value & (AMDVI_STATUS_OVERFLOW | AMDVI_STATUS_EVENT_INT));
        return;
    }
    *place = value;
    if (offset == AMDVI_COMMAND_BASE)
        unit->amdvi.high[COMMAND_HEAD] = unit->amdvi.high[COMMAND_TAIL] = 0; /* 3.4.2 */
    else if (offset == AMDVI_CONTROL)
        control_changed(unit, old);
    else if (offset == AMDVI_COMMAND_TAIL)
        run_commands(unit);
}

/* ---- DMA ---- */

static uint64_t walk(const struct unit *unit, uint64_t entry, uint64_t bfn)
{
    uint32_t mode = AMDVI_DEVICE_MODE_OF(entry);
    uint64_t allowed = entry & (AMDVI_DEVICE_READ | AMDVI_DEVICE_WRITE);

    assert_true(mode < 7 && mode <= 4u + AMDVI_FEATURE_HATS(unit->features));
    if (mode == 0 || bfn >> (9 * mode) != 0)
        return 0;
    for (uint32_t level = mode; level >= 1; level--) {
        const uint64_t *table = machine_memory_of(unit, entry & AMDVI_PAGE_ADDRESS, 4096);

        entry = table[bfn >> (9 * (level - 1)) & 511];
        if (entry == 0)
            return 0;
        assert_int_equal(entry & 1, 1);
        allowed &= entry;
        if ((entry >> 9 & 7) == 0 && level <= 3)
            return machine_page_in(entry & AMDVI_PAGE_ADDRESS, bfn, level) | allowed;
        assert_int_equal(entry >> 9 & 7, level - 1);
    }
    return 0;
}

static bool dma(struct unit *unit, uint16_t id, uint64_t bfn, bool write, uint64_t *mfn)
{
    const struct unit_device *device;
    const struct unit_page *known;
    uint16_t domain;
    uint64_t entry;

    *mfn = bfn;
    if (!is_enabled(unit))
        return true;
    if (unit_known_device(unit, id) == NULL)
        unit_remember_device(unit, id, device_table(unit)[id].dma[0], device_table(unit)[id].dma[1]);
    device = unit_known_device(unit, id);
    domain = AMDVI_DEVICE_DOMAIN(device->high);
    if (AMDVI_DEVICE_MODE_OF(device->low) == 0)
        return false;
    known = unit_known_page(unit, domain, bfn);
    entry = known != NULL ? known->entry : walk(unit, device->low, bfn);
    if (known == NULL && (entry != 0 || unit->caches_absence))
        unit_remember_page(unit, domain, bfn, entry);
    *mfn = (entry & AMDVI_PAGE_ADDRESS) >> 12;
    return (entry & (write ? AMDVI_PAGE_WRITE : AMDVI_PAGE_READ)) != 0;
}

const struct unit_model amdvi_unit_model = {
    .reset = reset, .read = read_register, .write = write_register, .is_on = is_on, .dma = dma};

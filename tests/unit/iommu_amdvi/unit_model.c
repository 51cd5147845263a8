/* SPDX-License-Identifier: MIT */
#include "tests/unit/iommu_amdvi/unit_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RING_BYTES (AMDVI_RING_RECORDS * sizeof(struct ring_record))
#define W1C        (0x7full & ~(AMDVI_STATUS_EVENT_RUN | AMDVI_STATUS_COMMANDS))
#define BIT(n)     (1ull << (n))

struct model_unit model_units[MODEL_UNITS];
static struct ring_record late_records[MODEL_UNITS][AMDVI_RING_RECORDS];
static bool halted[MODEL_UNITS];

void model_reset_units(void)
{
    memset(model_units, 0, sizeof model_units);
    memset(late_records, 0, sizeof late_records);
    memset(halted, 0, sizeof halted);
    for (uint32_t i = 0; i < MODEL_UNITS; i++)
        model_units[i].features = MODEL_EFR;
}

static bool is_on(const struct model_unit *unit)
{
    return (unit->control & AMDVI_CONTROL_ENABLE) != 0;
}

static struct ring_record *ring_at(uint64_t base, uint64_t offset)
{
    assert_int_equal(base >> 56, AMDVI_RING_ORDER);
    assert_true(offset < RING_BYTES && offset % sizeof(struct ring_record) == 0);
    return (struct ring_record *)model_memory((base & AMDVI_DEVICE_ADDRESS) + offset,
                                              sizeof(struct ring_record));
}

/* ---- the device table ---- */

static struct amdvi_device *entry_at(const struct model_unit *unit, uint16_t id)
{
    assert_int_equal(unit->device_table & 0xfff, AMDVI_DEVICE_TABLE_PAGES - 1);
    return (struct amdvi_device *)model_memory((unit->device_table & AMDVI_DEVICE_ADDRESS) +
                                                   id * sizeof(struct amdvi_device),
                                               sizeof(struct amdvi_device));
}

/* Never zero, V, TV, no reserved bit and no guest translation; a level that there is, and denying without. */
void model_judge_device(const struct amdvi_device *device)
{
    uint64_t low = device->dma[0], high = device->dma[1];
    uint32_t mode = (uint32_t)(low >> 9) & 7;

    assert_int_equal(low & 3, 3);
    assert_int_equal(low & ~(3ull | 7ull << 9 | AMDVI_DEVICE_ADDRESS | 3ull << 61), 0);
    assert_int_equal(high & ~(0xffffull | AMDVI_DEVICE_QUIET), 0);
    assert_true(mode < 7);
    if (mode == 0)
        assert_int_equal(low >> 61, 0);
    else
        (void)model_memory(low & AMDVI_DEVICE_ADDRESS, 4096);
    assert_int_equal(device->interrupts[0] & 1, 1);
    assert_true((device->interrupts[0] >> 60 & 3) != 1);
}

static void judge_table(const struct model_unit *unit)
{
    for (uint32_t id = 0; id < AMDVI_DEVICES; id++)
        model_judge_device(entry_at(unit, (uint16_t)id));
}

void model_judge_store(const uint64_t *address, bool both_halves)
{
    for (uint32_t i = 0; i < MODEL_UNITS; i++) {
        const uint64_t *table;
        size_t index;

        if (model_units[i].device_table == 0)
            continue;
        table = entry_at(&model_units[i], 0)->dma;
        index = (size_t)(address - table);
        if (address < table || index >= AMDVI_DEVICES * 4ull)
            continue;
        model_judge_device(entry_at(&model_units[i], (uint16_t)(index / 4)));
        assert_true(both_halves || index % 4 >= 2);
    }
}

/* ---- the event log ---- */

void model_event(uint32_t index, uint64_t low, uint64_t high)
{
    struct model_unit *unit = &model_units[index];
    uint64_t next = (unit->event_tail + sizeof(struct ring_record)) % RING_BYTES;
    struct ring_record record = {low, high};

    if ((unit->status & AMDVI_STATUS_EVENT_RUN) == 0) {
        unit->lost_events++;
        return;
    }
    if (next == unit->event_head) {
        unit->status = (unit->status | AMDVI_STATUS_OVERFLOW) & ~AMDVI_STATUS_EVENT_RUN;
        unit->lost_events++;
        return;
    }
    if (unit->late)
        late_records[index][unit->event_tail / sizeof record] = record;
    else
        *ring_at(unit->event_base, unit->event_tail) = record;
    unit->event_tail = next;
    unit->status |= AMDVI_STATUS_EVENT_INT;
}

void model_late_events(uint32_t index)
{
    struct model_unit *unit = &model_units[index];

    for (uint32_t slot = 0; slot < AMDVI_RING_RECORDS; slot++)
        if (late_records[index][slot].low != 0)
            *ring_at(unit->event_base, slot * sizeof(struct ring_record)) = late_records[index][slot];
    memset(late_records[index], 0, sizeof late_records[index]);
    unit->late = false;
}

/* ---- commands ---- */

static void forget_pages(struct model_unit *unit, uint16_t domain, uint64_t address)
{
    uint64_t frames = 1, first = address >> 12;

    if ((address & AMDVI_PAGES_RANGE) != 0) {
        /* The lowest clear bit from bit 12 on: so many, doubled. */
        while ((first & frames) != 0)
            frames <<= 1;
        frames <<= 1;
        first &= ~(frames - 1);
    }
    for (uint32_t i = 0; i < MODEL_CACHED; i++)
        if (unit->cached[i].domain == domain &&
            (frames > BIT(50) || (unit->cached[i].bfn >= first && unit->cached[i].bfn - first < frames)))
            unit->cached[i].valid = false;
}

static bool is_legal(const struct model_unit *unit, struct ring_record command)
{
    switch (AMDVI_OPCODE_OF(command.low)) {
    case AMDVI_COMMAND_WAIT:
        return (command.low & 0x0ff0000000000000ull) == 0 && (command.low & BIT(1)) == 0;
    case AMDVI_COMMAND_DEVICE:
    case AMDVI_COMMAND_INTERRUPTS:
        return (command.low & 0x0fffffffffff0000ull) == 0 && command.high == 0;
    case AMDVI_COMMAND_PAGES:
        return (command.low & 0x0fff0000ffffffffull) == 0 && (command.high & 0xffc) == 0;
    case AMDVI_COMMAND_ALL:
        return command.low << 4 == 0 && command.high == 0 && (unit->features & AMDVI_FEATURE_INV_ALL) != 0;
    default:
        return false;
    }
}

static void perform(struct model_unit *unit, struct ring_record command)
{
    unit->commands[AMDVI_OPCODE_OF(command.low)]++;
    switch (AMDVI_OPCODE_OF(command.low)) {
    case AMDVI_COMMAND_WAIT:
        if ((command.low & AMDVI_WAIT_STORE) != 0 && !unit->drop_waits)
            memcpy(model_memory(command.low & 0x000ffffffffffff8ull, 8), &command.high, 8);
        break;
    case AMDVI_COMMAND_DEVICE:
        unit->is_known[(uint16_t)command.low] = false;
        break;
    case AMDVI_COMMAND_PAGES:
        unit->last_pages = command;
        forget_pages(unit, (uint16_t)(command.low >> 32), command.high);
        break;
    case AMDVI_COMMAND_ALL:
        memset(unit->is_known, 0, sizeof unit->is_known);
        memset(unit->cached, 0, sizeof unit->cached);
        break;
    default:
        break;
    }
}

static bool is_refused(struct model_unit *unit, struct ring_record command)
{
    if (unit->refuse == 0 ||
        (unit->refuse_opcode != 0 && unit->refuse_opcode != AMDVI_OPCODE_OF(command.low)))
        return false;
    unit->refuse--;
    return true;
}

static void run_commands(uint32_t index)
{
    struct model_unit *unit = &model_units[index];

    if (!is_on(unit) || (unit->control & AMDVI_CONTROL_COMMANDS) == 0 || halted[index])
        return;
    unit->status |= AMDVI_STATUS_COMMANDS;
    while (unit->command_head != unit->command_tail) {
        struct ring_record command = *ring_at(unit->command_base, unit->command_head);

        if (!is_legal(unit, command) || is_refused(unit, command)) {
            halted[index] = true;
            unit->refused++;
            unit->status &= ~AMDVI_STATUS_COMMANDS;
            model_event(index, AMDVI_OPCODE(AMDVI_EVENT_BAD_COMMAND),
                        (unit->command_base & AMDVI_DEVICE_ADDRESS) + unit->command_head);
            return;
        }
        perform(unit, command);
        unit->command_head = (unit->command_head + sizeof command) % RING_BYTES;
    }
}

/* ---- registers ---- */

static uint64_t *register_at(struct model_unit *unit, uint32_t offset)
{
    switch (offset) {
    case AMDVI_DEVICE_TABLE_BASE:
        return &unit->device_table;
    case AMDVI_COMMAND_BASE:
        return &unit->command_base;
    case AMDVI_EVENT_BASE:
        return &unit->event_base;
    case AMDVI_CONTROL:
        return &unit->control;
    case AMDVI_EXCLUSION_BASE:
        return &unit->exclusion_base;
    case AMDVI_EXCLUSION_LIMIT:
        return &unit->exclusion_limit;
    case AMDVI_FEATURES:
        return &unit->features;
    case AMDVI_COMMAND_HEAD:
        return &unit->command_head;
    case AMDVI_COMMAND_TAIL:
        return &unit->command_tail;
    case AMDVI_EVENT_HEAD:
        return &unit->event_head;
    case AMDVI_EVENT_TAIL:
        return &unit->event_tail;
    case AMDVI_STATUS:
        return &unit->status;
    default:
        fail_msg("no register at 0x%x", offset);
    }
    return NULL;
}

uint64_t model_read(uint32_t unit, uint32_t offset)
{
    return *register_at(&model_units[unit], offset);
}

static void control_changed(uint32_t index, uint64_t old)
{
    struct model_unit *unit = &model_units[index];
    uint64_t set = unit->control & ~old;

    assert_true(is_on(unit) || (old & AMDVI_CONTROL_ENABLE) == 0); /* never off again: a gap */
    if ((set & AMDVI_CONTROL_ENABLE) != 0)
        judge_table(unit);
    if ((unit->control & AMDVI_CONTROL_COMMANDS) == 0) {
        halted[index] = false;
        unit->status &= ~AMDVI_STATUS_COMMANDS;
    }
    if ((unit->control & AMDVI_CONTROL_EVENT_LOG) == 0 || !is_on(unit))
        unit->status &= ~AMDVI_STATUS_EVENT_RUN;
    else if ((set & (AMDVI_CONTROL_EVENT_LOG | AMDVI_CONTROL_ENABLE)) != 0 &&
             (unit->status & AMDVI_STATUS_OVERFLOW) == 0) {
        unit->status |= AMDVI_STATUS_EVENT_RUN;
        unit->starts++;
    }
    run_commands(index);
}

void model_write(uint32_t index, uint32_t offset, uint64_t value)
{
    struct model_unit *unit = &model_units[index];
    uint64_t *place = register_at(unit, offset), old = *place;

    if (offset == AMDVI_COMMAND_BASE || offset == AMDVI_COMMAND_HEAD) {
        assert_int_equal(unit->control & AMDVI_CONTROL_COMMANDS, 0);
        assert_int_equal(unit->status & AMDVI_STATUS_COMMANDS, 0);
    }
    if (offset == AMDVI_EVENT_BASE || offset == AMDVI_EVENT_TAIL) {
        assert_int_equal(unit->control & AMDVI_CONTROL_EVENT_LOG, 0);
        assert_int_equal(unit->status & AMDVI_STATUS_EVENT_RUN, 0);
    }
    assert_true(offset != AMDVI_FEATURES);
    if (offset == AMDVI_STATUS) {
        assert_int_equal(value & ~W1C, 0); /* what is not written by assignment */
        unit->status &= ~value;
        return;
    }
    *place = value;
    if (offset == AMDVI_COMMAND_BASE)
        unit->command_head = unit->command_tail = 0; /* 3.4.2 */
    if (offset == AMDVI_CONTROL)
        control_changed(index, old);
    else if (offset == AMDVI_DEVICE_TABLE_BASE && is_on(unit))
        judge_table(unit);
    else if (offset == AMDVI_COMMAND_TAIL)
        run_commands(index);
}

/* ---- DMA ---- */

static struct amdvi_device device_of(struct model_unit *unit, uint16_t id)
{
    if (!unit->is_known[id]) {
        unit->known[id] = *entry_at(unit, id);
        unit->is_known[id] = true;
    }
    return unit->known[id];
}

static uint64_t walk(const struct amdvi_device *device, uint64_t bfn)
{
    uint64_t entry = device->dma[0];
    uint32_t mode = (uint32_t)(entry >> 9) & 7;
    uint64_t allowed = entry & (3ull << 61);

    if (mode == 0 || bfn >> (9 * mode) != 0)
        return 0;
    for (uint32_t level = mode; level >= 1; level--) {
        const uint64_t *table = (const uint64_t *)model_memory(entry & AMDVI_DEVICE_ADDRESS, 4096);

        entry = table[bfn >> (9 * (level - 1)) & 511];
        if (entry == 0)
            return 0;
        assert_int_equal(entry & 1, 1);
        allowed &= entry;
        if ((entry >> 9 & 7) == 0 && level <= 3) {
            uint64_t pages = (1ull << (9 * (level - 1))) - 1;

            assert_int_equal(entry >> 12 & pages, 0);
            return ((entry & ~(3ull << 61)) | allowed) + ((bfn & pages) << 12);
        }
        assert_int_equal(entry >> 9 & 7, level - 1);
    }
    return 0;
}

static uint64_t translation_of(struct model_unit *unit, const struct amdvi_device *device, uint64_t bfn)
{
    uint16_t domain = (uint16_t)device->dma[1];
    uint32_t slot = (uint32_t)(bfn + domain) % MODEL_CACHED;

    if (!unit->cached[slot].valid || unit->cached[slot].domain != domain || unit->cached[slot].bfn != bfn) {
        uint64_t entry = walk(device, bfn);

        if (entry == 0)
            return 0;
        unit->cached[slot].valid = true;
        unit->cached[slot].domain = domain;
        unit->cached[slot].bfn = bfn;
        unit->cached[slot].entry = entry;
    }
    return unit->cached[slot].entry;
}

bool model_dma(uint32_t index, uint16_t id, uint64_t bfn, bool write, uint64_t *mfn)
{
    struct model_unit *unit = &model_units[index];
    struct amdvi_device device;
    uint64_t entry;

    if (!is_on(unit)) {
        *mfn = bfn;
        return true;
    }
    device = device_of(unit, id);
    entry = (device.dma[0] >> 9 & 7) == 0 ? 0 : translation_of(unit, &device, bfn);
    *mfn = (entry & AMDVI_PAGE_ADDRESS) >> 12;
    if ((entry >> 61 & (write ? 2 : 1)) != 0)
        return true;
    if ((device.dma[1] & AMDVI_DEVICE_QUIET) == 0)
        model_event(index,
                    AMDVI_OPCODE(AMDVI_EVENT_PAGE_FAULT) | (device.dma[1] & 0xffff) << 32 | id |
                        (write ? AMDVI_EVENT_WRITE : 0) |
                        (entry != 0 ? AMDVI_EVENT_PRESENT | AMDVI_EVENT_PERMISSION : 0),
                    bfn << 12);
    return false;
}

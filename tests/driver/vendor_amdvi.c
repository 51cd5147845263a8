/* SPDX-License-Identifier: MIT */
/* vendor.h for QEMU's amd-iommu. */
#include "tests/driver/vendor.h"

#include "drivers/iommu/amdvi/amdvi.h"
#include "drivers/iommu/host.h"
#include "tests/driver/amdvi_gaps.h"
#include "tests/driver/machine.h"
#include "tests/driver/qtest.h"
#include "tests/host/ivrs_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define IVHD_TYPE      0x10u
#define IVMD_ONE       0x21u /* for one device */
#define IVMD_FLAGS     0x07u /* unity, readable, writable */
#define MSI            0x05u /* capability */
#define PCI_LIST       0x34u
#define EFR_HATS       (3ull << 10)
#define OTHER_FUNCTION 0x0010u /* 00:02.0, of a unit that is not there */

const uint64_t vendor_base = AMDVI_BASE;
/* QEMU asks for the bus number when it starts, before anybody has given the bridge one. */
const uint16_t vendor_bridged_id = 0x0000;

const uint16_t vendor_ioapic_id = 0x00a0;        /* 00:14.0 */
const uint32_t vendor_ioapic_bypasses_from = 10; /* its pins deliver what their entries say, unremapped */
const uint32_t vendor_interrupts = 256;

static struct ivrs_builder ivrs;

/* ---- QEMU and the table ---- */

/* pt=off: with QEMU 10's default a unit translates nothing. */
const char *vendor_device(uint32_t kind)
{
    (void)kind;
    return "amd-iommu,pt=off";
}

const char *const *vendor_trace(void)
{
    static const char *const patterns[] = {"amdvi_*inval", "amdvi_completion_wait", NULL};

    return patterns;
}

/* QEMU's unit offers six levels and says that it caches absence. */
void vendor_started(uint32_t kind)
{
    amdvi_gaps = (struct amdvi_gaps){.hide_npcache = (kind & MACHINE_REMEMBERS_ABSENCE) == 0};
    if ((kind & MACHINE_WIDE) == 0)
        amdvi_gaps.features_off = EFR_HATS; /* 0: four levels */
    if ((kind & MACHINE_SHORT_ENTRIES) != 0)
        amdvi_gaps.features_off |= AMDVI_FEATURE_INT_128;
    if ((kind & MACHINE_NO_WIDTH) != 0)
        amdvi_gaps.features_on = EFR_HATS; /* 3: reserved */
}

uint8_t vendor_bus_bits(uint32_t kind)
{
    return (kind & MACHINE_WIDE) != 0 ? 64 : 48;
}

void vendor_table_begin(void)
{
    ivrs_begin(&ivrs, 0);
}

void vendor_table_unit(uint64_t base, bool everything)
{
    uint16_t id = base == vendor_base ? AMDVI_FUNCTION : OTHER_FUNCTION;

    ivrs_ivhd(&ivrs,
              (struct ivrs_ivhd){.type = IVHD_TYPE, .id = id, .capability = AMDVI_CAPABILITY, .base = base});
    if (everything)
        ivrs_all(&ivrs, 0);
}

void vendor_table_device(uint16_t id)
{
    ivrs_select(&ivrs, id, 0);
}

/* The bridge itself, and what is behind it under the one id that it shows. */
void vendor_table_bridge(uint16_t id, uint8_t secondary_bus)
{
    uint16_t first = (uint16_t)(secondary_bus << 8);

    ivrs_select(&ivrs, id, 0);
    ivrs_alias_range(&ivrs, first, first | 0xff, first, 0);
}

void vendor_table_ioapic(void)
{
    ivrs_special(&ivrs, IVRS_SPECIAL_IOAPIC, 0, vendor_ioapic_id, 0);
}

void vendor_table_hpet(uint16_t id)
{
    ivrs_special(&ivrs, IVRS_SPECIAL_HPET, 0, id, 0);
}

void vendor_table_reserved(uint64_t first, uint64_t last, uint16_t id)
{
    ivrs_ivmd(&ivrs, IVMD_ONE, IVMD_FLAGS, 0, id, 0, first, last - first + 1);
}

void vendor_setup(struct iommu_setup *setup)
{
    setup->vendor = IOMMU_VENDOR_AMDVI;
    setup->table = ivrs.bytes;
    setup->table_size = ivrs.size;
}

/* ---- between the driver and QEMU ---- */

uint64_t vendor_mmio_read(uint64_t physical, uint8_t bytes)
{
    return amdvi_gaps_read(physical, bytes);
}

void vendor_mmio_write(uint64_t physical, uint8_t bytes, uint64_t value)
{
    if (physical == AMDVI_BASE + AMDVI_CONTROL)
        note_command((value & AMDVI_CONTROL_ENABLE) != 0);
    amdvi_gaps_write(physical, bytes, value);
}

uint32_t vendor_pci_read(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    const uint16_t header = AMDVI_CAPABILITY + AMDVI_CAP_HEADER;

    (void)bytes;
    if (id == AMDVI_FUNCTION && offset == header && amdvi_gaps.hide_npcache)
        value &= ~AMDVI_CAP_NPCACHE;
    return value;
}

/* ---- the unit ---- */

static uint64_t control(void)
{
    return qtest_read64(AMDVI_BASE + AMDVI_CONTROL);
}

void vendor_firmware_leaves_it_on(void)
{
    uint64_t devices = host_frames_alloc(2), commands = host_frames_alloc(1), events = host_frames_alloc(1);
    struct amdvi_device *entries = host_frame_address(devices);
    struct ring_record *records = host_frame_address(commands);

    for (uint32_t i = 0; i < 256; i++)
        entries[i].dma[0] =
            AMDVI_DEVICE_VALID | AMDVI_DEVICE_TRANSLATION | AMDVI_DEVICE_READ | AMDVI_DEVICE_WRITE;
    qtest_write64(AMDVI_BASE + AMDVI_DEVICE_TABLE_BASE, devices << 12 | 1);
    qtest_write64(AMDVI_BASE + AMDVI_COMMAND_BASE, AMDVI_RING_BASE(commands));
    qtest_write64(AMDVI_BASE + AMDVI_EVENT_BASE, AMDVI_RING_BASE(events));
    qtest_write64(AMDVI_BASE + AMDVI_CONTROL,
                  AMDVI_CONTROL_ENABLE | AMDVI_CONTROL_EVENT_LOG | AMDVI_CONTROL_COMMANDS);
    records[0] = amdvi_command_all();
    records[1] = amdvi_command_wait((commands << 12) + 0x800, 1);
    qtest_write64(AMDVI_BASE + AMDVI_COMMAND_TAIL, ring_offset(2));
}

bool vendor_is_on(void)
{
    const uint64_t on = AMDVI_CONTROL_ENABLE | AMDVI_CONTROL_EVENT_LOG | AMDVI_CONTROL_COMMANDS;
    const struct amdvi_unit *unit = amdvi_unit_at(0);

    return (control() & on) == on &&
           qtest_read64(AMDVI_BASE + AMDVI_DEVICE_TABLE_BASE) == AMDVI_DEVICE_TABLE(unit->devices_mfn) &&
           qtest_read64(AMDVI_BASE + AMDVI_COMMAND_BASE) == AMDVI_RING_BASE(unit->commands_mfn) &&
           qtest_read64(AMDVI_BASE + AMDVI_EVENT_BASE) == AMDVI_RING_BASE(unit->events_mfn);
}

bool vendor_invalidated_all_once(void)
{
    return iommu_counters.iotlb_global == 1;
}

uint32_t vendor_waits(void)
{
    return (uint32_t)amdvi_unit_at(0)->waits;
}

bool vendor_wait_is_done(void)
{
    return *amdvi_unit_at(0)->status == amdvi_unit_at(0)->waits;
}

/*
 * Right is: everything denied, or the tree and the domain of one and the same context. A tree that grows is
 * seen through its old root until the unit is told.
 */
bool vendor_entry_is_half(uint16_t id)
{
    const uint64_t valid = AMDVI_DEVICE_VALID | AMDVI_DEVICE_TRANSLATION;
    const struct amdvi_device *devices = amdvi_unit_at(0)->devices;
    const struct iommu_context *context;
    uint64_t dma;

    if (devices == NULL || !amdvi_unit_at(0)->enabled)
        return false;
    dma = devices[id].dma[0];
    if ((dma & valid) != valid)
        return true;
    if (AMDVI_DEVICE_MODE_OF(dma) == 0)
        return (dma & (AMDVI_DEVICE_READ | AMDVI_DEVICE_WRITE)) != 0;
    context = iommu_context_of_domain(AMDVI_DEVICE_DOMAIN(devices[id].dma[1]));
    if (context == NULL)
        return true;
    if (AMDVI_DEVICE_MODE_OF(dma) == context->table.levels)
        return page_table_root(&context->table) != (dma & AMDVI_DEVICE_ADDRESS) >> 12;
    return AMDVI_DEVICE_MODE_OF(dma) > context->table.levels ||
           ((dma & AMDVI_DEVICE_ADDRESS) >> 12) - context->table.pool_mfn >= context->table.quota;
}

void vendor_isolate(uint16_t id)
{
    amdvi_isolate(amdvi_unit_at(0), id);
}

struct vendor_invalidation vendor_last_invalidation(void)
{
    const struct ring *ring = &amdvi_unit_at(0)->commands;
    struct ring_record record = ring->records[(ring->tail - 2) & (ring->size - 1)]; /* a wait is behind it */
    uint64_t bfn = record.high >> 12, frames = 1;

    assert_int_equal(AMDVI_OPCODE_OF(record.low), AMDVI_COMMAND_PAGES);
    assert_int_not_equal(record.high & AMDVI_PAGES_EVERYTHING, AMDVI_PAGES_EVERYTHING);
    if ((record.high & AMDVI_PAGES_RANGE) != 0) {
        frames = 2ull << __builtin_ctzll(~bfn);
        bfn &= ~(frames - 1);
    }
    return (struct vendor_invalidation){.domain = (uint16_t)(record.low >> 32),
                                        .bfn = bfn,
                                        .frames = frames,
                                        .tables_stay = (record.high & AMDVI_PAGES_DIRECTORIES) == 0};
}

/* QEMU traces a range of pages and a whole domain as the same event. */
uint32_t vendor_counts(struct vendor_count counts[VENDOR_COUNTS_MAX])
{
    const struct vendor_count all[] = {
        {"amdvi_devtab_inval", iommu_counters.context_device},
        {"amdvi_pages_inval", iommu_counters.iotlb_page + iommu_counters.iotlb_domain},
        {"amdvi_all_inval", iommu_counters.iotlb_global},
        {"amdvi_intr_inval", iommu_counters.interrupt_entry},
        {"amdvi_completion_wait", iommu_counters.waits},
    };
    const uint32_t count = sizeof all / sizeof *all;

    for (uint32_t i = 0; i < count; i++)
        counts[i] = all[i];
    return count;
}

/* The entry has the index where it would have the vector and the delivery mode. */
uint64_t vendor_pin_entry(struct iommu_message message, struct iommu_interrupt interrupt)
{
    return (message.data & 0x7ff) | (interrupt.level ? 1u << 15 : 0);
}

/* ---- disturbances ---- */

void vendor_post_refused(void)
{
    struct ring *ring = &amdvi_unit_at(0)->commands;

    ring->records[ring->tail] = (struct ring_record){.low = AMDVI_OPCODE(0xf)};
    ring->tail = ring_next(ring, ring->tail);
}

bool vendor_spoil_invalidation(void)
{
    struct ring_record *record = &amdvi_unit_at(0)->commands.records[amdvi_unit_at(0)->commands.tail];

    if (AMDVI_OPCODE_OF(record->low) != AMDVI_COMMAND_PAGES)
        return false;
    record->low = AMDVI_OPCODE(0xf);
    return true;
}

void vendor_spoil_waits(void)
{
    amdvi_unit_at(0)->status_address |= 1ull << 52; /* reserved bits of COMPLETION_WAIT */
}

void vendor_stop_answering(void)
{
    amdvi_gaps.commands_frozen = true;
}

/* ---- faults ---- */

/* IO_PAGE_FAULT as hardware would log it, unless the device's entry says that it must not: 2.5.2. */
void vendor_log_blocked(uint16_t id, bool write, uint64_t bfn)
{
    const struct amdvi_device *device = &amdvi_unit_at(0)->devices[id];
    const struct iommu_context *context = amdvi_context_of(amdvi_unit_at(0), id);
    struct iommu_mapping mapping;
    uint64_t flags = write ? AMDVI_EVENT_WRITE : 0;

    if ((device->dma[1] & AMDVI_DEVICE_QUIET) != 0)
        return;
    if (context == NULL || iommu_lookup(context, bfn, &mapping) == 0)
        flags |= AMDVI_EVENT_PRESENT | AMDVI_EVENT_PERMISSION;
    amdvi_log_event((uint64_t)AMDVI_EVENT_PAGE_FAULT << 60 | flags |
                        (uint64_t)AMDVI_DEVICE_DOMAIN(device->dma[1]) << 32 | id,
                    bfn << 12);
}

bool vendor_fault_is_pending(void)
{
    return qtest_read64(AMDVI_BASE + AMDVI_EVENT_HEAD) != qtest_read64(AMDVI_BASE + AMDVI_EVENT_TAIL);
}

bool vendor_fault_was_lost(void)
{
    return amdvi_gaps.overflow;
}

/* One fault told of, and one more than the log has room for. */
void vendor_lose_faults(uint16_t id, uint64_t bfn)
{
    edu_store(bfn << 12, 4);
    vendor_log_blocked(id, true, bfn);
    while (amdvi_gaps.events_lost == 0)
        vendor_log_blocked(vendor_bridged_id, true, 0x777);
}

static uint16_t msi_capability(void)
{
    uint16_t offset = (uint16_t)qtest_pci_read(AMDVI_FUNCTION, PCI_LIST, 1);

    while (offset != 0 && qtest_pci_read(AMDVI_FUNCTION, offset, 1) != MSI)
        offset = (uint16_t)qtest_pci_read(AMDVI_FUNCTION, offset + 1, 1);
    assert_int_not_equal(offset, 0);
    return offset;
}

bool vendor_fault_event_is(uint64_t address, uint32_t data)
{
    uint16_t msi = msi_capability();

    return (control() & AMDVI_CONTROL_EVENT_INT) != 0 &&
           (qtest_pci_read(AMDVI_FUNCTION, msi + 2, 2) & 1) != 0 &&
           qtest_pci_read(AMDVI_FUNCTION, msi + 4, 4) == (uint32_t)address &&
           qtest_pci_read(AMDVI_FUNCTION, msi + 8, 4) == address >> 32 &&
           qtest_pci_read(AMDVI_FUNCTION, msi + 12, 2) == data;
}

const char *vendor_words(enum vendor_words words)
{
    static const char *const texts[] = {
        [WORDS_NO_WIDTH] = "no supported",
        [WORDS_REFUSED] = "refused the command",
        [WORDS_REFUSED_EXACTLY] = "refused the command 0000000000000000:f000000000000000",
        [WORDS_NOT_ATTACHED] = "the device may not do DMA",
        [WORDS_BUS_UNKNOWN] = "the device may not do DMA",
        [WORDS_BEYOND_WIDTH] = "not present in the bus map",
        [WORDS_FAULTS_LOST] = "more faults than fault records",
    };

    return texts[words];
}

/* SPDX-License-Identifier: MIT */
/* vendor.h for QEMU's intel-iommu. */
#include "tests/driver/vendor.h"

#include "drivers/iommu/host.h"
#include "drivers/iommu/vtd/vtd.h"
#include "tests/driver/machine.h"
#include "tests/driver/qtest.h"
#include "tests/driver/vendor_vtd.h"
#include "tests/host/dmar_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

const uint64_t vendor_base = 0xfed90000;
const uint16_t vendor_bridged_id = BRIDGE_ALIAS;

const uint16_t vendor_ioapic_id = 0xff00;
const uint32_t vendor_ioapic_bypasses_from = UINT32_MAX;
const uint32_t vendor_interrupts = 1024;

bool vtd_hide_queue, vtd_hide_remapping;
uint32_t vtd_remapping_stops;
static struct dmar_builder dmar;

/* ---- QEMU and the table ---- */

const char *vendor_device(uint32_t kind)
{
    static char words[128];

    snprintf(words, sizeof words, "intel-iommu%s%s%s",
             (kind & MACHINE_WIDE) != 0 ? ",aw-bits=48" : ",aw-bits=39",
             (kind & MACHINE_REMEMBERS_ABSENCE) != 0 ? ",caching-mode=on" : "",
             (kind & MACHINE_NO_WIDTH) != 0 ? ",dma-translation=off" : "");
    return words;
}

const char *const *vendor_trace(void)
{
    static const char *const patterns[] = {"vtd_inv_desc*", NULL};

    return patterns;
}

void vendor_started(uint32_t kind)
{
    (void)kind;
    vtd_hide_queue = vtd_hide_remapping = false;
    vtd_remapping_stops = 0;
}

uint8_t vendor_bus_bits(uint32_t kind)
{
    return (kind & MACHINE_WIDE) != 0 ? 48 : 39;
}

void vendor_table_begin(void)
{
    dmar_begin(&dmar);
}

void vendor_table_unit(uint64_t base, bool everything)
{
    dmar_drhd(&dmar, everything, 0, base);
}

static void add_scope(enum dmar_scope_kind kind, uint16_t id)
{
    dmar_scope(&dmar, (uint8_t)kind, (uint8_t)(id >> 8), id >> 3 & 31, id & 7);
}

void vendor_table_device(uint16_t id)
{
    add_scope(DMAR_SCOPE_ENDPOINT, id);
}

void vendor_table_bridge(uint16_t id, uint8_t secondary_bus)
{
    (void)secondary_bus; /* the driver reads it from the bridge */
    add_scope(DMAR_SCOPE_BRIDGE, id);
}

void vendor_table_ioapic(void)
{
    add_scope(DMAR_SCOPE_IOAPIC, vendor_ioapic_id);
}

void vendor_table_hpet(uint16_t id)
{
    add_scope(DMAR_SCOPE_HPET, id);
}

void vendor_table_reserved(uint64_t first, uint64_t last, uint16_t id)
{
    dmar_rmrr(&dmar, 0, first, last);
    add_scope(DMAR_SCOPE_ENDPOINT, id);
}

void vendor_setup(struct iommu_setup *setup)
{
    setup->vendor = IOMMU_VENDOR_VTD;
    setup->table = dmar.bytes;
    setup->table_size = dmar.size;
}

/* ---- between the driver and QEMU ---- */

uint64_t vendor_mmio_read(uint64_t physical, uint8_t bytes)
{
    uint64_t value = bytes == 8 ? qtest_read64(physical) : qtest_read32(physical);

    if (vtd_hide_queue && physical == vendor_base + VTD_ECAP)
        value &= ~VTD_ECAP_QI;
    if (vtd_hide_remapping && physical == vendor_base + VTD_ECAP)
        value &= ~VTD_ECAP_IR;
    return value;
}

void vendor_mmio_write(uint64_t physical, uint8_t bytes, uint64_t value)
{
    if (physical == vendor_base + VTD_GCMD) {
        note_command((value & VTD_GLOBAL_TE) != 0);
        vtd_remapping_stops +=
            (value & VTD_GLOBAL_IRE) == 0 && (qtest_read32(vendor_base + VTD_GSTS) & VTD_GLOBAL_IRE) != 0;
    }
    if (bytes == 8)
        qtest_write64(physical, value);
    else
        qtest_write32(physical, (uint32_t)value);
}

uint32_t vendor_pci_read(uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    (void)id;
    (void)offset;
    (void)bytes;
    return value;
}

/* ---- the unit ---- */

static uint32_t global_status(void)
{
    return qtest_read32(vendor_base + VTD_GSTS);
}

static void global_command(uint32_t value)
{
    qtest_write32(vendor_base + VTD_GCMD, value);
}

/* Interrupts remapped, too. */
void vendor_firmware_leaves_it_on(void)
{
    uint64_t root = host_frames_alloc(1), contexts = host_frames_alloc(1), queue = host_frames_alloc(1);
    struct vtd_entry *entries = host_frame_address(contexts);
    struct ring_record *records = host_frame_address(queue);

    ((struct vtd_entry *)host_frame_address(root))[0] = vtd_root_entry(contexts);
    for (uint32_t i = 0; i < VTD_ENTRIES; i++)
        entries[i] = (struct vtd_entry){.low = VTD_ENTRY_PRESENT | 2u << 2, .high = 1u << 8 | 1};
    qtest_write64(vendor_base + VTD_IQA, queue << 12);
    global_command(VTD_GLOBAL_QIE);
    records[0] = vtd_descriptor_context_global();
    records[1] = vtd_descriptor_wait((queue << 12) + 0x800, 1);
    qtest_write64(vendor_base + VTD_IQT, 32);
    qtest_write64(vendor_base + VTD_RTADDR, root << 12);
    global_command(VTD_GLOBAL_QIE | VTD_GLOBAL_SRTP);
    qtest_write64(vendor_base + VTD_IRTA, host_frames_alloc(1) << 12 | 7);
    global_command(VTD_GLOBAL_QIE | VTD_GLOBAL_SIRTP);
    global_command(VTD_GLOBAL_QIE | VTD_GLOBAL_IRE);
    global_command(VTD_GLOBAL_QIE | VTD_GLOBAL_IRE | VTD_GLOBAL_TE);
}

bool vendor_is_on(void)
{
    const uint32_t on = VTD_GLOBAL_TE | VTD_GLOBAL_QIE | VTD_GLOBAL_SRTP | VTD_GLOBAL_IRE | VTD_GLOBAL_SIRTP;

    return (global_status() & (on | VTD_GLOBAL_CFI)) == on;
}

bool vendor_invalidated_all_once(void)
{
    return iommu_counters.context_global == 1 && iommu_counters.iotlb_global == 1;
}

uint32_t vendor_waits(void)
{
    return vtd_unit_at(0)->waits;
}

bool vendor_wait_is_done(void)
{
    return *vtd_unit_at(0)->status == vtd_unit_at(0)->waits;
}

bool vendor_entry_is_half(uint16_t id)
{
    const struct vtd_entry *root = vtd_unit_at(0)->root, *table;

    if (root == NULL || (root[id >> 8].low & VTD_ENTRY_PRESENT) == 0)
        return false;
    table = host_frame_address((root[id >> 8].low & VTD_ENTRY_ADDRESS) >> 12);
    return (table[id & 0xff].low & VTD_ENTRY_PRESENT) != 0 && VTD_CONTEXT_DID(table[id & 0xff].high) == 0;
}

void vendor_isolate(uint16_t id)
{
    vtd_isolate(vtd_unit_at(0), id);
}

struct vendor_invalidation vendor_last_invalidation(void)
{
    const struct ring *queue = &vtd_unit_at(0)->queue;
    struct ring_record record =
        queue->records[(queue->tail - 2) & (queue->size - 1)]; /* a wait is behind it */
    uint64_t frames = 1ull << (record.high & 0x3f);

    assert_int_equal(record.low & 0xf, VTD_DESCRIPTOR_IOTLB);
    assert_int_equal(record.low >> 4 & 3, 3); /* of pages */
    assert_int_equal((record.high >> 12) & (frames - 1), 0);
    return (struct vendor_invalidation){.domain = (uint16_t)(record.low >> 16),
                                        .bfn = record.high >> 12,
                                        .frames = frames,
                                        .tables_stay = (record.high & VTD_PAGE_HINT) != 0};
}

uint32_t vendor_counts(struct vendor_count counts[VENDOR_COUNTS_MAX])
{
    const struct vendor_count all[] = {
        {"vtd_inv_desc_cc_global", iommu_counters.context_global},
        {"vtd_inv_desc_cc_devices", iommu_counters.context_device},
        {"vtd_inv_desc_iotlb_global", iommu_counters.iotlb_global},
        {"vtd_inv_desc_iotlb_domain", iommu_counters.iotlb_domain},
        {"vtd_inv_desc_iotlb_pages", iommu_counters.iotlb_page},
        {"vtd_inv_desc_iec", iommu_counters.interrupt_entry},
        {"vtd_inv_desc_wait_sw", iommu_counters.waits},
    };
    const uint32_t count = sizeof all / sizeof *all;

    for (uint32_t i = 0; i < count; i++)
        counts[i] = all[i];
    return count;
}

/* 5.1.5.1: the entry has the handle where it would have a destination, and the vector that will arrive. */
uint64_t vendor_pin_entry(struct iommu_message message, struct iommu_interrupt interrupt)
{
    return (message.address >> 4 & 0xffff) << 48 | (message.address >> 2 & 1) << 11 |
           (interrupt.level ? 1u << 15 : 0) | interrupt.vector;
}

/* ---- disturbances ---- */

void vendor_post_refused(void)
{
    struct ring *queue = &vtd_unit_at(0)->queue;

    queue->records[queue->tail] = (struct ring_record){.low = 0xf};
    queue->tail = ring_next(queue, queue->tail);
}

bool vendor_spoil_invalidation(void)
{
    struct ring_record *record = &vtd_unit_at(0)->queue.records[vtd_unit_at(0)->queue.tail];

    if ((record->low & 0xf) != VTD_DESCRIPTOR_IOTLB)
        return false;
    record->low = 0xf;
    return true;
}

void vendor_spoil_waits(void)
{
    vtd_unit_at(0)->status_address |= 1; /* reserved bits of the wait descriptor */
}

void vendor_stop_answering(void)
{
    global_command(VTD_GLOBAL_TE); /* without the queue */
}

/* ---- faults ---- */

/* QEMU has logged it. */
void vendor_log_blocked(uint16_t id, bool write, uint64_t bfn)
{
    (void)id;
    (void)write;
    (void)bfn;
}

static uint32_t fault_status(void)
{
    return qtest_read32(vendor_base + VTD_FSTS);
}

bool vendor_fault_is_pending(void)
{
    return (fault_status() & VTD_FSTS_PPF) != 0;
}

bool vendor_fault_was_lost(void)
{
    return (fault_status() & VTD_FSTS_PFO) != 0;
}

/* The unit has one record, and a fault of another device finds it taken. */
void vendor_lose_faults(uint16_t id, uint64_t bfn)
{
    assert_int_equal(id, EDU_ID);
    edu_store(bfn << 12, 4);
    bridged_edu_store(0x777000, 4);
}

bool vendor_fault_event_is(uint64_t address, uint32_t data)
{
    return (qtest_read32(vendor_base + VTD_FECTL) & VTD_FECTL_MASK) == 0 &&
           qtest_read32(vendor_base + VTD_FEDATA) == data &&
           qtest_read32(vendor_base + VTD_FEADDR) == (uint32_t)address &&
           qtest_read32(vendor_base + VTD_FEUADDR) == address >> 32;
}

const char *vendor_words(enum vendor_words words)
{
    static const char *const texts[] = {
        [WORDS_NO_WIDTH] = "no supported address width (SAGAW is 0)",
        [WORDS_REFUSED] = "refused the descriptor",
        [WORDS_REFUSED_EXACTLY] = "refused the descriptor 0000000000000000:000000000000000f",
        [WORDS_NOT_ATTACHED] = "the device may not do DMA (reason 0x02)",
        [WORDS_BUS_UNKNOWN] = "no device of its bus may do DMA (reason 0x01)",
        [WORDS_BEYOND_WIDTH] = "beyond the bus width (reason 0x04)",
        [WORDS_FAULTS_LOST] = "more faults than fault records",
    };

    return texts[words];
}

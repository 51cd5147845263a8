/* SPDX-License-Identifier: MIT */
#include "tests/driver/machine.h"

#include "drivers/iommu/host.h"
#include "tests/driver/qtest.h"
#include "tests/driver/vendor.h"
#include "tests/host/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIRST_FREE_MFN   0x400u
#define EDU_BAR          0xe0000000ull
#define BRIDGED_EDU_BAR  0xe1000000ull
#define EDU_SOURCE       0x80u
#define EDU_DESTINATION  0x88u
#define EDU_COUNT        0x90u
#define EDU_COMMAND      0x98u
#define EDU_START        1u
#define EDU_RAISE        0x60u
#define PCI_CAPABILITIES 0x34u
#define CAPABILITY_MSI   0x05u
#define EDU_TO_MEMORY    2u
#define EDU_BUFFER       0x40000u

struct machine machine;
struct host_record host_record;
static uint64_t next_mfn;
static uint64_t now_ns;

/* ---- host.h over the socket ---- */

uint64_t host_frames_alloc(uint64_t count)
{
    uint64_t mfn = next_mfn;

    if (host_record.allocation_limit == 0)
        return 0;
    host_record.allocation_limit--;
    next_mfn += count;
    assert_true(next_mfn << 12 <= QTEST_RAM_BYTES);
    host_record.frames_out += (int64_t)count;
    memset(host_frame_address(mfn), 0, count << 12);
    return mfn;
}

void host_frames_free(uint64_t mfn, uint64_t count)
{
    (void)mfn;
    host_record.frames_out -= (int64_t)count;
}

void *host_frame_address(uint64_t mfn)
{
    assert_true(mfn << 12 < QTEST_RAM_BYTES);
    return qtest_ram() + (mfn << 12);
}

bool host_range_is_hypervisor(uint64_t mfn, uint64_t frames)
{
    return mfn < host_record.hypervisor_first + host_record.hypervisor_frames &&
           mfn + frames > host_record.hypervisor_first;
}

uint64_t host_range_withhold(uint64_t mfn, uint64_t frames)
{
    (void)mfn;
    (void)frames;
    return 0;
}

void host_frames_release(const struct iommu_frames *frames, uint32_t runs, uint64_t address_mask,
                         uint32_t flags)
{
    if (runs == 0)
        return;
    if (vendor_waits() == host_record.waits_before_flush || !vendor_wait_is_done())
        host_record.released_early++;
    for (uint32_t i = 0; i < runs; i++)
        host_record.released += frames[i].count;
    host_record.last_released_mfn =
        ((frames[runs - 1].entry & address_mask) >> 12) + frames[runs - 1].count - 1;
    host_record.last_released_flags = flags;
}

volatile void *host_mmio_map(uint64_t physical, uint64_t size)
{
    (void)size;
    return (volatile void *)physical;
}
uint32_t host_mmio_read32(const volatile void *address)
{
    return (uint32_t)vendor_mmio_read((uint64_t)address, 4);
}
uint64_t host_mmio_read64(const volatile void *address)
{
    return vendor_mmio_read((uint64_t)address, 8);
}
void host_mmio_write32(volatile void *address, uint32_t value)
{
    vendor_mmio_write((uint64_t)address, 4, value);
}
void host_mmio_write64(volatile void *address, uint64_t value)
{
    vendor_mmio_write((uint64_t)address, 8, value);
}

void note_command(bool translation)
{
    host_record.commands++;
    host_record.commands_off += !translation;
    host_record.commands_last_on = translation;
}

void host_store64(uint64_t *address, uint64_t value)
{
    *(volatile uint64_t *)address = value;
    if (host_record.on_store != NULL)
        host_record.on_store();
}

void host_store128(uint64_t *address, uint64_t low, uint64_t high)
{
    address[0] = low;
    address[1] = high;
    if (host_record.on_store != NULL)
        host_record.on_store();
}

void host_cache_flush(const volatile void *address, size_t size)
{
    (void)address;
    (void)size;
}

/* Time goes by only while the driver pauses, so that a time-out costs a test nothing. */
uint64_t host_time_ns(void)
{
    return now_ns;
}
void host_pause(void)
{
    now_ns += 10000000;
}

uint16_t host_pci_requester(uint16_t segment, uint16_t id)
{
    (void)segment;
    return id;
}

uint32_t host_pci_read(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes)
{
    if (segment != 0)
        return UINT32_MAX;
    return vendor_pci_read(id, offset, bytes, qtest_pci_read(id, offset, bytes));
}
void host_pci_write(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value)
{
    if (segment == 0)
        qtest_pci_write(id, offset, bytes, value);
}

/* ---- the machine ---- */

static void set_up_edu(uint16_t id, uint64_t bar)
{
    qtest_pci_write(id, 0x10, 4, (uint32_t)bar);
    qtest_pci_write(id, 0x04, 2, 0x0006); /* memory, bus master */
    assert_int_equal(qtest_read32(bar) & 0xff, 0xed);
}

void machine_start(uint32_t kind)
{
    bool bridge = (kind & MACHINE_BRIDGE) != 0;
    const char *arguments[32] = {"-device", vendor_device(kind), "-device",
                                 "edu,addr=4,dma_mask=0xffffffffffffffff"};
    size_t count = 4;

    if (bridge) {
        arguments[count++] = "-device";
        arguments[count++] = "pcie-pci-bridge,id=bridge,addr=5";
        arguments[count++] = "-device";
        arguments[count++] = "edu,bus=bridge,addr=1,dma_mask=0xffffffffffffffff";
    }
    arguments[count++] = "-trace";
    arguments[count++] = "apic_deliver_irq";
    for (const char *const *pattern = vendor_trace(); *pattern != NULL; pattern++) {
        arguments[count++] = "-trace";
        arguments[count++] = *pattern;
    }
    host_record = (struct host_record){.allocation_limit = -1};
    next_mfn = FIRST_FREE_MFN;
    now_ns = 1;
    captured_clear();
    qtest_start(arguments);
    set_up_edu(EDU_ID, EDU_BAR);
    if (bridge) {
        qtest_pci_write(BRIDGE_ID, 0x18, 4, 0x00010100); /* secondary and subordinate bus 1 */
        qtest_pci_write(BRIDGE_ID, 0x20, 4, 0xe100e100); /* memory window of 1 MiB */
        qtest_pci_write(BRIDGE_ID, 0x04, 2, 0x0006);
        set_up_edu(BRIDGED_EDU_ID, BRIDGED_EDU_BAR);
    }
    vendor_started(kind);
    vendor_table_begin();
    vendor_table_unit(vendor_base, true);
}

int machine_init(void)
{
    struct iommu_setup setup = {
        .physical_bits = 40, .fault_address = FAULT_ADDRESS, .fault_data = FAULT_DATA};

    vendor_setup(&setup);
    return iommu_init(&setup);
}

void machine_up(void)
{
    int error = machine_init();

    if (error != 0)
        captured_dump();
    assert_int_equal(error, 0);
    error = iommu_enable();
    if (error != 0)
        captured_dump();
    assert_int_equal(error, 0);
    assert_int_equal(iommu_context_create(&machine.context, 64), 0);
    assert_int_equal(iommu_attach(machine.context, 0, EDU_ID), 0);
    iommu_flush_begin(&machine.flush, machine.context);
}

void a_second_goes_by(void)
{
    for (uint32_t i = 0; i < 10; i++)
        iommu_fault_tick();
}

int machine_stop(void **state)
{
    (void)state;
    qtest_stop();
    return 0;
}

void map_now(uint64_t bfn, uint64_t mfn, uint32_t flags)
{
    assert_int_equal(iommu_map(machine.context, bfn, mfn, 0, flags, &machine.flush), 0);
    host_record.waits_before_flush = vendor_waits();
    assert_int_equal(iommu_flush(&machine.flush), 0);
}

void unmap_now(uint64_t bfn)
{
    assert_int_equal(iommu_unmap(machine.context, bfn, 0, &machine.flush), 0);
    host_record.waits_before_flush = vendor_waits();
    assert_int_equal(iommu_flush(&machine.flush), 0);
}

uint64_t data_frame(void)
{
    return host_frames_alloc(1);
}

uint8_t *frame_bytes(uint64_t mfn)
{
    return host_frame_address(mfn);
}

/* ---- edu ---- */

static void edu_dma(uint64_t bar, uint64_t source, uint64_t destination, uint32_t bytes, uint32_t command)
{
    qtest_write64(bar + EDU_SOURCE, source);
    qtest_write64(bar + EDU_DESTINATION, destination);
    qtest_write64(bar + EDU_COUNT, bytes);
    qtest_write64(bar + EDU_COMMAND, command);
    /* 100 ms of virtual time; a halted CPU lets it pass at once. */
    for (uint32_t i = 0; i < 1000000; i++)
        if ((qtest_read64(bar + EDU_COMMAND) & EDU_START) == 0)
            return;
    fail_msg("edu's DMA does not end");
}

void edu_fetch(uint64_t bus_address, uint32_t bytes)
{
    edu_dma(EDU_BAR, bus_address, EDU_BUFFER, bytes, EDU_START);
}

void edu_store(uint64_t bus_address, uint32_t bytes)
{
    edu_dma(EDU_BAR, EDU_BUFFER, bus_address, bytes, EDU_START | EDU_TO_MEMORY);
}

void bridged_edu_store(uint64_t bus_address, uint32_t bytes)
{
    edu_dma(BRIDGED_EDU_BAR, EDU_BUFFER, bus_address, bytes, EDU_START | EDU_TO_MEMORY);
}

bool edu_reaches(uint64_t bus_address, uint64_t mfn)
{
    uint8_t *bytes = (uint8_t *)host_frame_address(mfn) + (bus_address & 0xfff);
    bool reached;

    /* edu's buffer is all zero in these tests, unless one has fetched something. */
    memset(bytes, 0x5a, 8);
    edu_store(bus_address, 8);
    reached = bytes[0] != 0x5a;
    memset(bytes, 0, 8);
    return reached;
}

void edu_send(struct iommu_message message)
{
    uint16_t at = (uint16_t)qtest_pci_read(EDU_ID, PCI_CAPABILITIES, 1);

    while (at != 0 && qtest_pci_read(EDU_ID, at, 1) != CAPABILITY_MSI)
        at = (uint16_t)qtest_pci_read(EDU_ID, at + 1, 1);
    assert_int_not_equal(at, 0);
    qtest_pci_write(EDU_ID, at + 4, 4, (uint32_t)message.address);
    qtest_pci_write(EDU_ID, at + 8, 4, (uint32_t)(message.address >> 32)); /* it has a 64-bit address */
    qtest_pci_write(EDU_ID, at + 12, 2, message.data);
    qtest_pci_write(EDU_ID, at + 2, 2, qtest_pci_read(EDU_ID, at + 2, 2) | 1);
    qtest_write32(EDU_BAR + EDU_RAISE, 1);
}

bool is_bus_master(uint16_t id)
{
    return (qtest_pci_read(id, 4, 2) & 4) != 0;
}

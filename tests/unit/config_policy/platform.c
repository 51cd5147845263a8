/* SPDX-License-Identifier: MIT */
#include "platform.h"

#include "acpi/acpi.h"
#include "cpu/features.h"
#include "cpu/lapic.h"
#include "drivers/iommu/iommu.h"
#include "irq/message.h"
#include "lib/options.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "mem/map.h"
#include "mem/memory_map.h"
#include "pci/pci.h"
#include "pv/guest.h"
#include "tests/host/log_capture.h"

#include <string.h>

bool platform_unit_dead;
uint32_t platform_harmless = UINT32_MAX;
bool platform_harmless_msix;
struct cpu_features cpu_features = {.physical_bits = 40};
uint64_t test_direct_base;

struct memory_range memory_ranges[MEMORY_RANGES_MAX] = {
    {0x00000000, 0x000a0000, MEMORY_USABLE},   {0x00100000, 0x7ee00000, MEMORY_USABLE},
    {0x7ef00000, 0x00100000, MEMORY_ACPI},     {0xb0000000, 0x10000000, MEMORY_RESERVED},
    {0x80300000, 0x00001000, MEMORY_RESERVED}, {0x100000000, 0x10000000, MEMORY_USABLE},
};
uint32_t memory_range_count = 6;

bool memory_kind_is_ram(enum memory_kind kind)
{
    return kind != MEMORY_RESERVED && kind != MEMORY_MMIO;
}

/* RAM has records, and so have the ACPI tables in it. */
#define RAM_FRAMES 0x7f000u
#define ACPI_FIRST 0x7ef00u

static struct frame records[RAM_FRAMES];
struct frame *frame_table = records;
uint64_t frame_table_count = RAM_FRAMES;

bool option_bool(const char *name, bool fallback)
{
    (void)name;
    return fallback;
}

uint64_t option_number(const char *name, uint64_t low, uint64_t high, uint64_t fallback)
{
    (void)low;
    (void)high;
    return strcmp(name, "exit-port") == 0 ? 0xf4 : fallback;
}

volatile void *mmio_map(uint64_t physical, uint64_t size)
{
    (void)physical;
    (void)size;
    return NULL;
}

uint64_t lapic_base(void)
{
    return 0xfee00000;
}

uint64_t acpi_hpet_base(void)
{
    return 0xfed00000;
}

uint32_t acpi_ioapics(struct acpi_ioapic *list, uint32_t capacity)
{
    list[0] = (struct acpi_ioapic){.id = 0, .base = 0xfec00000};
    return capacity ? 1 : 0;
}

uint32_t acpi_mcfg(struct acpi_mcfg *list, uint32_t capacity)
{
    list[0] = (struct acpi_mcfg){.base = MCFG_BASE, .last_bus = 0xff};
    return capacity ? 1 : 0;
}

struct acpi_power acpi_power(void)
{
    return (struct acpi_power){.valid = true, .pm1a_control = 0x604, .pm_timer = 0x608};
}

uint32_t iommu_unit_count(void)
{
    return 1;
}

bool iommu_unit_dead(uint32_t unit)
{
    (void)unit;
    return platform_unit_dead;
}

struct iommu_range iommu_registers_at(uint32_t index)
{
    return index == 0 ? (struct iommu_range){IOMMU_REGISTERS >> 12, 1} : (struct iommu_range){0};
}

uint32_t platform_isolated;

bool iommu_is_isolated(uint16_t requester_id)
{
    return requester_id == platform_isolated;
}

void platform_reset(void)
{
    struct model_function *function;

    platform_isolated = UINT32_MAX;

    model_reset();
    captured_clear();
    platform_unit_dead = false;
    for (uint32_t i = 0; i < RAM_FRAMES; i++)
        records[i].owner = i < ACPI_FIRST ? FRAME_GUEST : FRAME_FIRMWARE;
    model_add(HOST, 0x8086, 0x29c0, 0x060000, 0);
    model_add(ISA, 0x8086, 0x2918, 0x060100, 0);

    function = model_add(NVME, 0x1b36, 0x0010, 0x010802, 0);
    model_bar(function, 0, MODEL_MEM64, 0x80000000, 0x4000);
    model_capability(function, NVME_MSIX, 0x11, 0);
    model_set(function, NVME_MSIX + 2, 64, 2);
    model_set(function, NVME_MSIX + 4, 0x2000, 4);
    model_set(function, NVME_MSIX + 8, 0x3000, 4);

    function = model_add(EDU, 0x1234, 0x11e8, 0x00ff00, 0);
    model_bar(function, 0, MODEL_MEM32, 0x80100000, 0x100000);

    function = model_add(NETWORK, 0x8086, 0x100e, 0x020000, 0);
    model_bar(function, 0, MODEL_MEM32, 0x80200000, 0x1000);
    model_bar(function, 1, MODEL_IO, 0xc000, 64);
    model_set(function, 0x30, 0xfff00001, 4);
    for (uint32_t i = 0; i < 4; i++)
        function->writable[0x30 + i] = (uint8_t)(0xffff0001u >> (8 * i));
    model_capability(function, NET_MSI, 0x05, NET_PCIE);
    model_set(function, NET_MSI + 2, 0x80, 2); /* 64-bit address */
    model_capability(function, NET_PCIE, 0x10, 0);
    model_set(function, NET_PCIE + 2, 2, 2);
    function->clears[NET_PCIE + 10] = 0x0f;
    function->writable[NET_PCIE + 10] = 0;

    function = model_add(PORT, 0x1b36, 0x000c, 0x060400, 1);
    model_bridge(function, 1, 1);
    model_bridge_window(function, 0x80400000, 0x805fffff);
    model_capability(function, 0x60, 0x10, 0);
    model_set(function, 0x62, 0x42, 2);

    function = model_add(DISK, 0x8086, 0x7777, 0x010601, 0);
    model_bar(function, 0, MODEL_MEM32, 0x80400000, 0x1000);
}

void platform_start(void)
{
    pci_walk();
    pci_size_bars();
    device_policy_init();
    for (uint32_t i = 0; i < model_count; i++)
        model_functions[i].writes = 0;
}

bool irq_message_is_harmless(const struct pci_function *function, bool msix)
{
    return platform_harmless == function->id && platform_harmless_msix == msix;
}

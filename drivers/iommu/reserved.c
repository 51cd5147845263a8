/* SPDX-License-Identifier: MIT */
/*
 * Reserved ranges, for every vendor: what firmware says that a device must always reach. They are honoured
 * where they cannot do harm. Until a guest has them, devices reach those they are named for and nothing else;
 * the guest's address space has all of them, for all its devices.
 */
#include "drivers/iommu/driver.h"
#include "drivers/iommu/host.h"
#include "guest-abi/include/sluice/errno.h"
#include "lib/log.h"
#include "lib/string.h"

#define DEVICES_MAX        512u
#define RESERVED_BYTES_MAX (4ull << 30) /* in all: 4 KiB entries, more would take too long at boot */

/* A device and the set of the reserved ranges it is named for. */
static struct reserved_device {
    uint64_t ranges;
    uint16_t segment, id;
    bool refused; /* it is named for a range that cannot be */
} devices[DEVICES_MAX];
static uint32_t device_count;
static bool devices_are_full;

/* Those of segment 0 that are named for a range that cannot be, however many they are. */
static uint64_t refused[(UINT16_MAX + 1) / 64];

/* Registers that nobody's DMA may command: of every unit that firmware names, usable or not. */
static struct iommu_range registers[IOMMU_REGISTERS_MAX];
static uint32_t register_count;

static uint64_t bytes_left; /* of RESERVED_BYTES_MAX */

void iommu_reserve_begin(void)
{
    device_count = 0;
    devices_are_full = false;
    memset(refused, 0, sizeof refused);
    register_count = 0;
    bytes_left = RESERVED_BYTES_MAX;
}

void iommu_reserve_registers(uint64_t bfn, uint64_t frames)
{
    if (bfn != 0 && register_count < IOMMU_REGISTERS_MAX)
        registers[register_count++] = (struct iommu_range){bfn, frames};
}

struct iommu_range iommu_registers_at(uint32_t index)
{
    return index < register_count ? registers[index] : (struct iommu_range){0};
}

/* Writes to the interrupt window never reach memory. */
static bool holds_registers(uint64_t first, uint64_t last)
{
    if (first < IOMMU_MSI_BFN + IOMMU_MSI_FRAMES && last >= IOMMU_MSI_BFN)
        return true;
    for (uint32_t i = 0; i < register_count; i++)
        if (first < registers[i].bfn + registers[i].frames && last >= registers[i].bfn)
            return true;
    return false;
}

/* Why a range cannot be honoured, or NULL. */
static const char *refusal(uint64_t base, uint64_t limit, uint8_t address_bits)
{
    uint64_t first = base >> 12, frames = (limit >> 12) - first + 1;

    if (address_bits < 64 && limit >> address_bits != 0)
        return "it lies beyond the bus width, or the machine's";
    if (frames > bytes_left >> 12)
        return "with those before it, it is larger than 4 GiB";
    if (host_range_is_hypervisor(first, frames))
        return "it holds memory or registers of the hypervisor";
    if (holds_registers(first, limit >> 12))
        return "it holds registers of an IOMMU, or takes interrupts";
    return NULL;
}

static void withhold(uint64_t first, uint64_t frames)
{
    uint64_t in_use = host_range_withhold(first, frames); /* before the tables that map it are allocated */

    bytes_left -= frames << 12;
    if (in_use != 0)
        log_line("iommu: ... %llu KiB of it were free memory: nobody else gets them",
                 (unsigned long long)in_use << 2);
}

int iommu_reserve(uint64_t base, uint64_t limit, uint32_t flags, uint8_t address_bits)
{
    const char *reason = refusal(base, limit, address_bits);
    uint64_t first = base >> 12, frames = (limit >> 12) - first + 1;
    int number = -EPERM;

    if (reason == NULL) {
        number = iommu_reserved_add(first, frames, IOMMU_KIND_IDENTITY, flags);
        if (number < 0)
            reason = "there are more than Sluice keeps";
    }
    log_line("iommu: reserved range 0x%llx to 0x%llx%s%s", (unsigned long long)base,
             (unsigned long long)limit, reason != NULL ? " is refused: " : "", reason != NULL ? reason : "");
    if (reason != NULL)
        return -EPERM;
    withhold(first, frames);
    return number;
}

static void reserve_for_requester(uint16_t segment, uint16_t id, int range)
{
    uint32_t i = 0;

    while (i < device_count && (devices[i].segment != segment || devices[i].id != id))
        i++;
    if (range < 0 && segment == 0)
        refused[id / 64] |= 1ull << id % 64;
    if (i == DEVICES_MAX) {
        if (!devices_are_full)
            log_line("iommu: reserved ranges are for more than %u devices: the others wait for the guest's",
                     DEVICES_MAX);
        devices_are_full = true;
        return;
    }
    if (i == device_count)
        devices[device_count++] = (struct reserved_device){.segment = segment, .id = id};
    if (range < 0)
        devices[i].refused = true;
    else
        devices[i].ranges |= 1ull << range;
}

void iommu_reserve_for(uint16_t segment, uint16_t id, int range)
{
    uint16_t requester = host_pci_requester(segment, id);

    reserve_for_requester(segment, id, range);
    if (requester != id) /* a bridge takes over some transactions, the others carry the function's own id */
        reserve_for_requester(segment, requester, range);
}

void iommu_reserve_for_all(uint16_t segment, uint16_t first, uint16_t last, int range)
{
    uint16_t id;

    for (uint32_t from = first; host_pci_next(segment, from, &id) && id <= last; from = id + 1u)
        iommu_reserve_for(segment, id, range);
}

bool iommu_reserve_is_refused(uint16_t segment, uint16_t id)
{
    if (segment == 0)
        return (refused[id / 64] >> id % 64 & 1) != 0;
    for (uint32_t i = 0; i < device_count; i++)
        if (devices[i].segment == segment && devices[i].id == id)
            return devices[i].refused;
    return false;
}

bool iommu_has_reserved(uint16_t segment, uint16_t id)
{
    for (uint32_t i = 0; i < device_count; i++)
        if (devices[i].segment == segment && devices[i].id == id)
            return devices[i].ranges != 0;
    return devices_are_full;
}

static int attach(const struct reserved_device *device)
{
    struct iommu_context *context;
    int error = device->refused ? -EPERM : iommu_boot_context(device->ranges, &context);

    return error != 0 ? error : iommu_attach(context, device->segment, device->id);
}

static void tell_ranges(const struct reserved_device *device)
{
    for (uint32_t number = 0; number < iommu_reserved_count(); number++) {
        struct iommu_reserved range = iommu_reserved_at(number);

        if ((device->ranges >> number & 1) != 0)
            log_line("iommu: device %02x:%02x.%x reaches reserved range 0x%llx to 0x%llx", device->id >> 8,
                     device->id >> 3 & 31, device->id & 7, (unsigned long long)range.bfn << 12,
                     (unsigned long long)((range.bfn + range.frames) << 12) - 1);
    }
}

void iommu_reserve_attach(void)
{
    for (uint32_t i = 0; i < device_count; i++) {
        int error = attach(&devices[i]);

        if (error == 0)
            tell_ranges(&devices[i]);
        else
            log_line("iommu: device %02x:%02x.%x cannot be given its reserved ranges (%d): it stays blocked",
                     devices[i].id >> 8, devices[i].id >> 3 & 31, devices[i].id & 7, error);
    }
}

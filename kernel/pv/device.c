/* SPDX-License-Identifier: MIT */
/*
 * What machine frames outside RAM the guest may touch. An allow-list: the windows of its own devices, as
 * firmware placed them, and firmware's tables. Where several things share a frame the strictest rule holds.
 */
#include "pv/device.h"

#include "acpi/acpi.h"
#include "cpu/features.h"
#include "cpu/lapic.h"
#include "drivers/iommu/iommu.h"
#include "lib/log.h"
#include "lib/options.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "mem/memory_map.h"
#include "pv/guest.h"
#include "screen/screen.h"

#define PAGE(address) ((address) >> FRAME_SHIFT)

#define MSI_WINDOW      0xfee00000ull
#define MSI_WINDOW_SIZE 0x100000ull

/* ---- the windows ---- */

static struct device_bar bars[DEVICE_BARS_MAX];
static uint32_t bar_count;

uint32_t device_bar_count(void)
{
    return bar_count;
}

struct device_bar *device_bar_at(uint32_t index)
{
    return index < bar_count ? &bars[index] : NULL;
}

struct device_bar *device_bar_find(const struct pci_function *function, uint32_t index)
{
    for (uint32_t i = 0; i < bar_count; i++) {
        struct device_bar *bar = &bars[i];

        if (bar->function == function &&
            (bar->index == index || (bar->kind == PCI_BAR_MEM64 && bar->index + 1u == index)))
            return bar;
    }
    return NULL;
}

bool device_decode_is_frozen(const struct pci_function *function, bool io)
{
    for (uint32_t i = 0; i < bar_count; i++) {
        if (bars[i].function == function && bars[i].refused && (bars[i].kind == PCI_BAR_IO) == io)
            return true;
    }
    return false;
}

static void refuse(struct device_bar *bar, const char *why)
{
    if (bar->refused)
        return;
    bar->refused = true;
    log_line("pci: " PCI_FMT ": window %u at 0x%llx (0x%llx bytes) is not given to the guest: %s",
             PCI_ARG(bar->function->id), bar->index, (unsigned long long)bar->base,
             (unsigned long long)bar->size, why);
}

static bool is_guests(const struct pci_function *function)
{
    return !function->hidden && (function->kind == PCI_KIND_ENDPOINT || function->kind == PCI_KIND_BRIDGE);
}

static void collect_bars(void)
{
    bar_count = 0;
    for (uint32_t i = 0; i < pci_count(); i++) {
        const struct pci_function *function = pci_at(i);

        for (uint8_t index = 0; index < PCI_BARS; index++) {
            const struct pci_bar *bar = &function->bars[index];

            if (bar->kind == PCI_BAR_NONE || (bar->size == 0 && bar->base == 0))
                continue;
            if (bar_count == DEVICE_BARS_MAX) {
                log_line("pci: more than %u windows; those from " PCI_FMT " on are not given to the guest",
                         DEVICE_BARS_MAX, PCI_ARG(function->id));
                return;
            }
            bars[bar_count++] = (struct device_bar){
                .function = function,
                .boot = bar->base,
                .base = bar->base,
                .written = bar->base,
                .size =
                    bar->size ? bar->size : 1, /* of a function that is not sized: it still is in the way */
                .index = index,
                .kind = (uint8_t)bar->kind,
                .prefetchable = bar->prefetchable,
                .refused = !is_guests(function),
            };
        }
    }
}

/* ---- what is never the guest's ---- */

#define MCFG_WINDOWS 4u

struct span {
    uint64_t first, last; /* frames, inclusive */
};

/* Local APIC, MSI window, HPET, IO-APICs, and the units' registers as their number needs. */
#define KEPT_MAX (3u + ACPI_IOAPICS_MAX + IOMMU_REGISTERS_MAX)

static struct span kept[KEPT_MAX];
static uint32_t kept_count;
static struct acpi_mcfg mcfg[MCFG_WINDOWS];
static uint32_t mcfg_count;

static void keep(uint64_t base, uint64_t size)
{
    if (base && kept_count < KEPT_MAX)
        kept[kept_count++] = (struct span){PAGE(base), PAGE(base + size - 1)};
}

static void collect_kept(void)
{
    struct acpi_ioapic ioapics[ACPI_IOAPICS_MAX];
    uint32_t count = acpi_ioapics(ioapics, ACPI_IOAPICS_MAX);

    kept_count = 0;
    keep(MSI_WINDOW, MSI_WINDOW_SIZE);
    keep(lapic_base(), FRAME_SIZE);
    keep(acpi_hpet_base(), FRAME_SIZE);
    for (uint32_t i = 0; i < count; i++)
        keep(ioapics[i].base, FRAME_SIZE);
    for (uint32_t i = 0; iommu_registers_at(i).frames != 0; i++) {
        struct iommu_range registers = iommu_registers_at(i);

        keep(registers.bfn << FRAME_SHIFT, registers.frames << FRAME_SHIFT);
    }
    mcfg_count = acpi_mcfg(mcfg, MCFG_WINDOWS);
}

static bool touches(uint64_t first, uint64_t last, uint64_t base, uint64_t size)
{
    return size && first <= PAGE(base + size - 1) && PAGE(base) <= last;
}

static uint64_t mcfg_first(const struct acpi_mcfg *window)
{
    return window->base + ((uint64_t)window->first_bus << 20);
}

static uint64_t mcfg_size(const struct acpi_mcfg *window)
{
    return (uint64_t)(window->last_bus - window->first_bus + 1) << 20;
}

static bool touches_kept(uint64_t first, uint64_t last)
{
    for (uint32_t i = 0; i < kept_count; i++) {
        if (first <= kept[i].last && kept[i].first <= last)
            return true;
    }
    for (uint32_t i = 0; i < mcfg_count; i++) {
        if (touches(first, last, mcfg_first(&mcfg[i]), mcfg_size(&mcfg[i])))
            return true;
    }
    return false;
}

static bool touches_memory(uint64_t first, uint64_t last, bool ram_only)
{
    for (uint32_t i = 0; i < memory_range_count; i++) {
        const struct memory_range *range = &memory_ranges[i];

        if ((!ram_only || memory_kind_is_ram(range->kind)) && touches(first, last, range->base, range->size))
            return true;
    }
    return false;
}

bool device_frame_is_kept(uint64_t mfn)
{
    return touches_kept(mfn, mfn);
}

bool device_range_is_forbidden(uint64_t base, uint64_t size)
{
    uint64_t first = PAGE(base), last = PAGE(base + size - 1);

    return first > last || touches_kept(first, last) || touches_memory(first, last, false);
}

/* ---- ports that are never a device window ---- */

#define PORT_LEGACY_END 0x100u /* PIC, PIT, RTC, keyboard, SMI command and the like */

static bool touches_ports(const struct device_bar *bar, uint64_t port, uint64_t count)
{
    return bar->base < port + count && port < bar->base + bar->size;
}

static bool is_reserved_port(const struct device_bar *bar)
{
    static const struct {
        uint16_t port, count;
    } reserved[] = {{0, PORT_LEGACY_END}, {0x2f8, 8}, {0x3f8, 8}, {0x4d0, 2}, {0xcf8, 8}};
    struct acpi_power power = acpi_power();
    uint64_t exit_port = option_number("exit-port", 1, UINT16_MAX, 0);

    for (uint32_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (touches_ports(bar, reserved[i].port, reserved[i].count))
            return true;
    }
    return (exit_port && touches_ports(bar, exit_port, 4)) ||
           (power.pm1a_control && touches_ports(bar, power.pm1a_control, 2)) ||
           (power.pm1b_control && touches_ports(bar, power.pm1b_control, 2)) ||
           (power.pm_timer && touches_ports(bar, power.pm_timer, 4));
}

/* ---- refusals ---- */

static void check_place(struct device_bar *bar)
{
    uint64_t first = PAGE(bar->base), last = PAGE(bar->base + bar->size - 1);

    if (bar->base == 0)
        return;
    if (bar->kind == PCI_BAR_IO) {
        if (is_reserved_port(bar))
            refuse(bar, "it covers ports of the chipset or of the hypervisor");
        return;
    }
    if (first > last || last >> (cpu_features.physical_bits - FRAME_SHIFT) != 0)
        refuse(bar, "it is beyond the machine's address width");
    else if (touches_memory(first, last, true))
        refuse(bar, "it covers RAM");
    else if (touches_kept(first, last))
        refuse(bar, "it covers registers of the hypervisor's");
}

static bool is_placed(const struct device_bar *bar)
{
    return bar->base != 0;
}

/* Two windows over the same bytes: which of them answers is anyone's guess. */
static void check_overlaps(void)
{
    for (uint32_t i = 0; i < bar_count; i++) {
        for (uint32_t j = i + 1; j < bar_count; j++) {
            struct device_bar *left = &bars[i], *right = &bars[j];
            bool same_space = (left->kind == PCI_BAR_IO) == (right->kind == PCI_BAR_IO);

            if (!same_space || !is_placed(left) || !is_placed(right) ||
                left->base >= right->base + right->size || right->base >= left->base + left->size)
                continue;
            refuse(left, "another device's window covers a part of it");
            refuse(right, "another device's window covers a part of it");
        }
    }
}

/* ---- frames: items that may overlap, then ranges that do not ---- */

struct range {
    uint64_t first, last;
    enum device_frame kind;
};

#define ITEMS_MAX  (2u * DEVICE_BARS_MAX)
#define RANGES_MAX (2u * ITEMS_MAX)

static struct range items[ITEMS_MAX];
static uint32_t item_count;
static struct range ranges[RANGES_MAX];
static uint32_t range_count;

static bool add_item(uint64_t base, uint64_t size, enum device_frame kind)
{
    if (item_count == ITEMS_MAX)
        return false;
    items[item_count++] = (struct range){PAGE(base), PAGE(base + size - 1), kind};
    return true;
}

/* Pages of an MSI-X table or its pending bits: whoever writes there chooses where interrupts go. */
static bool add_msix(struct device_bar *bar, uint32_t index, uint64_t offset, uint64_t size)
{
    if (bar->index != index || bar->function->cap_msix == 0)
        return true;
    bar->fixed = true;
    if (size > bar->size || offset > bar->size - size) {
        log_line("pci: " PCI_FMT ": its MSI-X structures do not fit its window %u, which is read-only now",
                 PCI_ARG(bar->function->id), index);
        offset = 0;
        size = bar->size;
    }
    return !is_placed(bar) || add_item(bar->base + offset, size, DEVICE_FRAME_READ_ONLY);
}

static void add_bar(struct device_bar *bar)
{
    const struct pci_function *function = bar->function;
    uint64_t entries = function->msix_table_entries;
    bool complete;

    if (bar->kind == PCI_BAR_IO)
        return;
    complete = add_msix(bar, function->msix_bar, function->msix_table_offset, entries * 16) &&
               add_msix(bar, function->msix_pba_bar, function->msix_pba_offset, (entries + 63) / 64 * 8);
    if (!is_placed(bar))
        return;
    if (!complete)
        refuse(bar, "there are too many windows");
    if (!add_item(bar->base, bar->size, bar->refused ? DEVICE_FRAME_DENIED : DEVICE_FRAME_MMIO))
        refuse(bar, "there are too many windows");
}

/* The strictest of the items over [first, last], none of which begins or ends inside it. */
static bool strictest(uint64_t first, uint64_t last, enum device_frame *kind)
{
    bool covered = false;

    for (uint32_t i = 0; i < item_count; i++) {
        if (items[i].first > first || items[i].last < last)
            continue;
        if (!covered || items[i].kind < *kind)
            *kind = items[i].kind;
        covered = true;
    }
    return covered;
}

/* The first frame above `from` where an item begins, or that follows an item's end. */
static uint64_t next_cut(uint64_t from)
{
    uint64_t cut = UINT64_MAX;

    for (uint32_t i = 0; i < item_count; i++) {
        if (items[i].first > from && items[i].first < cut)
            cut = items[i].first;
        if (items[i].last + 1 > from && items[i].last + 1 < cut)
            cut = items[i].last + 1;
    }
    return cut;
}

static void flatten(void)
{
    uint64_t from = 0;

    range_count = 0;
    for (uint64_t to = next_cut(from); to != UINT64_MAX && range_count < RANGES_MAX; to = next_cut(from)) {
        enum device_frame kind;

        if (strictest(from, to - 1, &kind) && kind != DEVICE_FRAME_DENIED)
            ranges[range_count++] = (struct range){from, to - 1, kind};
        from = to;
    }
}

/* ---- ports ---- */

static struct {
    uint32_t first, end;
} ports[DEVICE_PORTS_MAX];
static uint32_t port_count;

static void collect_ports(void)
{
    port_count = 0;
    for (uint32_t i = 0; i < bar_count; i++) {
        if (bars[i].kind != PCI_BAR_IO || bars[i].refused || !is_placed(&bars[i]))
            continue;
        if (port_count == DEVICE_PORTS_MAX) {
            refuse(&bars[i], "there are too many I/O windows");
            continue;
        }
        ports[port_count].first = (uint32_t)bars[i].base;
        ports[port_count++].end = (uint32_t)(bars[i].base + bars[i].size);
    }
}

bool device_port_is_own(uint32_t port, uint32_t bytes)
{
    for (uint32_t i = 0; i < port_count; i++) {
        if (port >= ports[i].first && port + bytes <= ports[i].end)
            return true;
    }
    return false;
}

/* ---- windows that the guest has moved ---- */

static struct device_bar *moved[DEVICE_MOVED_MAX];
static uint32_t moved_count;

static bool is_in_moved(uint64_t mfn)
{
    for (uint32_t i = 0; i < moved_count; i++) {
        if (mfn >= PAGE(moved[i]->base) && mfn <= PAGE(moved[i]->base + moved[i]->size - 1))
            return true;
    }
    return false;
}

static void forget_moved(const struct device_bar *bar)
{
    for (uint32_t i = 0; i < moved_count; i++) {
        if (moved[i] == bar) {
            moved[i] = moved[--moved_count];
            return;
        }
    }
}

bool device_bar_set_base(struct device_bar *bar, uint64_t base)
{
    bool was_moved = bar->base != bar->boot;

    if (base != bar->boot && !was_moved && moved_count == DEVICE_MOVED_MAX)
        return false;
    screen_guest_moves(bar->base, bar->size);
    forget_moved(bar);
    bar->base = base;
    if (base != bar->boot)
        moved[moved_count++] = bar;
    return true;
}

/* ---- the interface ---- */

/*
 * A function whose MSI-X table is in no window of the guest's has no such table: the hypervisor would write
 * to wherever its register points.
 */
static void forget_tables_elsewhere(void)
{
    for (uint32_t i = 0; i < pci_count(); i++) {
        struct pci_function *function = pci_at(i);
        const struct device_bar *bar = device_bar_find(function, function->msix_bar);

        if (!bar || bar->index != function->msix_bar || bar->refused || !bar->fixed)
            function->msix_bar = PCI_BARS;
    }
}

void device_policy_init(void)
{
    uint32_t given = 0;

    collect_kept();
    collect_bars();
    for (uint32_t i = 0; i < bar_count; i++)
        check_place(&bars[i]);
    check_overlaps();
    item_count = moved_count = 0;
    for (uint32_t i = 0; i < bar_count; i++)
        add_bar(&bars[i]);
    flatten();
    forget_tables_elsewhere();
    collect_ports();
    for (uint32_t i = 0; i < bar_count; i++)
        given += !bars[i].refused && is_placed(&bars[i]);
    log_line("pci: %u of %u device windows are the guest's", given, bar_count);
}

/* A frame of the configuration window is one function's 4 KiB. */
bool device_config_function(uint64_t mfn, uint16_t *id)
{
    for (uint32_t i = 0; i < mcfg_count; i++) {
        if (!touches(mfn, mfn, mcfg_first(&mcfg[i]), mcfg_size(&mcfg[i])) || mcfg[i].segment != 0)
            continue;
        *id = (uint16_t)(mfn - PAGE(mcfg[i].base));
        return true;
    }
    return false;
}

/* Readable unless the function is hidden. */
static enum device_frame config_frame_kind(uint64_t mfn)
{
    uint16_t id;

    if (!device_config_function(mfn, &id))
        return DEVICE_FRAME_DENIED;
    const struct pci_function *function = pci_find(id);
    return function && function->hidden ? DEVICE_FRAME_DENIED : DEVICE_FRAME_READ_ONLY;
}

/* VGA memory and ROMs: kernels of PCs map all of it in the tables that they begin with. */
static bool is_isa_hole(uint64_t mfn)
{
    return mfn >= PAGE(0xa0000) && mfn < PAGE(0x100000) && !touches_kept(mfn, mfn);
}

/* A PC's ACPI code looks whether the timer is there. Only where nothing else is, whatever firmware says. */
static bool is_hpet(uint64_t mfn)
{
    uint32_t others = 0;

    if (!acpi_hpet_base() || mfn != PAGE(acpi_hpet_base()))
        return false;
    for (uint32_t i = 0; i < kept_count; i++)
        others += kept[i].first <= mfn && mfn <= kept[i].last;
    for (uint32_t i = 0; i < bar_count; i++)
        others += bars[i].kind != PCI_BAR_IO && touches(mfn, mfn, bars[i].base, bars[i].size);
    return others == 1; /* itself */
}

enum device_frame device_frame_kind(uint64_t mfn)
{
    uint32_t low = 0, high = range_count;
    const struct frame *frame = frame_of(mfn);

    if (frame && frame->owner != FRAME_NOT_RAM)
        return frame->owner == FRAME_FIRMWARE ? DEVICE_FRAME_FIRMWARE : DEVICE_FRAME_DENIED;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (ranges[middle].last < mfn)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < range_count && ranges[low].first <= mfn)
        return ranges[low].kind;
    if (is_in_moved(mfn))
        return DEVICE_FRAME_MMIO;
    if (is_isa_hole(mfn))
        return DEVICE_FRAME_FIRMWARE;
    return is_hpet(mfn) ? DEVICE_FRAME_READ_ONLY : config_frame_kind(mfn);
}

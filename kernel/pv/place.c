/* SPDX-License-Identifier: MIT */
/*
 * Where a memory window may be moved: into a gap between what firmware placed below the same host bridge,
 * and nowhere else. What firmware used is known to be routed there; anything beyond is a guess.
 */
#include "pv/device.h"

#include "mem/frame.h"

struct window {
    uint64_t base, end; /* bytes, end exclusive; empty when equal */
};

#define FOUR_GIB (1ull << 32)
#define GRANULE  (1ull << 20)

/* ---- bridge windows: PCI-PCI bridge 1.2, 3.2.5.8 and 3.2.5.9 ---- */

static struct window memory_window(const struct pci_function *bridge)
{
    uint32_t low = pci_read(bridge->id, PCI_MEMORY_WINDOW, 4);
    uint64_t base = (uint64_t)(low & 0xfff0) << 16, limit = low | 0xfffff;

    return limit > base ? (struct window){base, limit + 1} : (struct window){0, 0};
}

static struct window prefetch_window(const struct pci_function *bridge)
{
    uint32_t low = pci_read(bridge->id, PCI_PREFETCH_WINDOW, 4);
    uint64_t base = (uint64_t)(low & 0xfff0) << 16, limit = (low & 0xfff00000) | 0xfffff;

    if ((low & 0xf) == 1) {
        base |= (uint64_t)pci_read(bridge->id, PCI_PREFETCH_BASE_H, 4) << 32;
        limit |= (uint64_t)pci_read(bridge->id, PCI_PREFETCH_LIM_H, 4) << 32;
    }
    return limit > base && limit != UINT64_MAX ? (struct window){base, limit + 1} : (struct window){0, 0};
}

static bool is_inside(const struct window *inner, struct window outer)
{
    return inner->base >= outer.base && inner->end <= outer.end;
}

static bool overlaps(const struct window *left, struct window right)
{
    return left->base < right.end && right.base < left->end;
}

/* ---- bridges ---- */

static bool is_above(const struct pci_function *bridge, const struct pci_function *function)
{
    for (const struct pci_function *at = function->parent; at; at = at->parent) {
        if (at == bridge)
            return true;
    }
    return false;
}

/* Bridges above pass the place on; no other bridge claims it. */
static bool bridges_agree(const struct pci_function *function, const struct window *place)
{
    for (uint32_t i = 0; i < pci_count(); i++) {
        const struct pci_function *bridge = pci_at(i);
        struct window memory, prefetch;

        if (bridge->kind != PCI_KIND_BRIDGE)
            continue;
        memory = memory_window(bridge);
        prefetch = prefetch_window(bridge);
        if (is_above(bridge, function)) {
            if (!is_inside(place, memory) && !is_inside(place, prefetch))
                return false;
        } else if (overlaps(place, memory) || overlaps(place, prefetch)) {
            return false;
        }
    }
    return true;
}

/* ---- the root window ---- */

static uint8_t root_bus(const struct pci_function *function)
{
    while (function->parent)
        function = function->parent;
    return PCI_BUS(function->id);
}

static void widen(struct window *hull, uint64_t base, uint64_t end, bool high)
{
    if (base == 0 || base >= end || (base >= FOUR_GIB) != high)
        return;
    if (hull->base == hull->end) {
        *hull = (struct window){base, end};
        return;
    }
    hull->base = base < hull->base ? base : hull->base;
    hull->end = end > hull->end ? end : hull->end;
}

/* From the lowest to the highest address that firmware used below this host bridge, below or above 4 GiB, in
 * whole MiB. */
static struct window root_window(uint8_t bus, bool high)
{
    struct window hull = {0, 0};

    for (uint32_t i = 0; i < device_bar_count(); i++) {
        const struct device_bar *bar = device_bar_at(i);

        if (bar->kind != PCI_BAR_IO && !bar->refused && root_bus(bar->function) == bus)
            widen(&hull, bar->boot, bar->boot + bar->size, high);
    }
    for (uint32_t i = 0; i < pci_count(); i++) {
        const struct pci_function *bridge = pci_at(i);

        if (bridge->kind != PCI_KIND_BRIDGE || root_bus(bridge) != bus)
            continue;
        struct window memory = memory_window(bridge), prefetch = prefetch_window(bridge);

        widen(&hull, memory.base, memory.end, high);
        widen(&hull, prefetch.base, prefetch.end, high);
    }
    /* No chipset routes memory in finer pieces. */
    hull.base &= ~(GRANULE - 1);
    hull.end = (hull.end + GRANULE - 1) & ~(GRANULE - 1);
    return hull;
}

/* ---- other windows ---- */

static struct window whole_pages(uint64_t base, uint64_t size)
{
    uint64_t mask = FRAME_SIZE - 1;

    return (struct window){base & ~mask, (base + size + mask) & ~mask};
}

/*
 * The place is no other window's, neither now nor at boot. Boot places stay their owners' because frames
 * there may be mapped by the guest, or be read-only for ever.
 */
static bool others_agree(const struct device_bar *bar, const struct window *place)
{
    for (uint32_t i = 0; i < device_bar_count(); i++) {
        const struct device_bar *other = device_bar_at(i);

        if (other == bar || other->kind == PCI_BAR_IO)
            continue;
        if ((other->base && overlaps(place, whole_pages(other->base, other->size))) ||
            (other->boot && overlaps(place, whole_pages(other->boot, other->size))))
            return false;
    }
    return true;
}

bool device_place_is_free(const struct device_bar *bar, uint64_t base)
{
    struct window place = whole_pages(base, bar->size);

    if (bar->refused || bar->fixed || bar->kind == PCI_BAR_IO)
        return false;
    if (base == 0 || (base & (bar->size - 1)) != 0 || base + bar->size < base || place.end < place.base)
        return false;
    if (bar->kind == PCI_BAR_MEM32 && base + bar->size > FOUR_GIB)
        return false;
    return is_inside(&place, root_window(root_bus(bar->function), base >= FOUR_GIB)) &&
           bridges_agree(bar->function, &place) && !device_range_is_forbidden(base, bar->size) &&
           others_agree(bar, &place);
}

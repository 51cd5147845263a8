/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's own address space: L4 slots 256 to 271, the same in every guest L4.
 *
 *   0xffff800000000000  slot 256      machine-to-physical list, read-only for the guest
 *   0xffff818000000000  slot 259      MMIO windows (uncached), the framebuffer, passing views
 *   0xffff820000000000  slot 260      frame table
 *   0xffff828000000000  slot 261      the image at 0xffff82d080200000, each segment W^X; GDT pages
 *   0xffff830000000000  slots 262-271 directmap of RAM, writable, never executable, image left out
 */
#ifndef SLUICE_MEM_MAP_H
#define SLUICE_MEM_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAP_M2P_BASE         0xffff800000000000ull
#define MAP_MMIO_BASE        0xffff818000000000ull
#define MAP_WINDOW_BASE      0xffff81c000000000ull /* passing views, second half of the slot */
#define MAP_WINDOW_END       0xffff820000000000ull
#define MAP_FRAME_TABLE_BASE 0xffff820000000000ull
#define MAP_GDT_BASE         0xffff82d080000000ull /* 15 pages: 14 of the guest's, one of ours */
#define MAP_LDT_PAGE         16u                   /* counted from there: 16 pages of the guest's */
#define MAP_LDT_PAGES        16u
#define MAP_LDT_BASE         (MAP_GDT_BASE + MAP_LDT_PAGE * 4096)
#define MAP_IMAGE_BASE       0xffff82d080200000ull
#ifdef SLUICE_HOST_TEST
extern uint64_t test_direct_base; /* where a host test keeps its model of RAM */
#define MAP_DIRECT_BASE test_direct_base
#else
#define MAP_DIRECT_BASE 0xffff830000000000ull
#endif
#define MAP_FIRST_SLOT 256u
#define MAP_LAST_SLOT  271u

/* Directmap address of a RAM byte. The caller knows that it is RAM. */
static inline void *phys_to_virt(uint64_t physical)
{
    return (void *)(uintptr_t)(MAP_DIRECT_BASE + physical);
}
static inline uint64_t virt_to_phys(const void *direct)
{
    return (uint64_t)(uintptr_t)direct - MAP_DIRECT_BASE;
}

/* Uncached window on device registers, kept for ever; NULL when the address is RAM of ours or space is out.
 */
volatile void *mmio_map(uint64_t physical, uint64_t size);

/* Cached, read-only window on firmware tables, which need not be RAM in the map; undone by phys_unmap(). */
const void *phys_map_readonly(uint64_t physical, uint64_t size);
void phys_unmap(const void *address, uint64_t size);

/*
 * Shows a frame, read-only, as page 0 to 13 of the GDT or MAP_LDT_PAGE to 31 of the LDT; MAP_NO_FRAME shows
 * zeroes. What was there before is out of the TLB afterwards. The caller holds the frame.
 */
void map_descriptor_page(uint32_t page, uint64_t mfn);
#define MAP_NO_FRAME UINT64_MAX

/* Writes the hypervisor's 16 slots into a guest L4 (directmap pointer, 512 entries). */
void map_fill_guest_l4(uint64_t *l4);

/*
 * Allocates the M2P list, count entries from MFN 0, each ~0 ("nobody's"), and maps it read-only for the
 * guest; called once while building. False when there is no memory for it.
 */
bool map_m2p(uint64_t count);

/* Sets M2P[mfn] = pfn through the hypervisor's writable alias; mfn below the count given to map_m2p(). */
extern uint64_t *m2p_list;
static inline void m2p_set(uint64_t mfn, uint64_t pfn)
{
    m2p_list[mfn] = pfn;
}
static inline uint64_t m2p_get(uint64_t mfn)
{
    return m2p_list[mfn];
}

/* Machine address of the hypervisor's own L4. */
uint64_t map_own_cr3(void);

/*
 * First steps, by memory_init() in this order: tables for the image, the directmap and the GDT; then the
 * switch, after which the firmware's mappings are gone.
 */
struct boot_info;
bool map_build(const struct boot_info *info);
void map_switch(void);

/* True for an address inside the hypervisor's slots: a guest pointer must never be. */
static inline bool address_is_hypervisor(uint64_t address)
{
    return address >= 0xffff800000000000ull && address < 0xffff880000000000ull;
}
static inline bool address_is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

#endif

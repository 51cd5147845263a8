/* SPDX-License-Identifier: MIT */
/*
 * The guest's memory: PFN and MFN translation, spare frames, and virtual addresses to map any frame at.
 *
 * Three numbers for a 4 KiB frame: PFN counts the guest's own RAM, MFN the machine's, BFN what a device
 * puts on the bus. Virtual addresses of the image are linear in the PFN.
 */
#ifndef KIT_MEMORY_H
#define KIT_MEMORY_H

#include <sluice/xen.h>

#include <stdbool.h>
#include <stdint.h>

#define PAGE_SIZE  4096ul
#define PAGE_SHIFT 12

#define PTE_PRESENT  0x1ul
#define PTE_WRITE    0x2ul
#define PTE_USER     0x4ul
#define PTE_PWT      0x8ul
#define PTE_PCD      0x10ul
#define PTE_ACCESSED 0x20ul
#define PTE_DIRTY    0x40ul
#define PTE_FRAME    0x000ffffffffff000ul

#define MAP_RAM      (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY)
#define MAP_RAM_READ (PTE_PRESENT | PTE_USER | PTE_ACCESSED)
#define MAP_MMIO     (MAP_RAM | PTE_PCD | PTE_PWT)

#define NO_FRAME UINT64_MAX

extern const struct start_info *start_info;
extern struct shared_info *shared_info; /* NULL until it is mapped */
extern struct vcpu_info *vcpu_info;     /* in it, until the guest registers another place */

/* kit_main() has done it. boot_stack: RSP at entry. */
void memory_init(const struct start_info *info, uint64_t boot_stack);

/* NO_FRAME when the number is out of range; mfn_to_pfn() also when the frame is not the guest's. */
uint64_t pfn_to_mfn(uint64_t pfn);
uint64_t mfn_to_pfn(uint64_t mfn);
/* The PFN's frame has changed: another one, or NO_FRAME. The M2P is the hypervisor's. */
void p2m_set(uint64_t pfn, uint64_t mfn);
/* The highest machine frame that the M2P knows, or NO_FRAME. */
uint64_t highest_mfn(void);

/* Of an address inside the image (static data, code, the stack), unless it lies in the mapping window. */
uint64_t virt_to_pfn(const volatile void *address);
uint64_t virt_to_mfn(const volatile void *address);
void *pfn_to_virt(uint64_t pfn);

/* A spare frame of the guest's RAM: its PFN, or NO_FRAME. Its contents are whatever they are. */
uint64_t frame_alloc(void);
uint64_t frames_left(void);
bool frame_is_spare(uint64_t pfn); /* the guest's, and nobody has taken it yet */
/* The last spare frame that nobody has taken yet, or NO_FRAME: far away from what frame_alloc() gives. */
uint64_t frame_take_from_end(void);

/*
 * Maps count machine frames, RAM or MMIO, at consecutive virtual addresses inside a window of the guest's
 * own initial mapping. NULL: no room in the window, or the hypervisor refused (window_error has its errno).
 */
void *map_frames(const uint64_t *mfns, uint32_t count, uint64_t flags);
void *map_frame(uint64_t mfn, uint64_t flags);
/* The same for consecutive machine frames: device registers. */
void *map_mmio(uint64_t address, uint64_t bytes);
void unmap_frames(void *address, uint32_t count);
extern long window_error;
/* The window's last page, which map_frames() takes last: for those who need a level 1 entry to spoil. */
void *window_last_page(void);

/* A spare frame, zeroed and mapped: for descriptors and rings. *pfn gets its number. NULL: none left. */
void *page_alloc(uint64_t *pfn);

/*
 * Where the page tables hold the entry of a virtual address: machine frame of the level 1 to 4 table and
 * the entry's index. false: a higher level is not present.
 */
struct pte_place {
    uint64_t table_mfn;
    uint32_t index;
    uint64_t entry;
};
bool page_table_walk(uint64_t address, uint32_t level, struct pte_place *place);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's memory: whole frames, zeroed, taken from firmware's map at boot. Nothing here is
 * sized by a guest after boot: pools are set aside once.
 */
#ifndef SLUICE_MEM_ALLOC_H
#define SLUICE_MEM_ALLOC_H

#include "boot_info.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Machine memory as firmware told it, sorted, merged, page-aligned inwards for RAM. The more restrictive a
 * kind, the higher its number. */
enum memory_kind {
    MEMORY_USABLE = 1,    /* free */
    MEMORY_BOOT_SERVICES, /* firmware's, until memory_release_boot_services() */
    MEMORY_LOADER,        /* image, guest, module, boot info: RAM, busy until the guest is built */
    MEMORY_RUNTIME,       /* EFI runtime code and data */
    MEMORY_ACPI,
    MEMORY_NVS,
    MEMORY_RESERVED,
    MEMORY_MMIO,
};
struct memory_range {
    uint64_t base, size; /* bytes */
    enum memory_kind kind;
};
extern struct memory_range memory_ranges[];
extern uint32_t memory_range_count;
#define MEMORY_RANGES_MAX 512u

/*
 * Copies firmware's map (hostile: checked, sorted; overlaps go to the more restrictive kind; what lies beyond
 * the CPU's address width is ignored). False after saying why it cannot be used.
 */
bool memory_map_init(const struct boot_info *info, uint8_t physical_bits);
void memory_report_ram(void);        /* logs which addresses are RAM */
uint64_t memory_max_mfn(void);       /* one past the highest RAM frame */
uint64_t memory_usable_frames(void); /* free frames now */

/*
 * Builds the hypervisor's own page tables and directmap, switches to them, then fills the frame table. False
 * after saying why the machine cannot be used.
 */
bool memory_init(const struct boot_info *info);

/* Frames that firmware's devices use (reserved ranges of the IOMMU): if they are free, or come free later,
 * nobody gets them. How many were. */
uint64_t memory_withhold(uint64_t first, uint64_t count);

/* From MFN end on no frame is given to anybody, whenever it comes free. How many were free. */
uint64_t memory_set_reach(uint64_t end);

/*
 * What boot services held becomes free: no processor runs in it or walks its tables, ACPI tables, which some
 * firmware keeps there, have been copied, and devices that firmware did not stop do not reach it any more.
 */
void memory_release_boot_services(void);

/* The loader's memory (guest and module files, boot information) becomes free: nobody may read it any more.
 */
void memory_release_loader(void);

/* Contiguous zeroed frames, MFN of the first; 0 when there are none. Owner becomes the hypervisor. Taken from
 * the top of memory downwards; after boot from what memory_settle() kept. */
uint64_t frames_alloc(uint64_t count);
void frames_free(uint64_t mfn, uint64_t count);

/* Up to count free frames for the guest, lowest first, but not the `kept` highest free ones below 4 GiB:
 * their MFNs in list, owner FRAME_GUEST, not zeroed. Returns how many there were. */
uint64_t frames_alloc_guest(uint64_t *list, uint64_t count, uint64_t kept);

/*
 * The end of boot: a few frames are set aside for frames_alloc(), which takes nothing else from now on, since
 * devices may reach what is free. The rest of free memory is for the guest, by extents.
 */
void memory_settle(void);

/* ---- extents.c: free memory for the guest, 2^order frames at a time, naturally aligned ---- */

#define EXTENT_ORDER_MAX 18u /* 1 GiB */

/* Free frames [mfn, mfn + count) can be allocated from now on. */
void extents_add(uint64_t mfn, uint64_t count);

/* MFN of the first of 2^order frames below 2^mfn_bits, zeroed, owner FRAME_GUEST; 0 when there are none.
 * Order at most EXTENT_ORDER_MAX. */
uint64_t extent_alloc(uint32_t order, uint32_t mfn_bits);

/* Gives them back, in whole or in aligned parts; nothing refers to them. */
void extent_free(uint64_t mfn, uint32_t order);

/* Bytes of RAM the hypervisor holds without the frame table. */
uint64_t memory_resident_bytes(void);

#endif

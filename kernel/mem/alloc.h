/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's memory: whole frames, zeroed, taken from firmware's map at boot. Nothing here is
 * sized by a guest after boot: pools are set aside once.
 */
#ifndef SLUICE_MEM_ALLOC_H
#define SLUICE_MEM_ALLOC_H

#include "boot_info.h"

#include <stddef.h>
#include <stdint.h>

/* Machine memory as firmware told it, sorted, merged, page-aligned inwards for RAM. */
enum memory_kind {
    MEMORY_USABLE = 1, /* free once boot services are gone */
    MEMORY_LOADER,     /* image, guest, module, boot info: RAM, busy until the guest is built */
    MEMORY_RUNTIME,    /* EFI runtime code and data */
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
#define MEMORY_RANGES_MAX 256u

/* Copies firmware's map (hostile: checked, sorted; overlaps go to the more restrictive kind). */
void memory_map_init(const struct boot_info *info);
uint64_t memory_max_mfn(void); /* one past the highest RAM frame */
uint64_t memory_usable_frames(void);

/* Builds the hypervisor's own page tables and directmap, then the frame table; switches to them. */
void memory_init(const struct boot_info *info);

/* Contiguous zeroed frames, MFN of the first; 0 when there are none. Owner becomes the hypervisor. */
uint64_t frames_alloc(uint64_t count);
void frames_free(uint64_t mfn, uint64_t count);

/* A free frame for the guest: MFN, owner FRAME_GUEST, not zeroed; 0 when none is left. Lowest first. */
uint64_t frame_alloc_guest(void);

/* Bytes of RAM the hypervisor holds without the frame table. */
uint64_t memory_resident_bytes(void);

#endif

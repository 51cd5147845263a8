/* SPDX-License-Identifier: MIT */
/*
 * The machine of a driver test: QEMU's IOMMU and edu models, with drivers/iommu as the product compiles it.
 */
#ifndef SLUICE_TESTS_MACHINE_H
#define SLUICE_TESTS_MACHINE_H

#include "drivers/iommu/iommu.h"

#include <stdbool.h>
#include <stdint.h>

#define EDU_ID         0x20u   /* 00:04.0 */
#define BRIDGED_EDU_ID 0x0108u /* 01:01.0, behind the bridge 00:05.0 */
#define BRIDGE_ID      0x28u
#define BRIDGE_ALIAS   0x0100u /* 01:00.0: what DMA from behind the bridge should show */

#define FAULT_ADDRESS 0xfee00000u /* the MSI that machine_init() asks for */
#define FAULT_DATA    0xf1u

#define RW (IOMMU_READ | IOMMU_WRITE)

struct machine {
    struct iommu_context *context;
    struct iommu_flush flush;
};
extern struct machine machine;

/*
 * Starts QEMU with the vendor's IOMMU (MACHINE_* of vendor.h) and sets edu up. The firmware table has one
 * unit for everything; change it before machine_init().
 */
void machine_start(uint32_t kind);
/* iommu_init(), iommu_enable(), a context with a quota of 64 tables and edu in it. */
void machine_up(void);
int machine_init(void);
/* Ends QEMU and removes its files. */
int machine_stop(void **state);

/* Faults are read, and the limits of the log are open again. */
void a_second_goes_by(void);

/* One element: map or unmap, then flush; asserts success. */
void map_now(uint64_t bfn, uint64_t mfn, uint32_t flags);
void unmap_now(uint64_t bfn);

/* A frame of RAM for a device's use, and its bytes. */
uint64_t data_frame(void);
uint8_t *frame_bytes(uint64_t mfn);

/* edu's DMA engine: bytes from memory at a bus address into its buffer, and back. */
void edu_fetch(uint64_t bus_address, uint32_t bytes);
void edu_store(uint64_t bus_address, uint32_t bytes);
void bridged_edu_store(uint64_t bus_address, uint32_t bytes);
/* Whether a store of edu's to the bus address arrives in the frame. Leaves the frame zeroed. */
bool edu_reaches(uint64_t bus_address, uint64_t mfn);
/* edu's MSI: its capability is programmed with the message, which is sent. */
void edu_send(struct iommu_message message);
/* Whether a function may still master the bus. */
bool is_bus_master(uint16_t id);

/* What the product did with the host. */
struct host_record {
    uint32_t released;       /* frames released */
    uint32_t released_early; /* ... before the wait of their flush was done */
    uint32_t waits_before_flush;
    uint64_t last_released_mfn;
    uint32_t last_released_flags;
    uint64_t hypervisor_first, hypervisor_frames; /* what host_range_is_hypervisor() says yes to */
    int64_t frames_out;                           /* allocated and not freed */
    int64_t allocation_limit;                     /* allocations until one fails; negative: never */
    void (*on_store)(void);                       /* after every store that hardware may see */
    uint32_t commands;                            /* writes of the register that switches translation */
    uint32_t commands_off;                        /* ... that had translation off */
    bool commands_last_on;                        /* the latest of them had it on */
};
extern struct host_record host_record;

/* For vendor_*.c: the driver writes the register that switches translation. */
void note_command(bool translation);

#endif

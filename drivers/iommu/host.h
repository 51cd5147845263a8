/* SPDX-License-Identifier: MIT */
/*
 * Everything the IOMMU drivers need from outside. The kernel defines these (kernel/iommu_host.c); so do
 * the host-side tests, which route MMIO to QEMU's device models or to a model IOMMU. Beside this header the
 * drivers name only kernel/lib.
 */
#ifndef SLUICE_IOMMU_HOST_H
#define SLUICE_IOMMU_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Contiguous zeroed frames that devices' tables may use; MFN of the first, 0 when there are none. */
uint64_t host_frames_alloc(uint64_t count);
void host_frames_free(uint64_t mfn, uint64_t count);
/* CPU address of such a frame (or of any frame of RAM the caller owns). */
void *host_frame_address(uint64_t mfn);

/*
 * True when the range holds what is the hypervisor's own: frames (image, tables, heap), interrupt
 * controllers, timers, configuration space. Never to be mapped.
 */
bool host_range_is_hypervisor(uint64_t mfn, uint64_t frames);

/* Devices use the range whenever they like: what of it is free is nobody's from now on. Frames withheld. */
uint64_t host_range_withhold(uint64_t mfn, uint64_t frames);

/*
 * Drops the owner's reference that each frame's bus entry held, once the covering wait has completed: of runs
 * of frames whose first one's address is in those bits of its entry, under these IOMMU_* flags.
 */
struct iommu_frames;
void host_frames_release(const struct iommu_frames *frames, uint32_t runs, uint64_t address_mask,
                         uint32_t flags);

/* Register window, uncached; NULL when it cannot be mapped. */
volatile void *host_mmio_map(uint64_t physical, uint64_t size);
#ifdef SLUICE_HOST_TEST
uint32_t host_mmio_read32(const volatile void *address);
uint64_t host_mmio_read64(const volatile void *address);
void host_mmio_write32(volatile void *address, uint32_t value);
void host_mmio_write64(volatile void *address, uint64_t value);
#else
static inline uint32_t host_mmio_read32(const volatile void *address)
{
    return *(const volatile uint32_t *)address;
}
static inline uint64_t host_mmio_read64(const volatile void *address)
{
    return *(const volatile uint64_t *)address;
}
static inline void host_mmio_write32(volatile void *address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}
static inline void host_mmio_write64(volatile void *address, uint64_t value)
{
    *(volatile uint64_t *)address = value;
}
#endif

/*
 * The one way to change a qword that hardware may be reading: a single aligned store. Host-side tests look
 * at memory after each of them, with hardware's eyes.
 */
#ifdef SLUICE_HOST_TEST
void host_store64(uint64_t *address, uint64_t value);
void host_store128(uint64_t *address, uint64_t low, uint64_t high);
/* Writes the lines holding [address, address + size), size above 0, back to memory, and fences. */
void host_cache_flush(const volatile void *address, size_t size);
#else
#define HOST_CACHE_LINE 64u /* bytes that one CLFLUSH writes back at least: the kernel refuses less */

static inline void host_cache_flush(const volatile void *address, size_t size)
{
    uintptr_t at = (uintptr_t)address & ~(uintptr_t)(HOST_CACHE_LINE - 1), end = (uintptr_t)address + size;

    do {
        __asm__ volatile("clflush (%0)" : : "r"(at) : "memory");
        at += HOST_CACHE_LINE;
    } while (at < end);
    __asm__ volatile("mfence" : : : "memory");
}

static inline void host_store64(uint64_t *address, uint64_t value)
{
    *(volatile uint64_t *)address = value;
}

/* Both halves of a 16-aligned pair at once, so that a live entry is never seen half old and half new. */
static inline void host_store128(uint64_t *address, uint64_t low, uint64_t high)
{
    uint64_t old_low = address[0], old_high = address[1];
    bool done;

    do {
        __asm__ volatile("lock cmpxchg16b %1"
                         : "=@ccz"(done), "+m"(*(unsigned __int128 *)(void *)address), "+a"(old_low),
                           "+d"(old_high)
                         : "b"(low), "c"(high)
                         : "memory");
    } while (!done);
}
#endif

/* Monotonic, nanoseconds; and a pause for polling loops. */
uint64_t host_time_ns(void);
void host_pause(void);

/* The first function that is there from `id` on. False when there is none. */
bool host_pci_next(uint16_t segment, uint32_t id, uint16_t *found);
/* Requester id that the function's DMA shows behind bridges; its own when it is not known. */
uint16_t host_pci_requester(uint16_t segment, uint16_t id);
/* Configuration space of a function (bus << 8 | device << 3 | function); all ones when absent. */
uint32_t host_pci_read(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes);
void host_pci_write(uint16_t segment, uint16_t id, uint16_t offset, uint8_t bytes, uint32_t value);

#endif

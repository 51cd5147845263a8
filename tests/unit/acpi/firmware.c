/* SPDX-License-Identifier: MIT */
#include "firmware.h"

#include "cpu/features.h"
#include "cpu/io.h"
#include "mem/alloc.h"
#include "mem/frame.h"
#include "mem/map.h"

#include <stdlib.h>
#include <string.h>

uint8_t firmware[FIRMWARE_SIZE];
void (*firmware_after_read)(uint32_t reads);
uint32_t firmware_windows_open;
int64_t firmware_frames_left, firmware_frames_held;
uint16_t firmware_port_written[4], firmware_port_value[4];
uint32_t firmware_port_writes;
uint16_t firmware_pm1_value;
struct cpu_features cpu_features = {.physical_bits = 40};
uint64_t test_direct_base;

static uint32_t reads;

#define HELD_MAX 256u
static void *held[HELD_MAX];

void firmware_reset(void)
{
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        free(held[i]);
        held[i] = NULL;
    }
    firmware_frames_held = 0;
    memset(firmware, 0, sizeof firmware);
    firmware_after_read = NULL;
    firmware_frames_left = 1 << 20;
    firmware_port_writes = 0;
    firmware_pm1_value = 1;
    reads = 0;
}

/* A copy of exactly that size: the sanitizer sees who reads beyond the window that was asked for. */
const void *phys_map_readonly(uint64_t physical, uint64_t size)
{
    uint8_t *copy;

    if (physical < FIRMWARE_BASE || size > FIRMWARE_SIZE || physical - FIRMWARE_BASE > FIRMWARE_SIZE - size)
        return NULL;
    copy = malloc(size);
    memcpy(copy, firmware + (physical - FIRMWARE_BASE), size);
    firmware_windows_open++;
    if (firmware_after_read)
        firmware_after_read(++reads);
    return copy;
}

void phys_unmap(const void *address, uint64_t size)
{
    (void)size;
    firmware_windows_open--;
    free((void *)(uintptr_t)address);
}

uint64_t frames_alloc(uint64_t count)
{
    uint8_t *pages;

    if ((firmware_frames_left -= (int64_t)count) < 0)
        return 0;
    pages = aligned_alloc(FRAME_SIZE, count * FRAME_SIZE);
    memset(pages, 0, count * FRAME_SIZE);
    firmware_frames_held += (int64_t)count;
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (!held[i]) {
            held[i] = pages;
            break;
        }
    }
    return (uint64_t)(uintptr_t)pages >> FRAME_SHIFT;
}

void frames_free(uint64_t mfn, uint64_t count)
{
    void *pages = (void *)(uintptr_t)(mfn << FRAME_SHIFT);

    firmware_frames_held -= (int64_t)count;
    for (uint32_t i = 0; i < HELD_MAX; i++) {
        if (held[i] == pages)
            held[i] = NULL;
    }
    free(pages);
}

uint16_t in16(uint16_t port)
{
    (void)port;
    return firmware_pm1_value;
}

static void record(uint16_t port, uint16_t value)
{
    if (firmware_port_writes < 4) {
        firmware_port_written[firmware_port_writes] = port;
        firmware_port_value[firmware_port_writes] = value;
    }
    firmware_port_writes++;
}

void out8(uint16_t port, uint8_t value)
{
    record(port, value);
    firmware_pm1_value |= 1;
}

void out16(uint16_t port, uint16_t value)
{
    record(port, value);
}

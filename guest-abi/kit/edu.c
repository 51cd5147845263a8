/* SPDX-License-Identifier: MIT */
#include "kit/edu.h"

#include "kit/memory.h"
#include "kit/time.h"

#include <stddef.h>

/* Registers, as QEMU's docs/specs/edu.txt names them. */
#define EDU_LIVENESS    0x04
#define EDU_DMA_SOURCE  0x80
#define EDU_DMA_TARGET  0x88
#define EDU_DMA_COUNT   0x90
#define EDU_DMA_COMMAND 0x98
#define EDU_MEMORY      0x40000u

#define EDU_START     0x1u
#define EDU_TO_MEMORY 0x2u

static volatile uint64_t *reg64(const struct edu *edu, uint32_t offset)
{
    return (volatile uint64_t *)(edu->registers + offset);
}

bool edu_open(struct edu *edu, uint32_t index)
{
    if (!pci_find_device(EDU_VENDOR, EDU_DEVICE, index, &edu->id))
        return false;
    pci_enable(edu->id);
    uint64_t bar = pci_bar(edu->id, 0);
    edu->registers = bar ? map_mmio(bar, PAGE_SIZE) : NULL;
    if (!edu->registers)
        return false;
    volatile uint32_t *liveness = (volatile uint32_t *)(edu->registers + EDU_LIVENESS);
    *liveness = 0x12345678;
    return *liveness == ~0x12345678u;
}

static bool start(struct edu *edu, uint64_t source, uint64_t target, uint32_t bytes, uint32_t direction)
{
    if (!bytes || bytes > EDU_MAX_BYTES)
        return false;
    *reg64(edu, EDU_DMA_SOURCE) = source;
    *reg64(edu, EDU_DMA_TARGET) = target;
    *reg64(edu, EDU_DMA_COUNT) = bytes;
    *reg64(edu, EDU_DMA_COMMAND) = EDU_START | direction;
    return true;
}

bool edu_start_load(struct edu *edu, uint64_t bus_address, uint32_t offset, uint32_t bytes)
{
    return start(edu, bus_address, EDU_MEMORY + offset, bytes, 0);
}

bool edu_start_store(struct edu *edu, uint64_t bus_address, uint32_t offset, uint32_t bytes)
{
    return start(edu, EDU_MEMORY + offset, bus_address, bytes, EDU_TO_MEMORY);
}

bool edu_is_busy(const struct edu *edu)
{
    return *reg64(edu, EDU_DMA_COMMAND) & EDU_START;
}

/* A transfer takes 100 ms. Asking the device all the time would do nothing but keep it, and QEMU, busy. */
static void rest(void)
{
    for (uint32_t i = 0; i < 20000; i++)
        __asm__ volatile("");
}

bool edu_finish(struct edu *edu)
{
    uint64_t deadline = deadline_after(DEVICE_DEADLINE_MS);
    while (edu_is_busy(edu)) {
        if (deadline_passed(deadline))
            return false;
        rest();
    }
    return true;
}

bool edu_load(struct edu *edu, uint64_t bus_address, uint32_t offset, uint32_t bytes)
{
    return edu_start_load(edu, bus_address, offset, bytes) && edu_finish(edu);
}

bool edu_store(struct edu *edu, uint64_t bus_address, uint32_t offset, uint32_t bytes)
{
    return edu_start_store(edu, bus_address, offset, bytes) && edu_finish(edu);
}

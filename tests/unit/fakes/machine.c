/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include "cpu/descriptors.h"
#include "cpu/features.h"
#include "cpu/trap.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/hypercall.h"
#include "pv/tlb.h"

#include <stdlib.h>
#include <string.h>

struct guest guest;
struct cpu_features cpu_features;
struct frame machine_frames[MACHINE_FRAMES];
uint64_t machine_m2p[MACHINE_FRAMES];
uint64_t *m2p_list = machine_m2p;
uint64_t test_direct_base;
uint64_t machine_device_from;
void (*machine_on_flush)(uint64_t address);
uint32_t machine_full_flushes, machine_page_flushes;
uint64_t machine_fault_from;
bool machine_work_pending;
uint32_t machine_preemption_points;
struct hypercall_args machine_continued;
uint32_t machine_continuations;

uint32_t machine_policies;
bool hypercall_was_long;
void guest_linear_set(uint64_t base)
{
    (void)base;
}
uint64_t machine_loaded_l4;
uint64_t machine_descriptor_pages[MAP_LDT_PAGE + MAP_LDT_PAGES];
uint32_t machine_ldt_entries;

void machine_reset(void)
{
    machine_policies = 0;
    if (test_direct_base == 0)
        test_direct_base = (uint64_t)(uintptr_t)aligned_alloc(FRAME_SIZE, MACHINE_FRAMES * FRAME_SIZE);
    memset(phys_to_virt(0), 0x5a, MACHINE_FRAMES * FRAME_SIZE);
    for (uint64_t mfn = 0; mfn < MACHINE_FRAMES; mfn++) {
        machine_frames[mfn] = (struct frame){.owner = FRAME_GUEST};
        machine_m2p[mfn] = UINT64_MAX;
    }
    guest = (struct guest){0};
    cpu_features = (struct cpu_features){.physical_bits = 40, .nx = true};
    machine_on_flush = NULL;
    machine_full_flushes = machine_page_flushes = 0;
    machine_fault_from = UINT64_MAX;
    machine_device_from = UINT64_MAX;
    machine_work_pending = false;
    machine_preemption_points = machine_continuations = 0;
}

uint64_t *machine_page(uint64_t mfn)
{
    return phys_to_virt(mfn << FRAME_SHIFT);
}

/* ---- mem/frame_table.h ---- */

struct frame *frame_table = machine_frames;
uint64_t frame_table_count = MACHINE_FRAMES;

uint64_t frame_table_end(void)
{
    return MACHINE_FRAMES;
}

/* Nothing leaves the guest here. */
void frame_unpark(uint64_t mfn)
{
    (void)mfn;
    abort();
}

/* ---- mem/map.h, mem/guest_copy.h ---- */

void map_fill_guest_l4(uint64_t *l4)
{
    for (unsigned slot = MAP_FIRST_SLOT; slot <= MAP_LAST_SLOT; slot++)
        l4[slot] = 0xabc000 | slot;
}

void map_descriptor_page(uint32_t page, uint64_t mfn)
{
    machine_descriptor_pages[page] = mfn;
}

static bool faults(uint64_t address, size_t count)
{
    return address < FRAME_SIZE || address + count > machine_fault_from;
}

int copy_from_guest(void *destination, uint64_t address, size_t count)
{
    if (count == 0)
        return 0;
    if (faults(address, count))
        return -EFAULT;
    memcpy(destination, (const void *)(uintptr_t)address, count);
    return 0;
}

int put_guest_u32(uint64_t address, uint32_t value)
{
    if (faults(address, sizeof(value)))
        return -EFAULT;
    memcpy((void *)(uintptr_t)address, &value, sizeof(value));
    return 0;
}

int get_guest_words2(uint64_t words[2], uint64_t address)
{
    return copy_from_guest(words, address, 2 * sizeof(words[0]));
}

int get_guest_u64(uint64_t *value, uint64_t address)
{
    return copy_from_guest(value, address, sizeof(*value));
}

/* ---- cpu and pv ---- */

void tlb_flush_all(void)
{
    machine_full_flushes++;
    if (machine_on_flush != NULL)
        machine_on_flush(UINT64_MAX);
}

void tlb_flush_page(uint64_t address)
{
    machine_page_flushes++;
    if (machine_on_flush != NULL)
        machine_on_flush(address);
}

void tlb_load(uint64_t l4_mfn)
{
    machine_loaded_l4 = l4_mfn;
    tlb_flush_all();
}

void descriptors_load_ldt(uint64_t base, uint32_t entries)
{
    (void)base;
    machine_ldt_entries = entries;
}

void cache_flush_frame(const void *frame)
{
    (void)frame;
}

void cache_write_back(void)
{
}

bool cpu_preemption_point(void)
{
    machine_preemption_points++;
    return machine_work_pending;
}

void device_policy_init(void)
{
    machine_policies++;
}

enum device_frame device_frame_kind(uint64_t mfn)
{
    if (mfn >= machine_device_from && mfn < MACHINE_FRAMES)
        return DEVICE_FRAME_MMIO;
    switch (mfn) {
    case MACHINE_MMIO:
        return DEVICE_FRAME_MMIO;
    case MACHINE_MSIX:
        return DEVICE_FRAME_READ_ONLY;
    case MACHINE_ACPI:
        return DEVICE_FRAME_FIRMWARE;
    default:
        return DEVICE_FRAME_DENIED;
    }
}

long hypercall_continue(struct cpu_regs *regs, const struct hypercall_args *args)
{
    (void)regs;
    machine_continued = *args;
    machine_continuations++;
    return 0x5eed;
}

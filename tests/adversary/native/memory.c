/* SPDX-License-Identifier: MIT */
/*
 * The CPU's way to memory. It walks the guest's own tables, sets A and D in them, and caches what it finds,
 * of pages and of tables, until tlb_flush_all(), tlb_flush_page() or tlb_load(). What it walks must be a
 * table by its type, at that level, at that moment.
 */
#include "tests/adversary/native/machine.h"
#include "tests/adversary/random.h"
#include "tests/unit/fakes/cpu.h"

#include "cpu/trap.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/guest_copy.h"
#include "pv/guest.h"
#include "pv/pte.h"
#include "pv/tlb.h"

#include <string.h>

#define PAGE_SLOTS  128u
#define TABLE_SLOTS 16u

struct page_entry {
    bool valid, writable, dirty;
    uint64_t page, mfn;
};
/* What stands in a table of level n + 2: where the table below is. */
struct table_entry {
    bool valid, writable;
    uint64_t tag, mfn;
};
static struct page_entry pages[PAGE_SLOTS];
static struct table_entry tables[3][TABLE_SLOTS];

uint64_t cpu_loaded_l4;
static uint64_t fault_code; /* of the last access of the hypervisor's that faulted; CR2 has the address */
static uint8_t device_page[FRAME_SIZE];
static bool in_ring_0; /* the hypervisor reaches for guest memory */

/* ---- forgetting ---- */

static void forget_tables(void)
{
    memset(tables, 0, sizeof tables);
}

void tlb_flush_all(void)
{
    memset(pages, 0, sizeof pages);
    forget_tables();
}

void tlb_flush_page(uint64_t address)
{
    struct page_entry *entry = &pages[(address >> 12) % PAGE_SLOTS];

    if (entry->page == address >> 12)
        entry->valid = false;
    forget_tables();
}

void tlb_load(uint64_t l4_mfn)
{
    cpu_loaded_l4 = l4_mfn;
    tlb_flush_all();
}

void gs_bases_swap(void)
{
}

void gs_load(uint16_t selector)
{
    (void)selector;
}

/* ---- walking ---- */

static struct table_entry *table_slot(uint64_t address, uint32_t level)
{
    return &tables[level - 2][(address >> (12 + 9 * (level - 1))) % TABLE_SLOTS];
}

/* The lowest table for the address that is cached; its level. */
static uint32_t start_of_walk(uint64_t address, uint64_t *mfn, bool *writable)
{
    for (uint32_t level = 2; level <= 4; level++) {
        const struct table_entry *entry = table_slot(address, level);

        if (entry->valid && entry->tag == address >> (12 + 9 * (level - 1))) {
            *mfn = entry->mfn;
            *writable = entry->writable;
            return level - 1;
        }
    }
    *mfn = cpu_loaded_l4;
    *writable = true;
    return 4;
}

/* Through a recursive entry, for reading, tables show as those of lower levels. */
static bool is_table_of(const struct frame *frame, uint32_t level, bool writable)
{
    uint32_t is = frame->type - FRAME_TYPE_L1 + 1u;

    return frame->owner == FRAME_GUEST && frame->type_references != 0 && frame->type >= FRAME_TYPE_L1 &&
           frame->type <= FRAME_TYPE_L4 && (frame->flags & FRAME_PARTIAL) == 0 &&
           (is == level || (is > level && !writable));
}

static uint64_t *table_entries(uint64_t mfn, uint32_t level, bool writable)
{
    const struct frame *frame = frame_of(mfn);

    if (frame == NULL || !is_table_of(frame, level, writable))
        machine_fail(
            "the CPU walks MFN 0x%llx as a table of level %u, which it is not (type %u, %u references, "
            "flags 0x%x)",
            (unsigned long long)mfn, level, frame != NULL ? frame->type : 0,
            frame != NULL ? frame->type_references : 0, frame != NULL ? frame->flags : 0);
    return phys_to_virt(mfn << FRAME_SHIFT);
}

/* Of the hypervisor's own slots, which ring 3 does not get through. */
static bool is_hypervisor_entry(uint64_t mfn, uint64_t slot)
{
    return frame_of(mfn)->type == FRAME_TYPE_L4 && slot >= MAP_FIRST_SLOT && slot <= MAP_LAST_SLOT;
}

/* Fills *found; false: a fault. */
static bool walk(uint64_t address, bool write, struct page_entry *found)
{
    uint64_t mfn;
    bool writable;

    for (uint32_t level = start_of_walk(address, &mfn, &writable);; level--) {
        uint64_t slot = address >> (12 + 9 * (level - 1)) & 511;
        uint64_t *entry = &table_entries(mfn, level, writable)[slot];

        if ((*entry & PTE_PRESENT) == 0)
            return false;
        if (is_hypervisor_entry(mfn, slot)) {
            if (in_ring_0)
                machine_fail("the hypervisor follows a guest's pointer into its own tables: 0x%llx",
                             (unsigned long long)address);
            return false;
        }
        if ((*entry & PTE_USER) == 0)
            machine_fail("an entry of level %u is not the user's: 0x%llx", level, (unsigned long long)*entry);
        writable = writable && (*entry & PTE_WRITABLE) != 0;
        if (level == 1 && write && !writable)
            return false;
        *entry |= PTE_ACCESSED | (level == 1 && write ? PTE_DIRTY : 0);
        mfn = pte_mfn(*entry);
        if (level == 1) {
            *found = (struct page_entry){true, writable, (*entry & PTE_DIRTY) != 0, address >> 12, mfn};
            return true;
        }
        *table_slot(address, level) =
            (struct table_entry){true, writable, address >> (12 + 9 * (level - 1)), mfn};
    }
}

static struct page_entry *translate(uint64_t address, bool write)
{
    struct page_entry *slot = &pages[(address >> 12) % PAGE_SLOTS], found;

    if (slot->valid && slot->page == address >> 12 && (!write || (slot->writable && slot->dirty)))
        return slot;
    if (!walk(address, write, &found))
        return NULL;
    *slot = found;
    return slot;
}

static bool is_guest_address(uint64_t address)
{
    return address_is_canonical(address) && !address_is_hypervisor(address);
}

uint8_t *cpu_reach(uint64_t address, bool write)
{
    const struct page_entry *entry;

    if (!is_guest_address(address))
        return NULL;
    entry = translate(address, write);
    if (entry == NULL)
        return NULL;
    if (entry->mfn < RAM_FRAMES)
        return (uint8_t *)phys_to_virt(entry->mfn << FRAME_SHIFT) + address % FRAME_SIZE;
    return device_page + address % FRAME_SIZE;
}

void cpu_speculate(uint64_t address)
{
    if (is_guest_address(address))
        (void)translate(address, false);
}

/* ---- what may be cached ---- */

static void check_page(const struct page_entry *entry)
{
    const struct frame *frame = frame_of(entry->mfn);

    if (frame == NULL || frame->owner == FRAME_FIRMWARE || frame->owner == FRAME_NOT_RAM) {
        enum device_frame kind = device_frame_kind(entry->mfn);

        if (kind == DEVICE_FRAME_DENIED || (kind == DEVICE_FRAME_READ_ONLY && entry->writable))
            machine_fail("the CPU can still reach MFN 0x%llx, which is denied",
                         (unsigned long long)entry->mfn);
        return;
    }
    if ((frame->flags & FRAME_SHARED_RW) != 0 || ((frame->flags & FRAME_SHARED_RO) != 0 && !entry->writable))
        return;
    if (frame->owner != FRAME_GUEST)
        machine_fail("the CPU can still reach MFN 0x%llx at page 0x%llx, and it is not the guest's",
                     (unsigned long long)entry->mfn, (unsigned long long)entry->page);
    if (entry->writable && frame_type_is_table(frame->type))
        machine_fail("the CPU can still write MFN 0x%llx at page 0x%llx, and it is a table or descriptors",
                     (unsigned long long)entry->mfn, (unsigned long long)entry->page);
}

void cpu_check(void)
{
    uint64_t l4 = guest.in_user ? guest.user_l4_mfn : guest.l4_mfn;

    if (cpu_loaded_l4 != l4)
        machine_fail("CR3 holds MFN 0x%llx, and the guest is on 0x%llx", (unsigned long long)cpu_loaded_l4,
                     (unsigned long long)l4);
    (void)table_entries(cpu_loaded_l4, 4, true);
    for (uint32_t i = 0; i < PAGE_SLOTS; i++)
        if (pages[i].valid)
            check_page(&pages[i]);
    for (uint32_t level = 2; level <= 4; level++)
        for (uint32_t i = 0; i < TABLE_SLOTS; i++)
            if (tables[level - 2][i].valid)
                (void)table_entries(tables[level - 2][i].mfn, level - 1, tables[level - 2][i].writable);
}

/* ---- mem/guest_copy.h ---- */

bool in_guest(uint64_t address, uint64_t count)
{
    uint64_t last = address + (count - 1);

    return (address >= guest_quick_start && last >= address) || guest_range_allowed(address, last);
}

static uint8_t *reach_in_ring_0(uint64_t address, bool write)
{
    in_ring_0 = true;
    uint8_t *place = cpu_reach(address, write);
    in_ring_0 = false;
    if (place == NULL) {
        cpu_model.cr2 = address;
        fault_code = write ? 2 : 0;
    }
    return place;
}

uint64_t trap_fixed_error(void)
{
    return fault_code;
}

static int copy(uint64_t address, uint8_t *bytes, uint64_t count, bool to_guest)
{
    if (count == 0)
        return 0;
    if (!in_guest(address, count))
        return -EFAULT;
    while (count != 0) {
        uint64_t part = FRAME_SIZE - address % FRAME_SIZE;
        uint8_t *place = reach_in_ring_0(address, to_guest);

        if (part > count)
            part = count;
        if (place == NULL)
            return -EFAULT;
        memcpy(to_guest ? place : bytes, to_guest ? bytes : place, part);
        address += part;
        bytes += part;
        count -= part;
    }
    return 0;
}

int copy_from_guest(void *destination, uint64_t address, size_t count)
{
    return copy(address, destination, count, false);
}

int copy_to_guest(uint64_t address, const void *source, size_t count)
{
    return copy(address, (uint8_t *)(uintptr_t)source, count, true);
}

/* One store: it is done, or it faults. */
static int store(uint64_t address, const void *value, size_t count)
{
    if (!in_guest(address, count) || reach_in_ring_0(address, true) == NULL ||
        reach_in_ring_0(address + count - 1, true) == NULL)
        return -EFAULT;
    return copy_to_guest(address, value, count);
}

int get_guest_u32(uint32_t *value, uint64_t address)
{
    *value = 0;
    return copy_from_guest(value, address, sizeof *value);
}

int get_guest_u64(uint64_t *value, uint64_t address)
{
    *value = 0;
    return copy_from_guest(value, address, sizeof *value);
}

int put_guest_u64(uint64_t address, uint64_t value)
{
    return store(address, &value, sizeof value);
}

static int get_words(uint64_t *words, uint64_t address, uint32_t count)
{
    memset(words, 0, count * sizeof *words);
    return copy_from_guest(words, address, count * sizeof *words);
}

int get_guest_words2(uint64_t words[2], uint64_t address)
{
    return get_words(words, address, 2);
}

int get_guest_words8(uint64_t words[8], uint64_t address)
{
    return get_words(words, address, 8);
}

int get_guest_words3(uint64_t words[3], uint64_t address)
{
    return get_words(words, address, 3);
}

int get_guest_words(uint64_t *words, uint64_t address, size_t count)
{
    return get_words(words, address, (uint32_t)count);
}

int put_guest_words(uint64_t address, const uint64_t *words, size_t count)
{
    return copy_to_guest(address, words, count * sizeof *words);
}

int put_guest_u32(uint64_t address, uint32_t value)
{
    return store(address, &value, sizeof value);
}

int put_guest_u32_each(uint64_t address, uint64_t stride, uint32_t count, uint32_t value)
{
    if (count != 0 && !in_guest(address, stride * (count - 1) + sizeof value))
        return -EFAULT;
    for (; count != 0; count--, address += stride)
        if (put_guest_u32(address, value) != 0)
            return -EFAULT;
    return 0;
}

int probe_guest_u32(uint64_t address)
{
    uint32_t value;

    if (copy_from_guest(&value, address, sizeof value) != 0)
        return -EFAULT;
    return put_guest_u32(address, value);
}

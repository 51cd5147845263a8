/* SPDX-License-Identifier: MIT */
#include "pv/descriptor.h"

#include "cpu/descriptors.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/guest.h"
#include "pv/pte.h"
#include "pv/types.h"
#include "pv/walk.h"

#define PER_PAGE 512u

/* Intel SDM volume 3, 3.4.5. */
#define ACCESSED    (1ull << 40)
#define CODE        (1ull << 43)
#define NOT_SYSTEM  (1ull << 44) /* code or data; clear: gates, task states and LDTs */
#define PRIVILEGE   (3ull << 45)
#define PRESENT     (1ull << 47)
#define CODE_64_BIT (1ull << 53)
#define CODE_32_BIT (1ull << 54)

#define SELECTOR_OF_LDT 4u

/* Whatever base, limit and direction a segment has, the page tables decide what ring 3 reaches through it. */
static bool is_safe(uint64_t descriptor)
{
    if ((descriptor & PRESENT) == 0)
        return true;
    if ((descriptor & NOT_SYSTEM) == 0)
        return false;
    return (descriptor & CODE) == 0 ||
           (descriptor & (CODE_64_BIT | CODE_32_BIT)) != (CODE_64_BIT | CODE_32_BIT);
}

static uint64_t for_ring_3(uint64_t descriptor)
{
    return (descriptor & PRESENT) != 0 ? descriptor | PRIVILEGE | ACCESSED : descriptor;
}

int segment_page_check(uint64_t *page)
{
    for (uint32_t i = 0; i < PER_PAGE; i++) {
        if (!is_safe(page[i]))
            return -EINVAL;
    }
    for (uint32_t i = 0; i < PER_PAGE; i++)
        page[i] = for_ring_3(page[i]);
    return 0;
}

/* ---- the two tables ---- */

struct table {
    const uint32_t first; /* as map_descriptor_page() counts */
    uint32_t pages;
    uint64_t frames[MAP_LDT_PAGES];
};
static struct table gdt = {.first = 0}, ldt = {.first = MAP_LDT_PAGE};

static void put_frames(const uint64_t *frames, uint32_t count)
{
    while (count-- != 0)
        type_put(frame_of(frames[count]));
}

static int get_frames(const uint64_t *frames, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (type_get(frames[i], FRAME_TYPE_SEGMENT) != 0) {
            put_frames(frames, i);
            return -EINVAL;
        }
    }
    return 0;
}

/*
 * Segment registers that hold selectors of the old table need no care: what the processor goes by is the copy
 * it made of a descriptor that was judged, and the next load of the selector reads the new table.
 */
static int replace(struct table *table, const uint64_t *frames, uint32_t pages)
{
    struct table old = *table;

    if (get_frames(frames, pages) != 0)
        return -EINVAL;
    for (uint32_t i = 0; i < pages; i++) {
        table->frames[i] = frames[i];
        map_descriptor_page(table->first + i, frames[i]);
    }
    for (uint32_t i = pages; i < old.pages; i++)
        map_descriptor_page(table->first + i, MAP_NO_FRAME);
    table->pages = pages;
    put_frames(old.frames, old.pages);
    return 0;
}

static uint32_t pages_of(uint32_t entries)
{
    return (entries + PER_PAGE - 1) / PER_PAGE;
}

/* a: array of MFNs, entries. */
long do_set_gdt(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint64_t frames[FIRST_RESERVED_GDT_PAGE];
    uint32_t entries = (uint32_t)args->a[1];

    if (entries > FIRST_RESERVED_GDT_ENTRY)
        return -EINVAL;
    if (copy_from_guest(frames, args->a[0], pages_of(entries) * sizeof(uint64_t)) != 0)
        return -EFAULT;
    if (types_owed() && !types_settle())
        return hypercall_continue(regs, args);
    int error = replace(&gdt, frames, pages_of(entries));
    types_settle(); /* what a preemption leaves waits for the next call that changes types */
    return error;
}

long descriptor_set_ldt(uint64_t address, uint32_t entries)
{
    uint64_t frames[MAP_LDT_PAGES];

    if (entries > MAP_LDT_PAGES * PER_PAGE || address % FRAME_SIZE != 0)
        return -EINVAL;
    for (uint32_t i = 0; i < pages_of(entries); i++) {
        uint64_t at = address + i * FRAME_SIZE;
        const uint64_t *entry = address_is_canonical(at) ? walk_to_l1_entry(at) : NULL;
        if (entry == NULL || (*entry & PTE_PRESENT) == 0)
            return -EINVAL;
        frames[i] = pte_mfn(*entry);
    }
    if (replace(&ldt, frames, pages_of(entries)) != 0)
        return -EINVAL;
    descriptors_load_ldt(MAP_LDT_BASE, entries);
    return 0;
}

uint64_t segment_base(uint16_t selector)
{
    const uint64_t *table = (const uint64_t *)(selector & SELECTOR_OF_LDT ? MAP_LDT_BASE : MAP_GDT_BASE);
    uint64_t descriptor = table[selector / sizeof(uint64_t)];

    return (descriptor >> 16 & 0xffffff) | (descriptor >> 32 & 0xff000000);
}

/* ---- update_descriptor ---- */

static int store(struct frame *frame, uint64_t machine, uint64_t descriptor)
{
    if (is_whole(frame, FRAME_TYPE_SEGMENT)) {
        if (!is_safe(descriptor))
            return -EINVAL;
        __atomic_store_n((uint64_t *)phys_to_virt(machine), for_ring_3(descriptor), __ATOMIC_RELAXED);
        return 0;
    }
    return guest_plain_store(frame, machine, descriptor);
}

/* a: machine address of the descriptor, its new value. */
long do_update_descriptor(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint64_t machine = args->a[0];
    struct frame *frame = frame_of(machine >> FRAME_SHIFT);

    (void)regs;
    if (machine % sizeof(uint64_t) != 0 || frame == NULL || frame->owner != FRAME_GUEST)
        return -EINVAL;
    return store(frame, machine, args->a[1]);
}

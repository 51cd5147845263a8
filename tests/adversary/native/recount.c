/* SPDX-License-Identifier: MIT */
/*
 * The slow, plain truth about references. Everything that holds one is looked up where it stands: entries of
 * every frame whose type is a table's, pins, base pointers, the entries of the IOMMU's tables. What a
 * frame's record says must be exactly that.
 *
 * A table's entries are counted again only when the table's bytes have changed since the last time: the sum
 * is the same.
 */
#include "tests/adversary/native/machine.h"

#include "drivers/iommu/driver.h"
#include "pv/guest.h"
#include "pv/pte.h"
#include "tests/unit/iommu_engine/parts.h"

#include <string.h>

struct held {
    uint32_t references, types, bus_writable, bus_readers, premaps, recursive;
};
static struct held by_tables[RAM_FRAMES], by_bus[RAM_FRAMES], by_others[RAM_FRAMES];

/* Tables as they were counted; level 0: not counted as a table. */
static struct counted {
    uint32_t level, end;        /* entries from end on hold nothing yet, or any more */
    uint64_t holding[512 / 64]; /* a bit for each entry that holds a reference */
    uint64_t entries[512];
} counted[RAM_FRAMES];

#define FAIL(mfn, what, ...)                                                                                 \
    machine_fail("MFN 0x%llx: " what, (unsigned long long)(mfn)__VA_OPT__(, ) __VA_ARGS__)

/* ---- the CPU's tables ---- */

static bool is_own(uint64_t mfn)
{
    return mfn < RAM_FRAMES && machine_frame(mfn)->owner == FRAME_GUEST;
}

static void check_foreign(uint64_t table, uint64_t entry)
{
    uint64_t mfn = pte_mfn(entry);
    const struct frame *frame = frame_of(mfn);
    bool writes = (entry & PTE_WRITABLE) != 0;

    if (frame != NULL && (frame->flags & FRAME_SHARED_RW) != 0)
        return;
    if (frame != NULL && (frame->flags & FRAME_SHARED_RO) != 0 && !writes)
        return;
    if (frame != NULL && (frame->owner == FRAME_HYPERVISOR || frame->owner == FRAME_FREE))
        FAIL(table, "maps MFN 0x%llx, which is not the guest's", (unsigned long long)mfn);
    switch (device_frame_kind(mfn)) {
    case DEVICE_FRAME_MMIO:
    case DEVICE_FRAME_FIRMWARE:
        return;
    case DEVICE_FRAME_READ_ONLY:
        if (!writes)
            return;
        break;
    case DEVICE_FRAME_DENIED:
        break;
    }
    FAIL(table, "maps MFN 0x%llx, which is denied", (unsigned long long)mfn);
}

static void count_one(uint64_t table, uint32_t level, uint64_t entry, uint32_t by)
{
    struct held *held = &by_tables[pte_mfn(entry)];

    held->references += by;
    if (level == 4 && pte_mfn(entry) == table)
        held->recursive += by;
    else if (level > 1 || (entry & PTE_WRITABLE) != 0)
        held->types += by;
}

/* Whether the entry holds something; it must be one that may stand there. */
static bool holds(uint64_t table, uint32_t level, uint64_t entry)
{
    if ((entry & PTE_PRESENT) == 0)
        return false;
    if (is_own(pte_mfn(entry)))
        return true;
    if (level > 1)
        FAIL(table, "a table of level %u points at MFN 0x%llx, which is not the guest's", level,
             (unsigned long long)pte_mfn(entry));
    check_foreign(table, entry);
    return false;
}

static void forget_table(uint64_t mfn, struct counted *table)
{
    for (uint32_t slot = 0; slot < 512; slot++)
        if ((table->holding[slot / 64] >> slot % 64 & 1) != 0)
            count_one(mfn, table->level, table->entries[slot], UINT32_MAX);
    memset(table->holding, 0, sizeof table->holding);
    table->level = 0;
}

/* Of a table of level 4, the hypervisor's slots hold nothing. */
static void count_entries(uint64_t mfn, struct counted *table)
{
    for (uint32_t slot = 0; slot < table->end; slot++) {
        if (table->level == 4 && slot >= MAP_FIRST_SLOT && slot <= MAP_LAST_SLOT)
            continue;
        if (table->entries[slot] != 0 && holds(mfn, table->level, table->entries[slot])) {
            table->holding[slot / 64] |= 1ull << slot % 64;
            count_one(mfn, table->level, table->entries[slot], 1);
        }
    }
}

static uint32_t level_of(const struct frame *frame)
{
    bool table = frame->owner == FRAME_GUEST && frame->type_references != 0 && frame->type >= FRAME_TYPE_L1 &&
                 frame->type <= FRAME_TYPE_L4;

    return table ? frame->type - FRAME_TYPE_L1 + 1u : 0;
}

/* While work on a table is under way, only its first entries hold something. */
static uint32_t end_of(const struct frame *frame)
{
    return (frame->flags & (FRAME_PARTIAL | FRAME_DYING)) != 0 ? frame->progress : 512;
}

static void count_table(uint64_t mfn)
{
    struct counted *old = &counted[mfn];
    uint32_t level = level_of(machine_frame(mfn)), end = end_of(machine_frame(mfn));
    const uint64_t *entries = phys_to_virt(mfn << FRAME_SHIFT);

    if (level == 0 && old->level == 0)
        return;
    if (level == old->level && end == old->end && memcmp(entries, old->entries, sizeof old->entries) == 0)
        return;
    if (old->level != 0)
        forget_table(mfn, old);
    old->level = level;
    old->end = end;
    if (level == 0)
        return;
    memcpy(old->entries, entries, sizeof old->entries);
    count_entries(mfn, old);
}

static void check_hypervisor_slots(uint64_t mfn)
{
    uint64_t expected[512];
    const uint64_t *entries = phys_to_virt(mfn << FRAME_SHIFT);

    map_fill_guest_l4(expected);
    if (memcmp(&entries[MAP_FIRST_SLOT], &expected[MAP_FIRST_SLOT],
               (MAP_LAST_SLOT - MAP_FIRST_SLOT + 1) * sizeof expected[0]) != 0)
        FAIL(mfn, "a table of level 4 without the hypervisor's slots");
}

/* ---- the bus ---- */

static bool bus_may_hold(const struct frame *frame)
{
    return frame->owner == FRAME_GUEST || frame->owner == FRAME_PARKED;
}

static void count_leaf(uint64_t entry, uint64_t span)
{
    const struct page_format *format = guest.context->table.format;
    uint32_t flags = page_table_leaf_flags(format, entry);
    uint64_t first = page_table_leaf_mfn(format, entry);

    if ((flags & IOMMU_LOCKED) != 0)
        return;
    for (uint64_t mfn = first; mfn < first + span; mfn++) {
        const struct frame *frame = frame_of(mfn);

        if (mfn >= MODEL_FIRST_MFN && mfn < MODEL_FIRST_MFN + MODEL_FRAMES)
            FAIL(mfn, "a device reaches a table of the IOMMU");
        if (frame == NULL || frame->owner == FRAME_NOT_RAM) {
            if (device_frame_kind(mfn) != DEVICE_FRAME_MMIO)
                FAIL(mfn, "a device reaches it, and it is denied");
            continue;
        }
        if (!bus_may_hold(frame))
            FAIL(mfn, "a device reaches it, and it is not the guest's");
        if ((flags & IOMMU_WRITE) != 0 && frame_type_is_table(frame->type))
            FAIL(mfn, "a device can write it, and its type is %u", frame->type);
        by_bus[mfn].references++;
        if ((flags & IOMMU_PREMAP) != 0)
            by_bus[mfn].premaps++;
        else if ((flags & (IOMMU_WRITE | IOMMU_WITHHELD)) != 0)
            by_bus[mfn].bus_writable++;
        else
            by_bus[mfn].bus_readers++;
    }
}

static void count_bus_table(uint64_t mfn, uint32_t level)
{
    const struct page_format *format = guest.context->table.format;
    const uint64_t *entries =
        (const uint64_t *)(const void *)(model_memory + ((mfn - MODEL_FIRST_MFN) << 12));

    for (uint32_t slot = 0; slot < 512; slot++) {
        if (entries[slot] == 0)
            continue;
        if (level == 1 || (entries[slot] & format->kind) == format->large)
            count_leaf(entries[slot], page_table_span(level));
        else
            count_bus_table(page_table_leaf_mfn(format, entries[slot]), level - 1);
    }
}

static void count_bus(void)
{
    memset(by_bus, 0, sizeof by_bus);
    if (guest.context != NULL)
        count_bus_table(page_table_root(&guest.context->table), guest.context->table.levels);
}

/* ---- the rest ---- */

static void hold(uint64_t mfn, bool type)
{
    if (!is_own(mfn))
        FAIL(mfn, "is held, and is not the guest's");
    by_others[mfn].references++;
    by_others[mfn].types += type;
}

/* A pin, or the work under way. */
#define HOLDING (FRAME_PINNED | FRAME_PARTIAL | FRAME_DYING)

/* Ring 3 code and data, or nothing that the processor could use. */
static void check_descriptors(uint64_t mfn)
{
    const uint64_t *descriptors = phys_to_virt(mfn << FRAME_SHIFT);

    if (machine_frame(mfn)->type != FRAME_TYPE_SEGMENT)
        FAIL(mfn, "the processor reads descriptors from it, and its type is %u", machine_frame(mfn)->type);
    for (uint32_t i = 0; i < 512; i++)
        if ((descriptors[i] >> 47 & 1) != 0 && (descriptors[i] >> 44 & 7) != 7)
            FAIL(mfn, "descriptor %u is 0x%llx", i, (unsigned long long)descriptors[i]);
}

static void count_descriptors(void)
{
    for (uint32_t page = 0; page < DESCRIPTOR_PAGES; page++) {
        uint64_t mfn = machine_descriptor_pages[page];

        if (mfn == 0)
            continue;
        hold(mfn, true);
        check_descriptors(mfn);
    }
}

static void count_others(void)
{
    memset(by_others, 0, sizeof by_others);
    for (uint64_t mfn = 0; mfn < RAM_FRAMES; mfn++)
        if ((machine_frame(mfn)->flags & HOLDING) != 0)
            hold(mfn, true);
    count_descriptors();
    hold(guest.l4_mfn, true);
    if (guest.vcpu != &guest.shared->vcpu_info[0])
        hold(virt_to_phys(guest.vcpu) >> FRAME_SHIFT, true);
    if (guest.user_l4_mfn != 0)
        hold(guest.user_l4_mfn, true);
}

static void check_frame(uint64_t mfn)
{
    const struct frame *frame = machine_frame(mfn);
    const struct held *tables = &by_tables[mfn], *bus = &by_bus[mfn], *others = &by_others[mfn];
    uint32_t references = tables->references + bus->references + others->references;
    uint32_t types = tables->types + others->types;

    if (frame->references != references)
        FAIL(mfn, "%u references recorded, %u found (%u in tables, %u on the bus)", frame->references,
             references, tables->references, bus->references);
    if (frame->type_references != types)
        FAIL(mfn, "type %u has %u references recorded, %u found", frame->type, frame->type_references, types);
    if (frame->bus_writable != bus->bus_writable)
        FAIL(mfn, "%u bus entries with W recorded, %u found", frame->bus_writable, bus->bus_writable);
    if (frame->bus_readers != bus->bus_readers)
        FAIL(mfn, "%u bus entries without W recorded, %u found", frame->bus_readers, bus->bus_readers);
    if (frame->owner != FRAME_GUEST && (types != 0 || bus->premaps != 0 || tables->references != 0))
        FAIL(mfn, "it is owner %u's, and %u tables and %u types refer to it", frame->owner,
             tables->references, types);
    if (frame->owner == FRAME_PARKED && references == 0)
        FAIL(mfn, "it is parked, and nothing leads to it");
    if (bus->premaps != (uint32_t)((frame->flags & FRAME_PREMAPPED) != 0))
        FAIL(mfn, "%u boot-time bus entries, flags 0x%x", bus->premaps, frame->flags);
    if (types == 0 && frame_type_is_table(frame->type))
        FAIL(mfn, "type %u is nobody's", frame->type);
    if (tables->recursive != (uint32_t)((frame->flags & FRAME_LINEAR) != 0))
        FAIL(mfn, "%u recursive entries, flags 0x%x", tables->recursive, frame->flags);
    if (frame->type == FRAME_TYPE_L4 && frame->type_references != 0 &&
        (frame->flags & (FRAME_PARTIAL | FRAME_DYING)) == 0)
        check_hypervisor_slots(mfn);
}

void recount(void)
{
    for (uint64_t mfn = 0; mfn < RAM_FRAMES; mfn++)
        count_table(mfn);
    count_bus();
    count_others();
    for (uint64_t mfn = 0; mfn < RAM_FRAMES; mfn++)
        check_frame(mfn);
}

/* SPDX-License-Identifier: MIT */
/* What must come of an IVRS on the machine, from its description. */
#include "drivers/iommu/amdvi/amdvi.h"
#include "tests/fuzz/must.h"
#include "tests/fuzz/policy.h"

static struct ivrs ivrs;
static struct claims claims;
static bool usable[IVRS_BLOCKS_MAX];
static bool rest_is_known;

/* ---- owners ---- */

static bool is_usable(uint32_t block)
{
    return usable[block];
}

/* As unit.c does: blocks that count, up to as many as there can be units. */
static void choose_usable(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < ivrs.block_count; i++) {
        usable[i] =
            !ivrs.blocks[i].superseded && count < IOMMU_UNITS_MAX && (machine.usable >> i % 64 & 1) != 0;
        if (!usable[i])
            continue;
        count++;
        machine_add_unit(ivrs.blocks[i].base);
    }
}

static bool is_rest_known(void)
{
    bool unread = ivrs.truncated;

    for (uint32_t i = 0; i < ivrs.block_count; i++)
        unread |= ivrs.blocks[i].incomplete && !ivrs.blocks[i].superseded && !usable[i];
    return !unread;
}

static struct owner owner_of(uint16_t segment, uint16_t id)
{
    struct owner owner = {0};
    uint32_t block = 0;

    for (uint32_t i = 0; i < ivrs.entry_count; i++) {
        const struct ivrs_entry *entry = &ivrs.entries[i];

        while (i >= (uint32_t)ivrs.blocks[block].first_entry + ivrs.blocks[block].entries)
            block++;
        if (ivrs.blocks[block].superseded || ivrs.blocks[block].segment != segment || id < entry->first ||
            id > entry->last || (entry->first != entry->last && !rest_is_known))
            continue;
        owner_add(&owner, block, (uint32_t)entry->last - entry->first,
                  entry->kind == IVRS_ENTRY_ALIAS || entry->kind == IVRS_ENTRY_ALIAS_START ? &entry->alias
                                                                                           : NULL);
    }
    return owner;
}

/* ---- reserved ranges ---- */

static void each(const struct wish *wish,
                 void (*check)(const struct wish *wish, uint16_t segment, uint16_t id))
{
    const struct ivrs_memory *memory = &ivrs.memory[wish->index];

    if (memory->first == memory->last)
        check(wish, memory->segment, memory->first);
    for (uint32_t i = 0; i < MACHINE_BRIDGES + MACHINE_DEVICES; i++) {
        const struct machine_function *function = &machine.functions[i];

        if (function->present && function->segment == memory->segment && memory->first <= function->id &&
            function->id <= memory->last)
            check(wish, function->segment, function->id);
    }
}

/* 5.2.2.2: bit 0 unity mapping, with bit 1 for reads and bit 2 for writes; bit 3 exclusion, for both. */
static uint32_t flags_of(uint8_t flags)
{
    static const uint32_t of[16] = {[3] = IOMMU_READ, [5] = IOMMU_WRITE, [7] = IOMMU_READ | IOMMU_WRITE};

    return (flags & 8) != 0 ? IOMMU_READ | IOMMU_WRITE : of[flags & 7];
}

/* 512 KiB with performance counters, or when nobody could ask; 16 KiB without. */
static uint64_t register_frames(uint64_t base)
{
    for (uint32_t i = 0; i < ivrs.block_count; i++)
        if (usable[i] && ivrs.blocks[i].base == base)
            return machine.counters ? 0x80 : 4;
    return 0x80;
}

static void check_reserved(void)
{
    static struct wish list[IVRS_MEMORY_MAX];
    static struct iommu_range registers[IVRS_BLOCKS_MAX + 1];
    struct wishes wishes = {.list = list, .registers = registers, .each = each};

    registers[wishes.register_count++] = (struct iommu_range){0xfd00000, 0x300000}; /* HyperTransport */
    for (uint32_t i = 0; i < ivrs.block_count; i++)
        if (ivrs.blocks[i].base >= 4096)
            registers[wishes.register_count++] =
                (struct iommu_range){ivrs.blocks[i].base / 4096, register_frames(ivrs.blocks[i].base)};
    for (uint32_t i = 0; i < ivrs.memory_count; i++) {
        const struct ivrs_memory *memory = &ivrs.memory[i];

        list[wishes.count++] = (struct wish){.first = memory->base / 4096,
                                             .last = (memory->base + (memory->size - 1)) / 4096,
                                             .flags = flags_of(memory->flags),
                                             .index = i,
                                             .malformed = memory->malformed,
                                             .for_all = memory->type == IVRS_IVMD_ALL};
    }
    amdvi_reserved_init(&ivrs, machine.address_bits);
    judge_reserved(&wishes);
}

void policy_amdvi(const uint8_t *table, size_t size)
{
    struct policy policy = {
        .claims = &claims, .findings = &ivrs.findings, .usable = is_usable, .owner_of = owner_of};

    if (!ivrs_parse(table, size, &ivrs))
        return;
    choose_usable();
    rest_is_known = is_rest_known();
    must(ivrs_claim(&ivrs, usable, &claims) == rest_is_known);
    policy.units = ivrs.block_count;
    policy.rest_is_known = rest_is_known;
    judge_owners(&policy);
    check_reserved();
}

/* SPDX-License-Identifier: MIT */
/* What the hypervisor does not ask of an IVRS, and a person who wonders about a machine wants to know. */
#include "tools/tables/ivrs.h"

#include "drivers/iommu/amdvi/regs.h"
#include "tools/tables/live.h"
#include "tools/tables/range.h"
#include "tools/tables/registers.h"

#define ATTRIBUTE_NO_TRANSLATION 0x1u /* HATDis: spec 48882, 5.2.2.1 */
#define HYPERTRANSPORT_BASE      0xfd00000000ull
#define HYPERTRANSPORT_BYTES     0x300000000ull
#define RANGES_KEPT              62u /* two windows take their places of IOMMU_RESERVED_MAX */

#define ADVICE_IOMMU_ON "Look for IOMMU or AMD-Vi in the firmware's settings and switch it on."

static struct place at(const char *structure, uint32_t offset, enum severity severity)
{
    return (struct place){severity, structure, offset,
                          severity == SEVERITY_NOTE ? ADVICE_HARMLESS : ADVICE_UPDATE};
}

static uint32_t physical_bits(const struct ivrs *ivrs)
{
    uint32_t bits = IVRS_INFO_PHYSICAL(ivrs->info);

    return bits != 0 && bits < 64 ? bits : 64;
}

/* ---- units ---- */

static bool is_translating(const struct ivrs_block *block)
{
    return block->type == IVRS_IVHD_BASIC || (block->feature_info & ATTRIBUTE_NO_TRANSLATION) == 0;
}

/* Which blocks' units can be used. */
static void check_registers(const struct ivrs *ivrs, bool *usable, struct remarks *remarks)
{
    static struct registers list[IVRS_BLOCKS_MAX];

    for (uint32_t i = 0; i < ivrs->block_count; i++) {
        const struct ivrs_block *block = &ivrs->blocks[i];

        list[i] = (struct registers){.structure = "IVHD",
                                     .base = block->base,
                                     .bytes = AMDVI_REGISTER_BYTES,
                                     .align = AMDVI_REGISTERS_ALIGN,
                                     .offset = block->offset,
                                     .usable = !block->superseded && is_translating(block)};
        if (!block->superseded && !is_translating(block))
            remark(remarks, (struct place){SEVERITY_ERROR, "IVHD", block->offset, ADVICE_IOMMU_ON},
                   "firmware says that it does not translate (HATDis): Sluice cannot use the unit, its "
                   "devices stay blocked");
    }
    registers_check(list, ivrs->block_count, physical_bits(ivrs), remarks);
    for (uint32_t i = 0; i < ivrs->block_count; i++)
        usable[i] = list[i].usable;
}

/* Where another block of the unit's says something else. */
static void check_agreement(const struct ivrs *ivrs, const struct ivrs_block *block, struct remarks *remarks)
{
    for (uint32_t i = 0; i < ivrs->block_count; i++) {
        const struct ivrs_block *other = &ivrs->blocks[i];
        const char *what = NULL;

        if (!other->superseded || !ivrs_same_unit(block, other) || other->type == block->type)
            continue;
        if (other->base != block->base)
            what = "another register address";
        else if (other->capability != block->capability)
            what = "another place of its PCI capability";
        else if (other->type != IVRS_IVHD_BASIC &&
                 (other->features != block->features || other->features2 != block->features2))
            what = "other features";
        if (what != NULL)
            remark(remarks, at("IVHD", other->offset, SEVERITY_WARNING),
                   "it gives its unit %s than the block of type %xh at byte 0x%x, which Sluice believes",
                   what, block->type, block->offset);
    }
}

static void check_own_id(const struct ivrs *ivrs, const struct ivrs_block *block, struct remarks *remarks)
{
    for (uint32_t i = 0; i < block->entries; i++) {
        const struct ivrs_entry *entry = ivrs_entry_at(ivrs, block, i);

        if (entry->kind != IVRS_ENTRY_ALL && entry->first <= block->id && block->id <= entry->last)
            remark(remarks, at("device entry", entry->offset, SEVERITY_NOTE),
                   "it names the unit's own PCI function among the devices that the unit covers");
    }
}

static bool others_are_newer(const struct ivrs *ivrs)
{
    for (uint32_t i = 0; i < ivrs->block_count; i++)
        if (ivrs->blocks[i].type != IVRS_IVHD_BASIC)
            return true;
    return false;
}

static void check_unit(const struct ivrs *ivrs, const struct ivrs_block *block, struct remarks *remarks)
{
    check_agreement(ivrs, block, remarks);
    check_own_id(ivrs, block, remarks);
    if (block->type == IVRS_IVHD_BASIC && others_are_newer(ivrs))
        remark(
            remarks, at("IVHD", block->offset, SEVERITY_NOTE),
            "its unit has only this block of type 10h, and other units have newer ones: Sluice asks the unit "
            "itself for its features");
}

static void check_units(const struct ivrs *ivrs, bool *usable, struct remarks *remarks)
{
    if (ivrs->block_count == 0)
        remark(remarks, (struct place){SEVERITY_ERROR, "table", 0, ADVICE_IOMMU_ON},
               "there is no unit (IVHD) that can be read: Sluice finds no IOMMU, and refuses to start");
    check_registers(ivrs, usable, remarks);
    for (uint32_t i = 0; i < ivrs->block_count; i++)
        if (!ivrs->blocks[i].superseded)
            check_unit(ivrs, &ivrs->blocks[i], remarks);
}

/* ---- special devices ---- */

static bool counts(const struct ivrs *ivrs, const struct ivrs_special *special)
{
    return !ivrs->blocks[special->block].superseded;
}

static void check_special(const struct ivrs *ivrs, uint32_t index, struct remarks *remarks)
{
    const struct ivrs_special *later = &ivrs->specials[index];
    const char *what = later->kind == IVRS_SPECIAL_IOAPIC ? "IO-APIC" : "HPET";

    for (uint32_t i = 0; i < index; i++) {
        const struct ivrs_special *earlier = &ivrs->specials[i];

        if (!counts(ivrs, earlier) || earlier->kind != later->kind)
            continue;
        if (earlier->handle == later->handle) {
            remark(remarks, at("device entry", later->offset, SEVERITY_WARNING),
                   "the %s %u is also named at byte 0x%x: Sluice believes that one", what, later->handle,
                   earlier->offset);
            return;
        }
        if (later->kind == IVRS_SPECIAL_IOAPIC && earlier->id == later->id &&
            ivrs->blocks[earlier->block].segment == ivrs->blocks[later->block].segment) {
            remark(remarks, at("device entry", later->offset, SEVERITY_WARNING),
                   "the interrupts of IO-APIC %u and of IO-APIC %u show the same requester id: one can raise "
                   "the "
                   "other's",
                   later->handle, earlier->handle);
            return;
        }
    }
}

static void check_specials(const struct ivrs *ivrs, struct remarks *remarks)
{
    bool any = ivrs->block_count == 0;

    for (uint32_t i = 0; i < ivrs->special_count; i++)
        if (counts(ivrs, &ivrs->specials[i])) {
            any |= ivrs->specials[i].kind == IVRS_SPECIAL_IOAPIC;
            check_special(ivrs, i, remarks);
        }
    if (!any)
        remark(remarks, at("table", 0, SEVERITY_WARNING),
               "no unit names an IO-APIC: interrupts of devices without MSI cannot be remapped, and stay "
               "blocked");
}

/* ---- memory blocks ---- */

static bool has_segment(const struct ivrs *ivrs, uint16_t segment)
{
    for (uint32_t i = 0; i < ivrs->block_count; i++)
        if (ivrs->blocks[i].segment == segment)
            return true;
    return false;
}

/* IVRS_MEMORY_READ and IVRS_MEMORY_WRITE; 0: none. */
static uint8_t access_of(const struct ivrs_memory *memory)
{
    if ((memory->flags & IVRS_MEMORY_EXCLUSION) != 0)
        return IVRS_MEMORY_READ | IVRS_MEMORY_WRITE;
    return (memory->flags & IVRS_MEMORY_UNITY) == 0 ? 0
                                                    : memory->flags & (IVRS_MEMORY_READ | IVRS_MEMORY_WRITE);
}

/* Sluice asks a unit that it uses; of others it takes the most that there can be for theirs. */
static bool has_counters(const struct ivrs *ivrs, const bool *usable, uint64_t base)
{
    for (uint32_t i = 0; i < ivrs->block_count; i++)
        if (usable[i] && ivrs->blocks[i].base == base)
            return (ivrs->blocks[i].features & AMDVI_FEATURE_COUNTERS) != 0;
    return true;
}

static void block_registers(const struct ivrs *ivrs, const bool *usable, struct ranges *ranges)
{
    for (uint32_t i = 0; i < ivrs->block_count; i++) {
        uint64_t base = ivrs->blocks[i].base;
        bool all = has_counters(ivrs, usable, base);

        ranges_block(ranges, base, all ? AMDVI_REGISTER_BYTES_MAX : AMDVI_REGISTER_BYTES,
                     "the registers of a unit");
        if (!all)
            ranges_doubt(ranges, base, AMDVI_REGISTER_BYTES_MAX, "the performance counters of a unit");
    }
}

static void check_memory(const struct ivrs *ivrs, const bool *usable, struct remarks *remarks)
{
    static struct ranges ranges;

    ranges_begin(&ranges, RANGES_KEPT, physical_bits(ivrs));
    ranges_block(&ranges, HYPERTRANSPORT_BASE, HYPERTRANSPORT_BYTES, "the HyperTransport window");
    block_registers(ivrs, usable, &ranges);
    for (uint32_t i = 0; i < ivrs->memory_count; i++) {
        const struct ivrs_memory *memory = &ivrs->memory[i];

        if (access_of(memory) == 0) {
            remark(remarks, at("IVMD", memory->offset, SEVERITY_NOTE),
                   "it gives its devices no access: Sluice leaves it out");
            continue;
        }
        if (!has_segment(ivrs, memory->segment))
            remark(
                remarks, at("IVMD", memory->offset, SEVERITY_WARNING),
                "it is for segment %04x, which no unit has: Sluice keeps the memory, and nobody reaches it",
                memory->segment);
        if (!memory->malformed)
            ranges_want(&ranges, (struct range){.base = memory->base,
                                                .limit = memory->base + memory->size - 1,
                                                .offset = memory->offset,
                                                .access = access_of(memory),
                                                .names_nobody = memory->type == IVRS_IVMD_ALL,
                                                .what = "IVMD"});
    }
    ranges_check(&ranges, remarks);
}

/* ---- who owns which device, by the hypervisor's own rules ---- */

static void check_claims(struct ivrs *ivrs, const bool *usable, struct remarks *remarks)
{
    static struct claims claims;

    ivrs->findings.count = ivrs->findings.lost = 0;
    remarks->single_only = !ivrs_claim(ivrs, usable, &claims);
    remark_findings(remarks, &ivrs->findings);
    live_check_claims(&claims, remarks);
}

void ivrs_check(struct ivrs *ivrs, struct remarks *remarks)
{
    bool usable[IVRS_BLOCKS_MAX];

    remark_findings(remarks, &ivrs->findings);
    check_units(ivrs, usable, remarks);
    check_claims(ivrs, usable, remarks);
    check_specials(ivrs, remarks);
    check_memory(ivrs, usable, remarks);
}

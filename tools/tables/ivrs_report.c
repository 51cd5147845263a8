/* SPDX-License-Identifier: MIT */
#include "tools/tables/ivrs.h"

#include "tools/tables/live.h"
#include "tools/tables/tree.h"

#include <stdio.h>

#define NAME_TEXT_SIZE 40u   /* 8 characters, each of at most 4 */
#define UID_TEXT_SIZE  1100u /* 255 */

static const char *id_text(uint16_t id)
{
    static char texts[4][16]; /* as many as one line has */
    static uint32_t next;
    char *text = texts[next++ % 4];

    snprintf(text, sizeof *texts, "%02x:%02x.%x", id >> 8, id >> 3 & 31, id & 7);
    return text;
}

/* ---- what a unit covers ---- */

static void uid_text(const uint8_t *entry, char *text, size_t room)
{
    uint8_t format = entry[IVRS_ACPI_UID_FORMAT], length = entry[IVRS_ACPI_UID_LENGTH];
    uint64_t number = 0;
    size_t used = (size_t)snprintf(text, room, ", unique id ");

    if (format == IVRS_ACPI_UID_NONE) {
        text[0] = 0;
    } else if (format == IVRS_ACPI_UID_NUMBER && length == sizeof number) {
        for (uint32_t i = length; i > 0; i--)
            number = number << 8 | entry[IVRS_ACPI_UID + i - 1];
        snprintf(text + used, room - used, "%llu", (unsigned long long)number);
    } else {
        safe_text(text + used, room - used, entry + IVRS_ACPI_UID, length);
    }
}

static void acpi_line(const struct input *input, const struct ivrs_entry *entry, bool last)
{
    const uint8_t *bytes = input->bytes + entry->offset;
    char name[NAME_TEXT_SIZE], uid[UID_TEXT_SIZE];

    safe_text(name, sizeof name, bytes + IVRS_ACPI_HID, 8);
    uid_text(bytes, uid, sizeof uid);
    tree_line(last, "ACPI device %s%s, as %s", name, uid, id_text(entry->first));
}

static void entry_line(const struct input *input, const struct ivrs_block *block,
                       const struct ivrs_entry *entry, bool last)
{
    switch (entry->kind) {
    case IVRS_ENTRY_ALL:
        tree_line(last, "every device of the segment that no other entry names");
        break;
    case IVRS_ENTRY_START:
    case IVRS_ENTRY_EXTENDED_START:
        tree_line(last, "%s to %s", id_text(entry->first), id_text(entry->last));
        break;
    case IVRS_ENTRY_ALIAS:
        tree_line(last, "%s%s, whose DMA shows as that of %s", id_text(entry->first),
                  live_function(block->segment, entry->first), id_text(entry->alias));
        break;
    case IVRS_ENTRY_ALIAS_START:
        tree_line(last, "%s to %s, whose DMA shows as that of %s", id_text(entry->first),
                  id_text(entry->last), id_text(entry->alias));
        break;
    case IVRS_ENTRY_ACPI:
        acpi_line(input, entry, last);
        break;
    default:
        tree_line(last, "%s%s", id_text(entry->first), live_function(block->segment, entry->first));
    }
}

static uint32_t specials_of(const struct ivrs *ivrs, uint32_t block)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < ivrs->special_count; i++)
        count += ivrs->specials[i].block == block;
    return count;
}

static void special_lines(const struct ivrs *ivrs, uint32_t block, bool more)
{
    uint32_t left = specials_of(ivrs, block);

    for (uint32_t i = 0; i < ivrs->special_count; i++) {
        const struct ivrs_special *special = &ivrs->specials[i];

        if (special->block == block)
            tree_line(--left == 0 && !more, "%s %u: its interrupts come from %s",
                      special->kind == IVRS_SPECIAL_IOAPIC ? "IO-APIC" : "HPET timer block", special->handle,
                      id_text(special->id));
    }
}

static void unit_lines(const struct input *input, const struct ivrs *ivrs, uint32_t index)
{
    const struct ivrs_block *block = &ivrs->blocks[index];
    bool more = block->incomplete || specials_of(ivrs, index) != 0;

    for (uint32_t i = 0; i < block->entries; i++)
        entry_line(input, block, ivrs_entry_at(ivrs, block, i), !more && i + 1 == block->entries);
    special_lines(ivrs, index, block->incomplete);
    if (block->incomplete)
        tree_line(true, "and what cannot be read; see the findings");
    else if (block->entries == 0 && !more)
        tree_line(true, "nothing");
}

static void report_units(const struct input *input, const struct ivrs *ivrs)
{
    uint32_t number = 0;

    for (uint32_t i = 0; i < ivrs->block_count; i++) {
        const struct ivrs_block *block = &ivrs->blocks[i];

        if (block->superseded)
            continue;
        printf("\nUnit %u (IVHD): segment %04x, PCI function %s%s, registers at 0x%llx; it covers\n",
               number++, block->segment, id_text(block->id), live_function(block->segment, block->id),
               (unsigned long long)block->base);
        unit_lines(input, ivrs, i);
    }
}

/* ---- blocks and memory ---- */

static void report_blocks(const struct ivrs *ivrs)
{
    if (ivrs->block_count != 0)
        printf("\nBlocks (IVHD): a unit is described by the one of the highest type\n");
    for (uint32_t i = 0; i < ivrs->block_count; i++) {
        const struct ivrs_block *block = &ivrs->blocks[i];
        uint32_t names = block->entries + specials_of(ivrs, i);

        tree_line(i + 1 == ivrs->block_count, "byte 0x%x: type %xh, for the unit %s, %u device entr%s%s",
                  block->offset, block->type, id_text(block->id), names, names == 1 ? "y" : "ies",
                  block->superseded ? ", superseded" : ", counts");
    }
}

static const char *access_text(const struct ivrs_memory *memory)
{
    uint8_t access = memory->flags & (IVRS_MEMORY_READ | IVRS_MEMORY_WRITE);

    if ((memory->flags & IVRS_MEMORY_EXCLUSION) != 0)
        return "an exclusion range, which Sluice takes for memory to be open to";
    if ((memory->flags & IVRS_MEMORY_UNITY) == 0 || access == 0)
        return "without access, and left out by Sluice; for";
    if (access == IVRS_MEMORY_READ)
        return "firmware wants it readable by";
    return access == IVRS_MEMORY_WRITE ? "firmware wants it writable by" : "firmware wants it open to";
}

static void report_memory(const struct ivrs *ivrs)
{
    for (uint32_t i = 0; i < ivrs->memory_count; i++) {
        const struct ivrs_memory *memory = &ivrs->memory[i];

        printf("\nReserved memory (IVMD): segment %04x, %s from 0x%llx on; %s\n", memory->segment,
               size_text(memory->size), (unsigned long long)memory->base, access_text(memory));
        if (memory->type == IVRS_IVMD_ALL)
            tree_line(true, "every device");
        else if (memory->first == memory->last)
            tree_line(true, "%s%s", id_text(memory->first), live_function(memory->segment, memory->first));
        else
            tree_line(true, "%s to %s", id_text(memory->first), id_text(memory->last));
    }
}

static uint32_t unit_count(const struct ivrs *ivrs)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < ivrs->block_count; i++)
        count += !ivrs->blocks[i].superseded;
    return count;
}

void ivrs_report(const struct input *input, const struct ivrs *ivrs)
{
    uint32_t units = unit_count(ivrs), bits = IVRS_INFO_PHYSICAL(ivrs->info);

    printf("What the firmware of a machine with AMD-Vi says about its IOMMU: %u unit%s", units,
           plural(units));
    if (bits != 0)
        printf(", addresses of %u bit%s", bits, plural(bits));
    printf(".\n");
    report_units(input, ivrs);
    report_blocks(ivrs);
    report_memory(ivrs);
}

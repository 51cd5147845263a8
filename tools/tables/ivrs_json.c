/* SPDX-License-Identifier: MIT */
#include "tools/tables/ivrs.h"

#include "tools/tables/json.h"
#include "tools/tables/tree.h"

/* ---- scopes, as a DMAR has them ---- */

struct scope {
    const char *kind;
    uint32_t offset;
    uint16_t first, last, alias;
    uint8_t enumeration_id;
    bool aliased;
};

/* Where a range begins, for a range. */
static void write_path(uint16_t id)
{
    json_number("start_bus", id >> 8);
    json_open_array("path");
    json_open_array(NULL);
    json_number(NULL, id >> 3 & 31);
    json_number(NULL, id & 7);
    json_close_array();
    json_close_array();
}

static void write_optional(const char *key, bool known, uint16_t id)
{
    if (known)
        json_number(key, id);
    else
        json_null(key);
}

static void write_scope(struct scope scope)
{
    json_open_object(NULL);
    json_number("offset", scope.offset);
    json_text("kind", scope.kind);
    write_path(scope.first);
    json_number("enumeration_id", scope.enumeration_id);
    write_optional("requester_id", scope.first == scope.last, scope.first);
    json_number("first", scope.first);
    json_number("last", scope.last);
    write_optional("alias", scope.aliased, scope.alias);
    json_close_object();
}

static bool is_range(uint8_t kind)
{
    return kind == IVRS_ENTRY_START || kind == IVRS_ENTRY_ALIAS_START || kind == IVRS_ENTRY_EXTENDED_START;
}

static void write_entry_scope(const struct ivrs_entry *entry)
{
    write_scope((struct scope){.kind = entry->kind == IVRS_ENTRY_ACPI ? "acpi"
                                       : is_range(entry->kind)        ? "range"
                                                                      : "endpoint",
                               .offset = entry->offset,
                               .first = entry->first,
                               .last = entry->last,
                               .alias = entry->alias,
                               .aliased = ivrs_is_aliased(entry)});
}

static const char *special_kind_text(const struct ivrs_special *special)
{
    return special->kind == IVRS_SPECIAL_IOAPIC ? "ioapic" : "hpet";
}

static void write_unit_scopes(const struct ivrs *ivrs, uint32_t index)
{
    const struct ivrs_block *block = &ivrs->blocks[index];

    json_bool("scopes_complete", !block->incomplete);
    json_open_array("scopes");
    for (uint32_t i = 0; i < block->entries; i++)
        if (ivrs_entry_at(ivrs, block, i)->kind != IVRS_ENTRY_ALL)
            write_entry_scope(ivrs_entry_at(ivrs, block, i));
    for (uint32_t i = 0; i < ivrs->special_count; i++) {
        const struct ivrs_special *special = &ivrs->specials[i];

        if (special->block == index)
            write_scope((struct scope){.kind = special_kind_text(special),
                                       .offset = special->offset,
                                       .first = special->id,
                                       .last = special->id,
                                       .enumeration_id = special->handle});
    }
    json_close_array();
}

/* ---- units and blocks ---- */

static bool includes_all(const struct ivrs *ivrs, const struct ivrs_block *block)
{
    for (uint32_t i = 0; i < block->entries; i++)
        if (ivrs_entry_at(ivrs, block, i)->kind == IVRS_ENTRY_ALL)
            return true;
    return false;
}

static void write_units(const struct ivrs *ivrs)
{
    json_open_array("units");
    for (uint32_t i = 0; i < ivrs->block_count; i++) {
        const struct ivrs_block *block = &ivrs->blocks[i];

        if (block->superseded)
            continue;
        json_open_object(NULL);
        json_text("type", "IVHD");
        json_number("offset", block->offset);
        json_number("block", i);
        json_number("segment", block->segment);
        json_number("requester_id", block->id);
        json_number("base", block->base);
        json_bool("include_all", includes_all(ivrs, block));
        write_unit_scopes(ivrs, i);
        json_close_object();
    }
    json_close_array();
}

static void write_entry(const struct ivrs_entry *entry)
{
    json_open_object(NULL);
    json_number("offset", entry->offset);
    json_number("kind", entry->kind);
    json_number("first", entry->first);
    json_number("last", entry->last);
    write_optional("alias", ivrs_is_aliased(entry), entry->alias);
    json_number("settings", entry->settings);
    json_number("extended_settings", entry->extended);
    json_close_object();
}

static void write_block(const struct ivrs *ivrs, const struct ivrs_block *block)
{
    json_open_object(NULL);
    json_number("offset", block->offset);
    json_number("type", block->type);
    json_number("flags", block->flags);
    json_number("segment", block->segment);
    json_number("requester_id", block->id);
    json_number("capability", block->capability);
    json_number("base", block->base);
    json_number("info", block->info);
    json_number("feature_info", block->feature_info);
    json_number("features", block->features);
    json_number("features2", block->features2);
    json_bool("superseded", block->superseded);
    json_bool("entries_complete", !block->incomplete);
    json_number("padding", block->padding);
    json_open_array("entries");
    for (uint32_t i = 0; i < block->entries; i++)
        write_entry(ivrs_entry_at(ivrs, block, i));
    json_close_array();
    json_close_object();
}

static void write_alias(uint32_t index, const struct ivrs_block *block, const struct ivrs_entry *entry)
{
    json_open_object(NULL);
    json_number("offset", entry->offset);
    json_number("block", index);
    json_number("segment", block->segment);
    json_number("first", entry->first);
    json_number("last", entry->last);
    json_number("alias", entry->alias);
    json_close_object();
}

/* Of the blocks that count. */
static void write_aliases(const struct ivrs *ivrs)
{
    json_open_array("aliases");
    for (uint32_t i = 0; i < ivrs->block_count; i++) {
        const struct ivrs_block *block = &ivrs->blocks[i];

        for (uint32_t e = 0; e < block->entries && !block->superseded; e++)
            if (ivrs_is_aliased(ivrs_entry_at(ivrs, block, e)))
                write_alias(i, block, ivrs_entry_at(ivrs, block, e));
    }
    json_close_array();
}

static void write_specials(const struct ivrs *ivrs)
{
    json_open_array("special_devices");
    for (uint32_t i = 0; i < ivrs->special_count; i++) {
        const struct ivrs_special *special = &ivrs->specials[i];

        json_open_object(NULL);
        json_number("offset", special->offset);
        json_number("block", special->block);
        json_text("kind", special_kind_text(special));
        json_number("handle", special->handle);
        json_number("requester_id", special->id);
        json_number("settings", special->settings);
        json_close_object();
    }
    json_close_array();
}

static void write_uid(const uint8_t *entry)
{
    uint8_t format = entry[IVRS_ACPI_UID_FORMAT], length = entry[IVRS_ACPI_UID_LENGTH];
    uint64_t number = 0;

    if (format == IVRS_ACPI_UID_NUMBER && length == sizeof number) {
        for (uint32_t i = length; i > 0; i--)
            number = number << 8 | entry[IVRS_ACPI_UID + i - 1];
        json_number("uid", number);
    } else if (format == IVRS_ACPI_UID_NONE) {
        json_null("uid");
    } else {
        json_bytes("uid", entry + IVRS_ACPI_UID, field_length(entry + IVRS_ACPI_UID, length));
    }
}

static void write_acpi_device(const struct input *input, uint32_t block, const struct ivrs_entry *entry)
{
    const uint8_t *bytes = input->bytes + entry->offset;

    json_open_object(NULL);
    json_number("offset", entry->offset);
    json_number("block", block);
    json_number("requester_id", entry->first);
    json_bytes("hid", bytes + IVRS_ACPI_HID, field_length(bytes + IVRS_ACPI_HID, 8));
    json_bytes("cid", bytes + IVRS_ACPI_CID, field_length(bytes + IVRS_ACPI_CID, 8));
    json_number("uid_format", bytes[IVRS_ACPI_UID_FORMAT]);
    write_uid(bytes);
    json_close_object();
}

static void write_acpi(const struct input *input, const struct ivrs *ivrs)
{
    json_open_array("acpi_devices");
    for (uint32_t i = 0; i < ivrs->block_count; i++)
        for (uint32_t e = 0; e < ivrs->blocks[i].entries; e++)
            if (ivrs_entry_at(ivrs, &ivrs->blocks[i], e)->kind == IVRS_ENTRY_ACPI)
                write_acpi_device(input, i, ivrs_entry_at(ivrs, &ivrs->blocks[i], e));
    json_close_array();
}

/* ---- memory ---- */

/* The limit of no bytes, or of bytes past 2^64, wraps round. */
static void write_reserved(const struct ivrs *ivrs)
{
    json_open_array("reserved");
    for (uint32_t i = 0; i < ivrs->memory_count; i++) {
        const struct ivrs_memory *memory = &ivrs->memory[i];

        json_open_object(NULL);
        json_number("offset", memory->offset);
        json_number("segment", memory->segment);
        json_number("base", memory->base);
        json_number("limit", memory->base + memory->size - 1);
        json_bool("malformed", memory->malformed);
        json_bool("scopes_complete", true);
        json_open_array("scopes");
        write_scope((struct scope){.kind = memory->type == IVRS_IVMD_ONE ? "endpoint" : "range",
                                   .offset = memory->offset,
                                   .first = memory->first,
                                   .last = memory->last});
        json_close_array();
        json_close_object();
    }
    json_close_array();
}

static void write_memory(const struct ivrs *ivrs)
{
    json_open_array("memory");
    for (uint32_t i = 0; i < ivrs->memory_count; i++) {
        const struct ivrs_memory *memory = &ivrs->memory[i];

        json_open_object(NULL);
        json_number("offset", memory->offset);
        json_number("type", memory->type);
        json_number("flags", memory->flags);
        json_bool("unity", (memory->flags & IVRS_MEMORY_UNITY) != 0);
        json_bool("read", (memory->flags & IVRS_MEMORY_READ) != 0);
        json_bool("write", (memory->flags & IVRS_MEMORY_WRITE) != 0);
        json_bool("exclusion", (memory->flags & IVRS_MEMORY_EXCLUSION) != 0);
        json_number("segment", memory->segment);
        json_number("first", memory->first);
        json_number("last", memory->last);
        json_number("base", memory->base);
        json_number("size", memory->size);
        json_bool("malformed", memory->malformed);
        json_close_object();
    }
    json_close_array();
}

void ivrs_json(const struct input *input, const struct ivrs *ivrs)
{
    json_number("ivinfo", ivrs->info);
    json_number("physical_address_width", IVRS_INFO_PHYSICAL(ivrs->info));
    json_number("virtual_address_width", IVRS_INFO_VIRTUAL(ivrs->info));
    json_bool("complete", !ivrs->truncated);
    write_units(ivrs);
    json_open_array("blocks");
    for (uint32_t i = 0; i < ivrs->block_count; i++)
        write_block(ivrs, &ivrs->blocks[i]);
    json_close_array();
    write_aliases(ivrs);
    write_specials(ivrs);
    write_acpi(input, ivrs);
    write_reserved(ivrs);
    write_memory(ivrs);
}

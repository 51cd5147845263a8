/* SPDX-License-Identifier: MIT */
/*
 * Spec revision 4.1, chapter 8. Every length is checked against the end of what encloses it before a byte
 * behind it is read, and every step moves forward.
 */
#include "drivers/iommu/vtd/dmar.h"

#include "drivers/iommu/table.h"
#include "lib/string.h"

#define SIGNATURE    0x52414d44u /* "DMAR" */
#define HEADER_BYTES 48u         /* ACPI header, then width, flags, reserved: 8.1 */
#define HEADER_WIDTH 36u
#define HEADER_FLAGS 37u

#define FLAG_INTERRUPT_REMAP 0x1u
#define FLAG_X2APIC_OPT_OUT  0x2u
#define FLAG_DMA_OPT_IN      0x4u

#define DRHD_INCLUDE_ALL 0x1u
#define DRHD_SIZE        0xfu /* log2 of the pages of registers: 8.3 */
#define PAGE_BYTES       4096ull

#define STRUCTURE_BYTES 4u
#define SCOPE_BYTES     6u /* 8.3.1, without the path */
#define HOP_BYTES       2u

/* Bytes of each type without what is variable. */
static const struct form {
    uint8_t name; /* enum finding_structure */
    uint8_t bytes;
} forms[] = {
    [DMAR_DRHD] = {FINDING_DRHD, 16}, [DMAR_RMRR] = {FINDING_RMRR, 24}, [DMAR_ATSR] = {FINDING_ATSR, 8},
    [DMAR_RHSA] = {FINDING_RHSA, 20}, [DMAR_ANDD] = {FINDING_ANDD, 8},  [DMAR_SATC] = {FINDING_SATC, 8},
    [DMAR_SIDP] = {FINDING_SIDP, 8},
};
#define FORMS (sizeof forms / sizeof *forms)

/* A structure, its length checked against the table's end and its type's minimum. */
struct structure {
    const struct table *table;
    size_t offset, end;
    uint16_t type;
};

static void find(struct dmar *dmar, size_t offset, enum finding_structure structure,
                 enum finding_reason reason)
{
    findings_add(&dmar->findings, structure, reason, offset);
}

/* ---- device scopes: 8.3.1 ---- */

/* Its path, from `offset` on; kept whole or not at all. False when it makes no sense. */
static bool parse_path(const struct table *table, size_t offset, struct dmar_scope scope, struct dmar *dmar)
{
    //@ loop variant scope.hops - i;
    for (uint32_t i = 0; i < scope.hops; i++) {
        struct dmar_hop hop = {table_read8(table, offset + HOP_BYTES * i),
                               table_read8(table, offset + HOP_BYTES * i + 1)};
        bool possible = hop.device <= 31 && hop.function <= 7;

        if (!possible || dmar->hop_count >= DMAR_HOPS_MAX) {
            find(dmar, scope.offset, FINDING_SCOPE, possible ? FINDING_TOO_MANY : FINDING_PATH_IMPOSSIBLE);
            dmar->hop_count = scope.first_hop;
            return false;
        }
        dmar->hops[dmar->hop_count++] = hop;
    }
    return true;
}

/* One scope of `length` bytes, length checked by the caller. False when what it names is not known. */
static bool parse_scope(const struct table *table, size_t offset, size_t length, struct dmar *dmar)
{
    struct dmar_scope scope = {.offset = (uint32_t)offset,
                               .first_hop = (uint16_t)dmar->hop_count,
                               .hops = (uint8_t)((length - SCOPE_BYTES) / HOP_BYTES),
                               .kind = table_read8(table, offset),
                               .flags = table_read8(table, offset + 2),
                               .enumeration_id = table_read8(table, offset + 4),
                               .start_bus = table_read8(table, offset + 5)};

    if (scope.hops == 0 || length % HOP_BYTES != 0) {
        find(dmar, offset, FINDING_SCOPE, FINDING_PATH_LENGTH);
        return false;
    }
    if (dmar->scope_count >= DMAR_SCOPES_MAX) {
        find(dmar, offset, FINDING_SCOPE, FINDING_TOO_MANY);
        return false;
    }
    if (!parse_path(table, offset + SCOPE_BYTES, scope, dmar))
        return false;
    dmar->scopes[dmar->scope_count++] = scope;
    if (scope.kind >= DMAR_SCOPE_ENDPOINT && scope.kind <= DMAR_SCOPE_ACPI)
        return true;
    find(dmar, offset, FINDING_SCOPE, FINDING_UNKNOWN);
    return false;
}

/* The scopes from `offset` to `end`. A bad length ends the list, a bad scope only itself. */
static struct dmar_scopes parse_scopes(const struct table *table, size_t offset, size_t end,
                                       struct dmar *dmar)
{
    struct dmar_scopes scopes = {.first = (uint16_t)dmar->scope_count};

    //@ loop variant end - offset;
    while (offset < end) {
        size_t room = end - offset;
        size_t length = room >= SCOPE_BYTES ? table_read8(table, offset + 1) : 0;

        if (length < SCOPE_BYTES || length > room) {
            find(dmar, offset, FINDING_SCOPE, FINDING_LIST_LENGTH);
            scopes.incomplete = true;
            break;
        }
        if (!parse_scope(table, offset, length, dmar))
            scopes.incomplete = true;
        offset += length;
    }
    scopes.count = dmar->scope_count - scopes.first;
    return scopes;
}

/* ---- the types ---- */

static void find_too_many(const struct structure *structure, struct dmar *dmar)
{
    find(dmar, structure->offset, forms[structure->type].name, FINDING_TOO_MANY);
}

static void parse_drhd(const struct structure *structure, struct dmar *dmar)
{
    const struct table *table = structure->table;
    size_t offset = structure->offset;
    struct dmar_unit *unit;

    if (dmar->unit_count >= DMAR_UNITS_MAX) {
        find_too_many(structure, dmar);
        dmar->truncated = true;
        return;
    }
    unit = &dmar->units[dmar->unit_count++];
    unit->offset = (uint32_t)offset;
    unit->include_all = (table_read8(table, offset + 4) & DRHD_INCLUDE_ALL) != 0;
    unit->size = PAGE_BYTES << (table_read8(table, offset + 5) & DRHD_SIZE);
    unit->segment = table_read16(table, offset + 6);
    unit->base = table_read64(table, offset + 8);
    unit->scopes = parse_scopes(table, offset + forms[DMAR_DRHD].bytes, structure->end, dmar);
}

static void parse_rmrr(const struct structure *structure, struct dmar *dmar)
{
    const struct table *table = structure->table;
    size_t offset = structure->offset;
    struct dmar_reserved range = {.offset = (uint32_t)offset,
                                  .segment = table_read16(table, offset + 6),
                                  .base = table_read64(table, offset + 8),
                                  .limit = table_read64(table, offset + 16)};

    range.malformed = range.limit < range.base;
    if (range.malformed)
        find(dmar, offset, FINDING_RMRR, FINDING_INVERTED);
    if (dmar->reserved_count >= DMAR_RESERVED_MAX) {
        find_too_many(structure, dmar);
        return;
    }
    range.scopes = parse_scopes(table, offset + forms[DMAR_RMRR].bytes, structure->end, dmar);
    dmar->reserved[dmar->reserved_count++] = range;
}

static void parse_list(const struct structure *structure, struct dmar *dmar)
{
    const struct table *table = structure->table;
    size_t offset = structure->offset;
    struct dmar_list *list;

    if (dmar->list_count >= DMAR_LISTS_MAX) {
        find_too_many(structure, dmar);
        return;
    }
    list = &dmar->lists[dmar->list_count++];
    list->offset = (uint32_t)offset;
    list->type = (uint8_t)structure->type;
    list->flags = table_read8(table, offset + 4);
    list->segment = table_read16(table, offset + 6);
    list->scopes = parse_scopes(table, offset + forms[structure->type].bytes, structure->end, dmar);
}

static void parse_rhsa(const struct structure *structure, struct dmar *dmar)
{
    size_t offset = structure->offset;

    if (dmar->node_count >= DMAR_NODES_MAX) {
        find_too_many(structure, dmar);
        return;
    }
    dmar->nodes[dmar->node_count++] =
        (struct dmar_node){.offset = (uint32_t)offset,
                           .base = table_read64(structure->table, offset + 8),
                           .domain = table_read32(structure->table, offset + 16)};
}

static void parse_andd(const struct structure *structure, struct dmar *dmar)
{
    size_t offset = structure->offset, name = offset + forms[DMAR_ANDD].bytes;
    uint32_t room = (uint32_t)structure->end - (uint32_t)name, length = 0;

    if (dmar->acpi_count >= DMAR_ACPI_MAX) {
        find_too_many(structure, dmar);
        return;
    }
    //@ loop variant room - length;
    while (length < room && table_read8(structure->table, name + length) != 0)
        length++;
    dmar->acpi[dmar->acpi_count++] = (struct dmar_acpi){.offset = (uint32_t)offset,
                                                        .number = table_read8(structure->table, offset + 7),
                                                        .name = (uint32_t)name,
                                                        .name_length = length};
}

static void parse_structure(const struct structure *structure, struct dmar *dmar)
{
    switch (structure->type) {
    case DMAR_DRHD:
        parse_drhd(structure, dmar);
        break;
    case DMAR_RMRR:
        parse_rmrr(structure, dmar);
        break;
    case DMAR_RHSA:
        parse_rhsa(structure, dmar);
        break;
    case DMAR_ANDD:
        parse_andd(structure, dmar);
        break;
    default:
        parse_list(structure, dmar);
    }
}

/* ---- the table ---- */

static void take_structure(const struct structure *structure, struct dmar *dmar)
{
    if (structure->type >= FORMS) {
        find(dmar, structure->offset, FINDING_STRUCTURE, FINDING_UNKNOWN);
    } else if (structure->end - structure->offset < forms[structure->type].bytes) {
        find(dmar, structure->offset, forms[structure->type].name, FINDING_SHORT);
        dmar->truncated |= structure->type == DMAR_DRHD;
    } else {
        parse_structure(structure, dmar);
    }
}

static void parse_structures(const struct table *table, size_t end, struct dmar *dmar)
{
    size_t offset = HEADER_BYTES;

    //@ loop variant end - offset;
    while (offset < end) {
        size_t room = end - offset;
        size_t length = room >= STRUCTURE_BYTES ? table_read16(table, offset + 2) : 0;

        if (length < STRUCTURE_BYTES && table_is_zero(table, offset, end)) {
            find(dmar, offset, FINDING_TABLE, FINDING_ZEROES);
            return;
        }
        if (length < STRUCTURE_BYTES || length > room) {
            find(dmar, offset, room < STRUCTURE_BYTES ? FINDING_TABLE : FINDING_STRUCTURE,
                 room < STRUCTURE_BYTES ? FINDING_CUT : FINDING_LENGTH);
            dmar->truncated = true;
            return;
        }
        take_structure(&(struct structure){.table = table,
                                           .offset = offset,
                                           .end = offset + length,
                                           .type = table_read16(table, offset)},
                       dmar);
        offset += length;
    }
}

static void parse_flags(uint8_t flags, struct dmar *dmar)
{
    dmar->interrupt_remapping = (flags & FLAG_INTERRUPT_REMAP) != 0;
    dmar->x2apic_opt_out = (flags & FLAG_X2APIC_OPT_OUT) != 0;
    dmar->dma_control_opt_in = (flags & FLAG_DMA_OPT_IN) != 0;
}

bool dmar_parse(const void *bytes, size_t size, struct dmar *dmar)
{
    const struct table table = {bytes, size};
    size_t length;

    memset(dmar, 0, offsetof(struct dmar, units)); /* the arrays count as far as their counts say */
    if (size < HEADER_BYTES || table_read32(&table, 0) != SIGNATURE) {
        find(dmar, 0, FINDING_TABLE, size < HEADER_BYTES ? FINDING_NO_HEADER : FINDING_OTHER_TABLE);
        return false;
    }
    length = table_read32(&table, TABLE_LENGTH);
    if (length < HEADER_BYTES || length > size) {
        find(dmar, TABLE_LENGTH, FINDING_HEADER, FINDING_OTHER_LENGTH);
        dmar->truncated = length > size;
        length = size;
    }
    dmar->address_width = (uint16_t)(table_read8(&table, HEADER_WIDTH) + 1);
    parse_flags(table_read8(&table, HEADER_FLAGS), dmar);
    parse_structures(&table, length, dmar);
    return true;
}

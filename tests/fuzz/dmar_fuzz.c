/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry: any bytes as a DMAR, and every promise of dmar.h about what becomes of them. libFuzzer's
 * copy of the input is exactly as large as the input: a byte read behind it is seen.
 */
#include "tests/fuzz/dmar_same.h"
#include "tests/fuzz/must.h"
#include "tests/fuzz/mutator.h"
#include "tests/fuzz/table.h"

#include <string.h>

#define UNKNOWN_TYPE 0x7fffu

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

size_t fuzz_table_offset(void)
{
    return 0;
}

const char *fuzz_table_signature(const uint8_t *input, size_t size)
{
    (void)input;
    (void)size;
    return "DMAR";
}

/* Bytes of a type without its device scopes; those of RHSA and ANDD have none. */
static uint32_t fixed_bytes(uint32_t type)
{
    switch (type) {
    case DMAR_DRHD:
        return 16;
    case DMAR_RMRR:
        return 24;
    case DMAR_RHSA:
        return 20;
    default:
        return 8;
    }
}

/* ---- what is in the description is in the table ---- */

static void check_scope(const uint8_t *bytes, const struct dmar *dmar, const struct dmar_scope *scope,
                        size_t size)
{
    must(scope->hops >= 1 && scope->first_hop + scope->hops <= dmar->hop_count);
    must(scope->offset >= TABLE_HEADER_BYTES && scope->offset + 6u + 2u * scope->hops <= size);
    must(scope->kind == bytes[scope->offset] && scope->start_bus == bytes[scope->offset + 5]);
    must(bytes[scope->offset + 1] == 6 + 2 * scope->hops);
    for (uint32_t i = 0; i < scope->hops; i++) {
        const struct dmar_hop *hop = &dmar->hops[scope->first_hop + i];

        must(hop->device <= 31 && hop->function <= 7);
        must(hop->device == bytes[scope->offset + 6 + 2 * i]);
        must(hop->function == bytes[scope->offset + 7 + 2 * i]);
    }
}

/* Without a word the list has every scope of its structure, which ends where the last of them ends. */
static void check_scopes(const uint8_t *bytes, const struct dmar *dmar, const struct dmar_scopes *scopes,
                         uint32_t structure)
{
    size_t end = structure + (size_t)table_get(bytes, structure + 2, 2);
    size_t offset = structure + fixed_bytes((uint32_t)table_get(bytes, structure, 2));

    must(scopes->first + scopes->count <= dmar->scope_count);
    for (uint32_t i = 0; i < scopes->count; i++) {
        const struct dmar_scope *scope = &dmar->scopes[scopes->first + i];

        must(scope->offset > structure && scope->offset + 6u + 2u * scope->hops <= end);
        if (scopes->incomplete)
            continue;
        must(scope->offset == offset && scope->kind >= DMAR_SCOPE_ENDPOINT && scope->kind <= DMAR_SCOPE_ACPI);
        offset += bytes[offset + 1];
    }
    must(scopes->incomplete || offset == end);
}

static void check_counts(const struct dmar *dmar)
{
    must(dmar->unit_count <= DMAR_UNITS_MAX && dmar->reserved_count <= DMAR_RESERVED_MAX);
    must(dmar->list_count <= DMAR_LISTS_MAX && dmar->node_count <= DMAR_NODES_MAX);
    must(dmar->acpi_count <= DMAR_ACPI_MAX && dmar->scope_count <= DMAR_SCOPES_MAX);
    must(dmar->hop_count <= DMAR_HOPS_MAX);
}

static void check_description(const uint8_t *bytes, size_t size, const struct dmar *dmar)
{
    uint32_t scopes = 0;

    check_counts(dmar);
    for (uint32_t i = 0; i < dmar->scope_count; i++)
        check_scope(bytes, dmar, &dmar->scopes[i], size);
    for (uint32_t i = 0; i < dmar->unit_count; i++) {
        const struct dmar_unit *unit = &dmar->units[i];

        must(unit->base == table_get(bytes, unit->offset + 8, 8));
        must(unit->segment == table_get(bytes, unit->offset + 6, 2));
        must(unit->include_all == (bytes[unit->offset + 4] & 1));
        must(unit->size >= 4096 && unit->size <= 4096u << 15);
        check_scopes(bytes, dmar, &unit->scopes, unit->offset);
        scopes += unit->scopes.count;
    }
    for (uint32_t i = 0; i < dmar->reserved_count; i++) {
        const struct dmar_reserved *range = &dmar->reserved[i];

        must(range->base <= range->limit && range->base == table_get(bytes, range->offset + 8, 8));
        must(range->limit == table_get(bytes, range->offset + 16, 8));
        check_scopes(bytes, dmar, &range->scopes, range->offset);
        scopes += range->scopes.count;
    }
    for (uint32_t i = 0; i < dmar->list_count; i++) {
        must(dmar->lists[i].type == table_get(bytes, dmar->lists[i].offset, 2));
        check_scopes(bytes, dmar, &dmar->lists[i].scopes, dmar->lists[i].offset);
        scopes += dmar->lists[i].scopes.count;
    }
    must(scopes == dmar->scope_count);
    for (uint32_t i = 0; i < dmar->acpi_count; i++) {
        const struct dmar_acpi *acpi = &dmar->acpi[i];
        size_t end = acpi->offset + (size_t)table_get(bytes, acpi->offset + 2, 2);

        must(acpi->name == acpi->offset + 8 && acpi->name + acpi->name_length <= end && end <= size);
        must(memchr(bytes + acpi->name, 0, acpi->name_length) == NULL);
    }
}

/* ---- what is in the table is in the description, or said ---- */

/* The kinds of structures that are kept together. */
static uint32_t kind_of(uint32_t type)
{
    return type == DMAR_SATC || type == DMAR_SIDP ? DMAR_ATSR : type;
}

/* Offset of the index-th kept structure of a kind; 0: there are not so many. */
static uint32_t kept_at(const struct dmar *dmar, uint32_t kind, uint32_t index)
{
    switch (kind) {
    case DMAR_DRHD:
        return index < dmar->unit_count ? dmar->units[index].offset : 0;
    case DMAR_RMRR:
        return index < dmar->reserved_count ? dmar->reserved[index].offset : 0;
    case DMAR_ATSR:
        return index < dmar->list_count ? dmar->lists[index].offset : 0;
    case DMAR_RHSA:
        return index < dmar->node_count ? dmar->nodes[index].offset : 0;
    case DMAR_ANDD:
        return index < dmar->acpi_count ? dmar->acpi[index].offset : 0;
    default:
        return 0;
    }
}

static void check_nothing_is_lost(const uint8_t *bytes, size_t size, const struct dmar *dmar)
{
    size_t end = table_end(bytes, size), offset = TABLE_HEADER_BYTES;
    uint32_t next[DMAR_SIDP + 1] = {0};

    must(dmar->truncated || !table_is_cut(bytes, size));
    while (end - offset >= 4) {
        uint32_t type = (uint32_t)table_get(bytes, offset, 2);
        size_t length = (size_t)table_get(bytes, offset + 2, 2);

        if (length < 4 || length > end - offset)
            break;
        if (type <= DMAR_SIDP && kept_at(dmar, kind_of(type), next[kind_of(type)]) == offset) {
            next[kind_of(type)]++;
        } else {
            must(has_finding(&dmar->findings, offset));
            must(type != DMAR_DRHD || dmar->truncated);
        }
        offset += length;
    }
    must(next[DMAR_DRHD] == dmar->unit_count && next[DMAR_RMRR] == dmar->reserved_count);
    must(next[DMAR_ATSR] == dmar->list_count && next[DMAR_RHSA] == dmar->node_count);
    must(next[DMAR_ANDD] == dmar->acpi_count);
    for (bool zero = true; offset < end; offset++) {
        zero &= bytes[offset] == 0;
        must(zero || dmar->truncated);
    }
}

/* ---- the same table, written otherwise ---- */

static void check_variants(const uint8_t *bytes, size_t size, const struct dmar *dmar)
{
    static struct dmar other;
    size_t end = table_end(bytes, size);
    uint8_t *copy = table_with_unknown(bytes, size, UNKNOWN_TYPE);

    must(dmar_parse(copy, size + TABLE_UNKNOWN_BYTES, &other));
    check_same_dmar(dmar, &other, TABLE_UNKNOWN_BYTES);
    check_same_findings(&dmar->findings, &other.findings, TABLE_UNKNOWN_BYTES, FINDING_UNKNOWN);
    free(copy);
    if (dmar->truncated || end != table_get(bytes, 4, 4))
        return;
    copy = table_with_zeroes(bytes, end);
    must(dmar_parse(copy, end + TABLE_ZEROES, &other));
    check_same_dmar(dmar, &other, 0);
    check_same_findings(&dmar->findings, &other.findings, 0, FINDING_ZEROES);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dmar dmar, again;
    bool parsed = dmar_parse(data, size, &dmar);

    check_findings(&dmar.findings, size);
    must(parsed == dmar_parse(data, size, &again));
    check_same_dmar(&dmar, &again, 0);
    must(parsed == (size >= TABLE_HEADER_BYTES && memcmp(data, "DMAR", 4) == 0));
    if (!parsed) {
        must(dmar.findings.count == 1 && dmar.unit_count == 0 && dmar.reserved_count == 0);
        return 0;
    }
    check_description(data, size, &dmar);
    check_nothing_is_lost(data, size, &dmar);
    check_variants(data, size, &dmar);
    return 0;
}

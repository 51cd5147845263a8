/* SPDX-License-Identifier: MIT */
/*
 * Spec revision 4.1, chapter 8. Every length is checked against the end of what encloses it before a byte
 * behind it is read, and every step moves forward.
 */
#include "drivers/iommu/vtd/dmar.h"

#include "lib/string.h"

#define HEADER_BYTES 48u /* ACPI header, then width, flags, reserved: 8.1 */
#define HEADER_WIDTH 36u
#define HEADER_FLAGS 37u

#define FLAG_INTERRUPT_REMAP 0x1u
#define FLAG_X2APIC_OPT_OUT  0x2u
#define FLAG_DMA_OPT_IN      0x4u

enum structure_type { TYPE_DRHD = 0, TYPE_RMRR, TYPE_ATSR, TYPE_RHSA, TYPE_ANDD, TYPE_SATC, TYPE_SIDP };

#define STRUCTURE_BYTES  4u
#define DRHD_BYTES       16u /* 8.3 */
#define DRHD_INCLUDE_ALL 0x1u
#define RMRR_BYTES       24u /* 8.4 */
#define SCOPE_BYTES      6u  /* 8.3.1, without the path */

struct walk {
    const uint8_t *bytes;
    struct dmar *dmar;
};

static uint64_t read_le(const struct walk *walk, size_t offset, uint32_t bytes)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < bytes; i++)
        value |= (uint64_t)walk->bytes[offset + i] << (8 * i);
    return value;
}

static void find(struct dmar *dmar, size_t offset, const char *structure, const char *reason)
{
    if (dmar->finding_count < DMAR_FINDINGS_MAX)
        dmar->findings[dmar->finding_count++] = (struct dmar_finding){(uint32_t)offset, structure, reason};
}

/* One scope of `length` bytes, length checked by the caller. False when it makes no sense. */
static bool parse_scope(const struct walk *walk, size_t offset, size_t length)
{
    struct dmar *dmar = walk->dmar;
    size_t hops = (length - SCOPE_BYTES) / 2;
    struct dmar_scope scope = {.kind = (uint8_t)read_le(walk, offset, 1),
                               .enumeration_id = (uint8_t)read_le(walk, offset + 4, 1),
                               .start_bus = (uint8_t)read_le(walk, offset + 5, 1),
                               .hops = (uint8_t)hops};

    if (hops == 0 || hops > DMAR_PATH_MAX || length % 2 != 0) {
        find(dmar, offset, "device scope", "its path is empty, too long or cut");
        return false;
    }
    if (dmar->scope_count == DMAR_SCOPES_MAX) {
        find(dmar, offset, "device scope", "more scopes than Sluice keeps");
        return false;
    }
    for (size_t i = 0; i < hops; i++) {
        scope.path[i].device = (uint8_t)read_le(walk, offset + SCOPE_BYTES + 2 * i, 1);
        scope.path[i].function = (uint8_t)read_le(walk, offset + SCOPE_BYTES + 2 * i + 1, 1);
        if (scope.path[i].device > 31 || scope.path[i].function > 7) {
            find(dmar, offset, "device scope", "its path names a device or function that cannot be");
            return false;
        }
    }
    dmar->scopes[dmar->scope_count++] = scope;
    return true;
}

/* The scopes in [offset, end); how many were taken. A bad length ends the list, a bad scope only itself. */
static uint16_t parse_scopes(const struct walk *walk, size_t offset, size_t end)
{
    uint16_t count = 0;

    while (offset < end) {
        size_t length = end - offset >= SCOPE_BYTES ? read_le(walk, offset + 1, 1) : 0;

        if (length < SCOPE_BYTES || length > end - offset) {
            find(walk->dmar, offset, "device scope",
                 "its length is impossible; the rest of the list is lost");
            break;
        }
        count = (uint16_t)(count + parse_scope(walk, offset, length));
        offset += length;
    }
    return count;
}

static void parse_drhd(const struct walk *walk, size_t offset, size_t length)
{
    struct dmar *dmar = walk->dmar;
    struct dmar_unit unit = {.offset = (uint32_t)offset, .first_scope = (uint16_t)dmar->scope_count};

    if (length < DRHD_BYTES || dmar->unit_count == DMAR_UNITS_MAX) {
        find(dmar, offset, "DRHD", length < DRHD_BYTES ? "too short" : "more units than Sluice keeps");
        dmar->truncated = true;
        return;
    }
    unit.include_all = (read_le(walk, offset + 4, 1) & DRHD_INCLUDE_ALL) != 0;
    unit.segment = (uint16_t)read_le(walk, offset + 6, 2);
    unit.base = read_le(walk, offset + 8, 8);
    unit.scopes = parse_scopes(walk, offset + DRHD_BYTES, offset + length);
    dmar->units[dmar->unit_count++] = unit;
}

static void parse_rmrr(const struct walk *walk, size_t offset, size_t length)
{
    struct dmar *dmar = walk->dmar;
    struct dmar_reserved range = {.offset = (uint32_t)offset, .first_scope = (uint16_t)dmar->scope_count};

    if (length < RMRR_BYTES || dmar->reserved_count == DMAR_RESERVED_MAX) {
        find(dmar, offset, "RMRR", length < RMRR_BYTES ? "too short" : "more ranges than Sluice keeps");
        return;
    }
    range.segment = (uint16_t)read_le(walk, offset + 6, 2);
    range.base = read_le(walk, offset + 8, 8);
    range.limit = read_le(walk, offset + 16, 8);
    if (range.limit < range.base) {
        find(dmar, offset, "RMRR", "it ends before it begins");
        return;
    }
    range.scopes = parse_scopes(walk, offset + RMRR_BYTES, offset + length);
    dmar->reserved[dmar->reserved_count++] = range;
}

static void parse_structure(const struct walk *walk, size_t offset, size_t length)
{
    switch (read_le(walk, offset, 2)) {
    case TYPE_DRHD:
        parse_drhd(walk, offset, length);
        break;
    case TYPE_RMRR:
        parse_rmrr(walk, offset, length);
        break;
    case TYPE_ATSR:
    case TYPE_RHSA:
    case TYPE_ANDD:
    case TYPE_SATC:
    case TYPE_SIDP:
        break; /* device TLBs, memory nodes and ACPI names: nothing that Sluice relies on */
    default:
        find(walk->dmar, offset, "structure", "of a type Sluice does not know: skipped");
    }
}

bool dmar_parse(const void *table, size_t size, struct dmar *dmar)
{
    const struct walk walk = {table, dmar};
    size_t offset = HEADER_BYTES, end = size;
    uint8_t flags;

    memset(dmar, 0, sizeof *dmar);
    if (size < HEADER_BYTES || memcmp(table, "DMAR", 4) != 0) {
        find(dmar, 0, "table", size < HEADER_BYTES ? "too short for a DMAR header" : "not a DMAR table");
        return false;
    }
    if (read_le(&walk, 4, 4) < HEADER_BYTES || read_le(&walk, 4, 4) > size)
        find(dmar, 4, "header", "its length is not the table's");
    else
        end = read_le(&walk, 4, 4);
    dmar->address_width = (uint8_t)(read_le(&walk, HEADER_WIDTH, 1) + 1);
    flags = (uint8_t)read_le(&walk, HEADER_FLAGS, 1);
    dmar->interrupt_remapping = (flags & FLAG_INTERRUPT_REMAP) != 0;
    dmar->x2apic_opt_out = (flags & FLAG_X2APIC_OPT_OUT) != 0;
    dmar->dma_control_opt_in = (flags & FLAG_DMA_OPT_IN) != 0;

    while (end - offset >= STRUCTURE_BYTES) {
        size_t length = read_le(&walk, offset + 2, 2);

        if (length < STRUCTURE_BYTES || length > end - offset) {
            find(dmar, offset, "structure", "its length is impossible; what follows is lost");
            dmar->truncated = true;
            return true;
        }
        parse_structure(&walk, offset, length);
        offset += length;
    }
    if (offset != end)
        find(dmar, offset, "table", "ends within a structure");
    return true;
}

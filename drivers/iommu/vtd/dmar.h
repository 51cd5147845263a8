/* SPDX-License-Identifier: MIT */
/*
 * The DMAR table, from bytes to a typed description. A pure function: no hardware, no allocation, no log.
 * A structure that makes no sense is left out and becomes a finding; the rest stands.
 */
#ifndef SLUICE_VTD_DMAR_H
#define SLUICE_VTD_DMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DMAR_UNITS_MAX    64u
#define DMAR_SCOPES_MAX   512u
#define DMAR_RESERVED_MAX 63u /* the MSI window takes the last of IOMMU_RESERVED_MAX */
#define DMAR_FINDINGS_MAX 32u
#define DMAR_PATH_MAX     8u /* hops below the start bus */

enum dmar_scope_kind {
    DMAR_SCOPE_ENDPOINT = 1,
    DMAR_SCOPE_BRIDGE = 2, /* everything behind it */
    DMAR_SCOPE_IOAPIC = 3,
    DMAR_SCOPE_HPET = 4,
    DMAR_SCOPE_ACPI = 5,
};

struct dmar_scope {
    uint8_t kind; /* enum dmar_scope_kind, or what firmware wrote */
    uint8_t enumeration_id;
    uint8_t start_bus;
    uint8_t hops; /* 1 to DMAR_PATH_MAX */
    struct {
        uint8_t device, function;
    } path[DMAR_PATH_MAX];
};

struct dmar_unit {
    uint64_t base;   /* physical address of the registers; 0 is what some firmware writes */
    uint32_t offset; /* in the table */
    uint16_t segment;
    uint16_t first_scope, scopes;
    bool include_all;
};

struct dmar_reserved {
    uint64_t base, limit; /* bytes, limit inclusive */
    uint32_t offset;
    uint16_t segment;
    uint16_t first_scope, scopes;
};

struct dmar_finding {
    uint32_t offset;
    const char *structure, *reason;
};

struct dmar {
    uint8_t address_width; /* bits of a DMA address on this machine */
    bool interrupt_remapping, x2apic_opt_out, dma_control_opt_in;
    bool truncated; /* the walk had to stop: there may be units nobody knows of */
    uint32_t unit_count, scope_count, reserved_count, finding_count;
    struct dmar_unit units[DMAR_UNITS_MAX];
    struct dmar_scope scopes[DMAR_SCOPES_MAX];
    struct dmar_reserved reserved[DMAR_RESERVED_MAX];
    struct dmar_finding findings[DMAR_FINDINGS_MAX];
};

/* False when the bytes are no DMAR table at all (then *dmar has a finding that says why). */
bool dmar_parse(const void *table, size_t size, struct dmar *dmar);

#endif

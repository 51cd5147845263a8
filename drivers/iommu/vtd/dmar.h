/* SPDX-License-Identifier: MIT */
/*
 * The DMAR table, from bytes to a typed description. Pure: no hardware, no allocation, no log.
 * A structure that makes no sense is left out and becomes a finding; the rest stands.
 */
#ifndef SLUICE_VTD_DMAR_H
#define SLUICE_VTD_DMAR_H

#include "drivers/iommu/claims.h"
#include "drivers/iommu/finding.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DMAR_UNITS_MAX    64u
#define DMAR_RESERVED_MAX 256u
#define DMAR_LISTS_MAX    64u
#define DMAR_NODES_MAX    64u
#define DMAR_ACPI_MAX     64u
#define DMAR_SCOPES_MAX   1024u
#define DMAR_HOPS_MAX     2048u

enum dmar_type { DMAR_DRHD = 0, DMAR_RMRR, DMAR_ATSR, DMAR_RHSA, DMAR_ANDD, DMAR_SATC, DMAR_SIDP };

enum dmar_scope_kind {
    DMAR_SCOPE_ENDPOINT = 1,
    DMAR_SCOPE_BRIDGE = 2, /* everything behind it */
    DMAR_SCOPE_IOAPIC = 3,
    DMAR_SCOPE_HPET = 4,
    DMAR_SCOPE_ACPI = 5,
};

struct dmar_hop {
    uint8_t device, function;
};

struct dmar_scope {
    uint32_t offset; /* in the table */
    uint16_t first_hop;
    uint8_t hops; /* at least 1; the path goes down from start_bus, one hop a bus */
    uint8_t kind; /* enum dmar_scope_kind, or what firmware wrote */
    uint8_t flags;
    uint8_t enumeration_id;
    uint8_t start_bus;
};

/* A structure's list of device scopes. */
struct dmar_scopes {
    uint32_t count;
    uint16_t first;
    bool incomplete; /* some could not be read: the structure names devices that nobody knows */
};

struct dmar_unit {
    uint64_t base;   /* physical address of the registers; 0 is what some firmware writes */
    uint64_t size;   /* bytes of registers, as firmware says: 4 KiB and up */
    uint32_t offset; /* in the table */
    uint16_t segment;
    bool include_all;
    struct dmar_scopes scopes;
};

struct dmar_reserved {
    uint64_t base, limit; /* bytes, limit inclusive */
    uint32_t offset;
    uint16_t segment;
    bool malformed; /* the limit is below the base */
    struct dmar_scopes scopes;
};

/* ATSR (ports that serve device TLBs), SATC (devices that have one), SIDP (properties of devices). */
struct dmar_list {
    uint32_t offset;
    uint16_t segment;
    uint8_t type; /* enum dmar_type */
    uint8_t flags;
    struct dmar_scopes scopes;
};

/* RHSA: which memory node a unit is near. */
struct dmar_node {
    uint64_t base; /* the unit's registers */
    uint32_t offset;
    uint32_t domain;
};

/* ANDD: the name of a device that scopes of kind DMAR_SCOPE_ACPI refer to. */
struct dmar_acpi {
    uint32_t offset;
    uint32_t name; /* offset of the text in the table */
    uint32_t name_length;
    uint8_t number;
};

struct dmar {
    uint16_t address_width; /* bits of a DMA address on this machine */
    bool interrupt_remapping, x2apic_opt_out, dma_control_opt_in;
    bool truncated; /* the walk had to stop: there may be units nobody knows of */
    uint32_t unit_count, reserved_count, list_count, node_count, acpi_count, scope_count, hop_count;
    struct findings findings;
    struct dmar_unit units[DMAR_UNITS_MAX];
    struct dmar_reserved reserved[DMAR_RESERVED_MAX];
    struct dmar_list lists[DMAR_LISTS_MAX];
    struct dmar_node nodes[DMAR_NODES_MAX];
    struct dmar_acpi acpi[DMAR_ACPI_MAX];
    struct dmar_scope scopes[DMAR_SCOPES_MAX];
    struct dmar_hop hops[DMAR_HOPS_MAX];
};

/* False when the bytes are no DMAR table at all (then *dmar has a finding that says why). */
bool dmar_parse(const void *bytes, size_t size, struct dmar *dmar);

/* ---- scope.c: what the scopes mean on this machine, by its bridges (host_pci_read()) ---- */

/* Requester ids behind a bridge, by its bus numbers. False when it is none, or its numbers cannot be. */
bool dmar_ids_behind(uint16_t segment, uint16_t bridge, uint16_t *first, uint16_t *last);

/* Requester id at the end of a scope's path. False when a bridge on the way is not there. */
bool dmar_scope_resolve(const struct dmar *dmar, uint16_t segment, const struct dmar_scope *scope,
                        uint16_t *id);

/*
 * Who claims which requester ids. usable[i]: the i-th unit can be driven; what one that cannot names stays
 * blocked, and if that is not clear only devices named one by one are served: neither what is behind a bridge
 * nor "all the rest". False in that case. What makes no sense is added to dmar->findings.
 */
bool dmar_claim(struct dmar *dmar, const bool *usable, struct claims *claims);

#endif

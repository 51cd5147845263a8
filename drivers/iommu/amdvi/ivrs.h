/* SPDX-License-Identifier: MIT */
/*
 * The IVRS table, from bytes to a typed description. A pure function: no hardware, no allocation, no log.
 * A block or entry that makes no sense is left out and becomes a finding; the rest stands.
 */
#ifndef SLUICE_AMDVI_IVRS_H
#define SLUICE_AMDVI_IVRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IVRS_UNITS_MAX    64u
#define IVRS_ENTRIES_MAX  1024u
#define IVRS_MEMORY_MAX   62u /* the MSI and HyperTransport windows take the last of IOMMU_RESERVED_MAX */
#define IVRS_SPECIALS_MAX 64u
#define IVRS_FINDINGS_MAX 32u

/* One IOMMU, as the block of the highest type that Sluice knows describes it. */
struct ivrs_unit {
    uint64_t base;         /* physical address of the registers, as firmware wrote it */
    uint64_t features;     /* EFR as firmware wrote it in a block of type 11h or 40h; 0 in type 10h */
    uint32_t feature_info; /* offset 20: feature reporting in type 10h, attributes in types 11h and 40h */
    uint32_t offset;       /* in the table */
    uint16_t segment, id;  /* requester id of the unit's own PCI function */
    uint16_t capability;   /* offset of its capability block in configuration space */
    uint16_t info;         /* IOMMU info: MSI number, unit id */
    uint8_t type, flags;   /* type: 10h, 11h or 40h */
    bool incomplete;       /* part of its block was left out: it may own devices that no entry names */
    uint16_t first_entry, entries;
};

/* Devices behind a unit. */
struct ivrs_entry {
    uint16_t first, last; /* requester ids, inclusive */
    uint16_t alias;       /* what shows on the bus; only if aliased */
    bool aliased;
    bool is_default;   /* names every device: narrower entries win */
    uint8_t settings;  /* for the device table: INITPass, EIntPass, NMIPass, SysMgt, Lint0, Lint1 */
    uint32_t extended; /* extended DTE setting of kinds 46h and 47h, otherwise 0 */
    bool acpi_hid;     /* an ACPI device, no PCI function (kind F0h); its id is first and last */
    uint32_t offset;   /* in the table */
};

enum ivrs_special_kind {
    IVRS_SPECIAL_IOAPIC = 1,
    IVRS_SPECIAL_HPET = 2,
};

struct ivrs_special {
    uint8_t kind;   /* enum ivrs_special_kind */
    uint8_t handle; /* IO-APIC id, or HPET number */
    uint16_t id;    /* requester id that its interrupts show */
    uint8_t settings;
    uint16_t unit;   /* index into units */
    uint32_t offset; /* in the table */
};

#define IVRS_MEMORY_UNITY     1u
#define IVRS_MEMORY_READ      2u
#define IVRS_MEMORY_WRITE     4u
#define IVRS_MEMORY_EXCLUSION 8u

/* Memory that devices reach without Sluice's leave; not rounded to pages, never empty, never past 2^64. */
struct ivrs_memory {
    uint64_t base, size; /* bytes */
    uint16_t segment;
    uint16_t first, last; /* requester ids, inclusive */
    uint8_t flags;        /* IVRS_MEMORY_*, and what else firmware wrote */
    bool all;             /* every device: type 20h */
    uint32_t offset;      /* in the table */
};

struct ivrs_finding {
    uint32_t offset;
    const char *structure, *reason;
};

struct ivrs {
    uint32_t info;  /* IVinfo */
    bool truncated; /* bytes were missing or the walk had to stop: there may be units nobody knows of */
    uint32_t unit_count, entry_count, special_count, memory_count, finding_count;
    struct ivrs_unit units[IVRS_UNITS_MAX];
    struct ivrs_entry entries[IVRS_ENTRIES_MAX];
    struct ivrs_special specials[IVRS_SPECIALS_MAX];
    struct ivrs_memory memory[IVRS_MEMORY_MAX];
    struct ivrs_finding findings[IVRS_FINDINGS_MAX];
};

/* False when the bytes are no IVRS table at all (then *ivrs has a finding that says why). */
bool ivrs_parse(const void *table, size_t size, struct ivrs *ivrs);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The IVRS table, from bytes to a typed description. Pure: no hardware, no allocation, no log.
 * A block or entry that makes no sense is left out and becomes a finding; the rest stands.
 */
#ifndef SLUICE_AMDVI_IVRS_H
#define SLUICE_AMDVI_IVRS_H

#include "drivers/iommu/claims.h"
#include "drivers/iommu/finding.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IVRS_BLOCKS_MAX   192u /* IVHDs: up to three for each unit */
#define IVRS_ENTRIES_MAX  2048u
#define IVRS_MEMORY_MAX   256u
#define IVRS_SPECIALS_MAX 256u

enum ivrs_block_type {
    IVRS_IVHD_BASIC = 0x10,
    IVRS_IVHD_EFR = 0x11,  /* with a copy of the extended feature registers */
    IVRS_IVHD_ACPI = 0x40, /* and with ACPI devices */
    IVRS_IVMD_ALL = 0x20,
    IVRS_IVMD_ONE = 0x21,
    IVRS_IVMD_RANGE = 0x22,
    IVRS_IVMD_UNIT = 0x23, /* of early revisions: all devices behind one unit */
};

/* One IVHD. Firmware describes a unit by a block of each type it can; that of the highest type counts. */
struct ivrs_block {
    uint64_t base;         /* physical address of the registers, as firmware wrote it */
    uint64_t features;     /* EFR as firmware wrote it in a block of type 11h or 40h; 0 in type 10h */
    uint64_t features2;    /* EFR2, likewise */
    uint32_t feature_info; /* offset 20: feature reporting in type 10h, attributes in types 11h and 40h */
    uint32_t offset;       /* in the table */
    uint16_t segment, id;  /* requester id of the unit's own PCI function */
    uint16_t capability;   /* offset of its capability block in configuration space */
    uint16_t info;         /* IOMMU info: MSI number, unit id */
    uint32_t entries;
    uint32_t padding; /* entries that only fill up */
    uint16_t first_entry;
    uint8_t type, flags; /* type: 10h, 11h or 40h */
    bool superseded;     /* another block describes this unit */
    bool incomplete;     /* part of it was left out: the unit may own devices that no entry names */
};

enum ivrs_entry_kind {
    IVRS_ENTRY_PAD4 = 0x00,
    IVRS_ENTRY_ALL = 0x01,
    IVRS_ENTRY_SELECT = 0x02,
    IVRS_ENTRY_START = 0x03,
    IVRS_ENTRY_END = 0x04,
    IVRS_ENTRY_PAD8 = 0x40,
    IVRS_ENTRY_ALIAS = 0x42,
    IVRS_ENTRY_ALIAS_START = 0x43,
    IVRS_ENTRY_EXTENDED = 0x46,
    IVRS_ENTRY_EXTENDED_START = 0x47,
    IVRS_ENTRY_SPECIAL = 0x48,
    IVRS_ENTRY_ACPI = 0xf0, /* kinds from here on say their length themselves */
};

/* Devices behind a unit: an entry, or a start with its end. */
struct ivrs_entry {
    uint32_t offset;      /* in the table */
    uint32_t extended;    /* extended DTE setting of kinds 46h and 47h, otherwise 0 */
    uint16_t first, last; /* requester ids, inclusive */
    uint16_t alias;       /* what shows on the bus; kinds 42h and 43h */
    uint8_t kind;         /* enum ivrs_entry_kind; kind 01h names every device: narrower entries win */
    uint8_t settings;     /* for the device table: INITPass, EIntPass, NMIPass, SysMgt, Lint0, Lint1 */
};

/* Of an entry of kind F0h: an ACPI device. Offsets from the entry's, bytes. */
#define IVRS_ACPI_HID        4u /* 8 characters */
#define IVRS_ACPI_CID        12u
#define IVRS_ACPI_UID_FORMAT 20u /* 0 none, 1 a number of 8 bytes, 2 text */
#define IVRS_ACPI_UID_LENGTH 21u
#define IVRS_ACPI_UID        22u

static inline bool ivrs_is_aliased(const struct ivrs_entry *entry)
{
    return entry->kind == IVRS_ENTRY_ALIAS || entry->kind == IVRS_ENTRY_ALIAS_START;
}

enum ivrs_special_kind {
    IVRS_SPECIAL_IOAPIC = 1,
    IVRS_SPECIAL_HPET = 2,
};

struct ivrs_special {
    uint32_t offset; /* in the table */
    uint16_t id;     /* requester id that its interrupts show */
    uint8_t kind;    /* enum ivrs_special_kind */
    uint8_t handle;  /* IO-APIC id, or HPET number */
    uint8_t settings;
    uint8_t block; /* index into blocks */
};

#define IVRS_MEMORY_UNITY     1u
#define IVRS_MEMORY_READ      2u
#define IVRS_MEMORY_WRITE     4u
#define IVRS_MEMORY_EXCLUSION 8u

/* Memory that devices reach without Sluice's leave; not rounded to pages. */
struct ivrs_memory {
    uint64_t base, size; /* bytes */
    uint32_t offset;     /* in the table */
    uint16_t segment;
    uint16_t first, last; /* requester ids, inclusive */
    uint8_t type;         /* 20h: all devices; 21h: one; 22h: a range */
    uint8_t flags;        /* IVRS_MEMORY_*, and what else firmware wrote */
    bool malformed;       /* of no bytes, or past 2^64 */
};

/* IVinfo, 5.2.1: widths in bits, 0 when firmware does not say. That of guests' virtual addresses, GVASize, is
 * of no interest: Sluice translates none. */
#define IVRS_INFO_PHYSICAL(info) ((info) >> 8 & 0x7f)  /* PASize */
#define IVRS_INFO_VIRTUAL(info)  ((info) >> 15 & 0x7f) /* VASize: of bus addresses */
#define IVRS_INFO_BITS_LEAST     32u                   /* less is nonsense */

struct ivrs {
    uint32_t info;  /* IVinfo */
    bool truncated; /* bytes were missing or the walk had to stop: there may be units nobody knows of */
    uint32_t block_count, entry_count, special_count, memory_count;
    struct findings findings;
    struct ivrs_block blocks[IVRS_BLOCKS_MAX];
    struct ivrs_entry entries[IVRS_ENTRIES_MAX];
    struct ivrs_special specials[IVRS_SPECIALS_MAX];
    struct ivrs_memory memory[IVRS_MEMORY_MAX];
};

/* False when the bytes are no IVRS table at all (then *ivrs has a finding that says why). */
bool ivrs_parse(const void *bytes, size_t size, struct ivrs *ivrs);

/* ---- scope.c ---- */

/*
 * Who claims which requester ids, by the blocks that count. usable[i]: the unit of the i-th block can be
 * driven; what one that cannot names stays blocked, and if that is not clear only devices named one by one
 * are served. False in that case. What makes no sense is added to ivrs->findings.
 */
bool ivrs_claim(struct ivrs *ivrs, const bool *usable, struct claims *claims);

#endif

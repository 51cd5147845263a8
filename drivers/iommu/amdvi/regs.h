/* SPDX-License-Identifier: MIT */
/*
 * AMD-Vi as hardware sees it. Sections are those of AMD's "I/O Virtualization Technology (IOMMU)
 * Specification", 48882 revision 3.08. Access classes: RO, RW, W1C (write one to clear).
 */
#ifndef SLUICE_AMDVI_REGS_H
#define SLUICE_AMDVI_REGS_H

#include "drivers/iommu/ring.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- the unit's PCI function: section 3.2 ---- */

#define AMDVI_CAP_HEADER   0x0u  /* Capability Header, 32 bits, RO: 3.2.1, at the offset the table names */
#define AMDVI_CAP_ID       0x0fu /* Secure Device */
#define AMDVI_CAP_FEATURES (1u << 27) /* EFRSup: the feature register is there */
#define AMDVI_CAP_NPCACHE  (1u << 26) /* Not Present Table Entries Cached */

/* ---- registers: section 3.4, all 64 bits ---- */

#define AMDVI_DEVICE_TABLE_BASE 0x0000u /* Device Table Base Address, RW: 3.4.1 */
#define AMDVI_COMMAND_BASE      0x0008u /* Command Buffer Base Address, RW: 3.4.2 */
#define AMDVI_EVENT_BASE        0x0010u /* Event Log Base Address, RW: 3.4.3 */
#define AMDVI_CONTROL           0x0018u /* IOMMU Control, RW: 3.4.4 */
#define AMDVI_EXCLUSION_BASE    0x0020u /* Exclusion Base, RW: 3.4.5 */
#define AMDVI_EXCLUSION_LIMIT   0x0028u /* Exclusion Range Limit, RW: 3.4.6 */
#define AMDVI_FEATURES          0x0030u /* Extended Feature (EFR), RO: 3.4.7 */
#define AMDVI_COMMAND_HEAD      0x2000u /* Command Buffer Head Pointer, RW while stopped: 3.4.13 */
#define AMDVI_COMMAND_TAIL      0x2008u /* Command Buffer Tail Pointer, RW */
#define AMDVI_EVENT_HEAD        0x2010u /* Event Log Head Pointer, RW */
#define AMDVI_EVENT_TAIL        0x2018u /* Event Log Tail Pointer, written by the unit */
#define AMDVI_STATUS            0x2020u /* IOMMU Status, RO and W1C: 3.4.14 */

#define AMDVI_PAGE_SIZE          0x1000u
#define AMDVI_REGISTER_BYTES     0x4000u  /* what is used of them */
#define AMDVI_REGISTER_BYTES_MAX 0x80000u /* with performance counters */
#define AMDVI_REGISTERS_ALIGN    0x4000u

/* Device Table Base Address: 3.4.1. Size is in pages, minus one. */
#define AMDVI_DEVICE_TABLE_PAGES 512u /* every one of the 65536 requester ids of a segment */
#define AMDVI_DEVICE_TABLE(mfn)  ((uint64_t)(mfn) << 12 | (AMDVI_DEVICE_TABLE_PAGES - 1))

/* Command Buffer and Event Log Base Address: 3.4.2, 3.4.3. Length is the power of two of the records. */
#define AMDVI_RING_ORDER     8u
#define AMDVI_RING_RECORDS   (1u << AMDVI_RING_ORDER) /* one page */
#define AMDVI_RING_BASE(mfn) ((uint64_t)AMDVI_RING_ORDER << 56 | (uint64_t)(mfn) << 12)

/* IOMMU Control: 3.4.4 */
#define AMDVI_CONTROL_ENABLE      (1ull << 0)  /* IommuEn */
#define AMDVI_CONTROL_HT_TUNNEL   (1ull << 1)  /* HtTunEn */
#define AMDVI_CONTROL_EVENT_LOG   (1ull << 2)  /* EventLogEn */
#define AMDVI_CONTROL_EVENT_INT   (1ull << 3)  /* EventIntEn */
#define AMDVI_CONTROL_PASS_PW     (1ull << 8)  /* PassPW */
#define AMDVI_CONTROL_RES_PASS_PW (1ull << 9)  /* ResPassPW */
#define AMDVI_CONTROL_COHERENT    (1ull << 10) /* device table requests are snooped */
#define AMDVI_CONTROL_ISOC        (1ull << 11) /* Isoc */
#define AMDVI_CONTROL_COMMANDS    (1ull << 12) /* CmdBufEn */
#define AMDVI_CONTROL_INT_128     (1ull << 17) /* GAEn: interrupt table entries have 128 bits */
#define AMDVI_CONTROL_X2APIC      (1ull << 50) /* XTEn: 32-bit destinations */

/* Extended Feature: 3.4.7 */
#define AMDVI_FEATURE_X2APIC    (1ull << 2)                     /* XTSup */
#define AMDVI_FEATURE_INV_ALL   (1ull << 6)                     /* IASup: INVALIDATE_IOMMU_ALL */
#define AMDVI_FEATURE_INT_128   (1ull << 7)                     /* GASup */
#define AMDVI_FEATURE_HATS(efr) ((uint32_t)((efr) >> 10) & 0x3) /* Host Address Translation Size */
#define AMDVI_FEATURE_COUNTERS  (1ull << 9)                     /* PCSup: the registers take 512 KiB */
#define AMDVI_FEATURE_SNP       (1ull << 63) /* SNPSup: the exclusion range says where waits may store */
#define AMDVI_HATS_NONE         3u

/* IOMMU Status: 3.4.14. Written by assignment only: a read-modify-write would clear neighbours. */
#define AMDVI_STATUS_OVERFLOW  (1ull << 0) /* EventOverflow, W1C */
#define AMDVI_STATUS_EVENT_INT (1ull << 1) /* EventLogInt, W1C */
#define AMDVI_STATUS_EVENT_RUN (1ull << 3) /* EventLogRun, RO */
#define AMDVI_STATUS_COMMANDS  (1ull << 4) /* CmdBufRun, RO */

#define AMDVI_STATUS_PAGE_REQUESTS (1ull << 7) /* PPRLogRun, RO */

/* IVHD attributes of block types 11h and 40h: 5.2.2.1 */
#define AMDVI_ATTRIBUTE_NO_TRANSLATION 0x1u /* HATDis */

/* IVHD flags, as the control bits of the same names: 5.2.2.1 */
#define AMDVI_FLAG_HT_TUNNEL   0x01u
#define AMDVI_FLAG_PASS_PW     0x02u
#define AMDVI_FLAG_RES_PASS_PW 0x04u
#define AMDVI_FLAG_ISOC        0x08u

/* ---- the device table: section 2.2.2.1 ---- */

/* One entry a requester id. qwords 0 and 1 say what DMA does, 2 and 3 what interrupts do. */
struct amdvi_device {
    uint64_t dma[2];
    uint64_t interrupts[2];
};
_Static_assert(sizeof(struct amdvi_device) == 32, "2.2.2.1");
#define AMDVI_DEVICES 65536u

#define AMDVI_DEVICE_VALID             (1ull << 0)             /* V */
#define AMDVI_DEVICE_TRANSLATION       (1ull << 1)             /* TV: the rest of the qword is valid */
#define AMDVI_DEVICE_MODE(mode)        ((uint64_t)(mode) << 9) /* levels; 0: no translation */
#define AMDVI_DEVICE_MODE_OF(q)        ((uint32_t)((q) >> 9) & 7)
#define AMDVI_DEVICE_ADDRESS           0x000ffffffffff000ull
#define AMDVI_DEVICE_READ              (1ull << 61)             /* IR */
#define AMDVI_DEVICE_WRITE             (1ull << 62)             /* IW */
#define AMDVI_DEVICE_DOMAIN(q)         ((uint16_t)(q))          /* of the second qword */
#define AMDVI_DEVICE_QUIET             (1ull << 34)             /* SA: page faults are not logged */
#define AMDVI_INTERRUPTS_VALID         (1ull << 0)              /* IV; IntCtl 0: target abort */
#define AMDVI_INTERRUPTS_QUIET         (1ull << 5)              /* IG: blocked ones are not logged */
#define AMDVI_INTERRUPTS_REMAP         (2ull << 60)             /* IntCtl: by the table */
#define AMDVI_INTERRUPTS_LENGTH(order) ((uint64_t)(order) << 1) /* IntTabLen */
#define AMDVI_INTERRUPTS_ADDRESS       0x000fffffffffffc0ull

/* Nothing passes: translation is on, and there is none. A zeroed entry would pass everything. */
static inline struct amdvi_device amdvi_device_denied(void)
{
    return (struct amdvi_device){.dma = {AMDVI_DEVICE_VALID | AMDVI_DEVICE_TRANSLATION},
                                 .interrupts = {AMDVI_INTERRUPTS_VALID}};
}

/* The DMA half of a device in a context. */
static inline struct ring_record amdvi_device_translated(uint64_t root_mfn, uint8_t levels, uint16_t domain)
{
    return (struct ring_record){.low = AMDVI_DEVICE_VALID | AMDVI_DEVICE_TRANSLATION |
                                       AMDVI_DEVICE_MODE(levels) | root_mfn << 12 | AMDVI_DEVICE_READ |
                                       AMDVI_DEVICE_WRITE,
                                .high = domain};
}

/* ---- interrupt remapping tables: section 2.2.5 ---- */

/*
 * 2^8 entries, a page at most: bits 10 to 8 of an index stand where an MSI has its delivery mode, and those
 * bits are 0, fixed, in every index below.
 */
#define AMDVI_INTERRUPT_ORDER   8u
#define AMDVI_INTERRUPT_ENTRIES (1u << AMDVI_INTERRUPT_ORDER)

#define AMDVI_INTERRUPT_ENABLE (1ull << 0) /* RemapEn; IntType and DM are 0: fixed, physical */

/* Entry of 32 bits; all zero blocks. */
static inline uint32_t amdvi_interrupt_entry32(uint8_t vector, uint8_t destination)
{
    return (uint32_t)AMDVI_INTERRUPT_ENABLE | (uint32_t)destination << 8 | (uint32_t)vector << 16;
}
/* Entry of 128 bits, for units with GAEn on; all zero blocks. */
static inline struct ring_record amdvi_interrupt_entry128(uint8_t vector, uint32_t destination)
{
    return (struct ring_record){.low = AMDVI_INTERRUPT_ENABLE | (uint64_t)(destination & 0xffffff) << 8,
                                .high = (uint64_t)(destination >> 24) << 56 | vector};
}

/* The interrupt half of a device with a table of its own: its first qword, the second stays 0. */
static inline uint64_t amdvi_device_interrupts(uint64_t table_mfn)
{
    return AMDVI_INTERRUPTS_VALID | AMDVI_INTERRUPTS_LENGTH(AMDVI_INTERRUPT_ORDER) | table_mfn << 12 |
           AMDVI_INTERRUPTS_REMAP;
}

/* An interrupt request: the data is the index, and the message itself says how it is triggered. */
#define AMDVI_MESSAGE_ADDRESS 0xfee00000u
#define AMDVI_MESSAGE_LEVEL   0xc000u /* level, asserted */

/* ---- page table entries: section 2.2.3 ---- */

#define AMDVI_PAGE_PRESENT    (1ull << 0)
#define AMDVI_PAGE_NEXT       (7ull << 9) /* Next Level; 0 in a leaf */
#define AMDVI_PAGE_ADDRESS    0x000ffffffffff000ull
#define AMDVI_PAGE_COHERENT   (1ull << 60) /* FC */
#define AMDVI_PAGE_READ_SHIFT 61u
#define AMDVI_PAGE_READ       (1ull << AMDVI_PAGE_READ_SHIFT) /* IR */
#define AMDVI_PAGE_WRITE      (1ull << 62)                    /* IW */

/* ---- commands: section 2.4 ---- */

#define AMDVI_OPCODE(op)         ((uint64_t)(op) << 60)
#define AMDVI_OPCODE_OF(low)     ((uint32_t)((low) >> 60))
#define AMDVI_COMMAND_WAIT       0x1u
#define AMDVI_COMMAND_DEVICE     0x2u
#define AMDVI_COMMAND_PAGES      0x3u
#define AMDVI_COMMAND_INTERRUPTS 0x5u
#define AMDVI_COMMAND_ALL        0x8u
#define AMDVI_WAIT_STORE         (1ull << 0) /* s */
#define AMDVI_WAIT_FLUSH         (1ull << 2) /* f: what comes later waits for what came before */
#define AMDVI_PAGES_RANGE        (1ull << 0) /* S: the address holds the size */
#define AMDVI_PAGES_DIRECTORIES  (1ull << 1) /* PDE: what is known of tables as well */
#define AMDVI_PAGES_EVERYTHING   0x7ffffffffffff000ull
#define AMDVI_PAGES_ORDER_MAX    38u

/* COMPLETION_WAIT: 2.4.1. Stores value at address, which is 8-aligned, when all before it is done. */
static inline struct ring_record amdvi_command_wait(uint64_t address, uint64_t value)
{
    return (struct ring_record){.low = AMDVI_OPCODE(AMDVI_COMMAND_WAIT) | address | AMDVI_WAIT_STORE |
                                       AMDVI_WAIT_FLUSH,
                                .high = value};
}
/* The same without a store, which does nothing. */
static inline struct ring_record amdvi_command_nothing(void)
{
    return (struct ring_record){.low = AMDVI_OPCODE(AMDVI_COMMAND_WAIT)};
}
/* INVALIDATE_DEVTAB_ENTRY: 2.4.2 */
static inline struct ring_record amdvi_command_device(uint16_t requester_id)
{
    return (struct ring_record){.low = AMDVI_OPCODE(AMDVI_COMMAND_DEVICE) | requester_id};
}
/*
 * INVALIDATE_IOMMU_PAGES: 2.4.3. 2^order frames from bfn, aligned to that: the lowest clear bit above bit 11
 * of the address says how many. leaf_only: no table was unlinked.
 */
static inline struct ring_record amdvi_command_pages(uint16_t domain, uint64_t bfn, uint32_t order,
                                                     bool leaf_only)
{
    uint64_t size = order == 0 ? 0 : ((1ull << (order - 1)) - 1) << 12 | AMDVI_PAGES_RANGE;

    return (struct ring_record){.low = AMDVI_OPCODE(AMDVI_COMMAND_PAGES) | (uint64_t)domain << 32,
                                .high = bfn << 12 | size | (leaf_only ? 0 : AMDVI_PAGES_DIRECTORIES)};
}
static inline struct ring_record amdvi_command_domain(uint16_t domain)
{
    return (struct ring_record){.low = AMDVI_OPCODE(AMDVI_COMMAND_PAGES) | (uint64_t)domain << 32,
                                .high = AMDVI_PAGES_EVERYTHING | AMDVI_PAGES_RANGE | AMDVI_PAGES_DIRECTORIES};
}
/* INVALIDATE_INTERRUPT_TABLE: 2.4.5 */
static inline struct ring_record amdvi_command_interrupts(uint16_t requester_id)
{
    return (struct ring_record){.low = AMDVI_OPCODE(AMDVI_COMMAND_INTERRUPTS) | requester_id};
}
/* INVALIDATE_IOMMU_ALL: 2.4.8 */
static inline struct ring_record amdvi_command_all(void)
{
    return (struct ring_record){.low = AMDVI_OPCODE(AMDVI_COMMAND_ALL)};
}

/* ---- events: section 2.5 ---- */

#define AMDVI_EVENT_CODE(low)    ((uint8_t)((low) >> 60))
#define AMDVI_EVENT_SOURCE(low)  ((uint16_t)(low))
#define AMDVI_EVENT_DEVICE_ENTRY 0x1u
#define AMDVI_EVENT_PAGE_FAULT   0x2u
#define AMDVI_EVENT_BAD_COMMAND  0x5u
#define AMDVI_EVENT_INTERRUPT    (1ull << 51) /* I: an interrupt request */
#define AMDVI_EVENT_PRESENT      (1ull << 52) /* PR */
#define AMDVI_EVENT_WRITE        (1ull << 53) /* RW */
#define AMDVI_EVENT_PERMISSION   (1ull << 54) /* PE */
#define AMDVI_EVENT_RESERVED     (1ull << 55) /* RZ: reserved bits or an illegal level */
#define AMDVI_EVENT_TRANSLATION  (1ull << 56) /* TR: a translation request */

#endif

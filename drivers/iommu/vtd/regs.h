/* SPDX-License-Identifier: MIT */
/*
 * VT-d as hardware sees it. Sections are those of Intel's "Virtualization Technology for Directed I/O",
 * revision 4.1. Access classes: RO, RW, WO, W1C (write one to clear).
 */
#ifndef SLUICE_VTD_REGS_H
#define SLUICE_VTD_REGS_H

#include "drivers/iommu/ring.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- registers: section 11.4 ---- */

#define VTD_VER          0x000u /* Version, 32 bits, RO: 11.4.1 */
#define VTD_CAP          0x008u /* Capability, 64 bits, RO: 11.4.2 */
#define VTD_ECAP         0x010u /* Extended Capability, 64 bits, RO: 11.4.3 */
#define VTD_GCMD         0x018u /* Global Command, 32 bits, WO: 11.4.4 */
#define VTD_GSTS         0x01cu /* Global Status, 32 bits, RO: 11.4.5 */
#define VTD_RTADDR       0x020u /* Root Table Address, 64 bits, RW: 11.4.6 */
#define VTD_CCMD         0x028u /* Context Command, 64 bits, RW: 11.4.7 */
#define VTD_FSTS         0x034u /* Fault Status, 32 bits, RO and W1C: 11.4.9 */
#define VTD_FECTL        0x038u /* Fault Event Control, 32 bits, RW: 11.4.10 */
#define VTD_FEDATA       0x03cu /* Fault Event Data, 32 bits, RW: 11.4.11 */
#define VTD_FEADDR       0x040u /* Fault Event Address, 32 bits, RW: 11.4.12 */
#define VTD_FEUADDR      0x044u /* Fault Event Upper Address, 32 bits, RW: 11.4.13 */
#define VTD_PMEN         0x064u /* Protected Memory Enable, 32 bits, RW: 11.4.16 */
#define VTD_IQH          0x080u /* Invalidation Queue Head, 64 bits, RO: 11.4.21 */
#define VTD_IQT          0x088u /* Invalidation Queue Tail, 64 bits, RW: 11.4.22 */
#define VTD_IQA          0x090u /* Invalidation Queue Address, 64 bits, RW: 11.4.23 */
#define VTD_IRTA         0x0b8u /* Interrupt Remapping Table Address, 64 bits, RW: 11.4.29 */
/* IVA (Invalidate Address, 64 bits, WO) is at 16 * ECAP.IRO, IOTLB Invalidate (64 bits, RW) 8 above: 11.4.8
 */
#define VTD_IOTLB_OFFSET 8u

#define VTD_PAGE_SIZE 0x1000u
/* Version Register: major in bits 4 to 7, minor below; the others are 0: 11.4.1 */
#define VTD_VER_BITS  0xffu
#define VTD_VER_MIN   0x10u

/* What no unit goes below or beyond: ND 7 is reserved, and even 32-bit machines had more than 32 bits of bus.
 */
#define VTD_MGAW_MIN    32u
#define VTD_DOMAINS_MAX 65536u

/* Capability Register: 11.4.2 */
#define VTD_CAP_DOMAINS(cap)       (1u << (4 + 2 * ((cap)&7)))     /* ND */
#define VTD_CAP_RWBF               (1ull << 4)                     /* Required Write-Buffer Flushing */
#define VTD_CAP_PLMR               (1ull << 5)                     /* Protected Low-Memory Region */
#define VTD_CAP_PHMR               (1ull << 6)                     /* Protected High-Memory Region */
#define VTD_CAP_CM                 (1ull << 7)                     /* Caching Mode */
#define VTD_CAP_SAGAW(cap)         ((uint32_t)((cap) >> 8) & 0x1f) /* Supported Adjusted Guest Address Widths */
#define VTD_CAP_MGAW(cap)          (((uint32_t)((cap) >> 16) & 0x3f) + 1)   /* Maximum Guest Address Width */
#define VTD_CAP_FAULT_OFFSET(cap)  (((uint32_t)((cap) >> 24) & 0x3ff) * 16) /* FRO */
#define VTD_CAP_SLLPS_2M           (1ull << 34) /* Second Stage Large Page Support */
#define VTD_CAP_SLLPS_1G           (1ull << 35)
#define VTD_CAP_PSI                (1ull << 39)                           /* Page Selective Invalidation */
#define VTD_CAP_FAULT_RECORDS(cap) (((uint32_t)((cap) >> 40) & 0xff) + 1) /* NFR */
#define VTD_CAP_MAMV(cap)          ((uint32_t)((cap) >> 48) & 0x3f)       /* Maximum Address Mask Value */
#define VTD_CAP_DWD                (1ull << 54)                           /* Write Draining */
#define VTD_CAP_DRD                (1ull << 55)                           /* Read Draining */

/* Extended Capability Register: 11.4.3 */
#define VTD_ECAP_C                  (1ull << 0) /* Page-walk Coherency */
#define VTD_ECAP_QI                 (1ull << 1) /* Queued Invalidation */
#define VTD_ECAP_IR                 (1ull << 3) /* Interrupt Remapping */
#define VTD_ECAP_EIM                (1ull << 4) /* Extended Interrupt Mode: APIC ids of 32 bits */
#define VTD_ECAP_IOTLB_OFFSET(ecap) (((uint32_t)((ecap) >> 8) & 0x3ff) * 16) /* IRO */

/* Global Command and Global Status: the same bits, 11.4.4 and 11.4.5 */
#define VTD_GLOBAL_TE    (1u << 31) /* Translation Enable */
#define VTD_GLOBAL_SRTP  (1u << 30) /* Set Root Table Pointer, one-shot */
#define VTD_GLOBAL_WBF   (1u << 27) /* Write Buffer Flush, one-shot */
#define VTD_GLOBAL_QIE   (1u << 26) /* Queued Invalidation Enable */
#define VTD_GLOBAL_IRE   (1u << 25) /* Interrupt Remapping Enable */
#define VTD_GLOBAL_SIRTP (1u << 24) /* Set Interrupt Remap Table Pointer, one-shot */
#define VTD_GLOBAL_CFI   (1u << 23) /* Compatibility Format Interrupt */
/* What a new command must repeat from the status: everything but the one-shot commands. */
#define VTD_GLOBAL_KEPT  (VTD_GLOBAL_TE | VTD_GLOBAL_QIE | VTD_GLOBAL_IRE | VTD_GLOBAL_CFI | 1u << 28)

#define VTD_RTADDR_MODE 0xc00ull /* Translation Table Mode; 0: legacy */

/* Interrupt Remapping Table Address: 11.4.29. 2^order entries. */
#define VTD_IRTA_EIME              (1ull << 11) /* Extended Interrupt Mode Enable */
#define VTD_IRTA_TABLE(mfn, order) ((uint64_t)(mfn) << 12 | ((order)-1u))

/* Context Command: 11.4.7 */
#define VTD_CCMD_ICC         (1ull << 63) /* Invalidate Context-Cache */
#define VTD_CCMD_GLOBAL      (1ull << 61)
#define VTD_CCMD_DEVICE      (3ull << 61)
#define VTD_CCMD_SOURCE(sid) ((uint64_t)(sid) << 16)

/* IOTLB Invalidate and Invalidate Address: 11.4.8 */
#define VTD_IOTLB_IVT         (1ull << 63) /* Invalidate IOTLB */
#define VTD_IOTLB_GLOBAL      (1ull << 60)
#define VTD_IOTLB_DOMAIN      (2ull << 60)
#define VTD_IOTLB_PAGE        (3ull << 60)
#define VTD_IOTLB_DRAIN_READ  (1ull << 49)
#define VTD_IOTLB_DRAIN_WRITE (1ull << 48)
#define VTD_IOTLB_DID(did)    ((uint64_t)(did) << 32)

/* Fault Status: 11.4.9. Written by assignment only: a read-modify-write would clear neighbours. */
#define VTD_FSTS_PFO         (1u << 0)            /* Primary Fault Overflow, W1C */
#define VTD_FSTS_PPF         (1u << 1)            /* Primary Pending Fault, RO */
#define VTD_FSTS_IQE         (1u << 4)            /* Invalidation Queue Error, W1C */
#define VTD_FSTS_ICE         (1u << 5)            /* Invalidation Completion Error, W1C */
#define VTD_FSTS_ITE         (1u << 6)            /* Invalidation Time-out Error, W1C */
#define VTD_FSTS_INDEX(fsts) ((fsts) >> 8 & 0xff) /* Fault Record Index, RO */

#define VTD_FECTL_MASK (1u << 31) /* Interrupt Mask */

#define VTD_PMEN_ENABLE (1u << 31) /* Enable Protected Memory */
#define VTD_PMEN_STATUS (1u << 0)  /* Protected Region Status */

/* Fault Recording Registers, 128 bits each: 11.4.14. Bits of the upper qword, F by writing one to clear. */
#define VTD_FAULT_HIGH         8u
#define VTD_FAULT_TOP          12u /* the dword that holds F */
#define VTD_FAULT_F            (1ull << 63)
#define VTD_FAULT_READ         (1ull << 62) /* T1: a read, otherwise a write */
#define VTD_FAULT_REASON(high) ((uint8_t)((high) >> 32))
#define VTD_FAULT_SOURCE(high) ((uint16_t)(high))
#define VTD_FAULT_TOP_CLEAR    (1u << 31)

/* Fault reasons that a page table gives: 7.2.1 */
#define VTD_REASON_NO_WRITE             0x05u
#define VTD_REASON_NO_READ              0x06u
/* Those of interrupts, 20h to 26h. The record then has the index in the low qword. */
#define VTD_REASON_IS_INTERRUPT(reason) ((reason) >> 4 == 2)
#define VTD_FAULT_INTERRUPT(low)        ((low) >> 48)

/* ---- tables in memory ---- */

/* Root Entry: 9.1; Context Entry: 9.3. 256 of each in a page. */
struct vtd_entry {
    uint64_t low, high;
};
_Static_assert(sizeof(struct vtd_entry) == 16, "9.1, 9.3");
#define VTD_ENTRIES         256u
#define VTD_ENTRY_PRESENT   (1ull << 0)
#define VTD_ENTRY_ADDRESS   0x000ffffffffff000ull
#define VTD_CONTEXT_FPD     (1ull << 1) /* Fault Processing Disable */
#define VTD_CONTEXT_DID(hi) ((uint16_t)((hi) >> 8))

static inline struct vtd_entry vtd_root_entry(uint64_t table_mfn)
{
    return (struct vtd_entry){.low = table_mfn << 12 | VTD_ENTRY_PRESENT};
}

/* Translation type 00b: untranslated requests go through the tables, everything else is blocked. */
static inline struct vtd_entry vtd_context_entry(uint64_t table_mfn, uint8_t levels, uint16_t domain)
{
    return (struct vtd_entry){.low = table_mfn << 12 | VTD_ENTRY_PRESENT,
                              .high = (uint64_t)domain << 8 | (uint64_t)(levels - 2u)};
}

/* Second-stage paging entries: 9.8 */
#define VTD_PAGE_READ  (1ull << 0)
#define VTD_PAGE_WRITE (1ull << 1)
#define VTD_PAGE_LARGE (1ull << 7) /* PS: a leaf above level 1 */

/* Interrupt Remapping Table Entry, remapped format: 9.10 */
#define VTD_INTERRUPT_PRESENT      (1ull << 0)            /* P */
#define VTD_INTERRUPT_LEVEL        (1ull << 4)            /* TM; DM, RH and DLM are 0: physical, fixed */
#define VTD_INTERRUPT_VECTOR(v)    ((uint64_t)(v) << 16)  /* V */
#define VTD_INTERRUPT_ID(id)       ((uint64_t)(id) << 32) /* DST in extended mode */
#define VTD_INTERRUPT_XAPIC_ID(id) ((uint64_t)(id) << 40) /* ... and otherwise */
#define VTD_INTERRUPT_SVT          (1ull << 18)           /* of the second qword: verify all of SID */

/* The source is always verified: an entry is of use to the requester that it was made for alone. */
static inline struct vtd_entry vtd_interrupt_entry(uint16_t requester_id, uint8_t vector, bool level,
                                                   uint32_t destination, bool extended)
{
    return (struct vtd_entry){
        .low = VTD_INTERRUPT_PRESENT | (level ? VTD_INTERRUPT_LEVEL : 0) | VTD_INTERRUPT_VECTOR(vector) |
               (extended ? VTD_INTERRUPT_ID(destination) : VTD_INTERRUPT_XAPIC_ID(destination & 0xff)),
        .high = VTD_INTERRUPT_SVT | requester_id};
}

/* An interrupt request in remappable format: 5.1.2.2. With SHV, the data is added to the handle: 0. */
#define VTD_MESSAGE_ADDRESS    0xfee00000u
#define VTD_MESSAGE_REMAPPABLE (1u << 4)
#define VTD_MESSAGE_SHV        (1u << 3)
#define VTD_MESSAGE_INDEX(i)   (((i)&0x7fffu) << 5 | ((i) >> 15 & 1u) << 2)

/* ---- invalidation descriptors: 6.5.2 ---- */

#define VTD_DESCRIPTOR_CONTEXT     0x1u
#define VTD_DESCRIPTOR_IOTLB       0x2u
#define VTD_DESCRIPTOR_INTERRUPT   0x4u
#define VTD_DESCRIPTOR_WAIT        0x5u
#define VTD_DESCRIPTOR_GLOBAL      (1u << 4)
#define VTD_DESCRIPTOR_DOMAIN      (2u << 4)
#define VTD_DESCRIPTOR_DEVICE      (3u << 4) /* of a context-cache descriptor */
#define VTD_DESCRIPTOR_PAGE        (3u << 4) /* of an IOTLB descriptor */
#define VTD_DESCRIPTOR_INDEX       (1u << 4) /* of an interrupt-entry descriptor */
#define VTD_DESCRIPTOR_DRAIN_WRITE (1u << 6)
#define VTD_DESCRIPTOR_DRAIN_READ  (1u << 7)
#define VTD_WAIT_STATUS_WRITE      (1u << 5)
#define VTD_PAGE_HINT              (1u << 6) /* Invalidation Hint: no table page was unlinked */

/* Context-cache Invalidate Descriptor: 6.5.2.1 */
static inline struct ring_record vtd_descriptor_context_global(void)
{
    return (struct ring_record){.low = VTD_DESCRIPTOR_CONTEXT | VTD_DESCRIPTOR_GLOBAL};
}
static inline struct ring_record vtd_descriptor_context_device(uint16_t domain, uint16_t source)
{
    return (struct ring_record){.low = VTD_DESCRIPTOR_CONTEXT | VTD_DESCRIPTOR_DEVICE |
                                       (uint64_t)domain << 16 | (uint64_t)source << 32};
}

/* IOTLB Invalidate Descriptor: 6.5.2.3. drain: the DRAIN bits that the unit has. */
static inline struct ring_record vtd_descriptor_iotlb_global(uint32_t drain)
{
    return (struct ring_record){.low = VTD_DESCRIPTOR_IOTLB | VTD_DESCRIPTOR_GLOBAL | drain};
}
static inline struct ring_record vtd_descriptor_iotlb_domain(uint32_t drain, uint16_t domain)
{
    return (struct ring_record){.low = VTD_DESCRIPTOR_IOTLB | VTD_DESCRIPTOR_DOMAIN | drain |
                                       (uint64_t)domain << 16};
}
/* 2^order frames from bfn, which is aligned to that; order is the Address Mask. */
static inline struct ring_record vtd_descriptor_iotlb_pages(uint32_t drain, uint16_t domain, uint64_t bfn,
                                                            uint32_t order, bool leaf_only)
{
    return (struct ring_record){.low = VTD_DESCRIPTOR_IOTLB | VTD_DESCRIPTOR_PAGE | drain |
                                       (uint64_t)domain << 16,
                                .high = bfn << 12 | (leaf_only ? VTD_PAGE_HINT : 0) | order};
}

/* Interrupt Entry Cache Invalidate Descriptor: 6.5.2.7. Granularity 0 is everything. */
static inline struct ring_record vtd_descriptor_interrupt_global(void)
{
    return (struct ring_record){.low = VTD_DESCRIPTOR_INTERRUPT};
}
static inline struct ring_record vtd_descriptor_interrupt_entry(uint32_t index)
{
    return (struct ring_record){.low = VTD_DESCRIPTOR_INTERRUPT | VTD_DESCRIPTOR_INDEX |
                                       (uint64_t)(uint16_t)index << 32};
}

/* Invalidation Wait Descriptor: 6.5.2.8. Writes value to the dword at address when all before it is done. */
static inline struct ring_record vtd_descriptor_wait(uint64_t address, uint32_t value)
{
    return (struct ring_record){.low = VTD_DESCRIPTOR_WAIT | VTD_WAIT_STATUS_WRITE | (uint64_t)value << 32,
                                .high = address};
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A machine of 1 to 65 units in 1 to 4 segments, and the DMAR or IVRS that tells of it: unit i is in segment
 * i mod segments, and there it is the k-th. Each has a device on bus 0, a bridge with bus 1 + k behind it,
 * and, on the bus of the unit before it, one device that the table names as its own. One unit of each
 * segment has all the rest.
 */
#ifndef SLUICE_TESTS_UNITS_PLAN_H
#define SLUICE_TESTS_UNITS_PLAN_H

#include "tests/unit/iommu_units/machine.h"

#define RW (IOMMU_READ | IOMMU_WRITE)

/* Requester ids of the k-th unit of a segment. */
#define OWN(k)         ((uint16_t)(0x80u + (k)))
#define BRIDGE(k)      ((uint16_t)(0x08u + (k)))
#define BEHIND(k)      ((uint16_t)((1u + (k)) << 8))
#define BEHIND_LAST(k) ((uint16_t)((1u + (k)) << 8 | 0xf8u))
#define LENT(k)        ((uint16_t)((1u + (k)) << 8 | 0x10u)) /* to the next unit */
#define ALIASED(k)     ((uint16_t)((1u + (k)) << 8 | 0x20u)) /* AMD-Vi: shows as ALIAS */
#define ALIAS(k)       ((uint16_t)((1u + (k)) << 8 | 0x28u))
#define REST           ((uint16_t)0xf000u) /* nobody names it */
#define REST_OF_BUS_0  ((uint16_t)0x00f8u)
#define UNIT_ID(k)     ((uint16_t)(0xe000u + (k))) /* of an AMD-Vi unit's own function */

/* The reserved range of unit i, two frames that its device on bus 0 must reach. */
#define RESERVED_MFN(i) (0x80000ull + 0x10ull * (i))
#define RESERVED_FRAMES 2u

struct plan {
    uint32_t units, segments;
    uint32_t reserved;                /* so many units have a reserved range */
    uint32_t rest[MACHINE_SEGMENTS];  /* which unit has the rest of the segment */
    uint64_t base[MACHINE_UNITS_MAX]; /* where the table says that its registers are */
    uint32_t ivinfo;                  /* IVRS: widths, as firmware writes them */
    uint32_t block_types;             /* IVRS: describe each unit by so many blocks, 1 to 3 */
    struct iommu_range extra[64];     /* more reserved ranges of unit 0's device on bus 0 */
    uint32_t extra_count;
};
extern struct plan plan;
extern struct iommu_flush flush;

/* The machine; what the table says of it can still be changed. */
void plan_begin(enum iommu_vendor vendor, uint32_t units, uint32_t segments);
/* Writes the table and gives it to iommu_init(). */
int plan_init(void);
/* The same, then iommu_enable(); each must succeed. */
void plan_start(void);

/* The k-th unit of the segment; MACHINE_NO_UNIT when there is none. */
uint32_t unit_in(uint32_t segment, uint32_t k);

/* A new context in which bfn leads to mfn, flushed. */
struct iommu_context *context_with(uint64_t bfn, uint64_t mfn);
void map_now(struct iommu_context *context, uint64_t bfn, uint64_t mfn);
/* The function's DMA passes at bfn, on its own unit, and arrives at mfn. */
bool arrives(const struct machine_function *function, uint64_t bfn, uint64_t mfn);
/* The function is blocked at bfn on each unit of its segment that is on. */
bool is_blocked(const struct machine_function *function, uint64_t bfn);
/* Some unit of its segment other than its own lets it pass at bfn. */
bool passes_elsewhere(const struct machine_function *function, uint64_t bfn);

#endif

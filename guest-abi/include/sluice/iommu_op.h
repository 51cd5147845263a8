/* SPDX-License-Identifier: MIT */
/*
 * The IOMMUOP hypercalls: a guest steers its devices' DMA.
 *
 * Words: MFN machine frame number; PFN the guest's own frame number; BFN bus frame number, the frame
 * address a device puts on the bus. Frames are 4 KiB. The reference text is guest-abi/iommu_op.md.
 */
#ifndef SLUICE_IOMMU_OP_H
#define SLUICE_IOMMU_OP_H

#include <stdint.h>

/* Hypercall slot of the Draft A front door: (uint32_t subop, array *, uint32_t count). */
#define __HYPERVISOR_iommu_op 57

/* Sub-operations of Draft A; their array is of struct iommu_map_op. */
#define IOMMUOP_map_page   1
#define IOMMUOP_unmap_page 2

/* Extensions of Sluice, numbered far away from the draft. */
#define IOMMUOP_query        0x100 /* one struct iommu_query, count 1 */
#define IOMMUOP_get_reserved 0x101 /* array of struct iommu_reserved_range, count = capacity */
#define IOMMUOP_lookup_page  0x102 /* array of struct iommu_map_op */

/* Flags of one element: the device's permissions. Both clear in a map means unmap. */
#define IOMMU_MAP_OP_readable       0x1u
#define IOMMU_MAP_OP_writeable      0x2u
/* Reported by IOMMUOP_lookup_page only: write permission was asked for and is withheld. */
#define IOMMU_MAP_OP_write_withheld 0x80000000u

struct iommu_map_op {
    uint64_t bfn;   /* in: bus frame */
    uint64_t mfn;   /* in: machine frame (ignored by unmap); out of lookup */
    uint32_t flags; /* in: IOMMU_MAP_OP_* (ignored by unmap); out of lookup */
    int32_t status; /* out: 0 or a negative error number */
};

/* Bits of iommu_query.features. */
#define IOMMU_QUERY_map_replaces      0x1u
#define IOMMU_QUERY_zero_flags_unmaps 0x2u
#define IOMMU_QUERY_relaxed           0x4u
#define IOMMU_QUERY_premapped         0x8u
#define IOMMU_QUERY_owned             0x10u
#define IOMMU_QUERY_physdev_door      0x20u
#define IOMMU_QUERY_v7_door           0x40u

/* Values of iommu_query.premap. */
#define IOMMU_PREMAP_none       0u
#define IOMMU_PREMAP_own_frames 1u
#define IOMMU_PREMAP_all_ram    2u

struct iommu_query {
    uint32_t version;         /* 1 */
    uint32_t features;        /* IOMMU_QUERY_* */
    uint64_t max_bfn;         /* highest bus frame that can be mapped */
    uint32_t premap;          /* IOMMU_PREMAP_* */
    uint32_t reserved_ranges; /* how many IOMMUOP_get_reserved reports */
    uint32_t table_quota;     /* table pages this guest may use, in frames */
    uint32_t table_used;      /* table pages it uses now, in frames */
};

/* Values of iommu_reserved_range.kind. */
#define IOMMU_RESERVED_identity       1u /* RMRR (VT-d) or unity range (AMD-Vi) */
#define IOMMU_RESERVED_msi            2u /* the interrupt window 0xfee00..0xfeeff */
#define IOMMU_RESERVED_hypertransport 3u

struct iommu_reserved_range {
    uint64_t start;  /* first BFN */
    uint64_t frames; /* length in frames */
    uint32_t kind;   /* IOMMU_RESERVED_* */
    uint32_t zero;   /* 0 */
};

/* The review's door: physdev_op (slot 33), one struct iommu_map_op, result = its status. */
#define PHYSDEVOP_iommu_map 33

_Static_assert(sizeof(struct iommu_map_op) == 24, "24 bytes by Draft A");
_Static_assert(__builtin_offsetof(struct iommu_map_op, mfn) == 8, "Draft A");
_Static_assert(__builtin_offsetof(struct iommu_map_op, flags) == 16, "Draft A");
_Static_assert(__builtin_offsetof(struct iommu_map_op, status) == 20, "Draft A");
_Static_assert(sizeof(struct iommu_query) == 32, "32 bytes by the reference text");
_Static_assert(sizeof(struct iommu_reserved_range) == 24, "24 bytes by the reference text");

#endif

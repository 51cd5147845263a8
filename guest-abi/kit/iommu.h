/* SPDX-License-Identifier: MIT */
/*
 * The IOMMUOP doors. A source compiled with DOOR=DOOR_DRAFT_A or DOOR=DOOR_PHYSDEV goes through that door
 * with iommu_map_array() and iommu_unmap_array(), and sees the same results.
 */
#ifndef KIT_IOMMU_H
#define KIT_IOMMU_H

#include "kit/hypercall.h"

#include <sluice/iommu_op.h>

#define DOOR_DRAFT_A 0
#define DOOR_PHYSDEV 1
#ifndef DOOR
#define DOOR DOOR_DRAFT_A
#endif

#if DOOR == DOOR_PHYSDEV
#define DOOR_NAME "PHYSDEVOP_iommu_map"
#else
#define DOOR_NAME "Draft A"
#endif

/* What a caller presets status to: an element that still says so was not reached. */
#define STATUS_NOT_REACHED 1

#define IOMMU_RW (IOMMU_MAP_OP_readable | IOMMU_MAP_OP_writeable)

static inline long iommu_op(uint64_t subop, const void *array, uint64_t count)
{
    return hypercall(__HYPERVISOR_iommu_op, subop, hypercall_pointer(array), count, 0, 0);
}

/* 0: IOMMUOP is there. -ENOSYS: it is not, or switched off. */
static inline long iommu_probe(void)
{
    return iommu_op(IOMMUOP_unmap_page, NULL, 0);
}

static inline long iommu_query(struct iommu_query *query)
{
    return iommu_op(IOMMUOP_query, query, 1);
}

static inline long iommu_lookup(struct iommu_map_op *op)
{
    return iommu_op(IOMMUOP_lookup_page, op, 1);
}

/* The review's door: the result is the status. Flags 0 unmap. */
static inline long iommu_physdev(struct iommu_map_op *op)
{
    return physdev_op(PHYSDEVOP_iommu_map, op);
}

static inline long iommu_array(uint32_t subop, struct iommu_map_op *ops, uint32_t count)
{
#if DOOR == DOOR_PHYSDEV
    for (uint32_t i = 0; i < count; i++) {
        struct iommu_map_op op = ops[i];
        if (subop == IOMMUOP_unmap_page)
            op.flags = 0;
        long status = iommu_physdev(&op);
        if (status == -ENOSYS)
            return status;
        ops[i].status = (int32_t)status;
        if (status)
            return -EFAULT;
    }
    return 0;
#else
    return iommu_op(subop, ops, count);
#endif
}

static inline long iommu_map_array(struct iommu_map_op *ops, uint32_t count)
{
    return iommu_array(IOMMUOP_map_page, ops, count);
}

static inline long iommu_unmap_array(struct iommu_map_op *ops, uint32_t count)
{
    return iommu_array(IOMMUOP_unmap_page, ops, count);
}

/* One element: its status, or the hypercall's own errno when the element was not reached. */
static inline long iommu_map_one(uint64_t bfn, uint64_t mfn, uint32_t flags)
{
    struct iommu_map_op op = {.bfn = bfn, .mfn = mfn, .flags = flags, .status = STATUS_NOT_REACHED};
    long result = iommu_map_array(&op, 1);
    return op.status == STATUS_NOT_REACHED ? result : op.status;
}

static inline long iommu_unmap_one(uint64_t bfn)
{
    struct iommu_map_op op = {.bfn = bfn, .status = STATUS_NOT_REACHED};
    long result = iommu_unmap_array(&op, 1);
    return op.status == STATUS_NOT_REACHED ? result : op.status;
}

#endif

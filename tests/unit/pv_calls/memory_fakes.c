/* SPDX-License-Identifier: MIT */
/* What memory_op() leads to: the calls that change the guest's memory, and the reserved ranges. */
#include "drivers/iommu/iommu.h"
#include "fakes.h"
#include "mem/frame.h"
#include "pv/reservation.h"
#include "pv/types.h"

uint32_t types_first_dying = TYPES_NOBODY;

bool types_settle(void)
{
    return true;
}

long decrease_reservation(struct cpu_regs *regs, const struct hypercall_args *args, uint64_t start)
{
    (void)regs;
    (void)args;
    return (long)(1000 + start);
}

long populate_physmap(struct cpu_regs *regs, const struct hypercall_args *args, uint64_t start)
{
    (void)regs;
    (void)args;
    return (long)(2000 + start);
}

long memory_exchange(uint64_t argument)
{
    return (long)argument;
}

uint32_t iommu_reserved_count(void)
{
    return 3;
}

struct iommu_reserved iommu_reserved_at(uint32_t index)
{
    static const struct iommu_reserved ranges[] = {{0x70, 2, IOMMU_KIND_IDENTITY, 3},
                                                   {0xfee00, 0x100, IOMMU_KIND_MSI, 0},
                                                   {0x80, 5, IOMMU_KIND_IDENTITY, 3}};
    return ranges[index];
}

void frame_unpark(uint64_t mfn)
{
    (void)mfn;
}

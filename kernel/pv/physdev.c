/* SPDX-License-Identifier: MIT */
/* physdev_op(cmd, argument): which file has the command. */
#include "guest-abi/include/sluice/physdev.h"
#include "guest-abi/include/sluice/iommu_op.h"
#include "pv/emulate.h"
#include "pv/guest.h"
#include "pv/hypercall.h"
#include "pv/pirq.h"

long do_physdev_op(struct cpu_regs *regs, const struct hypercall_args *args)
{
    (void)regs;
    switch ((uint32_t)args->a[0]) {
    case PHYSDEVOP_set_iopl:
        return iopl_set(args->a[1]);
    case PHYSDEVOP_set_iobitmap:
        return iopl_set_bitmap(args->a[1]);
    case PHYSDEVOP_iommu_map:
        return iommu_map_one(args->a[1]);
    default:
        return pirq_op((uint32_t)args->a[0], args->a[1]);
    }
}

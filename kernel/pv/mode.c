/* SPDX-License-Identifier: MIT */
/*
 * Kernel and user mode of the guest. Both run in ring 3; what tells them apart is the L4 that is loaded and
 * the GS base that is live. The hypervisor uses neither GS base, so SWAPGS here is only the guest's.
 */
#include "cpu/ops.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/guest_copy.h"
#include "mem/map.h"
#include "pv/guest.h"
#include "pv/tlb.h"

void guest_to_kernel(void)
{
    if (!guest.in_user)
        return;
    guest.in_user = false;
    guest.slots = HYPERCALL_SLOTS;
    gs_bases_swap();
    tlb_load(guest.l4_mfn);
    guest_linear_set(guest.linear_kernel);
}

void guest_to_user(void)
{
    if (guest.in_user)
        return;
    guest.in_user = true;
    guest.slots = 0;
    gs_bases_swap();
    tlb_load(guest.user_l4_mfn);
    guest_linear_set(guest.linear_user);
}

/* ---- set_segment_base(which, base) ---- */

/* The kernel runs, so the live GS is its own; the other mode's is exchanged with it for the load. */
static void load_user_gs(uint16_t selector)
{
    gs_bases_swap();
    gs_load(selector);
    gs_bases_swap();
}

static long set_base(uint32_t msr, uint64_t base)
{
    if (!address_is_canonical(base))
        return -EINVAL;
    msr_write(msr, base);
    return 0;
}

long do_set_segment_base(struct cpu_regs *regs, const struct hypercall_args *args)
{
    (void)regs;
    switch ((uint32_t)args->a[0]) {
    case SEGBASE_FS:
        return set_base(MSR_FS_BASE, args->a[1]);
    case SEGBASE_GS_USER:
        return set_base(MSR_KERNEL_GS_BASE, args->a[1]);
    case SEGBASE_GS_KERNEL:
        return set_base(MSR_GS_BASE, args->a[1]);
    case SEGBASE_GS_USER_SEL:
        load_user_gs((uint16_t)args->a[1]);
        return 0;
    default:
        return -EINVAL;
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * Kernel and user mode of the guest. Both run in ring 3; what tells them apart is the L4 that is loaded and
 * the GS base that is live. The hypervisor uses neither GS base, so SWAPGS here is only the guest's.
 */
#include "mem/guest_copy.h"
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

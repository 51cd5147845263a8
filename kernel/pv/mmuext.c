/* SPDX-License-Identifier: MIT */
/* mmuext_op: pins, table bases, the TLB, and whole pages. */
#include "guest-abi/include/sluice/errno.h"
#include "lib/string.h"
#include "mem/frame.h"
#include "mem/map.h"
#include "pv/batch.h"
#include "pv/descriptor.h"
#include "pv/guest.h"
#include "pv/pte.h"
#include "pv/tlb.h"
#include "pv/types.h"
#include "pv/walk.h"

/* ---- pins ---- */

static int pin(uint64_t mfn, enum frame_type type)
{
    struct frame *frame = frame_of(mfn);
    if (frame == NULL || frame->owner != FRAME_GUEST)
        return -EPERM;
    if ((frame->flags & FRAME_PINNED) != 0)
        return -EINVAL;
    int error = type_get(mfn, type);
    if (error == 0)
        frame->flags |= FRAME_PINNED;
    return error;
}

/* A pin that was cut off and never asked for again is given up by an unpin. */
static int unpin(uint64_t mfn)
{
    struct frame *frame = frame_of(mfn);
    if (frame == NULL || frame->owner != FRAME_GUEST)
        return -EPERM;
    if ((frame->flags & FRAME_PARTIAL) != 0) {
        type_abandon(frame);
        return 0;
    }
    if ((frame->flags & FRAME_PINNED) == 0)
        return -EINVAL;
    frame->flags &= (uint8_t)~FRAME_PINNED;
    type_put(frame);
    return 0;
}

/* ---- table bases ---- */

#define SLOT_SHIFT 39

/* Where the L4 shows itself: the first address of that slot, or 0. */
static uint64_t linear_base(uint64_t l4_mfn)
{
    if (l4_mfn == 0 || (frame_of(l4_mfn)->flags & FRAME_LINEAR) == 0)
        return 0;
    const uint64_t *l4 = phys_to_virt(l4_mfn << FRAME_SHIFT);
    for (uint64_t slot = 0; slot < 512; slot++) {
        if ((l4[slot] & PTE_PRESENT) != 0 && pte_mfn(l4[slot]) == l4_mfn)
            return (uint64_t)((int64_t)(slot << (SLOT_SHIFT + 16)) >> 16);
    }
    return 0;
}

void guest_linear_refresh(void)
{
    guest.linear_kernel = linear_base(guest.l4_mfn);
    guest.linear_user = linear_base(guest.user_l4_mfn);
    guest_linear_set(guest.linear_kernel);
}

static int new_kernel_base(uint64_t mfn)
{
    uint64_t old = guest.l4_mfn;
    int error = type_get(mfn, FRAME_TYPE_L4);
    if (error != 0)
        return error;
    guest.l4_mfn = mfn;
    walk_forget();
    guest.linear_kernel = linear_base(mfn);
    guest_linear_set(guest.linear_kernel);
    tlb_load(mfn);
    type_put(frame_of(old));
    return 0;
}

/* 0 takes the user mode away. */
static int new_user_base(uint64_t mfn)
{
    uint64_t old = guest.user_l4_mfn;
    int error = mfn != 0 ? type_get(mfn, FRAME_TYPE_L4) : 0;
    if (error != 0)
        return error;
    guest.user_l4_mfn = mfn;
    guest.linear_user = linear_base(mfn);
    if (old != 0)
        type_put(frame_of(old));
    return 0;
}

/* ---- whole pages ---- */

/* While the hypervisor writes it, it is as if the guest did: no table, no descriptors. */
static int take_writable(uint64_t mfn)
{
    struct frame *frame = frame_of(mfn);
    return frame != NULL ? frame_get_type(frame, FRAME_TYPE_WRITABLE) : -EPERM;
}

static int clear_page(uint64_t mfn)
{
    int error = take_writable(mfn);
    if (error != 0)
        return error;
    memset(phys_to_virt(mfn << FRAME_SHIFT), 0, FRAME_SIZE);
    frame_put_type(frame_of(mfn));
    return 0;
}

static int copy_page(uint64_t mfn, uint64_t source)
{
    const struct frame *from = frame_of(source);
    if (from == NULL || from->owner != FRAME_GUEST)
        return -EPERM;
    int error = take_writable(mfn);
    if (error != 0)
        return error;
    if (source != mfn)
        memcpy(phys_to_virt(mfn << FRAME_SHIFT), phys_to_virt(source << FRAME_SHIFT), FRAME_SIZE);
    frame_put_type(frame_of(mfn));
    return 0;
}

/* ---- the TLB and the caches ---- */

static int invalidate_page(uint64_t address)
{
    if (address_is_canonical(address) && !address_is_hypervisor(address))
        tlb_flush_page(address);
    return 0;
}

/* There is one CPU, so a mask of CPUs must be readable and is else ignored. */
static int with_mask(uint64_t mask_address, int done)
{
    uint64_t mask;
    return copy_from_guest(&mask, mask_address, sizeof(mask)) != 0 ? -EFAULT : done;
}

static int flush_tlb(void)
{
    tlb_flush_all();
    return 0;
}

/* ---- the call ---- */

struct request {
    uint64_t command; /* the upper half is padding */
    uint64_t first;   /* MFN or address */
    uint64_t second;
};
_Static_assert(sizeof(struct request) == sizeof(struct mmuext_op), "public ABI");

static int one_request(const uint64_t *words)
{
    uint64_t first = words[1], second = words[2];

    switch ((uint32_t)words[0]) {
    case MMUEXT_PIN_L1_TABLE:
        return pin(first, FRAME_TYPE_L1);
    case MMUEXT_PIN_L2_TABLE:
        return pin(first, FRAME_TYPE_L2);
    case MMUEXT_PIN_L3_TABLE:
        return pin(first, FRAME_TYPE_L3);
    case MMUEXT_PIN_L4_TABLE:
        return pin(first, FRAME_TYPE_L4);
    case MMUEXT_UNPIN_TABLE:
        return unpin(first);
    case MMUEXT_NEW_BASEPTR:
        return new_kernel_base(first);
    case MMUEXT_NEW_USER_BASEPTR:
        return new_user_base(first);
    case MMUEXT_TLB_FLUSH_LOCAL:
    case MMUEXT_TLB_FLUSH_ALL:
        return flush_tlb();
    case MMUEXT_TLB_FLUSH_MULTI:
        return with_mask(second, flush_tlb());
    case MMUEXT_INVLPG_LOCAL:
    case MMUEXT_INVLPG_ALL:
        return invalidate_page(first);
    case MMUEXT_INVLPG_MULTI:
        return with_mask(second, invalidate_page(first));
    case MMUEXT_FLUSH_CACHE:
    case MMUEXT_FLUSH_CACHE_GLOBAL:
        cache_write_back();
        hypercall_was_long = true;
        return 0;
    case MMUEXT_SET_LDT:
        return (int)descriptor_set_ldt(first, (uint32_t)second);
    case MMUEXT_CLEAR_PAGE:
        return clear_page(first);
    case MMUEXT_COPY_PAGE:
        return copy_page(first, second);
    default:
        return -ENOSYS;
    }
}

static void nothing_owed(void)
{
}

/* a: array of struct mmuext_op, count, uint32_t *done (may be null), domain. */
long do_mmuext_op(struct cpu_regs *regs, const struct hypercall_args *args)
{
    if (!batch_domain_known((uint32_t)args->a[3], DOMID_SELF))
        return -ESRCH;
    return batch_run(regs, args, sizeof(struct mmuext_op), one_request, nothing_owed);
}

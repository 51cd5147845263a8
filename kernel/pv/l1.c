/* SPDX-License-Identifier: MIT */
#include "pv/l1.h"

#include "cpu/features.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/frame.h"
#include "pv/guest.h"
#include "pv/pte.h"

#include <stddef.h>

#define ALLOWED                                                                                              \
    (PTE_PRESENT | PTE_WRITABLE | PTE_USER | PTE_CACHE | PTE_ACCESSED | PTE_DIRTY | PTE_GLOBAL |             \
     PTE_AVAILABLE | PTE_FRAME | PTE_NO_EXECUTE)
/* PAT entry 3 is uncached in the power-on layout and in Xen's. */
#define UNCACHED (PTE_WRITE_THROUGH | PTE_CACHE_DISABLE)

static uint64_t forbidden; /* bits that no entry may have on this CPU */

void l1_rules_init(void)
{
    forbidden = ~ALLOWED | (PTE_FRAME & -(1ull << cpu_features.physical_bits));
    if (!cpu_features.nx)
        forbidden |= PTE_NO_EXECUTE;
}

static bool is_guest_ram(const struct frame *frame)
{
    return frame != NULL && frame->owner == FRAME_GUEST;
}

/*
 * RAM is always write-back. With a second, uncached view of a frame the guest could show the hypervisor's
 * cached reads one page table and the hardware's walker another.
 */
static int get_ram(struct frame *frame, uint64_t *entry)
{
    *entry &= ~PTE_CACHE;
    return (*entry & PTE_WRITABLE) != 0 ? frame_get_type(frame, FRAME_TYPE_WRITABLE) : frame_get(frame);
}

static int get_shared(const struct frame *frame, uint64_t *entry)
{
    *entry &= ~PTE_CACHE;
    if ((frame->flags & FRAME_SHARED_RW) != 0)
        return 0;
    if ((frame->flags & FRAME_SHARED_RO) != 0 && (*entry & PTE_WRITABLE) == 0)
        return 0;
    return -EPERM;
}

/* Nothing is counted for device registers: what they are is fixed at boot and they never change hands. */
static int get_device(uint64_t mfn, uint64_t *entry)
{
    switch (device_frame_kind(mfn)) {
    case DEVICE_FRAME_MMIO:
        *entry = (*entry & ~PTE_CACHE) | UNCACHED;
        return 0;
    case DEVICE_FRAME_READ_ONLY:
        *entry = (*entry & ~PTE_CACHE) | UNCACHED;
        return (*entry & PTE_WRITABLE) != 0 ? -EPERM : 0;
    case DEVICE_FRAME_FIRMWARE:
        *entry &= ~PTE_CACHE;
        return 0;
    case DEVICE_FRAME_DENIED:
        break;
    }
    return -EPERM;
}

int l1_entry_get(uint64_t *entry)
{
    if ((*entry & PTE_PRESENT) == 0)
        return 0;
    if ((*entry & forbidden) != 0)
        return -EINVAL;

    *entry = (*entry & ~PTE_GLOBAL) | PTE_USER;
    uint64_t mfn = pte_mfn(*entry);
    struct frame *frame = frame_of(mfn);
    if (is_guest_ram(frame))
        return get_ram(frame, entry);
    if (frame != NULL && frame->owner == FRAME_HYPERVISOR)
        return get_shared(frame, entry);
    if (frame != NULL && frame->owner == FRAME_FREE)
        return -EPERM;
    return get_device(mfn, entry);
}

/* What a stored entry holds follows from the entry and the owner, which cannot change while it is held. */
void l1_entry_put(uint64_t entry)
{
    if ((entry & PTE_PRESENT) == 0)
        return;
    struct frame *frame = frame_of(pte_mfn(entry));
    if (!is_guest_ram(frame))
        return;
    if ((entry & PTE_WRITABLE) != 0)
        frame_put_type(frame);
    else
        frame_put(frame);
}

/* SPDX-License-Identifier: MIT */
#include "pv/l1.h"

#include "cpu/features.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/frame.h"
#include "pv/guest.h"
#include "pv/pte.h"
#include "screen/screen.h"

#include <stddef.h>

#define ALLOWED                                                                                              \
    (PTE_PRESENT | PTE_WRITABLE | PTE_USER | PTE_CACHE | PTE_ACCESSED | PTE_DIRTY | PTE_GLOBAL |             \
     PTE_AVAILABLE | PTE_FRAME | PTE_NO_EXECUTE)
/* PAT entry 3 is uncached in the power-on layout and in Xen's. */
#define UNCACHED (PTE_WRITE_THROUGH | PTE_CACHE_DISABLE)

uint64_t l1_forbidden;

void l1_rules_init(void)
{
    l1_forbidden = ~ALLOWED | (PTE_FRAME & -(1ull << cpu_features.physical_bits));
    if (!cpu_features.nx)
        l1_forbidden |= PTE_NO_EXECUTE;
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
        return (*entry & PTE_WRITABLE) != 0 ? L1_WRITES_DEVICE : 0;
    case DEVICE_FRAME_READ_ONLY: /* kernels map whole windows for writing, and write elsewhere in them */
        *entry = (*entry & ~(PTE_CACHE | PTE_WRITABLE)) | UNCACHED;
        return 0;
    case DEVICE_FRAME_FIRMWARE:
        *entry &= ~PTE_CACHE;
        return 0;
    case DEVICE_FRAME_DENIED:
        break;
    }
    return -EPERM;
}

int l1_other_judge(uint64_t *entry)
{
    uint64_t mfn = pte_mfn(*entry);
    const struct frame *frame = frame_of(mfn);

    if (frame != NULL && frame->owner == FRAME_HYPERVISOR)
        return get_shared(frame, entry);
    if (frame != NULL && frame->owner == FRAME_FREE)
        return -EPERM;
    return get_device(mfn, entry);
}

int l1_other_get(uint64_t *entry)
{
    int error = l1_other_judge(entry);
    if (error != L1_WRITES_DEVICE)
        return error;
    screen_guest_maps(pte_mfn(*entry));
    return 0;
}

void l1_table_stored(const uint64_t *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t entry = entries[i];

        if ((entry & PTE_PRESENT) != 0 && l1_other_judge(&entry) == L1_WRITES_DEVICE)
            screen_guest_maps(pte_mfn(entry));
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * The IOMMUOP front doors: copy in, check, perform. No hardware is touched here.
 *
 * Decode looks at the words of an element and changes nothing. Perform takes the frame's reference, writes
 * one bus entry and notes in the accumulator what must be invalidated; it can fail on the state of the
 * machine, no longer on a malformed argument. Nothing is flushed until the hypercall returns or is cut into
 * a continuation, and what an old entry referred to is released only by that flush.
 */
#include "guest-abi/include/sluice/iommu_op.h"
#include "cpu/trap.h"
#include "drivers/iommu/iommu.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/frame.h"
#include "mem/guest_copy.h"
#include "pv/guest.h"
#include "pv/hypercall.h"

/*
 * Elements are read this many at a time: one look at the guest's address for all, and one preemption point.
 * Read ahead is not looked at: what a stop or a continuation leaves over is forgotten.
 */
#define CHUNK 16u

#define PERMISSIONS (IOMMU_MAP_OP_readable | IOMMU_MAP_OP_writeable)
_Static_assert(IOMMU_MAP_OP_readable == IOMMU_READ && IOMMU_MAP_OP_writeable == IOMMU_WRITE,
               "an element's flags are used as an entry's");

/* Writes there are interrupts and never reach a page table. */
#define MSI_WINDOW_FIRST  0xfee00u
#define MSI_WINDOW_FRAMES 0x100u

/* One CPU, interrupts off, and no hypercall inside another: one accumulator serves every call. */
static struct iommu_flush accumulator;

static bool in_msi_window(uint64_t bfn)
{
    return bfn - MSI_WINDOW_FIRST < MSI_WINDOW_FRAMES;
}

/* ---- what an element may name ---- */

struct target {
    uint32_t entry_flags; /* IOMMU_* that the bus entry will carry */
    bool counted;         /* a frame reference was taken */
};

static bool is_ram(uint64_t mfn)
{
    const struct frame *frame = frame_of(mfn);

    return frame && frame->owner != FRAME_NOT_RAM;
}

static void target_put(const struct target *target, uint64_t mfn, uint32_t flags)
{
    if (target->counted)
        frame_bus_put(mfn, flags & IOMMU_MAP_OP_writeable);
}

/* The guest's own device registers: no owner's reference, since they never change hands. */
__attribute__((noinline)) static int target_get_mmio(struct target *target, uint64_t mfn, uint32_t flags)
{
    if (is_ram(mfn) || device_frame_kind(mfn) != DEVICE_FRAME_MMIO)
        return -EPERM;
    target->entry_flags = flags;
    target->counted = false;
    return 0;
}

__attribute__((always_inline)) static inline int target_get(struct target *target, uint64_t bfn, uint64_t mfn,
                                                            uint32_t flags)
{
    bool effective_write;

    switch (frame_bus_get(mfn, bfn, flags & IOMMU_MAP_OP_writeable, &effective_write)) {
    case 0:
        break;
    case -EPERM:
        return target_get_mmio(target, mfn, flags);
    default:
        return -ENOMEM; /* the frame's count is full */
    }

    target->entry_flags = flags;
    target->counted = true;
    if ((flags & IOMMU_MAP_OP_writeable) && !effective_write) {
        target->entry_flags = (flags & ~IOMMU_WRITE) | IOMMU_WITHHELD;
        if (!(flags & IOMMU_MAP_OP_readable)) {
            target_put(target, mfn, flags);
            return -EPERM;
        }
    }
    return 0;
}

/*
 * The last word on a map that was refused: inside a reserved range it is -EACCES whatever the frame, and
 * success when it asks for exactly what is installed.
 */
__attribute__((noinline, cold)) static int refusal(int error, uint64_t bfn, uint64_t mfn, uint32_t flags)
{
    struct iommu_mapping installed;

    if (error != -EPERM && error != -EACCES)
        return error;
    if (iommu_is_window(bfn))
        return -EACCES;
    if (iommu_lookup(guest.context, bfn, &installed) || !(installed.flags & IOMMU_LOCKED))
        return error;
    return installed.mfn == mfn && (installed.flags & PERMISSIONS) == flags ? 0 : -EACCES;
}

/* ---- one element ---- */

__attribute__((always_inline)) static inline int unmap_element(uint64_t bfn)
{
    int error;

    /* Clients unmap every hole and stop at the first error, so the window must not be one. */
    if (in_msi_window(bfn))
        return 0;
    error = iommu_unmap(guest.context, bfn, 0, &accumulator);
    if (!error)
        guest.elements_unmapped++;
    return error;
}

__attribute__((always_inline)) static inline int replace_entry(uint64_t bfn, uint64_t mfn, uint32_t flags)
{
    struct target target;
    int error = target_get(&target, bfn, mfn, flags);

    if (error)
        return error;
    error = iommu_map(guest.context, bfn, mfn, 0, target.entry_flags, &accumulator);
    if (error)
        target_put(&target, mfn, flags); /* no entry came of it, so no device can hold the frame */
    else
        guest.elements_mapped++;
    return error;
}

__attribute__((always_inline)) static inline int map_element(uint64_t bfn, uint64_t mfn, uint32_t flags,
                                                             uint64_t max_bfn)
{
    int error;

    if (flags & ~PERMISSIONS || bfn > max_bfn)
        return -EINVAL;
    if (!flags)
        return unmap_element(bfn);
    if (in_msi_window(bfn))
        return -EACCES;
    error = replace_entry(bfn, mfn, flags);
    return error ? refusal(error, bfn, mfn, flags) : 0;
}

static int put_status(uint64_t address, int status)
{
    return put_guest_u32(address + offsetof(struct iommu_map_op, status), (uint32_t)status);
}

/* Its outputs are mfn, flags and status, neighbours in the structure; an error writes the status alone. */
static int lookup_element(uint64_t address, struct iommu_map_op *op, int *status)
{
    struct iommu_mapping mapping;

    *status = iommu_lookup(guest.context, op->bfn, &mapping);
    if (*status)
        return put_status(address, *status);
    op->mfn = mapping.mfn;
    op->flags = mapping.flags & PERMISSIONS;
    if (mapping.flags & IOMMU_WITHHELD)
        op->flags |= IOMMU_MAP_OP_write_withheld;
    op->status = 0;
    return copy_to_guest(address + offsetof(struct iommu_map_op, mfn), &op->mfn,
                         sizeof *op - offsetof(struct iommu_map_op, mfn));
}

/* Does one element and writes its status; -EFAULT when that cannot be written. */
__attribute__((always_inline)) static inline int
run_element(uint32_t subop, uint64_t address, struct iommu_map_op *op, uint64_t max_bfn, int *status)
{
    switch (subop) {
    case IOMMUOP_map_page:
        *status = map_element(op->bfn, op->mfn, op->flags, max_bfn);
        break;
    case IOMMUOP_unmap_page:
        *status = unmap_element(op->bfn);
        break;
    default:
        return lookup_element(address, op, status);
    }
    return put_status(address, *status);
}

/* ---- arrays ---- */

/* Where a call is in its array. */
struct progress {
    uint64_t address; /* of the next element */
    uint32_t left;    /* elements to the end */
    uint32_t budget;  /* elements that this entry may still do */
};

static uint32_t lower(uint32_t left, uint32_t right)
{
    return left < right ? left : right;
}

/* The elements to read next: no more than the accumulator can take, since each may park one frame. */
static uint32_t chunk_size(const struct progress *at)
{
    return lower(lower(at->left, at->budget), lower(CHUNK, IOMMU_FLUSH_PARKED - accumulator.parked_count));
}

/* How many were read: a single one where the chunk would run into a fault, 0 when that one does. */
static uint32_t read_chunk(struct iommu_map_op *ops, uint64_t address, uint32_t count)
{
    if (!copy_from_guest(ops, address, count * sizeof *ops))
        return count;
    return copy_from_guest(ops, address, sizeof *ops) ? 0 : 1;
}

/* One copy for each sub-operation, so that the loop over the elements does not ask again. */
__attribute__((always_inline)) static inline long run_chunk(uint32_t subop, struct progress *at)
{
    struct iommu_map_op ops[CHUNK];
    uint32_t count = read_chunk(ops, at->address, chunk_size(at));
    uint64_t max_bfn = iommu_max_bfn(guest.context);

    if (!count)
        return -EFAULT;
    for (uint32_t i = 0; i < count; i++) {
        int status;

        if (run_element(subop, at->address + i * sizeof ops[i], &ops[i], max_bfn, &status))
            return -EFAULT;
        if (status)
            return status == -EIO ? -EIO : -EFAULT;
    }
    at->address += count * sizeof ops[0];
    at->left -= count;
    at->budget -= count;
    return 0;
}

static long run_next(uint32_t subop, struct progress *at)
{
    switch (subop) {
    case IOMMUOP_map_page:
        return run_chunk(IOMMUOP_map_page, at);
    case IOMMUOP_unmap_page:
        return run_chunk(IOMMUOP_unmap_page, at);
    default:
        return run_chunk(IOMMUOP_lookup_page, at);
    }
}

static bool must_yield(const struct progress *at)
{
    return chunk_size(at) == 0 || cpu_preemption_point();
}

static long run_array(struct cpu_regs *regs, const struct hypercall_args *args, uint32_t subop)
{
    struct progress at = {
        .address = args->a[1],
        .left = (uint32_t)args->a[2],
        .budget = guest.continue_every ? guest.continue_every : UINT32_MAX,
    };
    long result;

    iommu_flush_begin(&accumulator, guest.context);
    do {
        result = run_next(subop, &at);
    } while (!result && at.left && !must_yield(&at));

    if (iommu_flush(&accumulator))
        return -EIO;
    if (result || !at.left)
        return result;

    struct hypercall_args rest = *args;

    rest.a[1] = at.address;
    rest.a[2] = at.left;
    return hypercall_continue(regs, &rest);
}

/* ---- questions ---- */

static long query(uint64_t address, uint32_t count)
{
    struct iommu_query answer = {
        .version = 1,
        .features = IOMMU_QUERY_map_replaces | IOMMU_QUERY_zero_flags_unmaps | IOMMU_QUERY_owned |
                    IOMMU_QUERY_physdev_door,
        .max_bfn = iommu_max_bfn(guest.context),
        .premap = IOMMU_PREMAP_none,
        .reserved_ranges = iommu_reserved_count(),
        .table_quota = iommu_tables_quota(guest.context),
        .table_used = iommu_tables_used(guest.context),
    };

    if (count != 1)
        return -EINVAL;
    if (guest.premap) {
        answer.features |= IOMMU_QUERY_premapped;
        answer.premap = IOMMU_PREMAP_own_frames;
    }
    return copy_to_guest(address, &answer, sizeof answer) ? -EFAULT : 0;
}

static long get_reserved(uint64_t address, uint32_t capacity)
{
    uint32_t ranges = iommu_reserved_count();

    if (ranges > capacity)
        return -ENOBUFS;
    for (uint32_t i = 0; i < ranges; i++) {
        struct iommu_reserved reserved = iommu_reserved_at(i);
        struct iommu_reserved_range range = {
            .start = reserved.bfn, .frames = reserved.frames, .kind = reserved.kind};

        if (copy_to_guest(address + i * sizeof range, &range, sizeof range))
            return -EFAULT;
    }
    return ranges;
}

/* ---- the doors ---- */

static bool is_known(uint32_t subop)
{
    return subop == IOMMUOP_map_page || subop == IOMMUOP_unmap_page || subop == IOMMUOP_query ||
           subop == IOMMUOP_get_reserved || subop == IOMMUOP_lookup_page;
}

long do_iommu_op(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint32_t subop = (uint32_t)args->a[0];
    uint64_t array = args->a[1];
    uint32_t count = (uint32_t)args->a[2];

    if (!guest.context || !is_known(subop))
        return -ENOSYS;
    if (count > INT32_MAX)
        return -EINVAL;
    if (count == 0)
        return 0; /* the probe: the pointer is not looked at */

    switch (subop) {
    case IOMMUOP_query:
        return query(array, count);
    case IOMMUOP_get_reserved:
        return get_reserved(array, count);
    default:
        return run_array(regs, args, subop);
    }
}

long iommu_map_one(uint64_t address)
{
    struct iommu_map_op op;
    int status;

    if (!guest.context)
        return -ENOSYS;
    if (copy_from_guest(&op, address, sizeof op))
        return -EFAULT;
    iommu_flush_begin(&accumulator, guest.context);
    status = map_element(op.bfn, op.mfn, op.flags, iommu_max_bfn(guest.context));

    bool written = !put_status(address, status);

    if (iommu_flush(&accumulator))
        return -EIO;
    return written ? status : -EFAULT;
}

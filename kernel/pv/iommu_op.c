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
#define CHUNK 32u

#define PERMISSIONS (IOMMU_MAP_OP_readable | IOMMU_MAP_OP_writeable)
_Static_assert(IOMMU_MAP_OP_readable == IOMMU_READ && IOMMU_MAP_OP_writeable == IOMMU_WRITE,
               "an element's flags are used as an entry's");

/* One CPU, interrupts off, and no hypercall inside another: one accumulator serves every call. */
static struct iommu_flush accumulator;

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

/* The reference of an own frame, and what its entry may carry. -EPERM, -ENOSPC. */
__attribute__((always_inline)) static inline int own_frame_get(const struct iommu_map_op *op,
                                                               uint32_t *entry_flags)
{
    bool writes;
    int error = frame_bus_get(op->mfn, op->bfn, op->flags & IOMMU_MAP_OP_writeable, &writes);

    *entry_flags = op->flags;
    if (error || writes || !(op->flags & IOMMU_MAP_OP_writeable))
        return error;
    *entry_flags = (op->flags & ~IOMMU_WRITE) | IOMMU_WITHHELD;
    if (op->flags & IOMMU_MAP_OP_readable)
        return 0;
    frames_bus_put(op->mfn, 1, true);
    return -EPERM;
}

static void own_frame_put(const struct iommu_map_op *op)
{
    frames_bus_put(op->mfn, 1, op->flags & IOMMU_MAP_OP_writeable);
}

/* An own frame; or the guest's own device registers, without a reference, since they never change hands. */
static int target_get(struct target *target, const struct iommu_map_op *op)
{
    int error = own_frame_get(op, &target->entry_flags);

    target->counted = !error;
    if (!error || error == -ENOSPC)
        return error ? -ENOMEM : 0;
    if (is_ram(op->mfn) || device_frame_kind(op->mfn) != DEVICE_FRAME_MMIO)
        return -EPERM;
    target->entry_flags = op->flags;
    return 0;
}

/*
 * The last word on a map that was refused: inside a reserved range it is -EACCES whatever the frame, and
 * success when it asks for exactly what is installed.
 */
static int refusal(int error, const struct iommu_map_op *op)
{
    struct iommu_mapping installed;

    if (error != -EPERM && error != -EACCES)
        return error;
    if (iommu_is_window(op->bfn))
        return -EACCES;
    if (iommu_lookup(guest.context, op->bfn, &installed) || !(installed.flags & IOMMU_LOCKED))
        return error;
    return installed.mfn == op->mfn && (installed.flags & PERMISSIONS) == op->flags ? 0 : -EACCES;
}

/* ---- one element ---- */

static int unmap_element(const struct iommu_map_op *op)
{
    int error = iommu_unmap(guest.context, op->bfn, 0, &accumulator);

    if (!error)
        guest.elements_unmapped++;
    return error;
}

static int replace_entry(const struct iommu_map_op *op)
{
    struct target target;
    int error = target_get(&target, op);

    if (error)
        return error;
    error = iommu_map(guest.context, op->bfn, op->mfn, 0, target.entry_flags, &accumulator);
    if (!error)
        guest.elements_mapped++;
    else if (target.counted)
        own_frame_put(op); /* no entry came of it, so no device can hold the frame */
    return error;
}

/* Whatever the element asks for: the one place that decides on its status. */
__attribute__((noinline, cold)) static int map_element(const struct iommu_map_op *op)
{
    int error;

    if (op->flags & ~PERMISSIONS || op->bfn > iommu_max_bfn(guest.context))
        return -EINVAL;
    if (!op->flags)
        return unmap_element(op);
    error = replace_entry(op);
    return error ? refusal(error, op) : 0;
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
    uint32_t room = IOMMU_FLUSH_PARKED - lower((uint32_t)accumulator.parked_frames, IOMMU_FLUSH_PARKED);

    return lower(lower(at->left, at->budget), lower(CHUNK, room));
}

/*
 * How many were read: a single one where the chunk would run into a fault, 0 when that one does. Statuses are
 * written after several elements are done, so that it is first seen that they can be: the chunk is in two
 * pages at most.
 */
static uint32_t read_chunk(struct iommu_map_op *ops, uint64_t address, uint32_t count)
{
    uint64_t status = address + offsetof(struct iommu_map_op, status);

    if (count > 1 && !probe_guest_u32(status) && !probe_guest_u32(status + (count - 1) * sizeof *ops) &&
        !copy_from_guest(ops, address, count * sizeof *ops))
        return count;
    return copy_from_guest(ops, address, sizeof *ops) ? 0 : 1;
}

/* What became of a chunk: so many elements were done; then one failed, or a status could not be written. */
struct outcome {
    uint32_t done;
    int status;
    bool fault;
};

static void note_done(struct outcome *outcome, uint64_t address, uint32_t count)
{
    uint64_t first = address + outcome->done * sizeof(struct iommu_map_op);

    outcome->done += count;
    outcome->fault = put_guest_u32_each(first + offsetof(struct iommu_map_op, status),
                                        sizeof(struct iommu_map_op), count, 0) != 0;
}

static void note_status(struct outcome *outcome, uint64_t address, int status)
{
    uint64_t failed = address + outcome->done * sizeof(struct iommu_map_op);

    outcome->status = status;
    if (!status)
        note_done(outcome, address, 1);
    else
        outcome->fault = put_status(failed, status) != 0;
}

/* Takes the references of own frames that are to be mapped, until an element is something else. How many. */
static uint32_t take_frames(struct iommu_element *list, const struct iommu_map_op *ops, uint32_t count)
{
    uint32_t taken = 0;

    for (; taken < count && ops[taken].flags - 1 < PERMISSIONS; taken++) {
        list[taken].bfn = ops[taken].bfn;
        list[taken].mfn = ops[taken].mfn;
        if (own_frame_get(&ops[taken], &list[taken].flags))
            break;
    }
    return taken;
}

/* Maps of own frames go to the engine as a list; what is anything else, or was refused, is looked at alone.
 */
static void map_chunk(struct outcome *outcome, const struct iommu_map_op *ops, uint32_t count,
                      uint64_t address)
{
    struct iommu_element list[CHUNK];

    for (;;) {
        const struct iommu_map_op *rest = ops + outcome->done;
        uint32_t taken = take_frames(list, rest, count - outcome->done), mapped = 0;

        if (taken) {
            (void)iommu_map_list(guest.context, list, taken, &accumulator, &mapped);
            guest.elements_mapped += mapped;
            for (uint32_t i = mapped; i < taken; i++)
                own_frame_put(&rest[i]); /* no entry came of it, so no device can hold the frame */
            note_done(outcome, address, mapped);
        }
        if (outcome->fault || outcome->done == count)
            return;
        note_status(outcome, address, map_element(&rest[mapped]));
        if (outcome->fault || outcome->status || outcome->done == count)
            return;
    }
}

static void unmap_chunk(struct outcome *outcome, const struct iommu_map_op *ops, uint32_t count,
                        uint64_t address)
{
    while (outcome->done < count && !outcome->fault && !outcome->status) {
        const struct iommu_map_op *first = ops + outcome->done, *end = first + 1;
        uint64_t done;
        int error;

        while (end < ops + count && end->bfn == end[-1].bfn + 1)
            end++;
        error = iommu_unmap_run(guest.context, first->bfn, (uint64_t)(end - first), &accumulator, &done);
        guest.elements_unmapped += done;
        note_done(outcome, address, (uint32_t)done);
        if (error && !outcome->fault)
            note_status(outcome, address, error);
    }
}

static void lookup_chunk(struct outcome *outcome, struct iommu_map_op *ops, uint32_t count, uint64_t address)
{
    for (; outcome->done < count && !outcome->fault && !outcome->status; outcome->done += !outcome->status) {
        uint64_t element = address + outcome->done * sizeof *ops;

        outcome->fault = lookup_element(element, &ops[outcome->done], &outcome->status) != 0;
    }
}

static long run_next(uint32_t subop, struct progress *at)
{
    struct iommu_map_op ops[CHUNK];
    uint32_t count = read_chunk(ops, at->address, chunk_size(at));
    struct outcome outcome = {0};

    if (!count)
        return -EFAULT;
    if (subop == IOMMUOP_map_page)
        map_chunk(&outcome, ops, count, at->address);
    else if (subop == IOMMUOP_unmap_page)
        unmap_chunk(&outcome, ops, count, at->address);
    else
        lookup_chunk(&outcome, ops, count, at->address);
    if (outcome.fault || outcome.status)
        return outcome.status == -EIO && !outcome.fault ? -EIO : -EFAULT;
    at->address += count * sizeof ops[0];
    at->left -= count;
    at->budget -= count;
    return 0;
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
    status = map_element(&op);

    bool written = !put_status(address, status);

    if (iommu_flush(&accumulator))
        return -EIO;
    return written ? status : -EFAULT;
}

/* SPDX-License-Identifier: MIT */
/*
 * The IOMMUOP front doors: copy in, check, perform. No hardware is touched here.
 *
 * Decode looks at the words of an element and changes nothing. Perform takes the frame's reference, writes
 * one bus entry and notes in the accumulator what must be invalidated; it can fail on the state of the
 * machine, no longer on a malformed argument. What an old entry referred to is released only by a flush: when
 * the hypercall returns, when it is cut into a continuation, or when the engine runs short of table pages.
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
 * Of what is read ahead, references may be taken early; what a stop leaves over gives them back.
 */
#define CHUNK 64u

/* The engine's elements are the guest's, so that a list is not copied again. */
#define SAME_PLACE(field)                                                                                    \
    (offsetof(struct iommu_element, field) == offsetof(struct iommu_map_op, field) &&                        \
     sizeof(((struct iommu_element *)0)->field) == sizeof(((struct iommu_map_op *)0)->field))
_Static_assert(SAME_PLACE(bfn) && SAME_PLACE(mfn) && SAME_PLACE(flags) && SAME_PLACE(status) &&
                   sizeof(struct iommu_element) == sizeof(struct iommu_map_op),
               "an element is read in the guest's layout");

#define PERMISSIONS (IOMMU_MAP_OP_readable | IOMMU_MAP_OP_writeable)
_Static_assert(IOMMU_MAP_OP_readable == IOMMU_READ && IOMMU_MAP_OP_writeable == IOMMU_WRITE,
               "an element's flags are used as an entry's");

/* One CPU, interrupts off, and no hypercall inside another: one accumulator serves every call. */
static struct iommu_flush accumulator;

/* Every flush leaves it empty. */
static void begin(void)
{
    if (accumulator.context != guest.context)
        iommu_flush_begin(&accumulator, guest.context);
}

/* ---- what an element may name ---- */

static bool is_ram(uint64_t mfn)
{
    const struct frame *frame = frame_of(mfn);

    return frame && frame->owner != FRAME_NOT_RAM;
}

/* The reference of an own frame; flags become what its entry may carry. -EPERM, -ENOSPC: flags are as they
 * were. */
__attribute__((always_inline)) static inline int own_frame_get(struct iommu_element *element)
{
    bool writes;
    int error = frame_bus_get(element->mfn, element->bfn, element->flags & IOMMU_WRITE, &writes);

    if (error || writes || !(element->flags & IOMMU_WRITE))
        return error;
    if (element->flags & IOMMU_READ) {
        element->flags = IOMMU_READ | IOMMU_WITHHELD;
        return 0;
    }
    frame_bus_put(element->mfn, true);
    return -EPERM;
}

/* Undoes own_frame_get(): no entry came of it, so that no device can hold the frame. */
static void own_frame_put(struct iommu_element *element)
{
    if (element->flags & IOMMU_WITHHELD)
        element->flags = IOMMU_READ | IOMMU_WRITE;
    frame_bus_put(element->mfn, element->flags & IOMMU_WRITE);
}

/*
 * The last word on a map that was refused: inside a reserved range it is -EACCES whatever the frame, and
 * success when it asks for exactly what is installed.
 */
static int refusal(int error, const struct iommu_element *element)
{
    struct iommu_mapping installed;

    if (error != -EPERM && error != -EACCES)
        return error;
    if (iommu_is_window(element->bfn))
        return -EACCES;
    if (iommu_lookup(guest.context, element->bfn, &installed) || !(installed.flags & IOMMU_LOCKED))
        return error;
    return installed.mfn == element->mfn && (installed.flags & PERMISSIONS) == element->flags ? 0 : -EACCES;
}

/* ---- one element ---- */

static int unmap_element(const struct iommu_element *element)
{
    int error = iommu_unmap(guest.context, element->bfn, 0, &accumulator);

    if (!error)
        guest.elements_unmapped++;
    return error;
}

static int replace_entry(const struct iommu_element *element)
{
    int error = iommu_map(guest.context, element->bfn, element->mfn, 0, element->flags, &accumulator);

    if (!error)
        guest.elements_mapped++;
    return error;
}

/* The guest's own device registers, without a reference, since they never change hands. */
static int map_mmio(const struct iommu_element *element)
{
    if (is_ram(element->mfn) || device_frame_kind(element->mfn) != DEVICE_FRAME_MMIO)
        return -EPERM;
    return replace_entry(element);
}

static int map_frame(struct iommu_element *element)
{
    int error = own_frame_get(element);

    if (error)
        return error == -ENOSPC ? -ENOMEM : map_mmio(element);
    error = replace_entry(element);
    if (error)
        own_frame_put(element);
    return error;
}

/* Whose the frame is does not matter, but it is never the hypervisor's. */
static bool is_hypervisors(uint64_t mfn)
{
    const struct frame *frame = frame_of(mfn);

    return (frame && frame->owner == FRAME_HYPERVISOR) || device_frame_is_kept(mfn);
}

/* For a guest that is trusted. The entry holds no reference, like those of the boot-time map. */
static int map_trusted(const struct iommu_element *element)
{
    struct iommu_element entry = *element;
    int error;

    if (is_hypervisors(entry.mfn))
        return -EPERM;
    entry.flags |= IOMMU_PREMAP;
    error = replace_entry(&entry);
    return error == -EINVAL ? -EPERM : error; /* the BFN is in reach, so that the MFN is not */
}

static bool is_trusted(void)
{
    return guest.iommu_doors == IOMMU_DOORS_TRUST;
}

/* Whatever the element asks for: the one place that decides on a status. */
__attribute__((noinline)) static int map_any(struct iommu_element *element)
{
    int error;

    if (element->flags & ~PERMISSIONS || element->bfn > iommu_max_bfn(guest.context))
        return -EINVAL;
    if (!element->flags)
        return unmap_element(element);
    error = is_trusted() ? map_trusted(element) : map_frame(element);
    return error ? refusal(error, element) : 0;
}

/* Of a guest that is not trusted. One that maps an own frame, as nearly all do, is quickly done; the rest is
 * for map_any(). */
__attribute__((always_inline)) static inline int map_element(struct iommu_element *element)
{
    if (element->flags - 1 < PERMISSIONS && !own_frame_get(element)) {
        if (!replace_entry(element))
            return 0;
        own_frame_put(element);
    }
    return map_any(element);
}

static int put_status(uint64_t address, int status)
{
    return put_guest_u32(address + offsetof(struct iommu_map_op, status), (uint32_t)status);
}

/* Its outputs are mfn, flags and status, neighbours in the structure; an error writes the status alone. */
static int lookup_element(uint64_t address, struct iommu_element *element, int *status)
{
    struct iommu_mapping mapping;

    *status = iommu_lookup(guest.context, element->bfn, &mapping);
    if (*status)
        return put_status(address, *status);
    element->mfn = mapping.mfn;
    element->flags = mapping.flags & PERMISSIONS;
    if (mapping.flags & IOMMU_WITHHELD)
        element->flags |= IOMMU_MAP_OP_write_withheld;
    element->status = 0;
    return copy_to_guest(address + offsetof(struct iommu_element, mfn), &element->mfn,
                         sizeof *element - offsetof(struct iommu_element, mfn));
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
static uint32_t read_chunk(struct iommu_element *list, uint64_t address, uint32_t count)
{
    uint64_t status = address + offsetof(struct iommu_element, status);

    if (count > 1 && !probe_guest_u32(status) && !probe_guest_u32(status + (count - 1) * sizeof *list) &&
        !copy_from_guest(list, address, count * sizeof *list))
        return count;
    return copy_from_guest(list, address, sizeof *list) ? 0 : 1;
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
static uint32_t take_frames(struct iommu_element *list, uint32_t count)
{
    uint32_t taken = 0;

    if (is_trusted())
        return 0;
    while (taken < count && list[taken].flags - 1 < PERMISSIONS && !own_frame_get(&list[taken]))
        taken++;
    return taken;
}

/* Maps of own frames go to the engine as a list; what is anything else, or was refused, is looked at alone.
 */
static void map_chunk(struct outcome *outcome, struct iommu_element *list, uint32_t count, uint64_t address)
{
    while (outcome->done < count && !outcome->fault && !outcome->status) {
        struct iommu_element *rest = list + outcome->done;
        uint32_t taken = take_frames(rest, count - outcome->done), mapped;

        (void)iommu_map_list(guest.context, rest, taken, &accumulator, &mapped);
        guest.elements_mapped += mapped;
        for (uint32_t i = mapped; i < taken; i++)
            own_frame_put(&rest[i]);
        note_done(outcome, address, mapped);
        if (outcome->done < count && !outcome->fault)
            note_status(outcome, address, map_any(&rest[mapped]));
    }
}

static void unmap_chunk(struct outcome *outcome, const struct iommu_element *list, uint32_t count,
                        uint64_t address)
{
    uint32_t done;
    int error = iommu_unmap_list(guest.context, list, count, &accumulator, &done);

    guest.elements_unmapped += done;
    note_done(outcome, address, done);
    if (error && !outcome->fault)
        note_status(outcome, address, error);
}

static void lookup_chunk(struct outcome *outcome, struct iommu_element *list, uint32_t count,
                         uint64_t address)
{
    for (; outcome->done < count && !outcome->fault && !outcome->status; outcome->done += !outcome->status) {
        uint64_t element = address + outcome->done * sizeof *list;

        outcome->fault = lookup_element(element, &list[outcome->done], &outcome->status) != 0;
    }
}

static long result_of(const struct outcome *outcome)
{
    if (outcome->fault)
        return -EFAULT;
    return outcome->status == -EIO ? -EIO : outcome->status ? -EFAULT : 0;
}

static long run_next(uint32_t subop, struct progress *at)
{
    struct iommu_element list[CHUNK];
    uint32_t count = read_chunk(list, at->address, chunk_size(at));
    struct outcome outcome = {0};

    if (!count)
        return -EFAULT;
    if (subop == IOMMUOP_map_page)
        map_chunk(&outcome, list, count, at->address);
    else if (subop == IOMMUOP_unmap_page)
        unmap_chunk(&outcome, list, count, at->address);
    else
        lookup_chunk(&outcome, list, count, at->address);
    at->address += count * sizeof list[0];
    at->left -= count;
    at->budget -= count;
    return result_of(&outcome);
}

static bool must_yield(const struct progress *at)
{
    return chunk_size(at) == 0 || cpu_preemption_point();
}

__attribute__((noinline)) static long run_array(struct cpu_regs *regs, const struct hypercall_args *args,
                                                uint32_t subop)
{
    struct progress at = {
        .address = args->a[1],
        .left = (uint32_t)args->a[2],
        .budget = guest.continue_every ? guest.continue_every : UINT32_MAX,
    };
    long result;

    begin();
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

/* ---- one element, as most calls have it: never continued ---- */

union one {
    uint64_t words[3];
    struct iommu_element element;
};

static inline long result_of_one(int status, bool fault, int flushed)
{
    if (flushed || status == -EIO)
        return -EIO;
    return fault || status ? -EFAULT : 0;
}

__attribute__((noinline)) static long map_only(uint64_t address)
{
    union one in;
    int status;
    bool fault;

    if (get_guest_words3(in.words, address))
        return -EFAULT;
    begin();
    status = map_element(&in.element);
    fault = put_status(address, status) != 0;
    return result_of_one(status, fault, iommu_flush(&accumulator));
}

/* Forgotten at once, if there is nothing to it: then its frame can be let go here. */
__attribute__((noinline)) static long unmap_only(uint64_t address)
{
    struct iommu_mapping gone;
    union one in;
    int status;
    bool fault;

    if (get_guest_words3(in.words, address))
        return -EFAULT;
    begin();
    status = iommu_unmap_page(guest.context, in.element.bfn, &gone, &accumulator);
    guest.elements_unmapped += !status;
    fault = put_status(address, status) != 0;
    if (gone.flags) {
        frame_bus_put(gone.mfn, gone.flags & (IOMMU_WRITE | IOMMU_WITHHELD));
        return fault ? -EFAULT : 0;
    }
    return result_of_one(status, fault, iommu_flush(&accumulator));
}

/* ---- questions ---- */

static long query(uint64_t address, uint32_t count)
{
    struct iommu_query answer = {
        .version = 1,
        .features = IOMMU_QUERY_map_replaces | IOMMU_QUERY_zero_flags_unmaps | IOMMU_QUERY_physdev_door,
        .max_bfn = iommu_max_bfn(guest.context),
        .premap = IOMMU_PREMAP_none,
        .reserved_ranges = iommu_reserved_count(),
        .table_quota = iommu_tables_quota(guest.context),
        .table_used = iommu_tables_used(guest.context),
    };

    if (count != 1)
        return -EINVAL;
    answer.features |= is_trusted() ? IOMMU_QUERY_relaxed : IOMMU_QUERY_owned;
    if (guest.premap) {
        answer.features |= IOMMU_QUERY_premapped;
        answer.premap = is_trusted() ? IOMMU_PREMAP_all_ram : IOMMU_PREMAP_own_frames;
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

__attribute__((noinline)) static long run_call(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint32_t subop = (uint32_t)args->a[0];
    uint64_t array = args->a[1];
    uint32_t count = (uint32_t)args->a[2];

    if (!is_known(subop))
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

long do_iommu_op(struct cpu_regs *regs, const struct hypercall_args *args)
{
    uint32_t subop = (uint32_t)args->a[0];
    uint64_t array = args->a[1];
    uint32_t count = (uint32_t)args->a[2];

    if (guest.iommu_doors != IOMMU_DOORS_CHECK)
        return is_trusted() ? run_call(regs, args) : -ENOSYS;
    if (count != 1)
        return run_call(regs, args);
    if (subop == IOMMUOP_map_page)
        return map_only(array);
    return subop == IOMMUOP_unmap_page ? unmap_only(array) : run_call(regs, args);
}

long iommu_map_one(uint64_t address)
{
    struct iommu_element element;
    int status;

    if (guest.iommu_doors == IOMMU_DOORS_CLOSED)
        return -ENOSYS;
    if (copy_from_guest(&element, address, sizeof element))
        return -EFAULT;
    begin();
    status = is_trusted() ? map_any(&element) : map_element(&element);

    bool written = !put_status(address, status);

    if (iommu_flush(&accumulator))
        return -EIO;
    return written ? status : -EFAULT;
}

/* SPDX-License-Identifier: MIT */
/*
 * XENMEM_exchange: frames of the guest's for others, contiguous or below an address. All or nothing: what can
 * fail is done first, and undone as long as something may still fail. What the guest is told is written
 * before that, since a write can fail as well.
 */
#include "guest-abi/include/sluice/errno.h"
#include "mem/frame.h"
#include "mem/guest_copy.h"
#include "pv/bus.h"
#include "pv/hypercall.h"
#include "pv/reservation.h"

#define ORDER_MAX  12u
#define FRAMES_MAX 4096u /* of one call, which is not preempted: 16 MiB are zeroed twice */

/* One call: what goes and what comes. The new extents are linked through the records of their first frames.
 */
struct exchange {
    struct xen_memory_exchange asked;
    struct leaving out;
    uint64_t gained; /* MFN of the latest extent; 0 = none */
};

static bool is_small(const struct xen_memory_reservation *reservation)
{
    return reservation->extent_order <= ORDER_MAX &&
           reservation->nr_extents <= FRAMES_MAX >> reservation->extent_order;
}

static int check(const struct xen_memory_exchange *asked)
{
    const struct xen_memory_reservation *in = &asked->in, *out = &asked->out;

    if (!reservation_is_own(in->domid) || !reservation_is_own(out->domid))
        return -ESRCH;
    if (asked->nr_exchanged != 0)
        return -EINVAL;
    if (!is_small(in) || !is_small(out))
        return -E2BIG;
    return in->nr_extents << in->extent_order == out->nr_extents << out->extent_order ? 0 : -EINVAL;
}

static int collect(struct exchange *exchange)
{
    const struct xen_memory_reservation *in = &exchange->asked.in;
    int error = 0;

    for (uint64_t i = 0; i < in->nr_extents && error == 0; i++) {
        uint64_t mfn;

        error = get_guest_u64(&mfn, in->extent_start + i * sizeof mfn);
        for (uint64_t j = 0; j < 1ull << in->extent_order && error == 0; j++)
            error = leaving_add(&exchange->out, mfn + j);
    }
    return error;
}

/* The array holds PFNs, and gets the MFNs that are theirs now. */
static int gain(struct exchange *exchange)
{
    const struct xen_memory_reservation *out = &exchange->asked.out;
    int error = 0;

    for (uint64_t i = 0; i < out->nr_extents && error == 0; i++) {
        uint64_t address = out->extent_start + i * sizeof(uint64_t), pfn, mfn;

        error = get_guest_u64(&pfn, address);
        if (error == 0)
            error = extent_gain(out->extent_order, extent_mfn_bits(out->mem_flags), pfn, &mfn);
        if (error != 0)
            break;
        frame_of(mfn)->next = (uint32_t)exchange->gained;
        exchange->gained = mfn;
        error = put_guest_u64(address, mfn);
    }
    return error;
}

static int put_exchanged(uint64_t argument, uint64_t extents)
{
    return put_guest_u64(argument + offsetof(struct xen_memory_exchange, nr_exchanged), extents);
}

static int perform(struct exchange *exchange, uint64_t argument)
{
    int error = collect(exchange);

    if (error == 0)
        error = gain(exchange);
    if (error == 0)
        error = put_exchanged(argument, exchange->asked.in.nr_extents);
    return error != 0 ? error : leaving_close_bus(&exchange->out);
}

/* The frames that have come can be used from here on. */
static void unlink_gained(struct exchange *exchange, void (*each)(uint64_t mfn, uint32_t order))
{
    while (exchange->gained != 0) {
        uint64_t mfn = exchange->gained;
        struct frame *frame = frame_of(mfn);

        exchange->gained = frame->next;
        frame->next = 0;
        if (each != NULL)
            each(mfn, exchange->asked.out.extent_order);
    }
}

long memory_exchange(uint64_t argument)
{
    struct exchange exchange = {0};

    if (copy_from_guest(&exchange.asked, argument, sizeof exchange.asked))
        return -EFAULT;
    long error = check(&exchange.asked);
    if (error != 0)
        return error;
    hypercall_was_long = true;
    error = perform(&exchange, argument);
    if (error == 0) {
        unlink_gained(&exchange, NULL);
        leaving_finish(&exchange.out);
        return 0;
    }
    leaving_cancel(&exchange.out);
    unlink_gained(&exchange, extent_lose);
    (void)put_exchanged(argument, 0);
    return error;
}

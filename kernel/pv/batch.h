/* SPDX-License-Identifier: MIT */
/*
 * What mmu_update and mmuext_op have in common: an array of requests, done in order until one fails, and a
 * count of those that were done. In line, so that each gets a loop of its own.
 */
#ifndef SLUICE_PV_BATCH_H
#define SLUICE_PV_BATCH_H

#include "cpu/trap.h"
#include "guest-abi/include/sluice/errno.h"
#include "mem/guest_copy.h"
#include "pv/guest.h"
#include "pv/hypercall.h"
#include "pv/types.h"

/* One loop for each caller: the size and the function are constants there. */
#define BATCH_INLINE __attribute__((always_inline)) static inline

#define BATCH_PREEMPT_INTERVAL 32u

/* Bit 31 of count: this is the rest of a call that was preempted, and *done counts the part before. */
#define BATCH_RESUMED 0x80000000u

/* Requests are copied in ahead, a few at a time; the guest does not run meanwhile. */
#define BATCH_WINDOW    16u
#define BATCH_WORDS_MAX 3u
struct batch_window {
    uint32_t first, count; /* indices of the requests that are here */
    uint64_t words[BATCH_WINDOW * BATCH_WORDS_MAX];
};

/* One request, as it was copied in: 0, TYPES_PREEMPTED, or an errno. */
typedef int (*batch_fn)(const uint64_t *words);

/* At least one request is done at each entry, so that a forced continuation always gets on. */
BATCH_INLINE bool batch_must_yield(uint32_t done)
{
    if (done == 0)
        return false;
    if (guest.continue_every != 0 && done % guest.continue_every == 0)
        return true;
    if (done % BATCH_PREEMPT_INTERVAL != 0 && !hypercall_was_long)
        return false;
    hypercall_was_long = false;
    return cpu_preemption_point();
}

/* The request at index, or NULL when it cannot be read. One that can be read is not lost to a later one that
 * cannot: then the window is one request wide. */
BATCH_INLINE const uint64_t *batch_fetch(struct batch_window *window, uint64_t array, uint32_t index,
                                         uint32_t count, size_t size)
{
    if (index - window->first < window->count)
        return &window->words[(index - window->first) * (size / sizeof(uint64_t))];

    uint64_t address = array + (uint64_t)index * size;
    uint32_t wanted = count - index < BATCH_WINDOW ? count - index : BATCH_WINDOW;
    window->first = index;
    window->count = wanted;
    if (copy_from_guest(window->words, address, wanted * size) == 0)
        return window->words;
    window->count = 1;
    if (copy_from_guest(window->words, address, size) == 0)
        return window->words;
    return NULL;
}

/* What a request leaves to do is done before the next one, which may want the frame for something else. */
BATCH_INLINE int batch_requests(uint64_t array, uint32_t count, size_t size, batch_fn one, uint32_t *done)
{
    struct batch_window window;
    window.first = window.count = 0;

    for (*done = 0; *done < count; ++*done) {
        if (batch_must_yield(*done))
            return 0;
        const uint64_t *words = batch_fetch(&window, array, *done, count, size);
        if (words == NULL)
            return -EFAULT;
        int error = one(words);
        if (error != 0)
            return error == TYPES_PREEMPTED ? 0 : error;
        if (types_owed() && !types_settle()) {
            ++*done;
            return 0;
        }
    }
    return 0;
}

BATCH_INLINE bool batch_domain_known(uint32_t domain, uint16_t other)
{
    uint32_t tables_of = domain >> 16; /* 0: the caller's own; else a domain number plus one */
    uint32_t frames_of = domain & 0xffffu;
    return tables_of == 0 && (frames_of == DOMID_SELF || frames_of == other);
}

/* The rest of a call, of which `done` requests were done since it was entered. */
BATCH_INLINE long batch_go_on(struct cpu_regs *regs, const struct hypercall_args *args, size_t size,
                              uint32_t done)
{
    struct hypercall_args rest = *args;

    rest.a[0] += (uint64_t)done * size;
    rest.a[1] = ((uint32_t)args->a[1] - done) | BATCH_RESUMED;
    return hypercall_continue(regs, &rest);
}

/* args: array, count, uint32_t *done (may be null), domain. finish() is called before anything is given back.
 */
BATCH_INLINE long batch_run(struct cpu_regs *regs, const struct hypercall_args *args, size_t size,
                            batch_fn one, void (*finish)(void))
{
    uint32_t count = (uint32_t)args->a[1];
    uint64_t done_pointer = args->a[2];
    uint32_t before = 0;
    uint32_t done = 0;
    int error = 0;

    if (types_owed() && !types_settle())
        return hypercall_continue(regs, args);
    if ((count & BATCH_RESUMED) != 0) {
        count &= ~BATCH_RESUMED;
        if (done_pointer != 0 && copy_from_guest(&before, done_pointer, sizeof(before)) != 0)
            return -EFAULT;
    }
    error = batch_requests(args->a[0], count, size, one, &done);
    finish();
    if (types_owed())
        (void)types_settle(); /* what is left after an error waits for the next call */
    if (done_pointer != 0 && put_guest_u32(done_pointer, before + done) != 0 && error == 0)
        error = -EFAULT;
    if (error != 0 || (done == count && !types_owed()))
        return error;

    return batch_go_on(regs, args, size, done);
}

#endif

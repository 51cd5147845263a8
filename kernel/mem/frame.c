/* SPDX-License-Identifier: MIT */
#include "mem/frame.h"

#include "guest-abi/include/sluice/errno.h"
#include "mem/frame_table.h"

#include <stddef.h>

#define REFERENCES_MAX (1u << 31)

/* ---- references ---- */

int frame_get(struct frame *frame)
{
    if (frame->owner != FRAME_GUEST)
        return -EPERM;
    if (frame->references >= REFERENCES_MAX)
        return -ENOSPC;
    frame->references++;
    return 0;
}

void frame_put(struct frame *frame)
{
    if (frame->references != 0)
        frame->references--;
}

static bool is_table(enum frame_type type)
{
    return type != FRAME_TYPE_NONE && type != FRAME_TYPE_WRITABLE;
}

/* A device may be able to write it now: by an entry of the guest's, or by the boot-time map. */
static bool device_may_write(const struct frame *frame)
{
    return frame->bus_writable != 0 || (frame->flags & FRAME_PREMAPPED) != 0;
}

int frame_get_type(struct frame *frame, enum frame_type type)
{
    if (frame->type_references != 0 && frame->type != type)
        return -EBUSY;
    if (frame->type_references == 0 && is_table(type) && device_may_write(frame))
        return -EBUSY;
    int error = frame_get(frame);
    if (error != 0)
        return error;
    frame->type = (uint8_t)type;
    frame->type_references++; /* never more than references */
    return 0;
}

void frame_put_type(struct frame *frame)
{
    if (frame->type_references == 0)
        return;
    if (--frame->type_references == 0)
        frame->type = FRAME_TYPE_NONE;
    frame_put(frame);
}

/* ---- bus entries ---- */

int frame_bus_get(uint64_t mfn, uint64_t bfn, bool want_write, bool *effective_write)
{
    struct frame *frame = frame_of(mfn);
    if (frame == NULL)
        return -EPERM;
    int error = frame_get(frame);
    if (error != 0)
        return error;
    *effective_write = want_write && !is_table((enum frame_type)frame->type);
    if (want_write) {
        frame->bus_writable++; /* never more than references */
        frame->bus_bfn = bfn;
    }
    return 0;
}

void frame_bus_put(uint64_t mfn, bool had_write)
{
    struct frame *frame = frame_of(mfn);
    if (frame == NULL || frame->owner != FRAME_GUEST)
        return;
    if (had_write && frame->bus_writable != 0)
        frame->bus_writable--;
    frame_put(frame);
}

void frame_premap_put(uint64_t mfn)
{
    struct frame *frame = frame_of(mfn);
    if (frame == NULL || (frame->flags & FRAME_PREMAPPED) == 0)
        return;
    frame->flags &= (uint8_t)~FRAME_PREMAPPED;
    frame_put(frame);
}

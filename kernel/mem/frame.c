/* SPDX-License-Identifier: MIT */
#include "mem/frame.h"

#include "mem/frame_table.h"

#include <stddef.h>

/* ---- bus entries ---- */

/* How many of [mfn, mfn + count) have records. */
static uint64_t recorded(uint64_t mfn, uint64_t count)
{
    uint64_t left = mfn < frame_table_count ? frame_table_count - mfn : 0;

    return count < left ? count : left;
}

void frames_bus_put(uint64_t mfn, uint64_t count, bool had_write)
{
    for (uint64_t end = mfn + recorded(mfn, count); mfn < end; mfn++)
        frame_bus_put(mfn, had_write);
}

void frames_premap_put(uint64_t mfn, uint64_t count)
{
    uint64_t left = recorded(mfn, count);

    for (struct frame *frame = frame_of(mfn); left != 0; left--, frame++) {
        if ((frame->flags & FRAME_PREMAPPED) == 0)
            continue;
        frame->flags &= (uint8_t)~FRAME_PREMAPPED;
        frame_put(frame);
    }
}
